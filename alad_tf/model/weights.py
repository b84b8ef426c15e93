"""Weights and state of networks as arrays."""

from __future__ import annotations

import numpy as np

from alad_tf.model.networks import Networks


def get_arrays(networks: Networks) -> dict[str, np.ndarray]:
    """All weights and state as arrays, named by network and position ("E/0", "E/1", ...)."""
    return {
        f"{name}/{position}": weight.numpy()
        for name, model in networks.models.items()
        for position, weight in enumerate(model.weights)
    }


def set_arrays(networks: Networks, arrays: dict[str, np.ndarray]) -> None:
    """Set all weights and state from `get_arrays`.

    Raises:
        ValueError: an array is missing, left over or of another shape.
    """
    expected = {name: array.shape for name, array in get_arrays(networks).items()}
    received = {name: array.shape for name, array in arrays.items()}
    if expected != received:
        names = sorted(name for name in {*expected, *received} if expected.get(name) != received.get(name))
        name = names[0]
        raise ValueError(f"Expected the weight {name} of shape {expected.get(name)}. Received: {received.get(name)}")
    for name, model in networks.models.items():
        model.set_weights([arrays[f"{name}/{position}"] for position in range(len(model.weights))])
