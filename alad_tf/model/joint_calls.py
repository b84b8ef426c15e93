"""One call of a network for several batches, with the same outputs as separate calls in less time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from alad_tf.model import keras_versions
from alad_tf.model.layers import PairDense


def call_on_batches(network: tf.keras.Model, *batches: tuple[tf.Tensor, ...]) -> list[Any]:
    """Outputs of a network in training mode for each of several batches.

    Args:
        network: a network with as many inputs as a batch has members.
        batches: inputs of each batch, [n, ...] each: one for G and E, two for a discriminator.

    Returns:
        The outputs for each batch, from one joint call if `_can_be_joined`, or else from separate calls.
    """
    if not _can_be_joined(network):
        return [network(_as_inputs(batch), training=True) for batch in batches]
    outputs = network(_as_inputs([_joined(members) for members in zip(*batches)]), training=True)
    if isinstance(outputs, tf.Tensor):
        return tf.split(outputs, len(batches))
    return list(zip(*(tf.split(output, len(batches)) for output in outputs)))


def _can_be_joined(network: tf.keras.Model) -> bool:
    """Whether one call can process several batches.

    Batch norm would mix their statistics. If all batches share a member of a pair, `PairDense` is needed to repeat it.
    """
    layers = keras_versions.layers(network)
    if any(isinstance(layer, tf.keras.layers.BatchNormalization) for layer in layers):
        return False
    return len(network.inputs) == 1 or any(isinstance(layer, PairDense) for layer in layers)


def _as_inputs(members: Sequence[tf.Tensor]) -> Any:
    return list(members) if len(members) > 1 else members[0]


def _joined(members: tuple[tf.Tensor, ...]) -> tf.Tensor:
    """Concatenate one member of all batches; return it once if all batches share it."""
    return members[0] if all(member is members[0] for member in members) else tf.concat(members, axis=0)
