"""A table for your own data: KDD99's, adapted to the number of features and training rows."""

from __future__ import annotations

import math
from dataclasses import replace

from architectures.kdd99 import ALAD as KDD99
from architectures.rows import Alad, Dense

KDD99_ROWS = 198_361  # training rows of KDD99 in the paper
LEAST_STEPS = 1_000  # minimum number of training steps
LARGEST_RATE = 5e-4


def tabular(
    n_features: int,
    name: str = "tabular",
    *,
    n_rows: int = KDD99_ROWS,
    epochs: int | None = None,
    batch_size: int | None = None,
) -> Alad:
    """KDD99's table (Table XI), adapted to other data. For KDD99's features and rows, only name and source differ.

    Widths: hidden layers as for KDD99; G ends in `n_features` units; the ratio of the latent dimension to the number
    of features is that of KDD99, 32 of 121 (nearly that of Arrhythmia, 64 of 274), with at most 32 dimensions.

    Training: as many epochs as for KDD99, but at least `LEAST_STEPS` steps and at most the 396,700 of KDD99. The
    learning rate times the number of steps is that of KDD99, with a learning rate of at most `LARGEST_RATE`. These two
    constants were chosen by AUROC on labelled data for which no results are reported (`benchmarks/few_rows.py`).

    Args:
        n_features: number of features.
        name: name of the table.
        n_rows: number of training rows.
        epochs: number of epochs instead of the rule above; the learning rate is adapted to it.
        batch_size: rows per step; None: 50, or all rows if there are fewer.

    Raises:
        ValueError: a number below 1.
    """
    for what, number in {
        "features": n_features,
        "rows": n_rows,
        "epochs": epochs,
        "rows in a batch": batch_size,
    }.items():
        if number is not None and number < 1:
            raise ValueError(f"Expected at least 1 for the number of {what}. Received: {number}")
    batch = batch_size or min(KDD99.batch_size, n_rows)
    steps_per_epoch = max(n_rows // batch, 1)
    most = KDD99.epochs * (KDD99_ROWS // KDD99.batch_size)
    if epochs is None:
        steps = min(max(KDD99.epochs * steps_per_epoch, LEAST_STEPS), most)
        epochs = max(round(steps / steps_per_epoch), 1)
    rate = KDD99.optimizer.learning_rate * max(most / (epochs * steps_per_epoch), 1.0)
    latent_dim = min(KDD99.latent_dim, math.ceil(n_features * KDD99.latent_dim / KDD99.n_features))
    return replace(
        KDD99,
        name=name,
        source=f"Table XI for {n_features} features",
        data_dim=n_features,
        E=(*KDD99.E[:-1], Dense(latent_dim, "None")),
        G=(*KDD99.G[:-1], Dense(n_features, "None")),
        optimizer=replace(KDD99.optimizer, learning_rate=min(float(f"{rate:.2g}"), LARGEST_RATE)),
        batch_size=batch,
        latent_dim=latent_dim,
        epochs=epochs,
    )
