"""Cells that are not finite numbers are named; features are scaled as in scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from alad_tf.columns.coarse import coarse_feature
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
    doubled = frame.set_axis(["age", "age"], axis=1)
    assert validation.first_text(doubled) == "'tall' in row 'b', column 'age'"


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


SPREAD = np.arange(100.0)  # standard deviation 28.9


@pytest.mark.parametrize(
    ("column", "kind", "coarse"),
    [
        (SPREAD + 2.0**18, np.float32, True),  # steps of 2^-5, more than 28.9 / 1000
        (SPREAD + 2.0**17, np.float32, False),  # steps of 2^-6
        (SPREAD + 2.0**24, np.float32, True),
        (SPREAD + 1e9, np.float32, True),
        (SPREAD + 1e9, np.float64, False),
        (300.0 * SPREAD + 2.0**60, np.float64, True),
        (SPREAD + 2.0**60, np.float64, False),  # one value
        (2**60 + np.arange(100), np.float64, True),
        (SPREAD * 1e28, np.float32, False),
        (SPREAD * 1e300, np.float32, False),  # infinite in float32, which is refused elsewhere
        (np.full(100, 1e9), np.float32, False),  # constant
        (SPREAD * 5e-324, np.float64, False),
        (np.where(SPREAD > 50, np.nan, SPREAD + 1e9), np.float32, True),
        (np.full(3, np.nan), np.float32, False),
    ],
)
def test_features_that_lose_differences(column: np.ndarray, kind: type[np.floating], coarse: bool) -> None:
    line = coarse_feature("time", column, kind)
    assert (line is not None) == coarse
    if line:
        assert line.startswith("differences in column 'time' are lost to rounding: near ") and "Subtract" in line
