"""Cells that are no finite numbers are found and named; features are scaled as scikit-learn scales them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from alad_tf.errors import DataError
from alad_tf.estimator import validation

NAMES = ["age", "height"]
X = np.array([[1.0, 10.0], [2.0, 30.0], [4.0, 30.0]])


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({(1, 1): np.nan}, "NaN in row 1 (of 0 to 2), column 'height'."),
        ({(2, 0): -np.inf, (2, 1): np.nan}, "infinity in row 2 (of 0 to 2), column 'age', and 1 more NaN or inf."),
    ],
)
def test_the_first_cell_that_is_not_finite_is_named(cells: dict[tuple[int, int], float], words: str) -> None:
    x = X.copy()
    for place, value in cells.items():
        x[place] = value
    with pytest.raises(DataError) as error:
        validation.require_finite(x, NAMES, "to train on")
    assert str(error.value) == f"Expected finite numbers to train on. Received: {words}"
    validation.require_finite(X, NAMES, "to train on")


def test_the_first_text_is_named() -> None:
    frame = pd.DataFrame({"age": [1, 2], "height": ["10", "tall"]}, index=["a", "b"])
    assert validation.first_text(frame) == "'tall' in row 'b', column 'height'"
    assert validation.first_text(frame[["age"]]) is None
    assert validation.first_text(X) is None


def test_constant_features_are_named() -> None:
    assert validation.constant_features(X, NAMES) is None
    assert str(validation.constant_features(X[1:], NAMES)).startswith(
        "1 columns hold one value in all training rows: 'height'."
    )
    assert "..." in str(validation.constant_features(np.ones((2, 11)), [f"x{k}" for k in range(11)]))


@pytest.mark.parametrize(("kind", "scaler"), [("standard", StandardScaler), ("minmax", MinMaxScaler)])
def test_scaling_is_that_of_scikit_learn(kind: str, scaler: type) -> None:
    center, scale = validation.fit_scaling(kind, X)
    np.testing.assert_allclose((X - center) / scale, scaler().fit_transform(X))


def test_no_scaling() -> None:
    center, scale = validation.fit_scaling(None, X)
    assert center.tolist() == [0.0, 0.0] and scale.tolist() == [1.0, 1.0]
