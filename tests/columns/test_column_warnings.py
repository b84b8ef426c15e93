"""Warnings before training about columns that seldom help."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from alad_tf.columns.column_warnings import column_warnings


def warned(frame: pd.DataFrame, scaled: bool = True) -> list[str]:
    """Warnings about rows whose cells are also their features, with whole numbers as float64."""
    cells = frame.assign(**{name: column.astype(float) for name, column in frame.select_dtypes("number").items()})
    return list(column_warnings(cells, frame, scaled))


def lines(**columns: Any) -> list[str]:
    """Warnings about 400 rows, which also have a column without a problem."""
    good = np.random.default_rng(0).normal(size=400)
    return warned(pd.DataFrame({"good": good, **columns}))


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
        (np.arange(400.0), "a different value in each row: 'c' --drop"),
        ([f"n{k}" for k in range(400)], "a different value in each row: 'c' --drop"),
        ([10.0, 20.0, 99.0, 7.0] * 100, "few distinct whole numbers: 'c' --categorical"),
    ],
)
def test_columns_that_seldom_help(column: object, words: str) -> None:
    (line,) = lines(c=column)
    assert all(word in line for word in words.split())


@pytest.mark.parametrize(
    "column",
    [[0.0] * 397 + [1.0] * 3, np.arange(400.0) + 0.5, [1.0, 2.0] * 200, np.arange(400.0) // 2, ["u", "v"] * 200],
)
def test_columns_that_are_as_they_should_be(column: object) -> None:
    assert lines(c=column) == []


def test_few_rows() -> None:
    good = np.random.default_rng(0).normal(size=(99, 2))
    (line,) = warned(pd.DataFrame(good, columns=["a", "b"]))
    assert line.startswith("99 rows of 2 columns are few")
    wide = np.random.default_rng(0).normal(size=(150, 76))
    assert len(warned(pd.DataFrame(wide, columns=[f"c{k}" for k in range(76)]))) == 1


def test_whole_numbers_that_float64_cannot_tell_apart_are_coarse_and_not_constant() -> None:
    (line,) = lines(id=2**60 + np.arange(400))
    assert "column 'id' are lost to rounding: near 1.15e+18, float64 values are 256 apart" in line


def test_numbers_that_only_float32_cannot_tell_apart_need_scaling() -> None:
    frame = pd.DataFrame({"time": 1e9 + 0.5 + np.arange(400)})
    assert warned(frame) == []
    (line,) = warned(frame, scaled=False)
    assert "column 'time' are lost to rounding: near 1e+09, float32 values are 64 apart" in line


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["1", "2.5", "3e5"], "stored as text and become categories: 'a'"),
        (["66,8", "1,5", "2"], "pass --decimal ,"),
        (["1,000", "25", "1,234,567.5"], "write them as plain numbers"),
        (["5 kg", "12 kg", "x"], "units"),
        (["5%", "12.5 %", "0%"], "signs"),
        (["$ 5", "\u20ac5", "7 \u20ac"], "signs"),
        (["\u0661\u0662", "\u0663", "\uff14"], "plain numbers"),
        (["1\u202f000", "12'000", "3\u00a0000"], "separators"),
    ],
)
def test_numbers_in_text(cells: list[str], words: str) -> None:
    frame = pd.DataFrame({"a": cells * 40})
    (told,) = column_warnings(frame, frame, True)
    assert words in told and "'a'" in told
    assert not list(column_warnings(frame, frame, True, {"a"}))
    assert not list(column_warnings(frame, frame.astype("category"), True))


@pytest.mark.parametrize(
    "cells",
    [
        ["10.128.101.130", "192.168.100.7"],
        ["555 123 101", "1012 AB"],
        ["10 am", "#12"],
        ["a1", "b2"],
        ["12a", "3b"],
        ["10:30", "9:15"],
    ],
)
def test_codes_are_no_numbers(cells: list[str]) -> None:
    frame = pd.DataFrame({"a": cells * 60})
    assert not list(column_warnings(frame, frame, True))


@pytest.mark.parametrize(
    "days", ["05-03-2023", "05/03/23", "03/05/2023 02:15 PM", "05 Mar 2023", "5-Mar-23", "March 5, 2023"]
)
def test_dates_in_other_forms(days: str) -> None:
    frame = pd.DataFrame({"when": [days, days.replace("05", "06").replace("5", "6")] * 60, "x": np.arange(120) * 0.5})
    (told,) = column_warnings(frame, frame, True)
    assert "dates in a form that is not read, which become categories: 'when';" in told


@pytest.mark.parametrize("words", [["a 1", "b 2"], ["1.2.3-rc", "1-2"], ["12:30 PM", "1:30 AM"], ["May", "June"]])
def test_other_words_are_no_dates(words: list[str]) -> None:
    frame = pd.DataFrame({"word": words * 60, "x": np.arange(120) * 0.5})
    assert not list(column_warnings(frame, frame, True))


def test_whole_numbers_with_decimals() -> None:
    """Categories are text: 1.0 in one file and 1 in the next are two."""
    frame = pd.DataFrame({"code": ["1.0", "2.0", None] * 40, "x": np.arange(120) * 0.5})
    for categorical in ({"code"}, set()):
        (told,) = column_warnings(frame, frame, True, categorical)
        assert "whole numbers with decimals like 1.0, which become categories: 'code'; 1 is another category" in told
