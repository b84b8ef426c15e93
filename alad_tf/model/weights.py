"""Weights and state of models as arrays by name."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from alad_tf.model.networks import Networks


def get_arrays(model: tf.Module) -> dict[str, np.ndarray]:
    """Return all weights and state of a model as arrays.

    Names are those of model folders and of `weights.npz`: network and position ("E/0", "E/1", ...) for the networks of
    ALAD, the position alone ("0", "1", ...) for any other module.
    """
    return {name: variable.numpy() for name, variable in _variables(model).items()}


def set_arrays(model: tf.Module, arrays: dict[str, np.ndarray]) -> None:
    """Set all weights and state of a model from `get_arrays`.

    Raises:
        ValueError: an array is missing, left over or of another shape.
    """
    variables = _variables(model)
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    received = {name: array.shape for name, array in arrays.items()}
    if expected != received:
        name = min(name for name in {*expected, *received} if expected.get(name) != received.get(name))
        raise ValueError(f"Expected the weight {name} of shape {expected.get(name)}. Received: {received.get(name)}")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _variables(model: tf.Module) -> dict[str, tf.Variable]:
    if isinstance(model, Networks):
        return {
            f"{name}/{position}": weight
            for name, network in model.models.items()
            for position, weight in enumerate(network.weights)
        }
    return {str(position): variable for position, variable in enumerate(model.variables)}
