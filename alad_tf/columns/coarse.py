"""Features whose differences are lost in floating-point precision."""

from __future__ import annotations

from typing import Any

import numpy as np

from alad_tf.errors import quoted

COARSE = 1e-3  # warn if the spacing of floats exceeds this fraction of the standard deviation


class CoarseWarning(UserWarning):
    """The values of a feature differ by less than the spacing of floating-point numbers."""


def coarse_feature(name: str, column: np.ndarray, kind: type[np.floating[Any]] = np.float32) -> str | None:
    """Describe a feature whose differences are lost in floating-point precision; None for other features.

    Near x, the spacing of float32 is about |x| / 2^23, and of float64 |x| / 2^52. A feature is coarse if the spacing
    near its largest value exceeds `COARSE` times its standard deviation, for example numbers near 1e9 that differ by 1.

    Args:
        name: name of the feature.
        column: [n] numbers; NaN values are ignored.
        kind: floating-point type of the numbers before centering.
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
        f"differences in column {quoted(name)} are lost to rounding: near {largest:.3g}, {kind.__name__} values are "
        f"{step:.3g} apart, and the standard deviation is {spread:.3g}. Subtract the column's smallest value first."
    )
