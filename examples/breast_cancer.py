"""scikit-learn's breast-cancer data with benign rows as normal: `alad fit` and `alad score`, and two other detectors.

Half of the benign rows are for training; AUROC is on all other rows, for several seeds of split and method. All three
detectors have their defaults; those of ALAD were chosen on other data (`benchmarks/few_rows.py`). The isolation forest
and the one-class SVM get standardised features, because ALAD standardises features too.

    python examples/breast_cancer.py [--seeds N] [--epochs N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

LABELS = ["--label", "diagnosis", "--normal", "benign"]


def split(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (half of the benign rows, all other rows), each with the column "diagnosis"."""
    data = load_breast_cancer(as_frame=True)
    rows = data.data.assign(diagnosis=np.where(data.target == 1, "benign", "malignant"))
    train = rows[rows["diagnosis"] == "benign"].sample(frac=0.5, random_state=seed)
    return train, rows.drop(train.index)


def alad(train: pd.DataFrame, new: pd.DataFrame, seed: int, options: list[str]) -> np.ndarray:
    """Compute scores [n] of the new rows with the two commands."""
    with tempfile.TemporaryDirectory() as folder:
        train.to_csv(f"{folder}/train.csv", index=False)
        new.to_csv(f"{folder}/new.csv", index=False)
        fit = ["fit", "train.csv", "--model", "model", *LABELS, "--seed", str(seed), *options]
        for command in (fit, ["score", "new.csv", "--model", "model", "--output", "scored.csv"]):
            subprocess.run(
                [sys.executable, "-m", "alad_tf", *command], cwd=folder, check=True, stdout=subprocess.DEVNULL
            )
        return pd.read_csv(Path(folder, "scored.csv"))["score"].to_numpy()


def main() -> None:
    """Print a row for each seed, then the means."""
    parser = argparse.ArgumentParser(description="ALAD on the breast-cancer data, with the command line.")
    parser.add_argument("--seeds", type=int, default=5, metavar="N")
    parser.add_argument("--epochs", metavar="N", help="fewer epochs, for a quick look (default: the table's)")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error(f"Expected at least 1 seed. Received: {options.seeds}.")
    table = []
    print("seed   ALAD    isolation forest  one-class SVM   seconds of fit and score")
    for seed in range(options.seeds):
        train, new = split(seed)
        started = time.monotonic()
        scores = [alad(train, new, seed, ["--epochs", options.epochs] if options.epochs else [])]
        seconds = time.monotonic() - started
        x_train, x_new = train.drop(columns="diagnosis"), new.drop(columns="diagnosis")
        for detector in (IsolationForest(random_state=seed), OneClassSVM()):
            scores.append(-make_pipeline(StandardScaler(), detector).fit(x_train).score_samples(x_new))
        table.append([*(roc_auc_score(new["diagnosis"] == "malignant", score) for score in scores), seconds])
        print("{:<6} {:.4f}  {:.4f}            {:.4f}          {:.0f}".format(seed, *table[-1]), flush=True)
    print("{:<6} {:.4f}  {:.4f}            {:.4f}          {:.0f}".format("mean", *np.mean(table, axis=0)))


if __name__ == "__main__":
    main()
