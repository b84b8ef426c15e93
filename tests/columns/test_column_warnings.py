"""Columns that seldom help are named before the training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from alad_tf.columns.column_warnings import column_warnings


def lines(**columns: Any) -> list[str]:
    """The warnings about 400 rows with a column that is as it should be."""
    good = np.random.default_rng(0).normal(size=400)
    return list(column_warnings(pd.DataFrame({"good": good, **columns})))


@pytest.mark.parametrize("name", ["label", "Label", "target", "class", "y", "is_anomaly"])
def test_a_label_left_in(name: str) -> None:
    (line,) = lines(**{name: np.arange(400.0) % 2})
    assert repr(name) in line and "--label" in line


def test_constant_columns() -> None:
    one, two = lines(a=1.0, b="u", d=[1.0, np.nan] * 200)
    assert "'a' is constant: 1.0" in one and "'b' is constant: 'u'" in two


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ([0.0] * 398 + [1.0, 2.0], "99.5% of the rows: 'c'"),
        (np.arange(400.0), "another value in each row: 'c' --drop"),
        ([f"n{k}" for k in range(400)], "another value in each row: 'c' --drop"),
        ([10.0, 20.0, 99.0, 7.0] * 100, "few whole numbers: 'c' --categorical"),
    ],
)
def test_columns_that_seldom_help(column: Any, words: str) -> None:
    (line,) = lines(c=column)
    assert all(word in line for word in words.split())


@pytest.mark.parametrize(
    "column",
    [[0.0] * 397 + [1.0] * 3, np.arange(400.0) + 0.5, [1.0, 2.0] * 200, np.arange(400.0) // 2, ["u", "v"] * 200],
)
def test_columns_that_are_as_they_should_be(column: Any) -> None:
    assert lines(c=column) == []


def test_few_rows() -> None:
    good = np.random.default_rng(0).normal(size=(99, 2))
    (line,) = column_warnings(pd.DataFrame(good, columns=["a", "b"]))
    assert line.startswith("99 rows of 2 columns are few")
    wide = np.random.default_rng(0).normal(size=(150, 76))
    assert len(list(column_warnings(pd.DataFrame(wide, columns=[f"c{k}" for k in range(76)])))) == 1
