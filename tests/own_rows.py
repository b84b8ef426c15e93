"""Rows with numbers, a category and a label, and their scores by the command."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pandas as pd
from command import run
from tolerances import of_estimator

from alad_tf.tabular.model import Model

QUICK = ["--epochs", "1", "--seed", "3"]


def mixed(rows: int, seed: int = 0) -> pd.DataFrame:
    """Rows with numbers, a category and a label."""
    random = np.random.default_rng(seed)
    color = random.choice(["red", "green", "blue"], rows)
    size = random.normal(0.0, 1.0, rows)
    return pd.DataFrame(
        {"id": np.arange(rows) + 100, "size": size, "weight": 2 * size + 1, "color": color, "kind": "good"}
    )


def train(folder: Path) -> Path:
    """Write train.csv, new.csv and the model of a short training."""
    mixed(120).to_csv(folder / "train.csv", index=False)
    mixed(40, seed=1).to_csv(folder / "new.csv", index=False)
    handler = signal.getsignal(signal.SIGTERM)
    assert run("fit", folder / "train.csv", "--model", folder / "model", "--drop", "id", "kind", *QUICK) == 0
    signal.signal(signal.SIGTERM, handler)
    return folder


def score(trained: Path, rows: pd.DataFrame, *options: object, name: str = "new.csv") -> pd.DataFrame:
    """Write rows to a file in a new folder and score them with `alad score`."""
    folder = trained / f"scored{len(list(trained.iterdir()))}"
    folder.mkdir()
    rows.to_csv(folder / name, index=False) if ".csv" in name else rows.to_parquet(folder / name)
    output = folder / "scored.parquet"
    assert run("score", folder / name, "--model", trained / "model", "--output", output, *options) == 0
    return pd.read_parquet(output)


def scores_only(trained: Path, rows: pd.DataFrame, *options: object) -> pd.DataFrame:
    """Like `score`, without the input columns."""
    return score(trained, rows, "--scores-only", *options)


def close(trained: Path, rows: pd.DataFrame) -> float:
    """Error bound of a score, and of a feature's share in the sum of |x - G(E(x))|."""
    model = Model.load(trained / "model")
    x = model.features(rows)[0]
    l1 = np.abs((x - model.estimator._reconstructed(x)) / model.estimator.scale_).sum(axis=1)
    bounds = of_estimator(model.estimator, x)
    return max(bounds[model.estimator.score_name], 2.0 * bounds["l1"] / float(l1.min()))
