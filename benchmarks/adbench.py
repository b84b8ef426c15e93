"""Tabular anomaly detection on data sets of ADBench, with the semi-supervised protocol of DTE (Livernoche et al. 2024).

    python benchmarks/adbench.py FOLDER --output found.jsonl
    python benchmarks/adbench.py FOLDER --output found.jsonl --methods kNN IForest --seeds 0 1 2 --sets glass wine

FOLDER has files NAME.npz or NUMBER_NAME.npz with X [n, d] and y [n], 1 for anomalies, and optionally published.csv with
the columns dataset, method and auroc. Results in the output file are kept, and a new call adds the missing ones.

Protocol: data sets with fewer than 1,000 rows are resampled to 1,000 with replacement, those with more than 50,000 to
50,000 without replacement, by the seed. The first half of the normal rows in file order is for training; the other
normal rows and all anomalies are for testing. StandardScaler is fitted on the training rows. In data sets resampled to
1,000 rows, the same row may be in both halves, which favours methods based on the nearest training rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from alad_tf.typing import Document

FEW, MANY = 1_000, 50_000
Scores = dict[str, np.ndarray]  # name -> [n] of the test rows


class Halves(NamedTuple):
    """Training rows [m, d], test rows [n, d] and labels [n] of the test rows, 1 for anomalies."""

    x_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def halves(X: np.ndarray, y: np.ndarray, seed: int) -> Halves:
    """Resample, split and scale rows X [n, d] with labels y [n] by the protocol."""
    if len(y) < FEW or len(y) > MANY:
        drawn = np.random.RandomState(seed).choice(len(y), FEW if len(y) < FEW else MANY, replace=len(y) < FEW)
        X, y = X[drawn], y[drawn]
    normal, anomalies = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    half = round(0.5 * len(normal))
    tested = np.append(normal[half:], anomalies)
    scaler = StandardScaler().fit(X[normal[:half]])
    return Halves(scaler.transform(X[normal[:half]]), scaler.transform(X[tested]), y[tested])


def knn(rows: Halves, seed: int) -> Scores:
    """Distance to the fifth nearest training row."""
    search = NearestNeighbors(n_neighbors=5).fit(rows.x_train)
    return {"kNN": search.kneighbors(rows.x_test)[0][:, -1]}


def iforest(rows: Halves, seed: int) -> Scores:
    """Isolation forest with 100 trees."""
    return {"IForest": -IsolationForest(random_state=seed).fit(rows.x_train).score_samples(rows.x_test)}


def lof(rows: Halves, seed: int) -> Scores:
    """Local outlier factor with 20 neighbours."""
    return {"LOF": -LocalOutlierFactor(novelty=True).fit(rows.x_train).score_samples(rows.x_test)}


def alad(rows: Halves, seed: int) -> Scores:
    """ALAD with its defaults: all scores of one training."""
    from alad_tf.estimator.alad import ALAD
    from alad_tf.options import ROW_SCORES

    model = ALAD(random_state=seed, scaling=None, verbose=0).fit(rows.x_train)
    return {f"ALAD {name}": model.set_params(score_name=name).anomaly_score(rows.x_test) for name in ROW_SCORES}


def pyod_alad(rows: Halves, seed: int) -> Scores:
    """PyOD's ALAD with its defaults: 200 steps of 32 rows; needs the extra `benchmark`."""
    import torch
    from pyod.models.alad import ALAD

    torch.manual_seed(seed)
    np.random.seed(seed)  # the rows of a step and their noise
    return {"PyOD ALAD": ALAD(verbose=0).fit(rows.x_train).decision_function(rows.x_test)}


METHODS: dict[str, Callable[[Halves, int], Scores]] = {
    "ALAD": alad,
    "kNN": knn,
    "IForest": iforest,
    "LOF": lof,
    "PyOD-ALAD": pyod_alad,
}


def sets(folder: Path) -> dict[str, Path]:
    """Map names, in lower case and without their number, to files."""
    return {path.stem.partition("_")[2].lower() or path.stem.lower(): path for path in sorted(folder.glob("*.npz"))}


