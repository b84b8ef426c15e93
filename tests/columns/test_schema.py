"""Kinds of columns; cells that are refused by column and row, or make their row invalid."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from alad_tf.columns import schema
from alad_tf.columns.schema import Columns
from alad_tf.errors import DataError, SettingsError
from alad_tf.typing import Options

FRAME = pd.DataFrame({"n": [1.0, 2.5, 3.0], "i": [1, 2, 3], "t": ["u", "v", "u"], "f": [True, False, True]})
BOTH = Columns(("n", "i"), ("t",))


def replaced(column: str, row: int, cell: object) -> pd.DataFrame:
    frame = FRAME.astype({column: object})
    frame.at[row, column] = cell
    return frame


# Kinds ------------------------------------------------------------------------------------------------------------


def test_kinds_follow_from_types() -> None:
    frame = FRAME.assign(
        c=pd.Categorical([1, 2, 1]), s=pd.array(["a", "b", None], "string"), m=pd.array([1, 2, None], "Int64")
    )
    assert Columns.infer(frame) == Columns(("n", "i", "m"), ("t", "f", "c", "s"), booleans=("f",))


def test_named_kinds_win() -> None:
    assert Columns.infer(FRAME, categorical=["i"], numeric=["f"]) == Columns(("n", "f"), ("i", "t"))
    assert Columns.infer(FRAME, impute=True).impute


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"categorical": ["x"]}, "x n, i, t, f"),
        ({"numeric": ["t", "z"]}, "z n, i, t, f"),
        ({"numeric": ["i"], "categorical": ["i"]}, "i numeric categorical"),
    ],
)
def test_wrong_names(options: Options, words: str) -> None:
    with pytest.raises(SettingsError) as error:
        Columns.infer(FRAME, **options)
    assert all(word in str(error.value) for word in words.split())


def test_types_of_arrow_and_periods_are_read_as_others_are() -> None:
    days = pd.Series(pd.date_range("2020-01-01", periods=40, freq="30D"))
    made = {
        "stamp": days.astype("timestamp[us][pyarrow]"),
        "day": days.dt.date.astype(pd.ArrowDtype(pa.date32())),
        "period": days.dt.to_period("D"),
    }
    usual = Columns.infer(pd.DataFrame({"stamp": days, "day": days, "period": days}), calendar=True)
    assert len(usual.dates) == 3 and Columns.infer(pd.DataFrame(made), calendar=True) == usual
    cells, expected = (usual.training_rows(pd.DataFrame(of)) for of in (made, {name: days for name in made}))
    pd.testing.assert_frame_equal(cells, expected)
    with pytest.raises(DataError, match="dates or times"):
        Columns.infer(pd.DataFrame({"length": pd.Series(days - days[0]).astype("duration[us][pyarrow]")}))


def test_categories_that_are_marked_so_may_be_mostly_numbers() -> None:
    codes = pd.Series(["410", "250", "401", "V45"])
    assert Columns.infer(pd.DataFrame({"code": codes.astype("category")})).categorical == ("code",)
    with pytest.raises(DataError, match="'V45'"):
        Columns.infer(pd.DataFrame({"code": codes}))


def test_dates_have_to_be_named() -> None:
    frame = FRAME.assign(d=pd.Timestamp("2020-01-02"))
    with pytest.raises(DataError, match="'d'.*dates"):
        Columns.infer(frame)
    chosen = Columns.infer(frame, categorical=["d"])
    assert chosen.training_rows(frame)["d"].tolist() == ["2020-01-02 00:00:00"] * 3
    with pytest.raises(DataError, match="real numbers in column 'd'"):
        Columns(("d",), ()).training_rows(frame)


def test_no_columns() -> None:
    with pytest.raises(DataError, match="columns to learn from"):
        Columns.infer(FRAME[[]])


def test_document() -> None:
    chosen = Columns(("a", "b"), ("c",), impute=True)
    assert Columns.from_document(chosen.to_document()) == chosen
    document = chosen.to_document()
    damaged_ones: list[Any] = [{}, [], None, {**document, "numeric": 3}, {**document, "numeric": [3]}]
    for damaged in damaged_ones:
        with pytest.raises(DataError, match="columns of a model"):
            Columns.from_document(damaged)
    with pytest.raises(DataError, match="columns of a model"):
        Columns.from_document({**chosen.to_document(), "impute": "yes"})


# Cells ------------------------------------------------------------------------------------------------------------


def test_training_rows() -> None:
    cells = BOTH.training_rows(FRAME[["t", "f", "i", "n"]])
    assert list(cells.columns) == ["n", "i", "t"]
    assert cells["n"].tolist() == [1.0, 2.5, 3.0] and cells["i"].dtype == np.float64
    assert cells["t"].tolist() == ["u", "v", "u"]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pd.Series([1, 2]), ["1", "2"]),
        (pd.Series([1.0, np.nan, 2.5]), ["1", None, "2.5"]),
        (pd.Series([True, False]), ["True", "False"]),
        (pd.Series(["a", None, "1.0"]), ["a", None, "1.0"]),
        (pd.Series(pd.Categorical(["a", None])), ["a", None]),
        (pd.Series(pd.Categorical([3, 1])), ["3", "1"]),
        (pd.Series(pd.array([1, None], "Int64")), ["1", None]),
        (pd.Series(pd.array(["x", None], "string")), ["x", None]),
        (pd.Series([datetime.date(2020, 1, 2), None]), ["2020-01-02", None]),
    ],
)
def test_cells_as_text(column: pd.Series, text: list[str | None]) -> None:
    """A value has the same text, whatever type it has in the file."""
    received = schema.as_text(column)
    assert [None if pd.isna(cell) else cell for cell in received] == text


@pytest.mark.parametrize(
    "column",
    [["1", " 2.5 ", "3"], [Decimal("1"), Decimal("2.5"), 3], [1, "2.5", 3.0], pd.Categorical(["1", "2.5", "3"])],
)
def test_cells_as_numbers(column: object) -> None:
    assert Columns(("a",), ()).training_rows(pd.DataFrame({"a": column}))["a"].tolist() == [1.0, 2.5, 3.0]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (replaced("n", 1, "many"), "number 'n' 2 'many'"),
        (replaced("i", 2, ""), "number 'i' 3 ''"),
        (replaced("n", 1, 2 + 1j), "real 'n' 2 (2+1j)"),
        (replaced("n", 1, [1.0]), "'n' 2 [1.0]"),
        (replaced("t", 1, {"u": 1}), "'t' 2 {'u': 1}"),
        (replaced("i", 1, np.array(1.0)), "'i' 2 1.0"),
        (replaced("n", 2, np.inf), "finite 'n' 3 inf"),
        (replaced("n", 2, 10**400), "finite 'n' 3 inf"),
        (replaced("n", 0, -(10**400)), "finite 'n' 1 -inf"),
        (replaced("n", 0, -np.inf), "finite 'n' 1 -inf"),
        (replaced("n", 1, np.nan), "'n' 2 missing --impute"),
        (replaced("t", 1, None), "'t' 2 missing --impute"),
        (FRAME.assign(n=[np.inf, 1.0, np.inf]), "'n' 1 inf more"),
        (FRAME.assign(n=np.nan), "'n' no Drop"),
        (FRAME.assign(t=None), "'t' no Drop"),
        (FRAME.drop(columns=["i", "t"]), "i, t n, f"),
        (pd.concat([FRAME, FRAME["t"]], axis=1), "unique t once"),
        (FRAME[:1], "2 1"),
        (FRAME[:0], "2 0"),
    ],
)
def test_training_refuses(frame: pd.DataFrame, words: str) -> None:
    with pytest.raises(DataError) as error:
        BOTH.training_rows(frame)
    assert all(word in str(error.value) for word in words.split()), error.value
    assert "\n" not in str(error.value)


def test_rows_keep_their_number() -> None:
    """Rows dropped earlier do not shift the row number in a message."""
    with pytest.raises(DataError, match="column 'n', row 3"):
        BOTH.training_rows(replaced("n", 2, "x")[1:])


def test_rows_without_a_number_are_named() -> None:
    with pytest.raises(DataError, match="column 'n', row 'r1'"):
        BOTH.training_rows(replaced("n", 1, "x").set_axis(["r0", "r1", "r2"]))


def test_a_name_in_a_message_is_escaped_and_short() -> None:
    for name, told in {"a\nb": r"a\\nb", "x" * 5000: "x{117}\\.{3}"}.items():
        with pytest.raises(DataError, match=told) as error:
            Columns((name,), ()).training_rows(FRAME)
        assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_a_median_that_would_overflow() -> None:
    """A median of two numbers is half of their sum."""
    frame = pd.DataFrame({"n": [1.7e308, 1.7e308, np.nan]})
    with pytest.raises(DataError, match="double is finite in column 'n', row 1"):
        Columns(("n",), (), impute=True).training_rows(frame)
    assert Columns(("n",), ()).training_rows(frame[:2])["n"].tolist() == [1.7e308] * 2


def test_decimals_of_arrow_with_missing_cells() -> None:
    """pandas.to_numeric fails for them."""
    kind = pd.ArrowDtype(pa.decimal128(10, 2))
    cells, valid = Columns(("n",), ()).scoring_rows(pd.DataFrame({"n": pd.array([Decimal("1.5"), None], dtype=kind)}))
    assert cells["n"].tolist()[0] == 1.5 and valid.tolist() == [True, False]


def test_missing_cells_where_they_are_allowed() -> None:
    frame = FRAME.assign(n=[1.0, np.nan, 3.0], t=["u", None, "u"])
    cells = Columns(("n", "i"), ("t",), impute=True).training_rows(frame)
    assert cells.isna().sum().tolist() == [1, 0, 1]
    with pytest.raises(DataError, match="'n'"):
        Columns(("n",), (), impute=True).training_rows(frame.assign(n=[1.0, np.inf, 3.0]))
    with pytest.raises(DataError, match="'n'.*no cell"):
        Columns(("n",), (), impute=True).training_rows(frame.assign(n=np.nan))


def test_too_many_categories() -> None:
    names = [f"row {number}" for number in range(schema.MAX_CATEGORIES + 1)]
    with pytest.raises(DataError, match="'id'.*1001"):
        Columns((), ("id",)).training_rows(pd.DataFrame({"id": names}))
    Columns((), ("id",)).training_rows(pd.DataFrame({"id": names[1:]}))


@pytest.mark.parametrize("impute", [False, True])
def test_scoring_marks_rows(impute: bool) -> None:
    frame = pd.DataFrame(
        {"t": ["u", None, "new", "u", "u"], "n": [1.0, 2.0, 3.0, np.inf, np.nan], "i": 1, "other": "x"}
    )
    cells, valid = Columns(("n", "i"), ("t",), impute).scoring_rows(frame)
    assert list(cells.columns) == ["n", "i", "t"]
    assert valid.tolist() == ([True, True, True, False, True] if impute else [True, False, True, False, False])


def test_scoring_refuses() -> None:
    with pytest.raises(DataError, match="column 'n', row 2.*'many'"):
        BOTH.scoring_rows(replaced("n", 1, "many"))
    with pytest.raises(DataError, match=r"columns i, t\. Received: n, f"):
        BOTH.scoring_rows(FRAME[["n", "f"]])


# Numbers with a few words among them ------------------------------------------------------------------------------


@pytest.mark.parametrize("cells", [["1", "2.5", "big", "4"], [1, 2.5, "big", None, 4]])
def test_a_word_among_numbers_is_named(cells: list[Any]) -> None:
    """A text column would have one category per number."""
    frame = pd.DataFrame({"size": pd.Series(cells, dtype=object)})
    with pytest.raises(DataError) as error:
        Columns.infer(frame)
    assert str(error.value) == (
        "Expected numbers or categories in column 'size'. Received: 'big' in row 3, and numbers in 3 of 4 cells. "
        "Correct the cell, or name the column as categorical (--categorical)."
    )
    assert Columns.infer(frame, categorical=["size"]).categorical == ("size",)
    with pytest.raises(DataError, match="Expected a number in column 'size', row 3. Received: 'big'"):
        Columns.infer(frame, numeric=["size"]).training_rows(frame)


@pytest.mark.parametrize("cells", [["1", "2", "a", "b"], ["1", "2", "3"], ["a", "b", "1"], [True, False, "x"]])
def test_categories_may_look_like_numbers(cells: list[Any]) -> None:
    assert Columns.infer(pd.DataFrame({"code": pd.Series(cells, dtype=object)})).categorical == ("code",)


@pytest.mark.parametrize(
    "cells",
    [
        pd.period_range("2020", periods=3, freq="D"),
        pd.interval_range(0, 3),
        [datetime.time(1)] * 3,
        pd.to_timedelta([1, 2, 3], unit="s"),
    ],
)
def test_cells_that_no_number_is_made_of(cells: object) -> None:
    frame = pd.DataFrame({"when": cells})
    with pytest.raises(DataError, match="Expected (a|real) numbers? in column 'when'"):
        Columns(("when",), ()).scoring_rows(frame)
    with pytest.raises(DataError, match="Expected (a|real) numbers? in column 'when'"):
        Columns.infer(frame, numeric=["when"]).training_rows(frame)


def test_words_among_dates_are_named() -> None:
    with pytest.raises(DataError, match="Received: '1,5' in row 2, and numbers in 2 of 3 cells. Pass --decimal ,"):
        Columns.infer(pd.DataFrame({"price": ["66", "1,5", "2"]}))
    days = ["2024-01-01", "0000-00-00", "2024-02-30", "2024-03-01 10:00", "2024-03-02"]
    with pytest.raises(DataError, match="'day'. Received: '0000-00-00' in row 2, and dates in 3 of 5 cells"):
        Columns.infer(pd.DataFrame({"day": days}), calendar=True)
    with pytest.raises(DataError, match="'day'"):
        Columns.infer(pd.DataFrame({"day": pd.Series(days, dtype="string[pyarrow]")}), calendar=True)
    assert Columns.infer(pd.DataFrame({"day": days}), categorical=["day"], calendar=True).categorical == ("day",)
    mixed = pd.DataFrame({"day": ["2024-01-01", "a", "b", "c"]})
    assert Columns.infer(mixed, calendar=True).categorical == ("day",)
    durations, mixed_days = ["25:10", "12:00", "13:00"], ["14/02/2020", "02/14/2020"]
    for usual in (durations, mixed_days * 2):
        assert Columns.infer(pd.DataFrame({"day": usual}), calendar=True).categorical == ("day",)
