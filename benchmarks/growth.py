"""Growth of the cost of a training step, of scoring and of whole runs, each over a factor of 16.

    python benchmarks/growth.py
    python benchmarks/growth.py --axes batch features --json growth.json

Along each axis, one number of the KDD99 setting changes:

    batch           batch size; cost of a step
    features        width of x; cost of a step, and of scoring 4,096 rows
    training-rows   cost of a step, which must not depend on it
    scored-rows     cost of scoring
    seeds           runs of `alad reproduce`, in parallel on all cores

Values on an axis are measured alternately in one process on one thread; the runs of `seeds` are processes that train
one epoch of Arrhythmia without compilation.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Callable

import yardstick  # before NumPy: it sets the number of threads

# isort: split

import numpy as np

from alad_tf.data import loading
from alad_tf.experiments import scheduler
from alad_tf.experiments.process import cores
from alad_tf.experiments.settings import Settings
from alad_tf.model import alad_trainer, networks, scores
from architectures import Alad

FACTORS = (1, 4, 16)
STEPS = 100  # per call, which shuffles all training rows once
SCORED_ROWS = 4096
KDD99 = Settings.of_protocol("kdd99").table
Call = Callable[[], object]


def step(table: Alad, rows: int = 20_000) -> Call:
    """Return a call that trains a table for some steps."""
    trained, average = (networks.build(table) for _ in range(2))
    trainer = alad_trainer.Trainer(trained, table, random_rows(rows, table), seed=0, average=average)
    return lambda: trainer.train(STEPS)


def scoring(table: Alad, rows: int = SCORED_ROWS) -> Call:
    """Return a call that scores some rows."""
    scorer, x = scores.Scorer(networks.build(table)), random_rows(rows, table)
    return lambda: scorer(x)


def random_rows(count: int, table: Alad) -> np.ndarray:
    """Random data [count, d] of a table's width."""
    return np.random.default_rng(0).random((count, table.n_features), np.float32)


def of_width(data_dim: int) -> Alad:
    """The table of KDD99 with another number of features."""
    return replace(KDD99, data_dim=data_dim, G=(*KDD99.G[:-1], replace(KDD99.G[-1], units=data_dim)))


# axis -> the smallest value, and name -> function from a value to the call that is measured
AXES: dict[str, tuple[int, dict[str, Callable[[int], Call]]]] = {
    "batch": (16, {"step": lambda n: step(replace(KDD99, batch_size=n))}),
    "features": (KDD99.n_features, {"step": lambda n: step(of_width(n)), "scoring": lambda n: scoring(of_width(n))}),
    "training-rows": (12_500, {"step": lambda n: step(KDD99, n)}),
    "scored-rows": (15_000, {"scoring": lambda n: scoring(KDD99, n)}),
}


def along(axis: str, rounds: int) -> list[yardstick.Row]:
    """Times of all calls along an axis of `AXES`."""
    smallest, measured = AXES[axis]
    rows = []
    for what, make in measured.items():
        calls = {str(smallest * factor): make(smallest * factor) for factor in FACTORS}
        times = yardstick.alternate(calls, rounds, parts=dict.fromkeys(calls, STEPS) if what == "step" else None)
        rows += growth(axis, what, {value: times.median(value) for value in calls})
    return rows


def along_seeds() -> list[yardstick.Row]:
    """Times of 1, 4 and 16 runs, measured once each because they take long."""
    settings = Settings.of_protocol("arrhythmia", "ALAD-baseline", epochs=1, jit=False)  # the quickest runs

    def run(seeds: range) -> None:
        with tempfile.TemporaryDirectory() as out:
            scheduler.run_all(settings, seeds, Path(out), jobs=cores())

    loading.load(settings.dataset)  # caches the data
    return growth("seeds", "runs", {str(n): yardstick.time_of(partial(run, range(n))) for n in FACTORS})


def growth(axis: str, what: str, seconds: dict[str, float]) -> list[yardstick.Row]:
    """Rows of the report from value -> seconds, with ratios to the smallest value and its time."""
    smallest, shortest = next(iter(seconds.items()))
    return [
        {
            "axis": axis,
            "value": value,
            "what": what,
            "factor": int(value) // int(smallest),
            "median ms": 1e3 * time,
            "growth": time / shortest,
        }
        for value, time in seconds.items()
    ]


def main() -> None:
    """Measure and print."""
    parser = yardstick.parser(__doc__, rounds=8)
    names = [*AXES, "seeds"]
    parser.add_argument("--axes", nargs="+", choices=names, default=names, metavar="AXIS", help=", ".join(names))
    options = parser.parse_args()
    rows = []
    for axis in options.axes:
        rows += along_seeds() if axis == "seeds" else along(axis, options.rounds)
    yardstick.publish("Growth of cost", rows, options.json)


if __name__ == "__main__":
    main()
