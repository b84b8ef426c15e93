"""What every outlier detector here does alike with its scores and its threshold, as scikit-learn has it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import OutlierMixin


class Thresholded(OutlierMixin):
    """A detector with `score_samples`, smaller = more anomalous, and `offset_`, below which rows are outliers."""

    offset_: float

    def score_samples(self, X: Any) -> np.ndarray:
        """Scores [n] of X [n, d]: smaller = more anomalous."""
        raise NotImplementedError

    def decision_function(self, X: Any) -> np.ndarray:
        """How far above `offset_` the scores of X [n, d] are: [n] float64, negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """-1 for outliers and 1 for the others: [n] int."""
        return np.where(self.decision_function(X) < 0.0, -1, 1)
