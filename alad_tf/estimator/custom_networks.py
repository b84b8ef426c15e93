"""Custom Keras networks instead of a table: checks of their shapes, copies for training."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from typing import Union

import numpy as np
import tensorflow as tf

from alad_tf.errors import SettingsError
from alad_tf.model import forks, keras_versions
from alad_tf.model.networks import DISCRIMINATORS, Networks

Shape = tuple[Union[int, str, None], ...]
NAMES = ("G", "E", *DISCRIMINATORS)


def require(models: Mapping[str, tf.keras.Model], n_features: int) -> int:
    """Check that models fit together and accept rows of n_features numbers.

    Args:
        models: by the paper's symbol: G [n, latent] -> [n, d], E [n, d] -> [n, latent], and Dxz, Dxx and perhaps Dzz,
            each from a pair to (logits [n, 1], features [n, units]).
        n_features: d.

    Returns:
        The latent dimension.

    Raises:
        SettingsError: a network is missing, unknown, has another shape, is not a functional or Sequential model, or
            has regularizers or constraints.
    """
    if not {"G", "E", "Dxz", "Dxx"} <= set(models) <= set(NAMES):
        raise SettingsError(
            f"Expected networks G, E, Dxz, Dxx and perhaps Dzz. Received: {', '.join(map(str, models)) or 'none'}."
        )
    for name, model in models.items():
        if not keras_versions.is_functional(model):
            raise SettingsError(
                f"Expected {name} as a functional or sequential tf.keras.Model. Received: {type(model).__name__}."
            )
        _require_unconstrained(name, model)
    latent = models["E"].output_shape[-1]
    d, z = (None, n_features), (None, latent)
    for name, inputs, output in (("E", [d], z), ("G", [z], d)):
        _require_shapes(name, models[name], inputs, [output])
    for name, pair in (("Dxz", [d, z]), ("Dxx", [d, d]), ("Dzz", [z, z])):
        if name in models:
            _require_shapes(name, models[name], pair, [(None, 1), (None, "any")])
    return int(latent)


def copies(models: dict[str, tf.keras.Model]) -> Networks:
    """Return copies of the models, weights included; training them leaves the models unchanged."""
    forks.require_threads()
    state = random.getstate()  # from which Keras draws the seeds of initial weights that are not kept
    made = {name: tf.keras.models.clone_model(model) for name, model in models.items()}
    random.setstate(state)
    for name, model in made.items():
        model.set_weights(models[name].get_weights())
    return Networks(*(made.get(name) for name in NAMES))


def digest(model: tf.keras.Model) -> str:
    """SHA-256 of layers and weights of a model, without the names of layers, which Keras counts up."""
    found = hashlib.sha256()
    for layer in model.layers:
        options = {name: value for name, value in layer.get_config().items() if name != "name"}
        found.update(f"{type(layer).__name__} {json.dumps(options, sort_keys=True, default=repr)}".encode())
    for array in model.get_weights():
        found.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _require_unconstrained(name: str, model: tf.keras.Model) -> None:
    """Training minimises the paper's losses alone, and its weights may take any value."""
    regularized = model.losses or any(getattr(layer, "activity_regularizer", None) for layer in model.layers)
    constrained = any(getattr(weight, "constraint", None) is not None for weight in model.trainable_weights)
    if regularized or constrained:
        raise SettingsError(
            f"Expected {name} without regularizers and constraints, which its training would not apply. Received: "
            f"{'a regularizer' if regularized else 'a constraint'}."
        )


def _require_shapes(name: str, model: tf.keras.Model, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> None:
    received = [[tuple(tensor.shape) for tensor in tensors] for tensors in (model.inputs, model.outputs)]
    fitting_outputs = len(received[1]) == len(outputs) and all(
        len(shape) == 2 and (wanted[1] == "any" or shape == wanted) for shape, wanted in zip(received[1], outputs)
    )
    if received[0] != inputs or not fitting_outputs:
        raise SettingsError(
            f"Expected {name} from {inputs} to {outputs}"
            + (" (logits, features)" if name.startswith("D") else "")
            + f". Received: from {received[0]} to {received[1]}."
        )
