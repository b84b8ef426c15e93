"""OC-SVM, Isolation Forest and two trivial methods: scikit-learn's outlier detectors, and two of their kind.

`score_samples` is scikit-learn's: smaller = more anomalous.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.ensemble import IsolationForest
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDOneClassSVM
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.svm import OneClassSVM
from sklearn.utils.validation import check_is_fitted

METHODS = ("OC-SVM", "SGD-OC-SVM", "IF", "mean", "kNN")
NYSTROEM_COMPONENTS = 300


def build(method: str, *, n_features: int, expected_anomalies: float, seed: int) -> Any:
    """A method of `METHODS` as the paper configures it.

    Args:
        method: OC-SVM: RBF kernel, nu the expected share of anomalies, gamma 1 / n_features. SGD-OC-SVM: the same by
            stochastic gradient descent on Nystroem's approximation of the kernel. IF: scikit-learn's defaults. mean:
            `MeanDistance`. kNN: `NeighbourDistance`.
        n_features: of a row.
        expected_anomalies: share of the rows to come, in (0, 1).
        seed: of what is random.
    """
    if method == "OC-SVM":
        return OneClassSVM(kernel="rbf", nu=expected_anomalies, gamma=1.0 / n_features)
    if method == "SGD-OC-SVM":
        kernel = Nystroem(gamma=1.0 / n_features, n_components=NYSTROEM_COMPONENTS, random_state=seed)
        return make_pipeline(kernel, SGDOneClassSVM(nu=expected_anomalies, random_state=seed))
    return {"IF": IsolationForest(random_state=seed), "mean": MeanDistance(), "kNN": NeighbourDistance()}[method]


class MeanDistance(OutlierMixin, BaseEstimator):
    """The L1 distance of a row to the mean of the training rows: what any method should beat."""

    def fit(self, X: Any, y: Any = None) -> MeanDistance:
        """Take the mean of X [n, d]."""
        X = self._validate_data(X, dtype=(np.float64, np.float32))
        self.mean_ = X.mean(axis=0, dtype=np.float64)
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """Minus the distance [n] of X [n, d]."""
        check_is_fitted(self)
        X = self._validate_data(X, dtype=(np.float64, np.float32), reset=False)
        return -np.abs(X - self.mean_).sum(axis=1)


class NeighbourDistance(OutlierMixin, BaseEstimator):
    """The mean Euclidean distance of a row to the `n_neighbors` nearest training rows."""

    def __init__(self, n_neighbors: int = 5) -> None:
        self.n_neighbors = n_neighbors

    def fit(self, X: Any, y: Any = None) -> NeighbourDistance:
        """Keep X [n, d]."""
        X = self._validate_data(X, dtype=(np.float64, np.float32))
        self.neighbours_ = NearestNeighbors(n_neighbors=self.n_neighbors).fit(X)
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """Minus the distance [n] of X [n, d]."""
        check_is_fitted(self)
        X = self._validate_data(X, dtype=(np.float64, np.float32), reset=False)
        distances, _ = self.neighbours_.kneighbors(X)
        return -distances.mean(axis=1)
