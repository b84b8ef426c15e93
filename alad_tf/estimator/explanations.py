"""Explanations of anomalies: the features that differ most from expected values, relative to usual differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from alad_tf.estimator.thresholds import LARGEST

if TYPE_CHECKING:
    import pandas as pd


def worst(deviations: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """The columns with the largest deviations in each row, largest first.

    Args:
        deviations: [n, d] non-negative; NaN and infinite values count as the largest float32.
        top: number of columns per row, at most d.

    Returns:
        (columns [n, top] int, shares [n, top] float32 of the row's sum).
    """
    order = np.argsort(-_finite(deviations), axis=1, kind="stable")[:, :top]
    return order, np.take_along_axis(shares(deviations), order, axis=1).astype(np.float32)


def shares(deviations: np.ndarray) -> np.ndarray:
    """Share [n, d] of each column in the sum of a row's deviations; see `worst`."""
    finite = _finite(deviations)
    return finite / np.maximum(finite.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)


def _finite(deviations: np.ndarray) -> np.ndarray:
    return np.nan_to_num(deviations.astype(np.float64), nan=LARGEST, posinf=LARGEST)


def table(
    index: np.ndarray, names: Sequence[str], x: np.ndarray, expected: np.ndarray, contributions: np.ndarray, top: int
) -> pd.DataFrame:
    """The features with the largest contributions in each row, one line each.

    Args:
        index: [n] names of the rows.
        names: of the d features.
        x: [n, d] rows in their own units; objects for mixed columns.
        expected: [n, d] expected values, in the same units.
        contributions: [n, d] differences divided by the usual error of the feature.
        top: number of features per row.

    Returns:
        A frame of n * top rows: row, feature, value, expected, difference (NaN for text), contribution, share.
    """
    import pandas as pd

    order, parts = worst(contributions, top)
    value, foreseen, contribution = (np.take_along_axis(rows, order, axis=1) for rows in (x, expected, contributions))
    return pd.DataFrame(
        {
            "row": np.repeat(index, order.shape[1]),
            "feature": np.asarray(names, object)[order].ravel(),
            "value": value.ravel(),
            "expected": foreseen.ravel(),
            "difference": _differences(value, foreseen).ravel(),
            "contribution": contribution.ravel(),
            "share": parts.ravel(),
        }
    )


def _differences(value: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Value minus expected value, [n, top] float64; NaN for text and missing cells."""
    numbers = [
        np.array([cell if isinstance(cell, float) else np.nan for cell in cells.ravel().tolist()], np.float64)
        for cells in (value, expected)
    ]
    return (numbers[0] - numbers[1]).reshape(value.shape)
