"""Cells that some files have: large whole numbers, blanks, hexadecimal numbers, views and dictionaries of Arrow."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from alad_tf.columns.schema import Kind, as_text
from alad_tf.errors import DataError
from alad_tf.tabular import readers, spreadsheets, writers
from alad_tf.tabular.scored_table import Layout, score_column
from alad_tf.tabular.writers import Style

ID, NEXT = 1234567890123456789, 1234567890123456788
WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    ".parquet": pq.write_table,
    ".feather": feather.write_feather,
}


def lines(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", *WRITERS])
@pytest.mark.parametrize("other", [None, 2])
def test_large_whole_numbers_are_exact_beside_missing_cells(tmp_path: Path, suffix: str, other: int | None) -> None:
    path = tmp_path / f"x{suffix}"
    if suffix == ".jsonl":
        lines(path, {"id": ID}, {"id": other}, {"id": NEXT})
    else:
        WRITERS[suffix](pa.table({"id": pa.array([ID, other, NEXT])}), path)
    found = as_text(readers.read(path)["id"])
    assert found[0] == str(ID) and found[2] == str(NEXT)
    for table, frame in readers.tables(path, 10, only=["id"], kinds={"id": "text"}):
        assert as_text(frame["id"])[2] == str(NEXT) and str(table["id"][0]) == str(ID)


def test_large_whole_numbers_beside_fractions(tmp_path: Path) -> None:
    found = readers.read(lines(tmp_path / "x.jsonl", {"n": ID}, {"n": 0.5}))
    assert as_text(found["n"]).tolist() == [str(ID), "0.5"]
    assert readers.read(lines(tmp_path / "y.jsonl", {"n": 1}, {"n": 0.5}))["n"].dtype == np.float64


@pytest.mark.parametrize("cell", [" ", " NA ", ""])
def test_blanks_in_columns_of_given_kinds(tmp_path: Path, cell: str) -> None:
    path, kinds = csv(tmp_path / "x.csv", f"a,t\n1,x\n{cell},y\n 2 ,z\n"), {"a": "number"}
    wanted: dict[str, Kind] = {"a": "number", "t": "text"}
    frames = [readers.read(path, kinds={"a": "number"}), *readers.chunks(path, 10, kinds=wanted)]
    frames += [frame for _, frame in readers.tables(path, 10, only=list(kinds), kinds=wanted)]
    for frame in frames:
        np.testing.assert_array_equal(frame["a"], [1.0, np.nan, 2.0])


def test_hexadecimal_numbers_are_the_same_with_and_without_a_kind(tmp_path: Path) -> None:
    path = csv(tmp_path / "x.csv", "a\n0x10\n0xFF\n")
    assert readers.read(path)["a"].tolist() == [16, 255]
    (frame,) = readers.chunks(path, 10, kinds={"a": "number"})
    assert frame["a"].tolist() == [16.0, 255.0]


def test_the_cell_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column 'a', row 3 of .* Received: 'seven'"):
        readers.read(csv(tmp_path / "x.csv", "a\n1e400\n2\nseven\n"), kinds={"a": "number"})


def test_wide_floats(tmp_path: Path) -> None:
    path, wide = tmp_path / "x.npy", np.array([[1.5, 2.0], [3.0, 4.0]], np.longdouble)
    for order in ("C", "F"):
        np.save(path, np.asarray(wide, order=order))
        ((table, frame),) = readers.tables(path, 10, only=["x0"], kinds={"x1": "number"})
        assert table["x0"].to_pylist() == [1.5, 3.0] and frame["x1"].tolist() == [2.0, 4.0]


def test_half_of_a_character(tmp_path: Path) -> None:
    path = csv(tmp_path / "x.jsonl", '{"a": "\\ud83d\\ude00"}\n{"a": "\\ud83d"}\n')
    with pytest.raises(DataError, match="Expected text in column 'a', row 2 of .* half of a character"):
        readers.read(path)


def test_a_column_of_categories_stays_one_in_several_blocks(tmp_path: Path) -> None:
    path, rows = tmp_path / "x.parquet", 1 << 16
    first = pa.array(["1"] * rows).dictionary_encode()
    schema = pa.schema([("k", first.type)])
    with pq.ParquetWriter(path, schema) as writer:
        writer.write_table(pa.table({"k": first}))
        writer.write_table(pa.table({"k": pa.array(["A", "1"]).dictionary_encode()}))
    column = readers.read(path)["k"]
    assert isinstance(column.dtype, pd.CategoricalDtype) and column[rows:].tolist() == ["A", "1"]


def test_types_of_the_files_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    pq.write_table(pa.table({"n": [1, 2], "t": pa.array([None, None], pa.null())}), folder / "a.parquet")
    pq.write_table(pa.table({"t": ["x", None], "n": [0.5, 1.5]}), folder / "b.parquet")
    tables = [table for table, _ in readers.tables(folder, 10, only=["n", "t"], kinds={"n": "number"})]
    assert len({table.schema for table in tables}) == 1
    assert pa.concat_tables(tables).to_pydict() == {"n": [1.0, 2.0, 0.5, 1.5], "t": [None, None, "x", None]}
    pq.write_table(
        pa.table({"n": [1], "t": pa.array(["y"], pa.large_string()).dictionary_encode()}), folder / "c.parquet"
    )
    assert readers.read(folder)["t"].dropna().tolist() == ["x", "y"]
    pq.write_table(pa.table({"n": ["1"], "t": ["x"]}), folder / "d.parquet")
    with pytest.raises(
        DataError, match="cells of one type in column 'n' of all files. Received: string in .*d.parquet"
    ):
        readers.read(folder)


@pytest.mark.parametrize(("suffix", "as_view"), [(".parquet", False), (".feather", False), (".feather", True)])
def test_repeated_text_is_bounded(tmp_path: Path, suffix: str, as_view: bool) -> None:
    """A dictionary or views can repeat one long text for each row."""
    words = pa.array(["x" * 100_000])
    column: pa.Array = pa.DictionaryArray.from_arrays(pa.array(np.zeros(3000, np.int32)), words)
    if as_view:
        one = words.cast(pa.string_view())
        view = one.buffers()[1].to_pybytes()[:16]
        column = pa.Array.from_buffers(one.type, 3000, [None, pa.py_buffer(view * 3000), *one.buffers()[2:]])
    path = tmp_path / f"x{suffix}"
    WRITERS[suffix](pa.table({"k": column}), path)
    with pytest.raises(DataError, match="unpacks to"):
        list(readers.tables(path, 10_000, only=["k"], kinds={}))


def views(path: Path) -> pa.Table:
    text = pa.array(["p,q", "=1+1", None], pa.string_view())
    named = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), text.slice(0, 2))
    feather.write_feather(pa.table({"t": text, "k": named, "n": [1.0, 2.0, 3.0]}), path)
    ((table, _),) = readers.tables(path, 10, only=["t", "k"], kinds={})
    return table


def test_views_of_text_are_text(tmp_path: Path) -> None:
    table = views(tmp_path / "x.feather")
    scored = pd.DataFrame({"score": np.ones(3, np.float32), "is_valid": True})
    for is_text, suffix in ((True, ".csv"), (False, ".feather"), (False, ".parquet")):
        joined = Layout(["t", "k"], None, is_text).joined(table, pd.DataFrame(index=range(3)), scored, [])
        with writers.writing(tmp_path / f"out{suffix}", joined.schema, Style()) as write:
            write(joined.take([0, 1, 2]))
    assert (tmp_path / "out.csv").read_text().splitlines()[1:3] == [
        '1,"p,q","p,q",1,True,',
        "2,'=1+1,'=1+1,1,True,",
    ]
    assert feather.read_table(tmp_path / "out.feather")["k"].to_pylist() == ["p,q", "=1+1", None]


def test_every_type_but_numbers_is_quoted() -> None:
    column = pa.chunked_array([pa.array(["a,b"], pa.string_view()).cast(pa.string_view())])
    assert writers.lines(pa.table({"a": column}), Style()) == b'"a,b"\n'


def test_bytes_of_extension_types_are_left_out_of_text(caplog: pytest.LogCaptureFixture) -> None:
    column = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.uuid4().bytes], pa.binary(16)))
    scored = pd.DataFrame({"score": np.ones(1, np.float32), "is_valid": True})
    joined = Layout(["u"], None, True).joined(pa.table({"u": column}), pd.DataFrame(index=[0]), scored, [])
    assert "u" not in joined.column_names and "left out: u" in caplog.text


def test_the_score_of_a_file_with_a_column_of_that_name() -> None:
    assert score_column(["a", "score"]) == "score" and score_column(["a"]) is None
    assert score_column(["score", "alad_score"]) == "alad_score"


def test_text_with_an_apostrophe_of_a_scored_file_is_told(tmp_path: Path) -> None:
    def told(text: str) -> list[str]:
        path = csv(tmp_path / "x.csv", text)
        return [line for line, _ in readers.remarks(path, readers.settle(path)) if "apostrophe" in line]

    scored = "t,score,is_valid,reason\n"
    assert told(scored + "'=a,1,True,\n") and told(scored.replace("t,", "'-t,") + "a,1,True,\n")
    assert not told(scored + "-,1,True,\n'a,1,True,\n") and not told("t,score\n'=a,1\n")
    assert spreadsheets.neutral_column(pa.chunked_array([["-", "--", "=1"]])).to_pylist() == ["-", "--", "'=1"]


def test_columns_of_json_that_begin_with_missing_cells(tmp_path: Path) -> None:
    path = lines(tmp_path / "x.jsonl", {"t": None}, {"t": None}, {"t": "a"})
    kinds = {table.schema.field("t").type for table, _ in readers.tables(path, 1, only=["t"], kinds={})}
    assert kinds == {pa.string()}


def test_lists_in_columns_that_are_only_kept(tmp_path: Path) -> None:
    path = lines(tmp_path / "x.jsonl", {"n": 1, "tags": ["ü", 2]}, {"n": 2, "tags": None})
    ((table, frame),) = readers.tables(path, 10, only=["tags"], kinds={"n": "number"})
    assert table["tags"].to_pylist() == ['["ü", 2]', None] and frame["n"].tolist() == [1, 2]
    with pytest.raises(DataError, match="column 'tags', row 1 .* Received: a list"):
        readers.read(path)
    assert readers.read(path, without=["tags"])["n"].tolist() == [1, 2]