def run(folder: Path, output: Path, names: Sequence[str], methods: Sequence[str], seeds: Sequence[int]) -> None:
    """Append missing results to the output, one JSON object per line."""
    done = {(line["set"], line["seed"], line["by"]) for line in resume(output)}
    files = sets(folder)
    for seed in seeds:
        for name in names or files:
            with np.load(files[name], allow_pickle=False) as arrays:
                rows = halves(arrays["X"].astype(np.float64), arrays["y"], seed)
            for method in methods:
                if (name, seed, method) not in done:
                    found = [{"set": name, "seed": seed, "by": method, **line} for line in _judged(method, rows, seed)]
                    append(output, found)
                    for line in found:
                        print(f"{line['set']} {line['seed']} {line['method']}: {line['auroc']:.4f}", flush=True)


def _judged(method: str, rows: Halves, seed: int) -> Iterator[Document]:
    started = time.process_time()
    scores = METHODS[method](rows, seed)
    seconds = round(time.process_time() - started, 1)
    for name, score in scores.items():
        yield {
            "method": name,
            "auroc": float(roc_auc_score(rows.y_test, score)),
            "ap": float(average_precision_score(rows.y_test, score)),
            "cpu_seconds": seconds,
        }


def append(output: Path, found: Sequence[Document]) -> None:
    """Append lines to an output."""
    with open(output, "a", encoding="utf-8") as file:
        file.write("".join(json.dumps(line) + "\n" for line in found))


def resume(output: Path) -> list[Document]:
    """Read the lines of an output, and remove a truncated last line from the file."""
    kept = read(output)
    output.write_text("", encoding="utf-8")
    append(output, kept)
    return kept


def read(output: Path) -> list[Document]:
    """Read the lines of an output, without a truncated last line."""
    text = output.read_text(encoding="utf-8") if output.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def published(folder: Path) -> dict[str, dict[str, float]]:
    """Method -> data set -> AUROC in published.csv; empty without the file."""
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    if (folder / "published.csv").exists():
        with open(folder / "published.csv", encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                found[line["method"]][line["dataset"]] = float(line["auroc"])
    return dict(found)


def means(lines: Sequence[Document]) -> dict[str, dict[str, float]]:
    """Method -> data set -> mean AUROC over the seeds."""
    values: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        values[line["method"]][line["set"]].append(line["auroc"])
    return {method: {name: float(np.mean(each)) for name, each in of.items()} for method, of in values.items()}


def table(ours: dict[str, dict[str, float]], theirs: dict[str, dict[str, float]], first: str) -> str:
    """Markdown table: AUROC by data set, mean, mean rank, and wins and losses of `first` against each method.

    Means and ranks are over the data sets that all methods have.
    """
    columns = {**ours, **{f"{name} (published)": values for name, values in theirs.items()}}
    shared = sorted(set.intersection(*(set(values) for values in columns.values())))
    grid = np.array([[values[name] for values in columns.values()] for name in shared])
    ranks = rankdata(-grid, axis=1)
    own = grid[:, [list(columns).index(first)]]
    lines = [f"| set | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    lines += [f"| {name} | {' | '.join(f'{value:.3f}' for value in row)} |" for name, row in zip(shared, grid)]
    lines.append(f"| mean of {len(shared)} | {' | '.join(f'{value:.3f}' for value in grid.mean(axis=0))} |")
    lines.append(f"| mean rank | {' | '.join(f'{value:.1f}' for value in ranks.mean(axis=0))} |")
    won = zip((own > grid + 0.0005).sum(axis=0), (own < grid - 0.0005).sum(axis=0))
    return "\n".join([*lines, f"| {first} won, lost | {' | '.join(f'{wins}, {losses}' for wins, losses in won)} |"])


def main() -> None:
    """Run missing combinations and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="JSON lines, kept between calls")
    parser.add_argument("--sets", nargs="+", default=[], metavar="NAME", help="default: all")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["ALAD", "kNN", "IForest", "LOF"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="S", help="default: 0 1 2")
    parser.add_argument("--beside", nargs="+", default=["KNN", "IForest", "LOF"], metavar="NAME", help="published ones")
    options = parser.parse_args()
    unknown = [name for name in options.sets if name not in sets(options.folder)]
    if unknown or not sets(options.folder):
        parser.error(f"Expected sets of {options.folder}. Received: {', '.join(unknown) or 'none'}.")
    run(options.folder, options.output, options.sets, options.methods, options.seeds)
    theirs = {name: values for name, values in published(options.folder).items() if name in options.beside}
    ours = means(read(options.output))
    print(table(ours, theirs, "ALAD neighbours" if "ALAD neighbours" in ours else next(iter(ours))))


if __name__ == "__main__":
    main()
