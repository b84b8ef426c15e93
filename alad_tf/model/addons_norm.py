"""Spectral normalisation of tensorflow-addons; the only module that imports it."""

from __future__ import annotations

import warnings
from typing import Any

import tensorflow as tf

from alad_tf.model.layers import SpectralNormalized, first_u

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # its end-of-life notice; the versions are pinned
    import tensorflow_addons as tfa


@tf.keras.utils.register_keras_serializable(package="alad_tf")
class AddonsSpectralNormalization(SpectralNormalized, tfa.layers.SpectralNormalization):
    """The layer of tensorflow-addons, extended to layers with two inputs (pairs).

    With several replicas, which all have the same W, the u of the first replica is kept.
    """

    def add_weight(self, *args: Any, **kwargs: Any) -> tf.Variable:
        """Create u."""
        kwargs.update(initializer=first_u(), aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
        return super().add_weight(*args, **kwargs)

    def build(self, input_shape: Any) -> None:
        """Build the wrapped layer and u."""
        if not isinstance(input_shape, list):
            return super().build(input_shape)
        self.layer.build(input_shape)
        self.layer.built = True
        super().build([None, *self.layer.kernel.shape[:-1]])
        self.input_spec = None
        return None
