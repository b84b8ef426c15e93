"""The check of input rows, which scikit-learn 1.6 moved from a method of estimators to a function."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # scikit-learn 1.5
    validate_data = None


def validated_rows(estimator: BaseEstimator, X: Any, *, finite: bool = True, **checks: Any) -> np.ndarray:
    """X as [n, d], checked by scikit-learn, which remembers its columns unless told `reset=False`.

    Args:
        estimator: whose columns they are.
        X: rows.
        finite: refuse NaN and infinity.
        checks: options of `sklearn.utils.check_array`, and reset.

    Raises:
        ValueError: X fails a check.
    """
    if validate_data is None:
        rows: np.ndarray = estimator._validate_data(X, force_all_finite=finite, **checks)
    else:
        rows = validate_data(estimator, X, ensure_all_finite=finite, **checks)
    return rows
