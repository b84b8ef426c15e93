"""Dates and times become calendar features if the rows span a cycle; booleans have one text form."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alad_tf.columns import dates
from alad_tf.columns.dates import DateColumn
from alad_tf.columns.schema import Columns
from alad_tf.errors import DataError

HOURS = pd.Series(pd.date_range("2020-01-01 00:30", periods=40, freq="29h"))  # 47 days


@pytest.mark.parametrize(
    ("start", "count", "freq", "parts"),
    [
        ("2020-01-01", 40, "29h", ("weekday", "hour")),
        ("2020-01-01", 40, "2D", ("day", "weekday")),
        ("2018-01-01", 40, "30D", ("month", "day", "weekday")),
        ("2020-01-01", 10, "1D", ()),
        ("2020-01-01", 60, "1h", ("hour",)),
        ("2020-01-01", 40, "1h", ()),
    ],
)
def test_parts_whose_cycles_are_spanned_twice(start: str, count: int, freq: str, parts: tuple[str, ...]) -> None:
    found = dates.find("when", pd.Series(pd.date_range(start, periods=count, freq=freq)))
    assert found == DateColumn("when", "ISO", parts)
    assert ("left out" in found.describe()) == (not parts)


@pytest.mark.parametrize(
    ("write", "format"),
    [
        ("%Y-%m-%d %H:%M:%S", "ISO"),
        ("%Y-%m-%dT%H:%MZ", "ISO"),
        ("%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M"),
        ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S"),
        ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M"),
        ("%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M"),
    ],
)
def test_dates_in_text_are_those_of_the_file(write: str, format: str) -> None:
    text = HOURS.dt.strftime(write).astype(object)
    found = dates.find("when", text)
    assert found is not None and found.format == format
    same, typed = found.cells(text), found.cells(HOURS)
    zoned = found.cells(HOURS.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"))
    for feature in ("when.weekday", "when.hour"):
        assert same[feature].tolist() == typed[feature].tolist() == zoned[feature].tolist()
    assert typed["when.hour"].tolist()[:2] == [0.5, 5.5] and typed["when.weekday"].tolist()[:2] == [2.0, 3.0]


FAR = [datetime.datetime(9999, 12, 31, 6), datetime.datetime(2300, 2, 28, 6), datetime.datetime(1, 1, 1, 6)]


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("write", ["%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M", "%Y/%m/%d %H:%M"])
def test_dates_beyond_the_nanoseconds_of_pandas(unit: str, write: str) -> None:
    """Years 1677 to 2262 are those that 64 bits of nanoseconds hold."""
    days = [datetime.datetime(2000 + k, 1 + k % 12, 1 + k, 6 * (k % 4)) for k in range(28)] + FAR
    typed = pd.Series(np.array(days, f"datetime64[{unit}]"))
    text = pd.Series([day.strftime(write.replace("%Y", f"{day.year:04}")) for day in days])
    for cells in (typed, text):
        found = dates.find("when", cells)
        assert found is not None and found.parts == ("month", "day", "weekday", "hour")
        made = found.cells(cells)
        assert made["when.month"].tolist() == [day.month for day in days]
        assert made["when.day"].tolist() == [day.day for day in days]
        assert made["when.weekday"].tolist() == [day.weekday() for day in days]


def test_times_of_the_day() -> None:
    for cells in (["12:30", "01:00"], ["12:30:00", "01:00:00.5"], [datetime.time(12, 30), datetime.time(1)]):
        found = dates.find("at", pd.Series(cells, dtype=object))
        assert found == DateColumn("at", "time", ("hour",))
        assert found.cells(pd.Series(cells, dtype=object))["at.hour"].tolist() == [12.5, 1.0]
        assert found.cells(pd.Series([None, None], dtype=object))["at.hour"].isna().all()


def test_days_and_months_that_may_be_either() -> None:
    found = dates.find("when", pd.Series(["01/02/2020", "03/04/2020"]))
    assert found is not None and not found.parts and "month/day or day/month" in found.describe()


@pytest.mark.parametrize("cells", [["a", "b"], ["2020-13-45"], [1.5, 2.0], [None, None], ["2020-01-01", "x"], [True]])
def test_what_is_no_date(cells: list[Any]) -> None:
    assert dates.find("when", pd.Series(cells, dtype=object if cells[0] is None else None)) is None


def test_columns_with_dates() -> None:
    frame = pd.DataFrame({"when": HOURS, "n": 1.0, "t": "u", "day": HOURS[0], "ok": [True, False] * 20})
    chosen = Columns.infer(frame, calendar=True)
    assert chosen.numeric == ("n", "when.weekday", "when.hour") and chosen.categorical == ("t", "ok")
    assert chosen.sources == ["n", "t", "ok", "when"] and chosen.kinds()["when"] == "text"
    assert Columns.from_document(chosen.to_document()) == chosen
    cells = chosen.training_rows(frame)
    assert list(cells.columns) == chosen.names and cells["when.hour"][1] == 5.5
    with pytest.raises(DataError, match=r"date or time \(YYYY-MM-DD\) in column 'when', row 2. Received: 'soon'"):
        chosen.training_rows(frame.astype({"when": object}).replace({"when": {HOURS[1]: "soon"}}))
    with pytest.raises(DataError, match="columns when"):
        chosen.training_rows(frame.drop(columns="when"))
    with pytest.raises(DataError, match=r"calendar features. Received: when.hour"):
        Columns.infer(frame.assign(**{"when.hour": 1}), calendar=True)
    with pytest.raises(DataError, match="columns of a model"):
        Columns.from_document({**chosen.to_document(), "dates": [{"name": "when", "format": "x", "parts": []}]})


def test_missing_dates_mark_their_row() -> None:
    frame = pd.DataFrame({"when": HOURS, "n": 1.0})
    chosen = Columns.infer(frame, calendar=True)
    frame.loc[2, "when"], frame.loc[3, "n"], frame.loc[4, "n"] = pd.NaT, np.inf, np.nan
    assert np.flatnonzero(~chosen.scoring_rows(frame)[1]).tolist() == [2, 3, 4]
    reasons = chosen.reasons(frame[2:6])
    assert reasons == ["missing: when", "infinite: n", "missing: n", ""]


def test_true_and_false_have_one_text() -> None:
    chosen = Columns.infer(pd.DataFrame({"ok": ["true", "FALSE", None]}), impute=True)
    assert chosen.booleans == ("ok",)
    for cells in (["True", "False"], [True, False], [1, 0], [1.0, 0.0], ["TRUE", "false"]):
        assert chosen.training_rows(pd.DataFrame({"ok": cells}))["ok"].tolist() == ["True", "False"]
    assert Columns.infer(pd.DataFrame({"ok": ["true", "no"]})).booleans == ()


def test_cells_do_not_depend_on_earlier_ones() -> None:
    """pandas reads a time without a zone in that of an earlier cell."""
    cells = ["2024-01-01 10:05+02:00", "2024-01-01 00:00", "2024-01-01 10:05Z", "2024-01-02"]
    together = dates.parsed(pd.Series(cells), "ISO").tolist()
    assert together == [dates.parsed(pd.Series([cell]), "ISO")[0] for cell in cells]
    assert dates.parsed(pd.Series(["10:05+02:00", "00:15"]), "time").dt.hour.tolist() == [8, 0]


@pytest.mark.parametrize(
    ("format", "cell"),
    [("ISO", "now"), ("ISO", "today"), ("ISO", "2024"), ("ISO", "2024-01"), ("%d.%m.%Y", "now"), ("time", "10")],
)
def test_words_and_parts_of_dates_are_refused(format: str, cell: str) -> None:
    part = "hour" if format == "time" else "weekday"
    with pytest.raises(DataError, match=f"in column 'when', row 1. Received: '{cell}'"):
        DateColumn("when", format, (part,)).cells(pd.Series([cell], dtype=object))


def test_blanks_among_dates_are_missing() -> None:
    found = dates.find("when", pd.Series(["2024-01-01", " ", "2024-03-01"]))
    assert found is not None and found.parts == ("weekday",)
    assert found.cells(pd.Series(["2024-01-01", " \t"]))["when.weekday"].isna().tolist() == [False, True]


def test_late_years_in_rows_with_equal_names() -> None:
    when = dates.parsed(pd.Series(["01.02.9999", "02.02.9999"], index=[3, 3]), "%d.%m.%Y")
    assert when.dt.day.tolist() == [1, 2] and when.dt.month.tolist() == [2, 2]
