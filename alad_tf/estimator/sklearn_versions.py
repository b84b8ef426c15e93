"""Input validation, which scikit-learn 1.6 moved from a method of estimators to a function."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from alad_tf.columns.exact import without_mask

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # scikit-learn 1.5
    validate_data = None


def validated_rows(estimator: BaseEstimator, X: Any, *, finite: bool = True, **checks: Any) -> np.ndarray:
    """Validate X [n, d] with scikit-learn, which stores its columns in the estimator unless `reset=False`.

    Args:
        estimator: estimator that stores the columns.
        X: rows; masked cells count as NaN.
        finite: refuse NaN and infinite values.
        checks: parameters of `sklearn.utils.check_array`, and reset.

    Raises:
        ValueError: X fails a check.
    """
    X = without_mask(X)
    if validate_data is None:
        rows: np.ndarray = estimator._validate_data(X, force_all_finite=finite, **checks)
    else:
        rows = validate_data(estimator, X, ensure_all_finite=finite, **checks)
    return rows
