"""Footers of Parquet and Feather files: the same numbers as pyarrow; damaged footers are refused in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
import small_parquet

from alad_tf.errors import DataError
from alad_tf.tabular import feather_footer, parquet_footer, readers
from alad_tf.tabular.compact_protocol import I32, LIST, MAP, SET, STRUCT, Compact

TABLE = pa.table(
    {
        "number": np.arange(50.0),
        "text": ["x", None, "yy", "\u00fc" * 300, ""] * 10,
        "flag": [True, False] * 25,
        "small": pa.array(range(50), pa.int8()),
        "bytes": pa.array([b"1234"] * 50, pa.binary(4)),
        "list": [[1, 2, 3]] * 50,
        "parts": [{"a": 1, "b": "x"}] * 50,
    }
)
READ_IT = """
import sys
from pathlib import Path
from alad_tf.errors import DataError
from alad_tf.tabular import readers
try:
    readers.read(Path(sys.argv[1]))
except DataError as error:
    print(error)
"""


@pytest.mark.parametrize("version", ["1.0", "2.6"])
@pytest.mark.parametrize("rows", [7, 1000])
def test_numbers_are_those_of_pyarrow(tmp_path: Path, version: str, rows: int) -> None:
    path = tmp_path / "rows.parquet"
    options = {"version": version, "write_page_index": rows == 7, "write_page_checksum": rows == 7}
    pyarrow.parquet.write_table(TABLE, path, row_group_size=rows, **options)
    footer, wanted = parquet_footer.read(path), pyarrow.parquet.read_metadata(path)
    assert footer.rows == wanted.num_rows == 50
    assert [group.rows for group in footer.groups] == [
        wanted.row_group(k).num_rows for k in range(wanted.num_row_groups)
    ]
    for k, group in enumerate(footer.groups):
        columns = [wanted.row_group(k).column(j) for j in range(wanted.num_columns)]
        assert [chunk.values for chunk in group.chunks] == [column.num_values for column in columns]
        assert [chunk.flat for chunk in group.chunks] == ["." not in column.path_in_schema for column in columns]
        for chunk, column in zip(group.chunks, columns):
            assert chunk.size >= column.total_uncompressed_size
    assert footer.groups[0].chunks[0].size >= 8 * footer.groups[0].rows


def test_statistics_that_contradict_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(small_parquet.contradicting())
    done = subprocess.run([sys.executable, "-c", READ_IT, str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Expected rows in") and "histogram size mismatch" in done.stdout


def footers_refused(path: Path) -> int:
    """Number of refused footers among those with one changed byte; no other exception may occur."""
    content = path.read_bytes()
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    refused = 0
    for place in range(start, len(content)):
        for value in {0, 255, content[place] ^ 1, content[place] ^ 128}:
            path.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            try:
                parquet_footer.read(path)
            except ValueError:
                refused += 1
    return refused


def test_damaged_bytes(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pa.table({"a": [1.0], "b": ["x"]}), path, store_schema=False)
    assert footers_refused(path) > 100


def test_values_that_are_never_skipped(tmp_path: Path) -> None:
    """A size larger than the footer, endless nesting, a list of another type, an unknown type."""
    for kind, content, says in (
        (LIST, b"\xf5\xff\xff\xff\xff\x07", "index out of range"),
        (SET, b"\xf8\xff\xff\xff\xff\x07\x05", "behind its end|index out of range"),
        (MAP, b"\xff\xff\xff\xff\x07\x55", "index out of range"),
        (STRUCT, b"\x1c" * 100, "more than 32 levels"),
        (LIST, b"\x19" * 100, "more than 32 levels"),
        (15, b"", "a field of type 15"),
        (I32, b"\xff" * 11, "more than 64 bits"),
    ):
        with pytest.raises((IndexError, ValueError), match=says):
            Compact(content).skip(kind)
    with pytest.raises(ValueError, match="a list of type 5 instead of 12"):
        list(Compact(b"\x15\x00").items(STRUCT))


@pytest.mark.parametrize(
    "tail", [b"", b"PAR1", b"\xff\xff\xff\xffPAR1", b"\x00\x00\x00\x00PAR1", b"\x04\x00\x00\x00PARE"]
)
def test_no_footer(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1" + bytes(8) + tail)
    with pytest.raises(ValueError, match="footer"):
        parquet_footer.read(path)
    with pytest.raises(DataError, match="damaged file"):
        readers.read(path)


def test_size_of_a_footer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(TABLE, path)
    monkeypatch.setattr(parquet_footer, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="at most 100 are read"):
        parquet_footer.read(path)


def test_number_of_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(TABLE, path, row_group_size=10)
    monkeypatch.setattr(parquet_footer, "MOST_GROUPS", 5)
    assert len(parquet_footer.read(path).groups) == 5
    monkeypatch.setattr(parquet_footer, "MOST_GROUPS", 4)
    with pytest.raises(ValueError, match="more than 4 row groups"):
        parquet_footer.read(path)


@pytest.mark.parametrize("compression", ["uncompressed", "lz4"])
def test_numbers_of_a_feather_file_that_are_too_large(tmp_path: Path, compression: str) -> None:
    """2^63 - 1 in place of each 64-bit number: offsets beyond any file, which `seek` refuses."""
    path = tmp_path / "rows.feather"
    pyarrow.feather.write_feather(TABLE.select(["number", "text"]), path, compression=compression)
    content, refused = path.read_bytes(), 0
    for place in range(8, len(content) - 16, 8):
        path.write_bytes(content[:place] + b"\xff" * 7 + b"\x7f" + content[place + 8 :])
        try:
            feather_footer.unpacked_size(path)
        except (OSError, ValueError):
            refused += 1
    assert refused > 10


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_no_columns(tmp_path: Path, suffix: str) -> None:
    """Reading a damaged Feather file without columns and with 2^25 rows took minutes."""
    path = tmp_path / f"rows{suffix}"
    table = TABLE.select([])
    pyarrow.feather.write_feather(table, path) if suffix == ".feather" else pyarrow.parquet.write_table(table, path)
    with pytest.raises(DataError, match="Expected columns in .* Received: none"):
        readers.read(path)


@pytest.mark.parametrize("names", [[""], ["a", ""], ["", ""], ["", "a", ""]])
def test_columns_without_a_name(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pa.Table.from_arrays([[1.0, 2.0]] * len(names), names), path)
    with pytest.raises(DataError, match=f"no name for column {len(names)}"):
        readers.read(path)
