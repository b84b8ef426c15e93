"""Precision, recall and F1 of the top fraction, compared with values by hand, brute force and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from reference import expected_metrics
from sklearn.metrics import precision_recall_fscore_support

from alad_tf import metrics


@pytest.mark.parametrize(
    "n, fraction, flagged",
    [
        (247_011, 0.20, 49_403),  # KDD99: the percentile is a score, itself flagged
        (226, 0.15, 34),  # Arrhythmia: it lies between two scores
        (2148, 100 / 2148, 100),  # toy
        (11, 0.5, 6),
        (10, 0.5, 5),
        (5, 0.25, 2),
        (5, 0.24, 1),
        (4, 0.01, 1),
        (4, 0.99, 3),
        (1, 0.5, 1),
    ],
)
def test_number_of_flagged_rows(n: int, fraction: float, flagged: int) -> None:
    assert metrics.n_flagged(n, fraction) == flagged


def test_by_hand() -> None:
    y = np.array([0, 1, 0, 0, 1, 0, 1, 0, 0, 0])
    scores = np.array([0.1, 9.0, 8.0, 0.2, 7.0, 0.3, 0.4, 0.5, 0.6, 0.7])
    got = metrics.top_fraction_metrics(y, scores, 0.4)  # 9, 8, 7 and 0.7 are flagged
    assert got == pytest.approx({"precision": 2 / 4, "recall": 2 / 3, "f1": 4 / 7})
    assert list(got) == ["precision", "recall", "f1"]


def test_nothing_found() -> None:
    got = metrics.top_fraction_metrics(np.array([1, 0, 0, 0]), np.array([0.0, 3.0, 2.0, 1.0]), 0.3)
    assert got == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_everything_found() -> None:
    got = metrics.evaluate(np.array([0, 0, 0, 1]), np.array([-4.0, -3.0, -2.0, -1.0]), 0.1)
    assert got == {name: 1.0 for name in ("precision", "recall", "f1", "auroc", "average_precision")}


@pytest.mark.parametrize("n, fraction, anomalies", [(226, 0.15, 32), (1000, 0.2, 197), (501, 0.25, 60), (50, 0.5, 9)])
def test_untied_scores_agree_with_scikit_learn(n: int, fraction: float, anomalies: int) -> None:
    random = np.random.default_rng(n)
    y = random.permutation(np.arange(n) < anomalies).astype(int)
    scores = random.standard_normal(n) + y
    flagged = scores >= np.percentile(scores, 100 * (1 - fraction))
    expected = precision_recall_fscore_support(y, flagged, average="binary")[:3]
    got = metrics.top_fraction_metrics(y, scores, fraction)
    np.testing.assert_allclose(list(got.values()), expected, rtol=1e-12)
    assert flagged.sum() == metrics.n_flagged(n, fraction)
    assert got["precision"] / got["recall"] == pytest.approx(anomalies / flagged.sum())


@pytest.mark.parametrize("flagged, fraction", [(1, 0.1), (2, 0.3), (3, 0.4), (5, 0.7)])
@pytest.mark.parametrize("scores", [[2, 2, 2, 1, 1, 0, 0], [3, 2, 2, 2, 2, 1, 0], [1, 1, 1, 1, 1, 1, 1]])
def test_ties_count_as_the_mean_over_all_orders(scores: list[float], flagged: int, fraction: float) -> None:
    assert metrics.n_flagged(7, fraction) == flagged
    for y in ([1, 0, 0, 1, 0, 0, 1], [0, 1, 1, 0, 0, 1, 0], [0, 0, 0, 0, 1, 0, 0]):
        got = metrics.top_fraction_metrics(np.array(y), np.array(scores, np.float32), fraction)
        assert got == pytest.approx(expected_metrics(y, scores, flagged))


def test_order_of_the_rows_does_not_matter() -> None:
    random = np.random.default_rng(0)
    y, scores = random.integers(0, 2, 60), random.integers(0, 6, 60).astype(float)
    order = random.permutation(60)
    assert metrics.evaluate(y, scores, 0.3) == pytest.approx(metrics.evaluate(y[order], scores[order], 0.3))


def test_ranking_metrics_by_hand() -> None:
    """Three of four pairs of an anomaly and a normal row are in order; in the second case, one tie counts half."""
    y = np.array([0, 1, 0, 1])
    got = metrics.evaluate(y, np.array([1.0, 2.0, 3.0, 4.0]), 0.5)
    assert got["auroc"] == pytest.approx(3 / 4)
    assert got["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.evaluate(y, np.array([1.0, 3.0, 3.0, 4.0]), 0.5)["auroc"] == pytest.approx(3.5 / 4)
    assert all(type(value) is float for value in got.values())


@pytest.mark.parametrize(
    "y, scores, fraction, message",
    [
        ([0, 1], [1.0, 2.0, 3.0], 0.5, r"one shape \[n\]. Received: \(2,\) and \(3,\)"),
        ([[0, 1]], [[1.0, 2.0]], 0.5, r"one shape \[n\]. Received: \(1, 2\)"),
        ([0, 1, 1], [1.0, np.nan, np.inf], 0.5, "finite scores. Received: 2 that are not"),
        ([0, 0], [1.0, 2.0], 0.5, r"labels 0 and 1, both present. Received: \[0\]"),
        ([1, 1], [1.0, 2.0], 0.5, r"labels 0 and 1, both present. Received: \[1\]"),
        ([1, -1], [1.0, 2.0], 0.5, r"labels 0 and 1, both present. Received: \[-1, 1\]"),
        ([0, 1], [1.0, 2.0], 0.0, "above 0 and below 1. Received: 0.0"),
        ([0, 1], [1.0, 2.0], 1.0, "above 0 and below 1. Received: 1.0"),
        ([0, 1], [1.0, 2.0], 15, "above 0 and below 1. Received: 15"),
    ],
)
def test_what_cannot_be_judged_is_refused(y: list[int], scores: list[float], fraction: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.top_fraction_metrics(np.array(y), np.array(scores), fraction)


@pytest.mark.parametrize("y", [[0, 0, 0], [0, 1, 2], []])
def test_evaluate_refuses_the_same(y: list[int]) -> None:
    with pytest.raises(ValueError):
        metrics.evaluate(np.array(y), np.arange(len(y), dtype=float), 0.5)


@pytest.mark.parametrize("n", [100, 81_000, 2_000_000, 30_000_000])
@pytest.mark.parametrize("anomalies", [1, 2, 7])
def test_as_many_rows_are_flagged_as_there_are_anomalies(n: int, anomalies: int) -> None:
    assert metrics.n_flagged(n, anomalies / n) == anomalies
    assert metrics.n_flagged(n, (n // 2 + anomalies) / n) == n // 2 + anomalies
