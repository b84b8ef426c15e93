"""CSV that pandas reads back, whatever the cells; names for complete files only; order by score."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest

from alad_tf.errors import DataError, SettingsError
from alad_tf.tabular import writers
from alad_tf.tabular.scored_table import Layout, ordered
from alad_tf.tabular.writers import Style

CELLS = ["plain", 'quo"te', "com,ma", "semi;colon", "line\nend", "\r", "tab\t", "", None, "ü", "|", " "]
TABLE = pa.table(
    {
        "text;": pa.array(CELLS),
        "number": pa.array([0.1, None, 1e300, -3.0, 5e-324, 1 / 3, 7.0, 8.5, 9.0, 1.0, 2.0, 3.0]),
        "float32": pa.array(np.arange(1, 13, dtype=np.float32) / np.float32(3)),
        "count": pa.array([1, None, *range(10)]),
        "flag": pa.array([True, False, None] * 4),
    }
)


def read_back(content: bytes, style: Style) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), sep=style.sep, decimal=style.decimal, keep_default_na=False, na_values=[""])


@pytest.mark.parametrize(
    "style", [Style(raw_text=True), Style(";", ",", True), Style("\t", ",", True), Style("|", ".", True)]
)
@pytest.mark.parametrize("begin", [0, 1, 5])
@pytest.mark.parametrize("rows", [1, 3, 12])
def test_lines_of_csv(style: Style, begin: int, rows: int) -> None:
    """Also for slices of a table, whose arrays do not start at the beginning of their buffers."""
    part = TABLE.slice(begin, rows)
    header = style.sep.join(f'"{name}"' if style.sep in name else name for name in TABLE.column_names) + "\n"
    back = read_back(header.encode() + writers.lines(part, style), style)
    expected = part.to_pandas()
    assert back["text;"].fillna("").tolist() == expected["text;"].fillna("").tolist()
    for name in ("number", "count"):
        np.testing.assert_array_equal(back[name].to_numpy(float), expected[name].to_numpy(float))
    np.testing.assert_array_equal(back["float32"].to_numpy(np.float32), expected["float32"])
    assert [str(flag) for flag in back["flag"].tolist()] == [
        "nan" if flag is None else str(flag) for flag in expected["flag"].tolist()
    ]


def test_quotes_only_where_they_are_needed() -> None:
    table = pa.table({"a": ["x", 'y"z'], "b": [1.5, 2.0]})
    assert writers.lines(table, Style()) == b'x,1.5\n"y""z",2\n'
    assert writers.lines(table[:0], Style()) == b""


@pytest.mark.parametrize("suffix", writers.OUTPUTS)
def test_files_of_several_tables(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    with pytest.raises(KeyError), writers.writing(path, TABLE.schema, Style()) as write:
        write(TABLE)
        raise KeyError
    assert not list(tmp_path.iterdir())
    with writers.writing(path, TABLE.schema, Style()) as write:
        write(TABLE[:5])
        write(TABLE[5:])
    if suffix == ".csv":
        assert read_back(path.read_bytes(), Style()).shape == TABLE.shape
    else:
        back = pa.parquet.read_table(path) if suffix == ".parquet" else pa.feather.read_table(path)
        assert back.equals(TABLE)


def test_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with writers.writing(writers.STANDARD_OUTPUT, TABLE.schema, Style()) as write:
        write(TABLE)
    assert read_back(capfdbinary.readouterr().out, Style()).shape == TABLE.shape


@pytest.mark.parametrize("name", ["out.xlsx", "out", "out.csv.gz", ".csv"])
def test_unknown_outputs(name: str) -> None:
    with pytest.raises(SettingsError, match=r"\.csv, \.parquet or \.feather"):
        writers.format_of(Path(name))


# Scored rows ------------------------------------------------------------------------------------------------------


def scored(scores: list[float], first: int = 0) -> pd.DataFrame:
    valid = np.isfinite(scores)
    score = np.where(valid, scores, np.finfo(np.float32).max).astype(np.float32)
    columns = {"score": score, "p_value": 0.5, "is_anomaly": ~valid, "is_valid": valid, "feature_1": None}
    return pd.DataFrame(columns, index=pd.RangeIndex(first, first + len(scores)))


def joined(layout: Layout, names: list[str], scores: list[float]) -> pa.Table:
    rows = pd.DataFrame({name: [f"{name}{k}" for k in range(len(scores))] for name in names})
    reasons = ["missing: a"] * int(np.isnan(scores).sum())
    return layout.joined(pa.table({n: pa.array(rows[n]) for n in names}), rows, scored(scores), reasons)


def test_rows_without_a_score_have_a_reason() -> None:
    table = joined(Layout(["a"], None, True), ["a"], [1.0, np.nan])
    assert table.column_names == ["row", "a", *"score p_value is_anomaly is_valid reason feature_1".split()]
    assert table["row"].to_pylist() == [1, 2] and table["a"].to_pylist() == ["a0", "a1"]
    assert table["score"].to_pylist() == [1.0, None] and table["p_value"].to_pylist() == [0.5, None]
    assert table["reason"].to_pylist() == [None, "missing: a"] and table["is_anomaly"].to_pylist() == [False, True]
    assert table.schema.field("feature_1").type == pa.string()


def test_names_that_the_file_has_too(caplog: pytest.LogCaptureFixture) -> None:
    layout = Layout(["score", "row", "alad_row"], None, True)
    table = joined(layout, ["score", "row", "alad_row"], [1.0])
    assert table.column_names[:5] == ["alad_alad_row", "score", "row", "alad_row", "alad_score"]
    assert layout.score == "alad_score" and "score as alad_score" in caplog.text


def test_an_id_takes_the_place_of_row_numbers() -> None:
    table = joined(Layout(["a"], "b", True), ["b", "a"], [1.0])
    assert table.column_names[:3] == ["b", "a", "score"]


def test_numbers_of_text_files_are_numbers_where_an_output_has_types() -> None:
    rows, frame = pa.table({"n": ["1", "02"], "t": ["3", "4"]}), pd.DataFrame({"n": [1.0, 2.0], "t": ["3", "4"]})
    table = Layout(["n", "t"], None, False, {"n": "number", "t": "text"}).joined(rows, frame, scored([1.0, 2.0]), [])
    assert table["n"].to_pylist() == [1.0, 2.0] and table["t"].to_pylist() == ["3", "4"]


def test_cells_that_are_no_text_are_left_out_of_csv(caplog: pytest.LogCaptureFixture) -> None:
    rows = pa.table({"list": [[1], [2]], "n": [1, 2]})
    for as_text in (True, False):
        table = Layout(["list", "n"], None, as_text).joined(rows, pd.DataFrame(index=[0, 1]), scored([1.0, 2.0]), [])
        assert ("list" in table.column_names) != as_text
    assert "columns without a text form are left out: list" in caplog.text


def test_types_that_are_no_text(tmp_path: Path) -> None:
    """Each type is left out of CSV, and refused in one line or written by formats with types."""
    columns = {
        "fixed": pa.array([b"\xff\xfe"], pa.binary(2)),
        "view": pa.array([b"\xff"], pa.binary_view()),
        "named": pa.array([b"\xff"]).dictionary_encode(),
        "lists": pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([[1]])),
        "interval": pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
        "runs": pa.RunEndEncodedArray.from_arrays([1], [5]),
        "place": pa.array([1], pa.timestamp("us", "Mars/X")),
    }
    rows, frame = pa.table(columns), pd.DataFrame(index=[0])
    table = Layout(list(columns), None, True).joined(rows, frame, scored([1.0]), [])
    assert table.column_names[:2] == ["row", "score"]
    refused = []
    for name in columns:
        table = Layout([name], None, False).joined(rows.select([name]), frame, scored([1.0]), [])
        for suffix in (".parquet", ".feather"):
            try:
                with writers.writing(tmp_path / f"x{suffix}", table.schema, Style()) as write:
                    write(table)
            except DataError as error:
                refused.append((name, suffix))
                assert "can be written" in str(error) and "\n" not in str(error)
    assert {("interval", ".parquet"), ("runs", ".parquet")} <= {*refused}


@pytest.mark.parametrize("top", [None, 1, 3, 50, 200_000])
def test_largest_scores_first(monkeypatch: pytest.MonkeyPatch, top: int | None) -> None:
    """For tables of any size, with a bounded number of rows in memory; equal scores keep the order of the file."""
    monkeypatch.setattr("alad_tf.tabular.scored_table.SPARE_ROWS", 10)
    scores = np.random.default_rng(0).integers(0, 20, 100).astype(float)
    scores[::9] = np.nan
    tables = [joined(Layout([], None, True), [], scores[k : k + 7].tolist()) for k in range(0, 100, 7)]
    for number, table in enumerate(tables):
        tables[number] = table.set_column(0, "row", pa.array(range(7 * number, 7 * number + len(table))))
    (found,) = ordered(tables, "score", top, top is None)
    expected = sorted(range(100), key=lambda k: (np.isnan(scores[k]), -np.nan_to_num(scores[k]), k))
    valid = int(np.isfinite(scores).sum())
    assert found["row"].to_pylist() == expected[: None if top is None else min(top, valid)]


def test_order_of_the_file() -> None:
    tables = [joined(Layout([], None, True), [], [float(k)]) for k in (2, 1, 3)]
    assert [table["score"][0].as_py() for table in ordered(tables, "score", None, False)] == [2.0, 1.0, 3.0]
