"""Base class of ALAD and the baselines: threshold, decisions and p-values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.metrics import roc_auc_score
from sklearn.utils.validation import check_is_fitted

from alad_tf.errors import DataError, SettingsError
from alad_tf.estimator import thresholds
from alad_tf.typing import Rule

TRAINING_ROWS = "training rows"

Self = TypeVar("Self", bound="OutlierDetector")


@contextmanager
def unchanged_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Restore the attributes of an estimator whose fit is refused or interrupted."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        raise


class OutlierDetector(OutlierMixin, BaseEstimator):
    """Outlier detector with an anomaly score A(x), larger = more anomalous, and a threshold on it.

    A subclass defines `anomaly_score`; its `fit` ends with `_use_training_scores`.

    Attributes:
        training_scores_: [n] A(x) of the training rows, ascending.
        reference_scores_: [m] A(x) that `p_value` compares with, ascending; reference_ names the rows.
        threshold_: rows with a larger A(x) are outliers; threshold_rule_ tells how it was set; offset_ is -threshold_,
            as in scikit-learn.
    """

    contamination: float
    training_scores_: np.ndarray
    reference_scores_: np.ndarray
    reference_: str
    threshold_: float
    threshold_rule_: Rule
    offset_: float
    _fitted_score: str | None = None

    def anomaly_score(self, X: npt.ArrayLike) -> np.ndarray:
        """A(x) of each row of X [n, d]: [n], larger = more anomalous."""
        raise NotImplementedError

    def score_samples(self, X: npt.ArrayLike) -> np.ndarray:
        """-A(x) of each row of X [n, d]: [n] float64, smaller = more anomalous, as in scikit-learn."""
        return -self.anomaly_score(X).astype(np.float64)

    def decision_function(self, X: npt.ArrayLike) -> np.ndarray:
        """Return threshold_ - A(x) of each row of X [n, d]: [n] float64, negative for outliers."""
        self._require_fitted_score()
        return self.score_samples(X) - self.offset_

    def predict(self, X: npt.ArrayLike) -> np.ndarray:
        """Return -1 for outliers and 1 for the other rows of X [n, d]: [n] int."""
        return np.where(self.decision_function(X) >= 0.0, 1, -1)

    def score(self, X: npt.ArrayLike, y: npt.ArrayLike) -> float:
        """AUROC on rows X [n, d] with labels y [n], above 0 (1) for normal rows, others (-1, 0) for anomalies.

        Raises:
            DataError: labels that are not finite numbers, or rows of one kind.
        """
        labels = np.asarray(y)
        if labels.dtype.kind not in "biuf":
            raise DataError(f"Expected labels 1 and -1. Received: {labels.dtype}.")
        missing = np.flatnonzero(~np.isfinite(labels))
        if len(missing):
            raise DataError(f"Expected labels 1 and -1. Received: {labels[missing[0]]} in row {missing[0]}.")
        normal = labels > 0
        if normal.all() or not normal.any():
            raise DataError(f"Expected normal rows (1) and anomalies (-1). Received: {len(labels)} rows of one kind.")
        return float(roc_auc_score(normal, self.score_samples(X)))

    def p_value(self, X: npt.ArrayLike) -> np.ndarray:
        """(1 + k) / (1 + m), [n], where k of the m rows of `reference_` score at least as high: small = anomalous.

        Compared with held-out rows, a new normal row has a p-value of at most p with probability at most p. Compared
        with training rows, which have lower scores than new rows, p-values are too small.
        """
        self._require_fitted_score()
        return thresholds.p_values(self.anomaly_score(X), self.reference_scores_)

    def set_threshold(
        self: Self,
        *,
        contamination: float | None = None,
        false_positive_rate: float | None = None,
        value: float | None = None,
        X: npt.ArrayLike | None = None,
    ) -> Self:
        """Set the threshold by exactly one of three rules.

        Args:
            contamination: fraction of the training rows above the threshold, in (0, 0.5].
            false_positive_rate: largest fraction above the threshold of normal rows not used for training, in (0, 1).
            value: the threshold itself.
            X: with false_positive_rate: these rows [m, d]. None: the rows held out so far.

        Raises:
            ValueError: none or several of the three, a value outside its range, or no held-out rows.
        """
        self._require_fitted_score()
        rule, number = thresholds.require_one_rule(contamination, false_positive_rate, value)
        if X is not None:
            if rule != "false_positive_rate":
                raise SettingsError(f"Expected rows X with false_positive_rate only. Received: X with {rule}.")
            self.calibrate(X)
        threshold, of = number, "none"
        if rule == "contamination":
            threshold, of = thresholds.quantile_threshold(self.training_scores_, number), TRAINING_ROWS
        elif rule == "false_positive_rate":
            if self.reference_ == TRAINING_ROWS:
                raise SettingsError(
                    "Expected normal rows that were not trained on, for a false-positive rate. Received: none. Pass "
                    "them as X, or as fit's validation."
                )
            threshold, of = thresholds.false_positive_threshold(self.reference_scores_, number), self.reference_
        self.threshold_, self.offset_ = threshold, -threshold
        self.threshold_rule_ = {"rule": rule, "value": number, "scores": of}
        return self

    def calibrate(self: Self, X: npt.ArrayLike) -> Self:
        """Use the scores of X [m, d], normal rows not used for training, as the reference of `p_value`."""
        self._require_fitted_score()
        self._use_reference(self.anomaly_score(X), "held-out rows")
        return self

    def _require_fitted_score(self) -> None:
        """Refuse decisions by another score than the one whose threshold and reference are stored."""
        check_is_fitted(self, "training_scores_")
        chosen = getattr(self, "score_name", None)
        if self._known_score(chosen) != self._known_score(self._fitted_score):
            raise SettingsError(
                f"Expected the score of the last fit, to which the threshold belongs, {self._fitted_score!r}. "
                f"Received: score_name={chosen!r}. Call fit again, or anomaly_score, which needs no threshold."
            )

    def _known_score(self, name: str | None) -> str | None:
        """The score that a `score_name` means."""
        return name

    def _use_training_scores(self, scores: np.ndarray) -> None:
        """Set the reference and the threshold from A(x) [n] of the training rows."""
        self.training_scores_, self._fitted_score = np.sort(scores), getattr(self, "score_name", None)
        self._use_reference(scores, TRAINING_ROWS)
        self.set_threshold(contamination=float(self.contamination))  # of any type of real numbers

    def _use_reference(self, scores: np.ndarray, of: str) -> None:
        self.reference_scores_, self.reference_ = np.sort(scores), of
