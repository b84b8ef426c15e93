"""Weights and state of models as named arrays."""

from __future__ import annotations

import numpy as np

from alad_tf.model.keras_versions import Module


def get_arrays(model: Module) -> dict[str, np.ndarray]:
    """Return all weights and state of a model as arrays.

    Names are those of model folders and of `weights.npz`: network and position ("E/0", "E/1", ...).
    """
    return {name: variable.numpy() for name, variable in model.named_variables.items()}


def set_arrays(model: Module, arrays: dict[str, np.ndarray]) -> None:
    """Set all weights and state of a model from the result of `get_arrays`.

    Raises:
        ValueError: an array is missing, left over or of another shape.
    """
    require_arrays(model, arrays)
    for name, variable in model.named_variables.items():
        variable.assign(arrays[name])


def require_arrays(model: Module, arrays: dict[str, np.ndarray]) -> None:
    """Compare arrays with the weights and state of a model.

    Raises:
        ValueError: an array is missing, left over or of another shape.
    """
    expected = {name: tuple(variable.shape) for name, variable in model.named_variables.items()}
    received = {name: array.shape for name, array in arrays.items()}
    if expected != received:
        name = min(name for name in {*expected, *received} if expected.get(name) != received.get(name))
        raise ValueError(f"Expected the weight {name} of shape {expected.get(name)}. Received: {received.get(name)}")
