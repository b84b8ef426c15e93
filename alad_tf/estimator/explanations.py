"""Why a row is anomalous: what of it is reconstructed worst."""

from __future__ import annotations

import numpy as np

from alad_tf.estimator.thresholds import LARGEST


def worst(deviations: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """The columns of each row with the largest deviations, largest first.

    Args:
        deviations: [n, d] |x - x'|, where x' = G(E(x)); what overflowed is as large as can be.
        top: columns a row, d at most.

    Returns:
        (columns [n, top] int, shares [n, top] float32 of the row's sum).
    """
    finite = np.nan_to_num(deviations.astype(np.float64), nan=LARGEST, posinf=LARGEST)
    order = np.argsort(-finite, axis=1, kind="stable")[:, :top]
    total = np.maximum(finite.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return order, (np.take_along_axis(finite, order, axis=1) / total).astype(np.float32)
