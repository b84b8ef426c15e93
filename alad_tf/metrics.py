"""Metrics (Section V-A): precision, recall and F1 of the top fraction, AUROC and average precision."""

from __future__ import annotations

import math
import sys

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score


def n_flagged(n: int, top_fraction: float) -> int:
    """Number of rows out of n at or above the (1 - top_fraction) percentile, which are flagged (Section V-A)."""
    rounding = 4 * n * sys.float_info.epsilon
    return n - math.ceil((1.0 - top_fraction) * (n - 1) - rounding)


def top_fraction_metrics(y: np.ndarray, scores: np.ndarray, top_fraction: float) -> dict[str, float]:
    """Precision, recall and F1 when the rows with the highest scores are flagged as anomalies.

    Exactly `n_flagged` rows are flagged. Rows tied at the threshold count by the fraction of them that is flagged,
    which is the average over all orders of the tied rows.

    Args:
        y: [n] 1 for an anomaly, 0 for a normal row.
        scores: [n] larger = more anomalous.
        top_fraction: fraction of the rows to flag, in (0, 1).

    Raises:
        ValueError: shapes differ, scores are not finite, no anomaly or no normal row, fraction outside (0, 1).
    """
    if not 0.0 < top_fraction < 1.0:
        raise ValueError(f"Expected a top fraction above 0 and below 1. Received: {top_fraction}")
    return _top_metrics(*_checked(y, scores), n_flagged(len(y), top_fraction))


def _top_metrics(y: np.ndarray, scores: np.ndarray, flagged: int) -> dict[str, float]:
    threshold = np.partition(scores, len(y) - flagged)[len(y) - flagged]
    above, tied = scores > threshold, scores == threshold
    hits = y[above].sum() + (flagged - above.sum()) * y[tied].mean()
    return _precision_recall_f1(float(hits), flagged, int(y.sum()))


def threshold_metrics(y: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """Precision, recall and F1 when the rows with a score above the threshold are flagged as anomalies.

    Precision is 0 when no row is flagged.

    Args:
        y: [n] 1 for an anomaly, 0 for a normal row.
        scores: [n] larger = more anomalous.
        threshold: a score.

    Raises:
        ValueError: as `top_fraction_metrics`.
    """
    y, scores = _checked(y, scores)
    flagged = scores > threshold
    return _precision_recall_f1(int(y[flagged].sum()), int(flagged.sum()), int(y.sum()))


def _precision_recall_f1(hits: float, flagged: int, anomalies: int) -> dict[str, float]:
    precision, recall = hits / max(flagged, 1), hits / anomalies
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}


def evaluate(y: np.ndarray, scores: np.ndarray, top_fraction: float) -> dict[str, float]:
    """All metrics of a run: `top_fraction_metrics`, auroc and average_precision."""
    return {**top_fraction_metrics(y, scores, top_fraction), **ranking(y, scores)}


def by_labels(y: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """All metrics, with as many rows flagged as there are anomalies; arguments and errors as `top_fraction_metrics`."""
    y, scores = _checked(y, scores)
    return {**_top_metrics(y, scores, int(y.sum())), **ranking(y, scores)}


def ranking(y: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """auroc and average_precision of scores [n] for labels y [n]: metrics that depend on the ranking alone.

    Raises:
        ValueError: as `top_fraction_metrics`.
    """
    y, scores = _checked(y, scores)
    return {
        "auroc": float(roc_auc_score(y, scores)),
        "average_precision": float(average_precision_score(y, scores)),
    }


def _checked(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, scores = np.asarray(y), np.asarray(scores)
    if y.ndim != 1 or y.shape != scores.shape:
        raise ValueError(f"Expected labels and scores of one shape [n]. Received: {y.shape} and {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"Expected finite scores. Received: {np.count_nonzero(~np.isfinite(scores))} that are not")
    if not np.isin(y, (0, 1)).all() or y.min() == y.max():
        raise ValueError(f"Expected labels 0 and 1, both present. Received: {np.unique(y)[:5].tolist()}")
    return y, scores
