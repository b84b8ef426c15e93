"""Networks for inference: plain Keras layers, with spectral norm folded into the kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from alad_tf.io import atomic, model_folder
from alad_tf.model import forks, keras_versions
from alad_tf.model.keras_versions import FusedBatchNormalization
from alad_tf.model.layers import Dropout, PairDense, SpectralNormalized
from alad_tf.model.networks import Networks
from alad_tf.model.spectral_norm import SpectralNormalization

OWN_LAYERS = (Dropout, PairDense, SpectralNormalized, FusedBatchNormalization)


def fold(networks: Networks, *, pairs: bool = False) -> Networks:
    """Build networks of plain Keras layers with the same outputs in inference mode.

    A layer with spectral norm (Section IV-B) becomes a Dense layer or convolution with the kernel W / sigma; dropout
    and batch norm become Keras's own layers; the layer on pairs becomes Concatenate and Dense.

    Args:
        networks: trained networks, which are not changed. Models without layers of this package are returned as is.
        pairs: only for scores: keep `PairDense`, whose product is shared by the two pairs of Dxx (`scores.scores_of`),
            and leave out dropout, of which Keras 3 would store a random state.
    """
    forks.require_threads()
    folded = {name: _folded(model, pairs) for name, model in networks.models.items()}
    return Networks(**{"Dzz": None, **folded})


def save(networks: Networks, folder: Path | str) -> None:
    """Write E, G, Dxz, Dxx and Dzz as `<name>.keras`, which tf.keras.models.load_model opens without this package.

    Raises:
        SettingsError: the folder is a model folder or in one.
        OSError: the disk is full or the folder is not writable.
    """
    model_folder.require_outside(Path(folder))
    for name, model in fold(networks).models.items():
        with atomic.replacing(Path(folder) / f"{name}.keras") as path:
            keras_versions.save(model, path)


def _folded(model: tf.keras.Model, pairs: bool) -> tf.keras.Model:
    """Rebuild a functional model layer by layer, in its own order."""
    if not any(isinstance(layer, OWN_LAYERS) for layer in model.layers):
        return model
    inputs = [tf.keras.Input(tensor.shape[1:], dtype=tensor.dtype) for tensor in model.inputs]
    computed = {id(old): new for old, new in zip(model.inputs, inputs)}
    for layer in model.layers:
        if not isinstance(layer, tf.keras.layers.InputLayer):
            arguments = tf.nest.map_structure(lambda tensor: computed[id(tensor)], layer.input)
            computed[id(layer.output)] = _apply(layer, arguments, pairs)
    outputs = [computed[id(tensor)] for tensor in model.outputs]
    return tf.keras.Model(_one_or_all(inputs), _one_or_all(outputs), name=model.name)


def _one_or_all(tensors: list[tf.Tensor]) -> Any:
    return tensors[0] if len(tensors) == 1 else tensors


def _apply(layer: tf.keras.layers.Layer, inputs: Any, pairs: bool) -> tf.Tensor:
    """Apply a plain layer with the weights of a layer and the same outputs in inference mode."""
    sigma = layer.sigma().numpy() if isinstance(layer, SpectralNormalization) else None
    layer = layer.layer if isinstance(layer, SpectralNormalized) else layer
    weights = layer.get_weights()
    if sigma is not None:
        weights[0] /= sigma
    if isinstance(layer, Dropout):
        return inputs if pairs else tf.keras.layers.Dropout(layer.rate, name=layer.name, dtype=layer.dtype)(inputs)
    kind = tf.keras.layers.BatchNormalization if isinstance(layer, FusedBatchNormalization) else type(layer)
    if isinstance(layer, PairDense) and not pairs:
        kind, inputs = tf.keras.layers.Dense, tf.keras.layers.Concatenate(dtype=layer.dtype)(inputs)
    plain = kind.from_config(layer.get_config())
    outputs = plain(inputs)
    plain.set_weights(weights)
    return outputs
