"""Explanations of anomalies: the features that differ most from what is expected, in units of what is usual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

import numpy as np

from alad_tf.estimator.thresholds import LARGEST

if TYPE_CHECKING:
    import pandas as pd


TAIL = 0.005  # share of the rows below `Usual.low`, and above `Usual.high`
LEAST = 0.05  # of the median feature's usual error: no feature's is taken to be smaller


@dataclass(frozen=True)
class Usual:
    """What is usual for each feature, on normal rows in scaled units.

    What is expected of a row is the reconstruction of its cells moved into [low, high]: a cell far outside would
    otherwise spoil the reconstruction of all the others, and hide among them.

    Args:
        low, high: [d] quantiles of the cells.
        error: [d] mean absolute difference of a cell and what is expected.
    """

    low: np.ndarray
    high: np.ndarray
    error: np.ndarray

    @classmethod
    def of_rows(cls, x: np.ndarray, expect: Callable[[np.ndarray], np.ndarray]) -> Usual:
        """What is usual on normal rows x [n, d]; `expect` reconstructs rows."""
        low, high = (np.quantile(x, tail, axis=0).astype(np.float32) for tail in (TAIL, 1.0 - TAIL))
        error = np.abs(x - expect(np.clip(x, low, high))).mean(axis=0)
        floor = max(LEAST * float(np.median(error)), float(np.finfo(np.float32).tiny))
        return cls(low, high, np.clip(error, floor, LARGEST).astype(np.float32))

    @property
    def known(self) -> bool:
        """Whether there were normal rows to learn it from."""
        return bool((self.high < LARGEST).any())

    @classmethod
    def unknown(cls, d: int) -> Usual:
        """For models of earlier releases: no cell is moved, and contributions are absolute differences."""
        return cls(np.full(d, -LARGEST, np.float32), np.full(d, LARGEST, np.float32), np.ones(d, np.float32))


def worst(deviations: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """The columns of each row with the largest deviations, largest first.

    Args:
        deviations: [n, d] at least 0; NaN and infinity count as the largest float32.
        top: columns a row, d at most.

    Returns:
        (columns [n, top] int, shares [n, top] float32 of the row's sum).
    """
    finite = np.nan_to_num(deviations.astype(np.float64), nan=LARGEST, posinf=LARGEST)
    order = np.argsort(-finite, axis=1, kind="stable")[:, :top]
    total = np.maximum(finite.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return order, (np.take_along_axis(finite, order, axis=1) / total).astype(np.float32)


def table(
    index: np.ndarray, names: Sequence[str], x: np.ndarray, expected: np.ndarray, contributions: np.ndarray, top: int
) -> pd.DataFrame:
    """The features of each row with the largest contributions, one line each.

    Args:
        index: [n] names of the rows.
        names: of the d features.
        x: [n, d] rows, in their own units.
        expected: [n, d] what is expected of them, in the same units.
        contributions: [n, d] differences in units of what is usual for the feature.
        top: features a row.

    Returns:
        A frame of n * top rows: row, feature, value, expected, difference, contribution, share.
    """
    import pandas as pd

    order, shares = worst(contributions, top)
    value, foreseen, contribution = (np.take_along_axis(rows, order, axis=1) for rows in (x, expected, contributions))
    return pd.DataFrame(
        {
            "row": np.repeat(index, order.shape[1]),
            "feature": np.asarray(names, object)[order].ravel(),
            "value": value.ravel(),
            "expected": foreseen.ravel(),
            "difference": (value - foreseen).ravel(),
            "contribution": contribution.ravel(),
            "share": shares.ravel(),
        }
    )
