"""The differences between Keras 2 (TensorFlow 2.15) and Keras 3 (TensorFlow 2.16 and later), and nothing else.

The rest of the package sees tf.Variable, layer by layer, with either Keras.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

KERAS_3 = not issubclass(tf.keras.layers.Layer, tf.Module)
FIRST_REPLICA = "only_first_replica" if KERAS_3 else tf.VariableAggregation.ONLY_FIRST_REPLICA


def add_state(
    layer: tf.keras.layers.Layer, name: str, shape: Sequence[int], initializer: Any, dtype: tf.DType = tf.float32
) -> Any:
    """Create a weight of a layer that training calls change without a gradient.

    Of several replicas the first one's value is kept.
    """
    return layer.add_weight(
        name=name,
        shape=tuple(shape),
        dtype=dtype.name,
        initializer=initializer,
        trainable=False,
        aggregation=FIRST_REPLICA,
    )


def layers(model: tf.keras.Model) -> list[tf.keras.layers.Layer]:
    """All layers of a model, with those inside of other layers."""
    return list(model._flatten_layers(include_self=False))


def trained(layer: tf.keras.layers.Layer) -> list[tf.Variable]:
    """Weights of a layer or model that have a gradient, in the order of its layers."""
    return [_variable(weight) for weight in layer.trainable_variables]


def state(layer: tf.keras.layers.Layer) -> list[tf.Variable]:
    """Weights without a gradient: u of spectral norm, batch-norm statistics, counters."""
    return [_variable(weight) for weight in layer.non_trainable_variables]


def named_weights(model: tf.keras.layers.Layer) -> list[tuple[str, tf.Variable]]:
    """All weights of a model, named "layer/weight": layer by layer, those with a gradient first."""
    if not isinstance(model, tf.keras.Model):
        return [(f"{model.name}/{_short_name(weight)}", weight) for weight in (*trained(model), *state(model))]
    return [pair for layer in model.layers for pair in named_weights(layer)]


def weights(model: tf.keras.layers.Layer) -> list[tf.Variable]:
    """All weights of a model, in the order of files. Keras 3 itself lists u of spectral norm before the kernel."""
    return [weight for _, weight in named_weights(model)]


def is_functional(model: object) -> bool:
    """Whether a model is a functional or a built sequential one, which `clone_model` can copy."""
    probe = tf.keras.Input((1,), name="probe")
    functional = type(tf.keras.Model(probe, probe, name="probe"))  # Keras exports no name for this class
    return isinstance(model, (functional, tf.keras.Sequential)) and model.built


def has_addons() -> bool:
    """Whether tensorflow-addons is installed and imports: with Keras 2 only."""
    return not KERAS_3 and importlib.util.find_spec("tensorflow_addons") is not None


class Module(tf.Module):
    """Keras models and variables as attributes; its variables are tf.Variable with either Keras."""

    @property
    def named_variables(self) -> dict[str, tf.Variable]:
        """All variables: "G/0", "G/1", ... for the weights of the model G, "b" for the variable b."""
        return dict(self._named())

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        """All variables, in the order of `named_variables`."""
        return tuple(self.named_variables.values())

    @property
    def trainable_variables(self) -> tuple[tf.Variable, ...]:
        """Those of `variables` that have a gradient."""
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
