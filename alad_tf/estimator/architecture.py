"""The architecture table of an estimator: a table of the paper, one derived from the data, or custom networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import tensorflow as tf

import architectures
from alad_tf.errors import SettingsError
from alad_tf.estimator import custom_networks
from architectures import Alad
from architectures.tabular import tabular


def choose_table(
    architecture: str | Alad | None,
    networks: Mapping[str, tf.keras.Model] | None,
    shape: tuple[int, ...],
    *,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
) -> Alad:
    """Return the architecture table of an estimator for its training rows, with its hyper-parameters.

    Args:
        architecture: name of a table, a table, or None.
        networks: custom networks, which need architecture=None.
        shape: (n, d) of the training rows.
        epochs, batch_size, learning_rate: None: the table's.

    Raises:
        SettingsError: both architecture and networks, networks or a table for other rows, or a batch larger than n.
    """
    n_rows, n_features = shape
    if architecture is not None and networks is not None:
        raise SettingsError("Expected an architecture or networks. Received: both.")
    if architecture is None:
        latent_dim = None if networks is None else custom_networks.require(networks, n_features)
        table = tabular(n_features, n_rows=n_rows, epochs=epochs, batch_size=batch_size)
        if latent_dim is not None:
            table = replace(table, name="custom networks", latent_dim=latent_dim)
    else:
        named = architectures.load(architecture) if isinstance(architecture, str) else architecture
        assert isinstance(named, Alad)
        table = named
    if table.data_dim != n_features:
        raise SettingsError(
            f"Expected {table.data_dim} features for the architecture {table.name}. Received: {n_features}. Pass "
            "architecture=None for a table of that many."
        )
    size = batch_size or min(table.batch_size, n_rows)
    if size > n_rows:
        raise SettingsError(f"Expected a batch of at most the {n_rows} training rows. Received: {size}.")
    rate = float(learning_rate or table.optimizer.learning_rate)
    return replace(
        table,
        epochs=int(epochs or table.epochs),
        batch_size=int(size),
        optimizer=replace(table.optimizer, learning_rate=rate),
    )
