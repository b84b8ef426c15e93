"""Profiles of training columns, and drift from them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from alad_tf.columns.schema import Columns
from alad_tf.errors import DataError
from alad_tf.report.page import Drift
from alad_tf.tabular import profiles

COLUMNS = Columns(("a", "constant", "whole"), ("kind",), True)


def table(rows: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": random.normal(size=rows) + shift,
            "constant": np.ones(rows),
            "whole": random.integers(0, 3, rows).astype(float),
            "kind": random.choice(["x", "y", "z"], rows, p=[0.7, 0.25, 0.05]),
        }
    )


def drift(trained: pd.DataFrame, now: pd.DataFrame, chunk: int = 300) -> dict[str, Drift]:
    profile = json.loads(json.dumps(profiles.describe(trained, COLUMNS)))
    counter = profiles.DriftCounter(profile, COLUMNS)
    for start in range(0, len(now), chunk):
        counter.add(now.iloc[start : start + chunk])
    return {found.column: found for found in counter.drift()}


def test_no_drift_between_halves() -> None:
    """20 seeds of 4 columns: a PSI above chance is expected in 0.08 of them."""
    verdicts = [found for seed in range(20) for found in drift(table(2000, seed), table(2000, 100 + seed)).values()]
    assert all(found.verdict == "none" for found in verdicts)
    assert sum(found.psi > found.by_chance for found in verdicts) <= 2


def test_shift_is_found() -> None:
    found = drift(table(2000, 0), table(2000, 1, shift=1.0))
    assert found["a"].verdict == "strong"
    assert next(iter(found)) == "a"
    assert found["a"].ks == pytest.approx(0.383, abs=0.05)  # 2 Phi(1/2) - 1
    assert "median" in found["a"].trained
    assert found["constant"].psi == 0.0 and found["whole"].verdict == "none"


def test_medians_outside_of_the_training_rows_are_bounds() -> None:
    trained = table(2000, 0)
    low, high = trained["a"].min(), trained["a"].max()
    for shift, median in ((1000.0, f"median above {high:.4g}"), (-1000.0, f"median below {low:.4g}")):
        assert drift(trained, table(2000, 1, shift))["a"].now == median


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_a_constant_that_changes(value: float) -> None:
    assert drift(table(500, 0), table(500, 1).assign(constant=value))["constant"].verdict == "strong"


def test_new_categories_and_missing_cells() -> None:
    now = table(500, 1)
    now.loc[:99, "kind"] = "never seen"
    now.loc[:199, "a"] = np.nan
    found = drift(table(500, 0), now)
    assert found["kind"].verdict == "strong" and "never seen in training: 20.0%" in found["kind"].now
    assert found["a"].verdict == "strong" and "missing 40.0%" in found["a"].now


def test_chunks_add_up() -> None:
    trained, now = table(500, 0), table(700, 1, 0.2)
    assert drift(trained, now, chunk=700) == drift(trained, now, chunk=33)


def test_columns_without_a_value() -> None:
    now = table(50, 1).assign(a=np.nan, kind=np.nan)
    found = drift(table(500, 0), now)
    assert found["a"].ks is None and found["a"].now == "no value"
    assert found["kind"].now.startswith("no known category")


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"numeric": [], "categorical": {}},
        {"numeric": {"a": {"edges": [2, 1], "up_to": [1, 2], "missing": 0}}, "categorical": {}},
        {"numeric": {"a": {"edges": [], "up_to": [], "missing": 0}}, "categorical": {}},
        {"numeric": {"a": {"edges": [1], "up_to": [10**400], "missing": 0}}, "categorical": {}},
        {"numeric": {"a": {"edges": [1, 2], "up_to": [2, 1], "missing": 0}}, "categorical": {}},
        {"numeric": {"a": {"edges": [1, float("inf")], "up_to": [1, 2], "missing": 0}}, "categorical": {}},
        {"numeric": {"b": {"edges": [1], "up_to": [1], "missing": 0}}, "categorical": {}},
        {"numeric": {}, "categorical": {"a": {"counts": [1], "missing": 0}}},
        {"numeric": {}, "categorical": {"kind": {"counts": {"x": -1}, "missing": 0}}},
        {"numeric": {}, "categorical": {"kind": {"counts": {"x": 1}, "missing": float("inf")}}},
        {"numeric": {}, "categorical": {"kind": {"counts": {"x": 1}, "missing": 10**400}}},
        {"numeric": {"a": {"edges": [1], "up_to": [1], "missing": 10**400}}, "categorical": {}},
    ],
)
def test_damaged_profiles_are_refused(profile: dict[str, object]) -> None:
    with pytest.raises(DataError, match="profile"):
        profiles.DriftCounter(profile, COLUMNS)


def test_wide_tables_have_none() -> None:
    wide = Columns(tuple(f"c{k}" for k in range(profiles.MOST_COLUMNS + 1)), ())
    assert profiles.describe(pd.DataFrame(), wide) == {}
