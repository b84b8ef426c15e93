"""Small tables of the baselines for slow references, and rows for their detectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import tensorflow as tf

from alad_tf.experiments import run
from alad_tf.typing import Options
from architectures import dagmm, dsebm, toy
from architectures.rows import Adam, Conv2D, Dagmm, Dense, Dsebm, Flatten, Gan, MaxPool, Xavier, of_width

# A large epsilon: a step depends on the size of a gradient, not on its sign alone.
STEADY = Adam(1e-2, beta1=0.8, beta2=0.9, epsilon=1e-2)
# fmt: off
DSEBM = Dsebm(
    name="Tiny", source="none", data_dim=5, h=(Dense(6, "Softplus"), Dense(3, "Softplus")), noise=0.5,
    optimizer=STEADY, batch_size=8, epochs=2, initializer=Xavier(),
)
DSEBM_OF_IMAGES = replace(
    DSEBM, data_dim=(8, 8, 3),
    h=(Conv2D(3, 2, "same", 2, False, "Softplus"), MaxPool(2), Flatten(), Dense(4, "Softplus")),
)
DAGMM = Dagmm(
    name="Tiny", source="none", data_dim=5,
    encoder=(Dense(4, "Tanh"), Dense(2, "None")),
    decoder=(Dense(4, "Tanh"), Dense(5, "None")),
    estimation=(Dense(4, "Tanh", dropout=0.5), Dense(3, "Softmax")),
    energy_weight=0.2, singularity_weight=0.003,
    optimizer=STEADY, batch_size=8, epochs=2, initializer=Xavier(),
)
GAN = Gan(
    name="Tiny", source="none", data_dim=5,
    G=(Dense(6, "ReLU"), Dense(5, "None")),
    D=(Dense(7, "LReLU", dropout=0.2), Dense(4, "LReLU", dropout=0.2), Dense(1, "Sigmoid")),
    optimizer=STEADY, batch_size=8, latent_dim=3, epochs=2, lrelu_slope=0.3, initializer=Xavier(),
)
# fmt: on
TABLES: dict[str, Any] = {"DSEBM": DSEBM, "DAGMM": DAGMM, "AnoGAN": GAN}


def without_dropout(table: Any) -> Any:
    """DAGMM's or a GAN's table with every dropout rate 0."""
    name = "estimation" if isinstance(table, Dagmm) else "D"
    return replace(table, **{name: tuple(replace(row, dropout=0.0) for row in getattr(table, name))})


def randomise(model: tf.Module, seed: int) -> None:
    """Set all weights to random values, so that a test notices when one is left out."""
    random = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        weight.assign(0.5 * random.standard_normal(weight.shape))


@contextmanager
def of_toy(chunk: int = 3, batch_size: int = 512) -> Iterator[None]:
    """Give the toy data tables of the baselines; chunks end within epochs, with a checkpoint after each."""
    tables = {name: replace(of_width(table, 2), batch_size=batch_size) for name, table in TABLES.items()}
    constants: Options = {"CHUNK_STEPS": chunk, "CHECKPOINT_SECONDS": 0.0, "EPOCHS_END_SECONDS": 0.0}
    with ExitStack() as stack:
        stack.enter_context(patch.multiple(run, **constants))
        for page, name, method in ((dsebm, "TOY", "DSEBM"), (dagmm, "TOY", "DAGMM"), (toy, "GAN", "AnoGAN")):
            stack.enter_context(patch.object(page, name, tables[method], create=True))
        yield
