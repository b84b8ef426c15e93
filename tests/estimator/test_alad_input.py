"""Rows and options that ALAD refuses or warns about."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from small_estimators import NEW, X, fitted, frame, make

from alad_tf.errors import ConstantFeatureWarning, DataError, SettingsError
from alad_tf.estimator.thresholds import LARGEST

pytestmark = [pytest.mark.minutes(1), pytest.mark.usefixtures("eager")]


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_nan_and_infinity(value: float, kind: str) -> None:
    x = NEW.copy()
    x[7, 3] = value
    message = rf"Expected finite numbers to {{}}. Received: {kind} in row 7 \(of 0 to 29\), column 'share'\."
    with pytest.raises(DataError, match=message.format("train on")):
        make().fit(frame(x))
    with pytest.raises(DataError, match=message.format("score")):
        fitted().anomaly_score(frame(x))
    scores, valid = fitted().score_rows(frame(x))
    assert not valid[7] and valid.sum() == 29 and scores[7] == np.float32(LARGEST)
    others = np.arange(30) != 7
    np.testing.assert_array_equal(scores[others], fitted().anomaly_score(frame(x[others])))


def test_numbers_too_large_for_the_networks_are_as_anomalous_as_can_be() -> None:
    scores, valid = fitted().score_rows(frame(np.full((1, 5), 1e300)))
    assert valid[0] and scores[0] == np.float32(LARGEST)


def test_a_constant_column_is_warned_of() -> None:
    x = X.copy()
    x[:, 1] = 2.0
    with pytest.warns(ConstantFeatureWarning, match="1 columns hold one value in all training rows: 'height'"):
        make(epochs=1).fit(frame(x))


def test_columns_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="feature names should match"):
        fitted().predict(frame(NEW).rename(columns={"age": "years"}))
    with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing:\n- count"):
        pickle.loads(pickle.dumps(fitted())).predict(frame(NEW).drop(columns="count"))
    with pytest.raises(SettingsError, match=re.escape("Expected 5 features for the architecture Tiny. Received: 4.")):
        make().fit(X[:, :4])


def test_other_input_that_is_refused() -> None:
    with pytest.raises(ValueError, match="1 sample"):
        make().fit(X[:1])
    x = frame(X).astype(object)
    x.loc[4, "weight"] = "heavy"
    with pytest.raises(DataError, match="categories in column 'weight'. Received: 'heavy' in row 5"):
        make().fit(x)
    with pytest.raises(DataError, match="Expected numbers. Received: 'heavy' in row 4, column 'weight'"):
        fitted().anomaly_score(x)
    with pytest.raises(SettingsError, match="Expected a batch of at most the 40 training rows. Received: 41"):
        make(batch_size=41).fit(X)
    with pytest.raises(NotFittedError):
        make().predict(X)


def test_missing_cells_among_objects() -> None:
    """They are NaN, as in columns of numbers."""
    x = frame(NEW).astype(object)
    x.iloc[4, 2], x.iloc[5, 0] = pd.NA, None
    scores, valid = fitted().score_rows(x)
    assert np.flatnonzero(~valid).tolist() == [4, 5]
    np.testing.assert_array_equal(scores[valid], fitted().anomaly_score(frame(NEW))[valid])
    with pytest.raises(DataError, match=r"to train on. Received: NaN in row 4 .*, column 'weight', and 1 more"):
        make().fit(x)


def test_dates_are_no_numbers() -> None:
    days = pd.date_range("2024-01-01", periods=30)
    for column, kind in (
        (days, "datetime64"),
        (days.tz_localize("UTC"), "datetime64"),
        (days - days[0], "timedelta64"),
    ):
        with pytest.raises(
            DataError, match=rf"Expected numbers. Received: {kind}\[.* in column 'count'. Encode or drop"
        ):
            fitted().predict(frame(NEW).assign(count=column))
    with pytest.raises(DataError, match=r"Received: datetime64\[ns\]\."):
        make().fit(np.full((9, 5), days[0].to_datetime64()))
    with pytest.raises(DataError, match="Received: Timestamp.* in row 0, column 'count'"):
        fitted().predict(frame(NEW).assign(count=pd.Series(days, dtype=object)))


@pytest.mark.parametrize(
    "option",
    [
        {"score_name": "auc"}, {"epochs": 0}, {"learning_rate": 0.0}, {"contamination": 0.0}, {"scaling": "robust"},
        {"architecture": "mnist"}, {"spectral_norm": "power"}, {"ema_decay": 1.0}, {"patience": 0}, {"batch_size": 0},
    ],
    ids=str,
)  # fmt: skip
def test_options_outside_their_range(option: dict[str, object]) -> None:
    (name,) = option
    with pytest.raises(ValueError, match=f"'{name}' parameter of ALAD must be"):
        make(**option).fit(X)
