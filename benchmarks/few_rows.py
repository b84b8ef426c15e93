"""Choice of the defaults for data with few rows: steps, learning rate and scaling, on labelled development data.

    python benchmarks/few_rows.py
    python benchmarks/few_rows.py --seeds 0 1 --sets iris wine --json few_rows.json

The development data are scikit-learn's wine, iris and digits, with each class (of the digits 0, 4 and 8) in turn as the
normal class, and three synthetic data sets (`make_classification`, `make_blobs`). Half of the normal rows are for
training; AUROC is for the score `features` on all other rows. For each combination of scaling and learning rate, one
training is scored at several steps.

The criterion is the largest mean AUROC over the four families of data. Breast cancer, KDD99 and Arrhythmia, for which
results are reported, are not used.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import yardstick  # before NumPy: it sets the number of threads

# isort: split

import numpy as np
from sklearn import datasets
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from alad_tf import metrics
from alad_tf.experiments.process import cores
from alad_tf.model import alad_trainer, networks, scores
from architectures.tabular import tabular

STEPS = (250, 500, 1000, 2000)
RATES = (5e-5, 2e-4, 5e-4)
SCALINGS = {"standard": StandardScaler, "minmax": MinMaxScaler}
LOADERS = {"iris": datasets.load_iris, "wine": datasets.load_wine, "digits": datasets.load_digits}
MADE = ("made: 10 columns", "made: 30 columns", "made: blobs")
Choice = tuple[str, float, int]  # scaling, learning rate, steps
Auroc = dict[Choice, float]


def names() -> list[str]:
    """Names of all data sets: "wine: 0" is the wine data with class 0 as the normal class."""
    classes = {"iris": range(3), "wine": range(3), "digits": range(0, 10, 4)}
    return [f"{name}: {k}" for name, members in classes.items() for k in members] + list(MADE)


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Load a data set: (x [n, d], anomaly [n] bool)."""
    family, _, member = name.partition(": ")
    if family != "made":
        x, y = LOADERS[family](return_X_y=True)
        return x, y != int(member)
    if member == "blobs":
        x, y = datasets.make_blobs([100, 100, 50, 50], 8, cluster_std=2.0, random_state=0)
        return x, y >= 2
    width = int(member.split()[0])
    x, y = datasets.make_classification(400, width, n_informative=width // 2, n_redundant=width // 4, random_state=0)
    return x, y == 1


def trainings(name: str, seed: int, scalings: Sequence[str]) -> Auroc:
    """AUROC of all choices on one data set and split."""
    x, anomaly = load(name)
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~anomaly))
    held_out = np.ones(len(x), bool)
    held_out[normal[: len(normal) // 2]] = False
    return {
        (scaling, rate, steps): value
        for scaling in scalings
        for rate, steps, value in _trainings(x, anomaly, held_out, scaling, seed)
    }


def _trainings(
    x: np.ndarray, anomaly: np.ndarray, held_out: np.ndarray, scaling: str, seed: int
) -> Iterator[tuple[float, int, float]]:
    """Yield (learning rate, steps, AUROC). The step is compiled once; all trainings start from the same state."""
    scaler = SCALINGS[scaling]().fit(x[~held_out])
    x_train, x_test = (scaler.transform(part).astype(np.float32) for part in (x[~held_out], x[held_out]))
    table = tabular(x.shape[1], n_rows=len(x_train))
    trained, average = (networks.build(table, seed=seed) for _ in range(2))
    trainer = alad_trainer.Trainer(trained, table, x_train, seed=seed, average=average)
    scorer, labels = scores.Scorer(trainer.scoring_networks), anomaly[held_out].astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        start = trainer.variables.write(f"{folder}/start")
        for rate in RATES:
            trainer.variables.read(start).assert_consumed()
            for optimizer in trainer.optimizers.values():
                optimizer.learning_rate.assign(rate)
            for before, steps in zip((0, *STEPS), STEPS):
                trainer.train(steps - before)
                values = metrics.evaluate(labels, scorer(x_test)["features"], float(labels.mean()))
                yield rate, steps, values["auroc"]


def sum_up(found: dict[str, list[Auroc]]) -> tuple[dict[Choice, dict[str, float]], Choice]:
    """(mean AUROC by family and over all families for each choice, the choice by the criterion)."""
    families: defaultdict[str, list[Auroc]] = defaultdict(list)
    for name, of_seeds in found.items():
        families[name.split(":")[0]] += of_seeds
    rows: dict[Choice, dict[str, float]] = {}
    for choice in next(iter(found.values()))[0]:
        rows[choice] = {
            family: float(np.mean([auroc[choice] for auroc in every])) for family, every in families.items()
        }
        rows[choice]["mean"] = float(np.mean(list(rows[choice].values())))
    return rows, max(rows, key=lambda choice: rows[choice]["mean"])


def main() -> None:
    """Train, summarise and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="S", help="default: 0")
    parser.add_argument("--sets", nargs="+", default=["iris", "wine", "digits", "made"], metavar="FAMILY")
    parser.add_argument("--scalings", nargs="+", choices=SCALINGS, default=[*SCALINGS], help="default: both")
    parser.add_argument("--jobs", type=int, default=cores(), metavar="N", help="processes (default: the cores)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report to a file as well")
    options = parser.parse_args()

    jobs = [
        (name, seed, options.scalings)
        for seed in options.seeds
        for name in names()
        if name.split(":")[0] in options.sets
    ]
    found: defaultdict[str, list[Auroc]] = defaultdict(list)
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        for (name, seed, _), auroc in zip(jobs, pool.map(trainings, *zip(*jobs))):
            found[name].append(auroc)
            print(f"{name}, seed {seed}: {min(auroc.values()):.3f} to {max(auroc.values()):.3f}", flush=True)
    rows, chosen = sum_up(found)
    yardstick.publish(
        f"Mean AUROC on {len(found)} development sets, seeds {options.seeds}",
        [
            {"scaling": scaling, "rate": f"{rate:g}", "steps": str(steps), **row}
            for (scaling, rate, steps), row in rows.items()
        ],
        options.json,
        chosen="{}, learning rate {:g}, {} steps".format(*chosen),
    )


if __name__ == "__main__":
    main()
