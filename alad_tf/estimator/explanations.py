"""Explanations of anomalies: the features with the largest reconstruction errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from alad_tf.estimator.thresholds import LARGEST

if TYPE_CHECKING:
    import pandas as pd


def worst(deviations: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """The columns of each row with the largest deviations, largest first.

    Args:
        deviations: [n, d] |x - x'|, where x' = G(E(x)); NaN and infinity count as the largest float32.
        top: columns a row, d at most.

    Returns:
        (columns [n, top] int, shares [n, top] float32 of the row's sum).
    """
    finite = np.nan_to_num(deviations.astype(np.float64), nan=LARGEST, posinf=LARGEST)
    order = np.argsort(-finite, axis=1, kind="stable")[:, :top]
    total = np.maximum(finite.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return order, (np.take_along_axis(finite, order, axis=1) / total).astype(np.float32)


def table(
    index: np.ndarray, names: Sequence[str], x: np.ndarray, x_hat: np.ndarray, deviations: np.ndarray, top: int
) -> pd.DataFrame:
    """The features of each row with the largest deviations, one line each.

    Args:
        index: [n] names of the rows.
        names: of the d features.
        x: [n, d] rows, in their own units.
        x_hat: [n, d] their reconstructions, in the same units.
        deviations: [n, d] |x - x'| in the units that the networks see.
        top: features a row.

    Returns:
        A frame of n * top rows: row, feature, value, reconstruction, difference, share.
    """
    import pandas as pd

    order, shares = worst(deviations, top)
    value, reconstruction = (np.take_along_axis(rows, order, axis=1) for rows in (x, x_hat))
    return pd.DataFrame(
        {
            "row": np.repeat(index, order.shape[1]),
            "feature": np.asarray(names, object)[order].ravel(),
            "value": value.ravel(),
            "reconstruction": reconstruction.ravel(),
            "difference": (value - reconstruction).ravel(),
            "share": shares.ravel(),
        }
    )
