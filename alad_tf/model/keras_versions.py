"""All code that depends on the version of Keras: Keras 2 (TensorFlow 2.15) or Keras 3 (TensorFlow 2.16 and later).

The rest of the package works with tf.Variable, layer by layer, with either version.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

KERAS_3 = not issubclass(tf.keras.layers.Layer, tf.Module)
FIRST_REPLICA = "only_first_replica" if KERAS_3 else tf.VariableAggregation.ONLY_FIRST_REPLICA


def add_state(
    layer: tf.keras.layers.Layer, name: str, shape: Sequence[int], initializer: Any, dtype: tf.DType = tf.float32
) -> Any:
    """Create a non-trainable weight that training calls change.

    With several replicas, the value of the first one is kept.
    """
    return layer.add_weight(
        name=name,
        shape=tuple(shape),
        dtype=dtype.name,
        initializer=initializer,
        trainable=False,
        aggregation=FIRST_REPLICA,
    )


@tf.keras.utils.register_keras_serializable(package="alad_tf")
class FusedBatchNormalization(tf.keras.layers.BatchNormalization):
    """Batch norm of images [n, height, width, channels] by the operation that Keras 2 uses for them.

    Its moving variance takes in n / (n - 1) times the variance of n positions. Keras 3 leaves this factor out.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: None = None) -> tf.Tensor:
        """Normalise with the statistics of the batch in training, and with the moving ones else."""
        if len(inputs.shape) != 4:
            return super().call(inputs, training, mask)
        training = bool(training) and self.trainable
        moving = self.moving_mean.value, self.moving_variance.value
        outputs, *statistics = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            self.gamma.value,
            self.beta.value,
            *moving,
            epsilon=self.epsilon,
            is_training=training,
            exponential_avg_factor=1.0 - self.momentum if training else 1.0,
        )
        if training:
            for variable, value in zip(moving, statistics):
                variable.assign(value)
        return outputs


# Moving statistics of images and of rows are equal with either version.
BatchNormalization = FusedBatchNormalization if KERAS_3 else tf.keras.layers.BatchNormalization


def layers(model: tf.keras.Model) -> list[tf.keras.layers.Layer]:
    """All layers of a model, including nested ones."""
    return list(model._flatten_layers(include_self=False))


def trained(layer: tf.keras.layers.Layer) -> list[tf.Variable]:
    """Trainable weights of a layer or model, in the order of its layers."""
    return [_variable(weight) for weight in layer.trainable_variables]


def state(layer: tf.keras.layers.Layer) -> list[tf.Variable]:
    """Non-trainable weights: u of spectral norm, batch-norm statistics, counters."""
    return [_variable(weight) for weight in layer.non_trainable_variables]


def named_weights(model: tf.keras.layers.Layer) -> list[tuple[str, tf.Variable]]:
    """All weights of a model by the name "layer/weight", layer by layer, trainable ones first."""
    if not isinstance(model, tf.keras.Model):
        return [(f"{model.name}/{_short_name(weight)}", weight) for weight in (*trained(model), *state(model))]
    return [pair for layer in model.layers for pair in named_weights(layer)]


def weights(model: tf.keras.layers.Layer) -> list[tf.Variable]:
    """All weights of a model in the order of files. (Keras 3 lists u of spectral norm before the kernel.)"""
    return [weight for _, weight in named_weights(model)]


def is_functional(model: object) -> bool:
    """Whether a model is functional or a built Sequential, so that `clone_model` can copy it."""
    probe = tf.keras.Input((1,), name="probe")
    functional = type(tf.keras.Model(probe, probe, name="probe"))  # Keras does not export this class
    return isinstance(model, (functional, tf.keras.Sequential)) and model.built


def save(model: tf.keras.Model, path: Path) -> None:
    """Write a model as a .keras file. Ignores a DeprecationWarning of NumPy 2 about Keras 3."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        model.save(path)


def has_addons() -> bool:
    """Whether tensorflow-addons can be imported, which needs Keras 2."""
    return not KERAS_3 and importlib.util.find_spec("tensorflow_addons") is not None


class Module(tf.Module):
    """Container of Keras models and variables; `variables` are tf.Variable with either version of Keras."""

    @property
    def named_variables(self) -> dict[str, tf.Variable]:
        """All variables by name: "G/0", "G/1", ... for the weights of a model G, "b" for a variable b."""
        return dict(self._named())

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        """All variables, in the order of `named_variables`."""
        return tuple(self.named_variables.values())

    @property
    def trainable_variables(self) -> tuple[tf.Variable, ...]:
        """The trainable ones of `variables`."""
        return tuple(variable for variable in self.variables if variable.trainable)

    @property
    def layers(self) -> list[tf.keras.layers.Layer]:
        """All layers of the models."""
        return [layer for _, part in self._parts() if isinstance(part, tf.keras.Model) for layer in layers(part)]

    def _parts(self) -> list[tuple[str, Any]]:
        return [(name, part) for name, part in vars(self).items() if not name.startswith("_")]

    def _named(self) -> Iterator[tuple[str, tf.Variable]]:
        for name, part in self._parts():
            if isinstance(part, tf.Variable):
                yield name, part
            elif isinstance(part, (tf.keras.Model, list, tuple)):
                found = weights(part) if isinstance(part, tf.keras.Model) else part
                yield from ((f"{name}/{position}", variable) for position, variable in enumerate(found))


def _variable(weight: Any) -> tf.Variable:
    return weight.value if KERAS_3 else weight


def _short_name(weight: tf.Variable) -> str:
    return str(weight.name).split(":")[0].split("/")[-1]
