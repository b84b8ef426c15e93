"""Every format gives the same rows, whole or in chunks of bounded memory."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from conftest import CHECKOUT
from row_files import NUMBERS, TABLE, TABLES, refusal, refusals, write, write_array

from alad_tf.errors import DataError
from alad_tf.tabular import formats, readers
from alad_tf.tabular.dialects import Dialect


@pytest.mark.parametrize("suffix", [*TABLES, ".CSV", ".Parquet"])
def test_tables_whole(tmp_path: Path, suffix: str) -> None:
    frame = readers.read(write(tmp_path / f"rows{suffix}"))
    pd.testing.assert_frame_equal(frame.fillna({"c": "-"}), TABLE.fillna({"c": "-"}))
    assert frame["c"].isna().tolist() == [False, False, True, False, False]


@pytest.mark.filterwarnings("ignore:The behavior of DataFrame concatenation")  # of a chunk with missing cells alone
@pytest.mark.parametrize("suffix", TABLES)
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 100])
def test_tables_in_chunks(tmp_path: Path, suffix: str, rows: int) -> None:
    path = write(tmp_path / f"rows{suffix}")
    parts = list(readers.chunks(path, rows, kinds={"a": "number", "b": "number", "c": "text"}))
    assert [len(part) for part in parts] == [len(TABLE[i : i + rows]) for i in range(0, 5, rows)]
    together = pd.concat(parts).astype({"a": float})
    assert together.index.tolist() == [0, 1, 2, 3, 4]
    pd.testing.assert_frame_equal(together.fillna({"c": "-"}), TABLE.fillna({"c": "-"}), check_dtype=False)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npy"])
def test_chunks_of_many_columns_have_few_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.setattr(formats, "MAX_CHUNK_CELLS", 60)
    frame = pd.DataFrame(np.arange(140.0).reshape(7, 20)).rename(columns="x{}".format)
    path = tmp_path / f"rows{suffix}"
    np.save(path, frame) if suffix == ".npy" else getattr(frame, f"to_{suffix[1:]}")(path, index=False)
    parts = list(readers.chunks(path, 5))
    assert [len(part) for part in parts] == [3, 3, 1]
    pd.testing.assert_frame_equal(pd.concat(parts), frame)
    tables = readers.tables(path, 5, only=list(frame), kinds={"x1": "number"})
    assert [len(table) for table, _ in tables] == [3, 3, 1]


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_the_index_of_pandas_is_no_column(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    if suffix == ".parquet":
        TABLE.iloc[::-1].to_parquet(path)
    else:
        TABLE.iloc[::-1].reset_index(names="__index_level_0__").to_feather(path)
    assert readers.columns(path) == ["a", "b", "c"]
    assert list(readers.read(path).columns) == ["a", "b", "c"] and readers.read(path)["b"].tolist() == [5, 4, 3, 2, 1]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_header_of_several_lines(tmp_path: Path, end: str) -> None:
    """A quoted name with a line break gave `unexpected end of data`."""
    path = tmp_path / "rows.csv"
    path.write_bytes(f'"a{end}b","c\n\nd"{end}1,2{end}3,4{end}'.encode())
    expected = {f"a{end}b": [1, 3], "c\n\nd": [2, 4]}
    assert readers.read(path).to_dict("list") == expected
    assert pd.concat(readers.chunks(path, 1)).to_dict("list") == expected
    dialect = Dialect(header=False)
    assert len(readers.read(path, dialect=dialect)) == 3
    with pytest.raises(DataError, match="column 'x1', row 1 of"):
        readers.read(path, dialect=dialect, kinds={"x1": "number"})


@pytest.mark.parametrize("kind", [">f8", ">i4", ">f2"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_in_the_other_byte_order(tmp_path: Path, kind: str, suffix: str, order: Literal["C", "F"]) -> None:
    """pandas refused them as damaged."""
    array = np.arange(10).reshape(5, 2).astype(kind, order=order)
    path = write_array(tmp_path / f"rows{suffix}", array)
    frame = pd.concat(readers.chunks(path, 2))
    assert frame["x1"].tolist() == [1, 3, 5, 7, 9] and frame["x1"].dtype == np.dtype(kind).newbyteorder("=")
    (part,) = readers.tables(path, 5, only=["x0"], kinds={"x1": "number"})
    assert part[0]["x0"].to_pylist() == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("rows", [1, 2, 5, 100])
def test_arrays(tmp_path: Path, suffix: str, rows: int) -> None:
    path = write_array(tmp_path / f"rows{suffix}")
    assert readers.columns(path) == ["x0", "x1"]
    parts = list(readers.chunks(path, rows))
    assert [len(part) for part in parts] == [len(NUMBERS[i : i + rows]) for i in range(0, 5, rows)]
    assert pd.concat(parts).index.tolist() == [0, 1, 2, 3, 4]
    assert np.array_equal(pd.concat(parts).to_numpy(), NUMBERS)
    assert np.array_equal(readers.read(path).to_numpy(), NUMBERS)


def test_npz_of_several_arrays_takes_x(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=NUMBERS, y=np.arange(5))
    assert np.array_equal(readers.read(tmp_path / "rows.npz").to_numpy(), NUMBERS)


@pytest.mark.parametrize("suffix", formats.FORMATS)
def test_only_some_columns(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    table = suffix in TABLES
    write(path) if table else write_array(path)
    wanted = ["b"] if table else ["x1"]
    (part,) = readers.chunks(path, 10, only=wanted)
    assert list(part.columns) == wanted
    message = refusal(lambda: list(readers.chunks(path, 10, only=[*wanted, "zz"])))
    assert "zz" in message and wanted[0] in message and path.name in message


@pytest.mark.parametrize("suffix", formats.FORMATS)
def test_share_that_was_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    write(path) if suffix in TABLES else write_array(path)
    shares: list[float] = []
    list(readers.chunks(path, 2, advance=shares.append))
    assert shares == sorted(shares) and shares[-1] == 1.0
    shares.clear()
    readers.read(path, advance=shares.append)
    assert shares[-1] == 1.0


def test_kinds_of_text_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b,c,d\n01,1,true,2020-01-02\n2,x,false,2020-01-03\n")
    inferred = readers.read(path)
    assert inferred["a"].tolist() == [1, 2]
    assert inferred["b"].tolist() == ["1", "x"]
    assert inferred["c"].tolist() == ["true", "false"]
    assert pd.api.types.is_datetime64_any_dtype(inferred["d"])
    named = readers.read(path, kinds={"a": "text", "d": "text"})
    assert named["a"].tolist() == ["01", "2"] and named["d"].tolist() == ["2020-01-02", "2020-01-03"]


@pytest.mark.parametrize("blank", [" ", "    ", "\t", '"  "'])
def test_blank_cells_among_numbers_are_missing_in_training_and_in_scoring(tmp_path: Path, blank: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"a,b\n1,x\n{blank},{blank}\n2, y\n")
    whole = readers.read(path)
    ((table, frame),) = readers.tables(path, 9, only=["a", "b"], kinds={"a": "number", "b": "text"})
    for found in (whole, frame):
        assert found["a"].tolist()[::2] == [1.0, 2.0] and found["b"].tolist() == ["x", blank.strip('"'), " y"]
        assert found.isna().sum().tolist() == [1, 0]
    assert table.column("a").to_pylist() == ["1", blank.strip('"'), "2"]


def test_byte_order_mark_and_line_ends(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b'\xef\xbb\xbfa,"b c"\r\n1,"x\r\ny"\r\n2,z\r\n')
    frame = readers.read(tmp_path / "rows.csv")
    assert list(frame.columns) == ["a", "b c"] and frame["b c"].tolist() == ["x\r\ny", "z"]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".feather", ".npy", ".npz"])
def test_memory_of_chunks_is_bounded(tmp_path: Path, suffix: str) -> None:
    """A file of more numbers than that is read with less than 60 MB on top of the libraries."""
    pytest.importorskip("resource")
    path = tmp_path / f"rows{suffix}"
    rows, width = (1_000_000, 10) if suffix in (".npy", ".npz", ".parquet", ".feather") else (300_000, 10)
    array = np.tile(np.random.default_rng(0).integers(0, 100, (100, width)).astype(np.float64), (rows // 100, 1))
    frame = pd.DataFrame(array, columns=[f"x{k}" for k in range(width)])
    if suffix in (".npy", ".npz"):
        write_array(path, array)
    elif suffix == ".parquet":
        frame.to_parquet(path, row_group_size=100_000)
    elif suffix == ".feather":
        frame.to_feather(path, chunksize=50_000)
    else:
        text = ",".join(frame.columns) + "\n" + ("0.123456789012345," * (width - 1) + "1\n") * rows
        path.write_bytes(gzip.compress(text.encode(), compresslevel=1) if suffix.endswith("gz") else text.encode())
    del array, frame
    code = (
        "import resource, sys; from pathlib import Path; from alad_tf.tabular import readers\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "chunks = readers.chunks(Path(sys.argv[1]), 10_000); count = len(next(chunks)); before = peak()\n"
        "count += sum(len(chunk) for chunk in chunks); print(count, peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=CHECKOUT, capture_output=True, text=True)
    count, megabytes = done.stdout.split()
    assert int(count) == rows
    assert float(megabytes) < 60


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("rows", [2, 100])
def test_arrays_stored_by_columns(tmp_path: Path, suffix: str, rows: int) -> None:
    path = write_array(tmp_path / f"rows{suffix}", np.asfortranarray(NUMBERS))
    assert np.array_equal(readers.read(path).to_numpy(), NUMBERS)
    parts = list(readers.chunks(path, rows, only=["x1"]))
    assert np.array_equal(pd.concat(parts).to_numpy(), NUMBERS[:, 1:]) and len(parts[0]) == min(rows, 5)


def test_npz_of_several_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", u=NUMBERS, v=NUMBERS)
    assert all("u, v" in message for message in refusals(tmp_path / "two.npz"))


def test_old_feather_and_nested_cells(tmp_path: Path) -> None:
    (tmp_path / "old.feather").write_bytes(b"FEA1" + bytes(100))
    assert all("version 1" in message for message in refusals(tmp_path / "old.feather"))
    for cells, words in (([[1], [2]], "list"), ([b"\xff", b"a"], "bytes")):
        path = tmp_path / "nested.parquet"
        pd.DataFrame({"a": [1, 2], "b": cells}).to_parquet(path)
        assert all("'b'" in message and words in message for message in refusals(path))
    long = pa.list_(pa.field("x\n" * 5000, pa.int8()))
    pyarrow.feather.write_feather(pa.table({"b": pa.array([[1]], long)}), tmp_path / "long.feather")
    assert all("\n" not in message and len(message) < 500 for message in refusals(tmp_path / "long.feather"))


@pytest.mark.parametrize("kind", [pa.binary(), pa.binary(2), pa.large_binary(), pa.binary_view()], ids=str)
def test_bytes_are_not_text(tmp_path: Path, kind: pa.DataType) -> None:
    """Bytes of fixed size became categories such as "b'AA'"."""
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pa.table({"a": [1, 2], "b": pa.array([b"AA", b"BB"], kind)}), path)
    assert all("column 'b' of" in line and "bytes, not UTF-8 text" in line for line in refusals(path))


def test_stopping_early_closes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "1,2\n" * 3_000_000)
    chunks = readers.chunks(path, 10)
    assert len(next(chunks)) == 10
    chunks.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("place", [0, 500, 20_000, 29_999])
def test_a_line_longer_than_a_small_block_loses_and_repeats_no_row(tmp_path: Path, place: int) -> None:
    path = tmp_path / "rows.csv"
    notes = ["a note"] * 30_000
    notes[place] = "x" * 1_000_000
    frame = pd.DataFrame({"a": np.arange(30_000.0), "note": notes})
    frame.to_csv(path, index=False)
    read = readers.tables(path, 1000, only=["note"], kinds={"a": "number"})
    tables, frames = zip(*read)
    assert [len(table) for table in tables] == [1000] * 30
    assert [cell for table in tables for cell in table.column("note").to_pylist()] == notes
    pd.testing.assert_frame_equal(pd.concat(frames), frame[["a"]])
    inferred = pd.concat(readers.chunks(path, 1000))
    pd.testing.assert_frame_equal(inferred, frame)
