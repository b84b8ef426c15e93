"""scikit-learn's OC-SVM and Isolation Forest; distances to the mean and to the nearest neighbours.

`score_samples` follows scikit-learn's convention: smaller = more anomalous.
"""

from __future__ import annotations

from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.base import OutlierMixin
from sklearn.ensemble import IsolationForest
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDOneClassSVM
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.svm import OneClassSVM
from sklearn.utils.validation import check_is_fitted

from alad_tf.estimator.base import OutlierDetector, unchanged_on_error
from alad_tf.estimator.sklearn_versions import validated_rows
from alad_tf.options import NEIGHBOURS

NYSTROEM_COMPONENTS = 300
WIDE = 1000  # features from which on the kernel is computed as a matrix product, with equal values but much faster


def build(method: str, *, n_features: int, expected_anomalies: float, seed: int) -> OutlierMixin:
    """Build a method of `options.CLASSICAL` as configured in the paper.

    Args:
        method: OC-SVM: RBF kernel, nu the expected fraction of anomalies, gamma 1 / n_features. SGD-OC-SVM: the same by
            stochastic gradient descent on Nystroem's approximation of the kernel. IF: scikit-learn's defaults. mean:
            `MeanDistance`. kNN: `NeighbourDistance`.
        n_features: number of features.
        expected_anomalies: expected fraction of anomalies in the rows to score, in (0, 1).
        seed: governs random numbers.
    """
    if method == "OC-SVM":
        gamma = 1.0 / n_features
        kernel = "rbf" if n_features < WIDE else partial(rbf_kernel, gamma=gamma)
        return OneClassSVM(kernel=kernel, nu=expected_anomalies, gamma=gamma)
    if method == "SGD-OC-SVM":
        kernel = Nystroem(gamma=1.0 / n_features, n_components=NYSTROEM_COMPONENTS, random_state=seed)
        return make_pipeline(kernel, SGDOneClassSVM(nu=expected_anomalies, random_state=seed))
    return {"IF": IsolationForest(random_state=seed), "mean": MeanDistance(), "kNN": NeighbourDistance()}[method]


Distance = TypeVar("Distance", bound="_Distance")


class _Distance(OutlierDetector):
    """Outlier detector whose score is a distance to the training rows."""

    def fit(self: Distance, X: npt.ArrayLike, y: object = None) -> Distance:
        """Fit to the rows of X [n, d] and set the threshold from their distances."""
        with unchanged_on_error(self):
            x: np.ndarray = validated_rows(self, X, dtype=(np.float64, np.float32))
            self._take(x)
            self._use_training_scores(self._distance(x))
        return self

    def anomaly_score(self, X: npt.ArrayLike) -> np.ndarray:
        """Distance [n] of the rows of X [n, d]."""
        check_is_fitted(self)
        return self._distance(validated_rows(self, X, dtype=(np.float64, np.float32), reset=False))

    def _take(self, X: np.ndarray) -> None:
        raise NotImplementedError

    def _distance(self, X: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class MeanDistance(_Distance):
    """L1 distance of a row to the mean of the training rows, a baseline that every method should beat."""

    def __init__(self, contamination: float = 0.1) -> None:
        self.contamination = contamination

    def _take(self, X: np.ndarray) -> None:
        self.mean_ = X.mean(axis=0, dtype=np.float64)

    def _distance(self, X: np.ndarray) -> np.ndarray:
        return np.abs(X - self.mean_).sum(axis=1)


class NeighbourDistance(_Distance):
    """Mean Euclidean distance of a row to the `n_neighbors` nearest training rows."""

    def __init__(self, n_neighbors: int = NEIGHBOURS, contamination: float = 0.1) -> None:
        self.n_neighbors = n_neighbors
        self.contamination = contamination

    def _take(self, X: np.ndarray) -> None:
        self.neighbours_ = NearestNeighbors(n_neighbors=self.n_neighbors).fit(X)

    def _distance(self, X: np.ndarray) -> np.ndarray:
        distances, _ = self.neighbours_.kneighbors(X)
        return distances.mean(axis=1)
