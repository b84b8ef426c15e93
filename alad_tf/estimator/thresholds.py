"""Thresholds and p-values from the scores of normal rows, without labels."""

from __future__ import annotations

import numpy as np

from alad_tf.errors import SettingsError
from alad_tf.typing import Rule

TIES = 1e-4  # a thousand roundings of float32
LARGEST = float(np.finfo(np.float32).max)  # the score of a row with NaN or infinite values


def require_one_rule(
    contamination: float | None, false_positive_rate: float | None, value: float | None
) -> tuple[str, float]:
    """Return the name and value of the given rule.

    Raises:
        SettingsError: none or several are given, or the number is outside its range.
    """
    given = {"contamination": contamination, "false_positive_rate": false_positive_rate, "value": value}
    rules = {name: float(number) for name, number in given.items() if number is not None}
    if len(rules) != 1:
        raise SettingsError(f"Expected one of {', '.join(given)}. Received: {', '.join(rules) or 'none'}.")
    ((rule, number),) = rules.items()
    if not np.isfinite(number):
        raise SettingsError(f"Expected a finite {rule}. Received: {number}.")
    if rule == "contamination" and not 0.0 < number <= 0.5:
        raise SettingsError(f"Expected contamination above 0 and at most 0.5. Received: {number}.")
    if rule == "false_positive_rate" and not 0.0 < number < 1.0:
        raise SettingsError(f"Expected false_positive_rate above 0 and below 1. Received: {number}.")
    return rule, number


def described(rule: Rule) -> str:
    """A rule in words, such as "contamination 0.1 of the training rows"."""
    of = "" if rule["scores"] == "none" else f" of the {rule['scores']}"
    return f"{rule['rule'].replace('_', ' ')} {rule['value']:g}{of}"


def quantile_threshold(scores: np.ndarray, contamination: float) -> float:
    """Threshold with a fraction `contamination` of the scores above it.

    Args:
        scores: [n] scores of the training rows.
        contamination: in (0, 0.5].
    """
    scores = scores.astype(np.float64)
    return _above_ties(-float(np.percentile(-scores, 100.0 * contamination)), scores)


def false_positive_threshold(scores: np.ndarray, rate: float) -> float:
    """Threshold that at most a fraction `rate` of the scores of normal rows exceeds.

    Args:
        scores: [n] scores of normal rows not used for training.
        rate: in (0, 1).
    """
    allowed = int(np.floor(rate * len(scores) + 1e-9))
    return _above_ties(float(np.sort(scores)[len(scores) - 1 - allowed]), scores.astype(np.float64))


def _above_ties(threshold: float, scores: np.ndarray) -> float:
    """A threshold that is itself a score, moved towards the next larger score, by at most TIES.

    Equal rows have equal scores, which another processor or an export rounds to slightly different ones: at the
    threshold, rounding would decide about all of them.
    """
    if not (scores == threshold).any():
        return threshold
    larger = scores[scores > threshold]
    gap = float(larger.min()) - threshold if len(larger) else np.inf
    return threshold + min(gap / 2.0, TIES * (1.0 + abs(threshold)))


def bounded(scores: np.ndarray) -> np.ndarray:
    """Clip numbers to the range of float32; NaN becomes the largest."""
    return np.nan_to_num(scores, nan=LARGEST, posinf=LARGEST, neginf=-LARGEST)


def p_values(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Empirical p-value of each score: (1 + number of reference scores at least as large) / (1 + m).

    Args:
        scores: [n].
        reference: [m] scores of normal rows, ascending.

    Returns:
        [n] in (0, 1]; small = anomalous. For a new normal row, the probability of a value of at most p is at most p.
    """
    as_large = len(reference) - np.searchsorted(reference, scores, side="left")
    return (1.0 + as_large) / (1.0 + len(reference))
