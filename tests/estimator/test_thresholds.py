"""Thresholds that are themselves scores: rounding decides about no row."""

from __future__ import annotations

import numpy as np
import pytest

from alad_tf.estimator import thresholds

MANY = np.array([0.0] * 90 + [0.5] * 5 + [0.8, 0.9, 1.0, 1.1, 3.4e38], np.float32)  # of equal rows, mostly


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.07, 0.1, 0.3])
def test_the_same_rows_are_above_whatever_the_rounding(rate: float) -> None:
    allowed = int(rate * len(MANY) + 1e-9)
    exact = np.sort(MANY)[len(MANY) - 1 - allowed]
    for threshold in (thresholds.false_positive_threshold(MANY, rate), thresholds.quantile_threshold(MANY, rate)):
        above = threshold < MANY
        assert above.sum() <= allowed and threshold >= exact
        for rounding in (-1e-6, 1e-6):
            np.testing.assert_array_equal(MANY * (1 + rounding) + rounding > threshold, above)


def test_the_threshold_stays_near_the_score() -> None:
    """Also below a score of a corrupt row, and below a near one."""
    assert 0.0 < thresholds.false_positive_threshold(MANY, 0.1) <= 1e-4
    assert thresholds.false_positive_threshold(np.array([0.0, 0.0, 1e-6]), 0.34) == pytest.approx(5e-7)
    assert 2.0 < thresholds.false_positive_threshold(np.array([1.0, 2.0, 2.0]), 0.1) < 2.001


def test_a_threshold_between_two_scores_is_the_quantile() -> None:
    scores = np.random.default_rng(0).normal(size=77)
    assert thresholds.quantile_threshold(scores, 0.1) == -np.percentile(-scores, 10.0)
