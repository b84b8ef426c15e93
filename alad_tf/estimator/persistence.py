"""Save and load a fitted ALAD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from architectures import rows

if TYPE_CHECKING:
    from alad_tf.estimator.alad import ALAD


def require_sound(model: ALAD, document: dict[str, Any], arrays: dict[str, dict[str, np.ndarray]]) -> None:
    """Refuse what would take memory without end, or score in silence with NaN.

    Raises:
        ValueError: networks larger than the weights that are there; numbers that are missing, not finite or no numbers.
    """
    stored = sum(weight.size for weight in arrays["weights"].values())
    if not 0 < rows.n_weights(model.table_) <= stored:
        raise ValueError(f"a table of {rows.n_weights(model.table_)} weights, of which {stored} are there")
    shapes = {"center": (model.n_features_in_,), "scale": (model.n_features_in_,)}
    shapes.update({name: (scores.size,) for name, scores in arrays["scores"].items()})
    for name, numbers in {**arrays["weights"], **arrays["scaling"], **arrays["scores"]}.items():
        if numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
            raise ValueError(f"{name:.80} holds {numbers.dtype}, or numbers that are not finite")
        if numbers.shape != shapes.get(name, numbers.shape) or not numbers.size:
            raise ValueError(f"{name} has the shape {list(numbers.shape)}")
    if not np.isfinite(float(document["threshold"]["value"])):
        raise ValueError("the threshold is not finite")


def plain(value: Any) -> Any:
    """A NumPy scalar as Python's."""
    return value.item() if isinstance(value, np.generic) else value
