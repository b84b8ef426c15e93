"""The training dynamics of the released code (D17, D20), an alternative to the paper's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import tensorflow as tf

from alad_tf.model import keras_versions
from alad_tf.model.adam import Adam
from alad_tf.model.networks import DISCRIMINATORS, Networks
from architectures import rows


def optimizers(networks: Networks, table: rows.Adam, dynamics: str | None) -> dict[str, Adam]:
    """Create Adam for the discriminators, "d", and for G and E, "ge".

    The released code has one optimizer that minimises one loss for each network, in the order Dxz, Dxx, Dzz, G, E. Its
    t advances with every loss: by their number in an iteration, and a network's first t is its place in that order.
    """
    models = networks.models
    discriminators = [name for name in DISCRIMINATORS if name in models]
    order = [*discriminators, "G", "E"]

    def adam(names: list[str]) -> Adam:
        weights = [weight for name in names for weight in keras_versions.trained(models[name])]
        if dynamics is None:
            return Adam(table, weights)
        counts = [1 + order.index(name) for name in names for _ in keras_versions.trained(models[name])]
        return Adam(table, weights, counts, period=len(order))

    return {"d": adam(discriminators), "ge": adam(["G", "E"])}


@contextmanager
def unchanged_statistics(models: Iterable[tf.keras.Model]) -> Iterator[None]:
    """Undo changes of training calls inside this context to the moving batch-norm statistics of these networks."""
    statistics = [
        variable
        for model in models
        for layer in keras_versions.layers(model)
        if isinstance(layer, tf.keras.layers.BatchNormalization)
        for variable in keras_versions.state(layer)
    ]
    before = [variable.read_value() for variable in statistics]
    yield
    for variable, value in zip(statistics, before):
        variable.assign(value)
