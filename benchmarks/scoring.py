"""Scoring speed on KDD99's test rows, compared with the matrix products alone, isolation forest and PyOD's ALAD.

Measured alternately in one process, on one thread:

    alad_tf           all four scores of the 247,011 test rows, as `alad reproduce` computes them
    products, NumPy   the matrix products alone, in chunks of the same size, with contiguous float32 operands
    IsolationForest   score_samples of scikit-learn, fitted with its defaults on the training rows
    PyOD's ALAD       decision_function, one score, with layers as in KDD99's table: pip install .[benchmark]

    python benchmarks/scoring.py
    python benchmarks/scoring.py --rounds 15 --json scoring.json

Also reports the time for 50 rows and the peak growth of memory (Linux). The weights are untrained, because the time
does not depend on them.
"""

from __future__ import annotations

import ctypes
import statistics
from pathlib import Path
from typing import Callable

import yardstick  # before NumPy: it sets the number of threads

# isort: split

import numpy as np
from yardstick import flop, products

from alad_tf.experiments.settings import Settings
from alad_tf.model import networks, scores
from architectures import Alad

BATCH_ROWS, BATCHES = 50, 2000
PYOD_ROWS = 50_000  # processed in one batch
Call = Callable[[], object]


def products_in_numpy(table: Alad, rows: int) -> Call:
    """Return a call that does the products for some rows in chunks, always with the same operands."""
    random = np.random.default_rng(0)
    whole, rest = (
        [(random.random((m, k), np.float32), random.random((k, n), np.float32)) for m, k, n in products(table, size)]
        for size in (scores.CHUNK_ROWS, rows % scores.CHUNK_ROWS)
    )

    def call() -> None:
        for operands in [whole] * (rows // scores.CHUNK_ROWS) + [rest]:
            for a, b in operands:
                a @ b

    return call


def isolation_forest(x_train: np.ndarray, x: np.ndarray) -> Call:
    """Return a call that scores x with scikit-learn's isolation forest."""
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(random_state=0).fit(x_train)
    return lambda: forest.score_samples(x)


def pyod_alad(table: Alad, x_train: np.ndarray, x: np.ndarray) -> Call | None:
    """Return a call that scores x with PyOD's ALAD; None if it is not installed."""
    try:
        import torch
        from pyod.models.alad import ALAD
    except ImportError:
        return None
    torch.set_num_threads(1)
    detector = ALAD(
        epochs=1,
        latent_dim=table.latent_dim,
        enc_layers=[row.units for row in table.E[:-1]],
        dec_layers=[row.units for row in table.G[:-1]],
        disc_xx_layers=[row.units for row in table.Dxx.joint[:-1]],
        device="cpu",
    )
    detector.fit(x_train[:1000])
    return lambda: detector.decision_function(x)


def batch_milliseconds(call: Call) -> tuple[float, float]:
    """Median and 95th percentile of the time of many calls."""
    milliseconds = [1e3 * yardstick.time_of(call) for _ in range(BATCHES)]
    return statistics.median(milliseconds), statistics.quantiles(milliseconds, n=20)[-1]


def peak_megabytes(call: Call) -> float:
    """Peak growth of memory during a call, over the memory of the process before it (Linux with the GNU C library).

    Freed memory that the process still holds goes back to the system first. A call that used it again would seem to
    need none.
    """
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forget earlier peaks
    before = _status("VmRSS")
    call()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    """A value in the status of this process, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def main() -> None:
    """Measure and print."""
    options = yardstick.parser(__doc__, rounds=11).parse_args()
    split, source = yardstick.kdd99()
    x, table = split.x_test, Settings.of_protocol("kdd99").table
    scorer = scores.Scorer(networks.build(table))
    x.sum()  # reads the memory-mapped rows into memory
    megabytes = peak_megabytes(lambda: scorer(x))
    median, percentile = batch_milliseconds(lambda: scorer(x[:BATCH_ROWS]))

    rows = {"alad_tf": len(x), "products, NumPy": len(x), "IsolationForest": len(x)}
    calls: dict[str, Call] = {
        "alad_tf": lambda: scorer(x),
        "products, NumPy": products_in_numpy(table, len(x)),
        "IsolationForest": isolation_forest(split.x_train, x),
    }
    theirs = pyod_alad(table, split.x_train, x[:PYOD_ROWS])
    if theirs:
        rows["PyOD's ALAD"], calls["PyOD's ALAD"] = PYOD_ROWS, theirs
    times = yardstick.alternate(calls, options.rounds, parts=rows)  # per row
    sizes = products(table, len(x))
    yardstick.publish(
        "Scoring, rows of KDD99",
        [
            {
                "what": name,
                "rows": rows[name],
                "seconds": times.median(name) * rows[name],
                "rows a second": 1.0 / times.median(name),
                "time of a row, ours / it": times.ratio("alad_tf", name),
                "it / ours": times.ratio(name, "alad_tf"),
            }
            for name in calls
        ],
        options.json,
        **({} if theirs else {"pyod": "not measured: pip install .[benchmark]"}),
        products=f"{len(sizes)} a chunk of {scores.CHUNK_ROWS} rows, {flop(sizes) / 1e9:.1f} GFLOP in all",
        gflop_a_second=flop(sizes) / 1e9 / (times.median("alad_tf") * len(x)),
        milliseconds_of_50_rows=median,
        milliseconds_of_50_rows_95th_percentile=percentile,
        peak_megabytes_over_the_rows=megabytes,
        data=source,
    )


if __name__ == "__main__":
    main()
