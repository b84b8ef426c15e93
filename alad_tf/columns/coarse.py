"""Features whose differences floating-point numbers lose."""

from __future__ import annotations

from typing import Any

import numpy as np

COARSE = 1e-3  # of a feature's standard deviation: the step of numbers that is warned of


class CoarseWarning(UserWarning):
    """A feature differs by less than the steps of its floating-point numbers."""


def coarse_feature(name: str, column: np.ndarray, kind: type[np.floating[Any]] = np.float32) -> str | None:
    """Describe a feature whose differences are lost in floating-point numbers; None for the others.

    Near x numbers of float32 step by about |x| / 2^23, of float64 by |x| / 2^52. A feature is coarse where a step near
    its largest value exceeds `COARSE` of its standard deviation: numbers near 1e9 that differ by 1, say.

    Args:
        name: of the feature.
        column: [n] numbers; NaN are left out.
        kind: the type that they are converted to before they are centered.
    """
    column = column[~np.isnan(column)] if column.dtype.kind == "f" else column
    if not len(column):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        largest = max(abs(float(column.max())), abs(float(column.min())))
        spread = float((column - column.min()).astype(np.float64).std())
        step = float(np.spacing(kind(largest)))
    if not (np.isfinite(step) and step > COARSE * spread > 0.0):
        return None
    return (
        f"column {name!r} loses differences: near {largest:.3g} {kind.__name__} steps by {step:.3g}, and the standard "
        f"deviation is {spread:.3g}. Subtract its smallest value first."
    )
