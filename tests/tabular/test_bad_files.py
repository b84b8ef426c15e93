"""Damaged, inconsistent and endless files are refused in one line, whole and in chunks."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from conftest import CHECKOUT
from row_files import NUMBERS, TABLE, TABLES, refusal, refusals, short, write, write_array

from alad_tf.errors import DataError
from alad_tf.tabular import formats, readers
from alad_tf.tabular.dialects import Dialect


@pytest.mark.parametrize("name", ["rows.xls", "rows", "rows.gz", "rows.csv.zip", "rows.pkl", "rows.json"])
def test_unknown_format(tmp_path: Path, name: str) -> None:
    for message in refusals(tmp_path / name):
        assert name in message and all(suffix in message for suffix in formats.FORMATS)


@pytest.mark.parametrize("suffix", formats.FORMATS)
def test_missing_file_and_folder(tmp_path: Path, suffix: str) -> None:
    for message in refusals(tmp_path / f"none{suffix}"):
        assert f"none{suffix}, which does not exist" in message
    (tmp_path / f"folder{suffix}").mkdir()
    for message in refusals(tmp_path / f"folder{suffix}"):
        assert ".parquet files in the folder" in message and f"folder{suffix}. Received: none" in message


@pytest.mark.parametrize("suffix", formats.FORMATS)
def test_empty_file(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"rows{suffix}").write_bytes(b"")
    for message in refusals(tmp_path / f"rows{suffix}"):
        assert f"rows{suffix}" in message


@pytest.mark.parametrize("suffix", [name for name in formats.FORMATS if ".jsonl" not in name])
def test_no_rows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    write(path, TABLE[:0]) if suffix in TABLES else write_array(path, NUMBERS[:0])
    message = refusal(lambda: readers.read(path))
    assert "no row" in message and path.name in message and ("a, b, c" in message or "x0, x1" in message)
    assert sum(map(len, readers.chunks(path, 2))) == 0


@pytest.mark.parametrize("suffix", [".csv.gz", ".tsv.gz", ".parquet", ".feather", ".npy", ".npz"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.99])
def test_cut_in_the_middle(tmp_path: Path, suffix: str, part: float) -> None:
    path = tmp_path / f"rows{suffix}"
    rows = np.random.default_rng(0).random((500, 2))
    write(path, pd.DataFrame(rows, columns=["a", "b"])) if suffix in TABLES else write_array(path, rows)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    for message in refusals(path):
        assert path.name in message and ("cut or damaged" in message or "damaged file" in message)


@pytest.mark.parametrize("part", [0.5, 0.8])
def test_npz_by_columns_cut_in_the_middle(tmp_path: Path, part: float) -> None:
    path = write_array(tmp_path / "rows.npz", np.asfortranarray(np.random.default_rng(0).random((500, 2))))
    content = bytearray(path.read_bytes())
    content[int(part * len(content))] ^= 255
    path.write_bytes(content)
    assert all("rows.npz, cut or damaged" in message for message in refusals(path))


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet", ".feather", ".npy", ".npz"])
def test_another_format_under_the_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(b"a,b\n1,2\n3,4\n")
    for message in refusals(path):
        assert path.name in message and ("damaged" in message or "another format" in message)


@pytest.mark.parametrize(
    ("line", "words"), [("3", "2 columns row 2 1."), ("3,4,5", "2 columns row 2 3."), ("3,4,5,6", "row 2 4.")]
)
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_line_with_another_number_of_cells(tmp_path: Path, suffix: str, line: str, words: str) -> None:
    path = tmp_path / f"rows{suffix}"
    path.write_text(f"a,b\n1,2\n{line}\n5,6\n".replace(",", "\t" if suffix == ".tsv" else ","))
    for message in refusals(path):
        assert all(word in message for word in [path.name, *words.split()])


@pytest.mark.parametrize(
    ("text", "header", "words"),
    [
        ('a,b\n\n"x\ny",2\n\n3\n', True, "2 columns in row 2 of {}, as in its header. Received: 1."),
        ('1,2\n\n"x\ny",4\n5\n', False, "2 columns in row 3 of {}, as in its first row. Received: 1."),
        ("a,b\n" + "1,2\n" * 200_000 + "3\n", True, "2 columns in row 200001 of {}, as in its header. Received: 1."),
    ],
    ids=short,
)
def test_rows_are_counted_in_messages(tmp_path: Path, text: str, header: bool, words: str) -> None:
    """Numbers of lines were wrong after blank lines and cells of several lines."""
    path = tmp_path / "rows.csv"
    path.write_text(text)
    for message in refusals(path, dialect=Dialect(header=header)):
        assert words.format(path) in message


@pytest.mark.parametrize("only", [None, ["b"]])
def test_text_in_a_column_of_numbers(tmp_path: Path, only: list[str] | None) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n2,3\n3,seven\n")
    message = refusal(lambda: list(readers.chunks(path, 2, kinds={"b": "number"}, only=only)))
    assert "column 'b', row 3" in message and "'seven'" in message and path.name in message
    assert "column 'b', row 3" in refusal(lambda: readers.read(path, kinds={"b": "number"}))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html>\n<html>", "HTML <!DOCTYPE"),
        (b"<!DOCTYPE html>\n<html>not found</html>\n", "HTML <!DOCTYPE"),
        (b"\xef\xbb\xbf  <?xml version='1.0'?>", "XML"),
        (b"a\0b,c\n1,2\n", "binary"),
        ("ü,b\n1,".encode() + b"\xff\n", "UTF-8 'b'"),
        (b"a,b,a\n1,2,3\n", "a more than once"),
        (b"a,,c\n1,2,3\n", "no name column 2"),
        (b"a,,,c\n1,2,3,4\n", "Received: no name for columns 2, 3. Give each a name of its own."),
        (b",a,,c,\n1,2,3,4,5\n", "no name for columns 3, 5."),
        (b"sep=;\r\na;b\n1;2\n", "header line 1 'sep=;', a line for Excel. Remove --sep"),
        (b"sep=\t\na\tb\n1\t2\n", "'sep=', a line for Excel."),
        ("żab,b\n1,2\n".encode("utf-16-le"), "--encoding utf-16-le"),
        (b'a,"b\n1,2\n', "header line 1 a quote that is not closed."),
        (b"1,2,2\n3,4,5\n", "2 more than once --no-header"),
        (b"\n", "empty"),
        (b'\xef\xbb\xbf{"a": 1, "b": 2}\n', "Received: JSON. one object a line .jsonl"),
        (b'[{"a": 1, "b": 2},\n', "Received: JSON. one object a line .jsonl"),
        (b'a,b\n1,"' + b"x" * formats.BLOCK_BYTES + b"\n" + b"y" * formats.BLOCK_BYTES, "longer quote"),
    ],
    ids=short,
)
def test_text_that_is_no_table(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    for message in refusals(path):
        assert all(word in message for word in words.split()), message
        assert len(message) < 500


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    "array",
    [np.arange(3), np.zeros((2, 2, 2)), np.array([["a"]]), np.zeros((2, 2), complex), np.zeros((3, 0)), np.array(1.0)],
)
def test_array_that_is_no_table(tmp_path: Path, suffix: str, array: np.ndarray) -> None:
    for message in refusals(write_array(tmp_path / f"rows{suffix}", array)):
        assert "[rows, columns]" in message and f"rows{suffix}" in message


class Trap:
    """Records that it was loaded from a pickle."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_pickled_objects_are_not_loaded(tmp_path: Path, suffix: str) -> None:
    path, trace = tmp_path / f"rows{suffix}", tmp_path / "trace"
    write_array(path, np.array([[Trap(trace)]], object))
    for message in refusals(path):
        assert "pickled" in message or "object" in message
    path.write_bytes(b"\x80\x04N.")  # a bare pickle under the name
    refusals(path)
    assert not trace.exists()


# Files of strangers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz"])
def test_open_quote_swallows_no_rows(tmp_path: Path, suffix: str) -> None:
    """An unclosed quote swallowed 89 of 100 rows, and the others were scored."""
    mark = "\t" if suffix == ".tsv" else ","
    lines = [f"{k}{mark}x{k}" for k in range(100)]
    lines[11] = f'11{mark}"x11'
    for ends in ("\n", ""):
        text = "\n".join([f"a{mark}b", *lines]) + ends
        path = tmp_path / f"rows{suffix}"
        path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
        for message in refusals(path):
            assert "a quote on line 13, which is open at the end of the file" in message and path.name in message


def test_open_quote_before_a_quoted_cell(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('a,b\n1,"x\n2,"y"\n3,"z"\n')
    assert all("a quote on line 2, which is closed on line 3 before more text" in line for line in refusals(path))


@pytest.mark.parametrize("suffix", formats.FORMATS)
@pytest.mark.parametrize("target", ["fifo", "/dev/zero", "/dev/urandom", "/dev/null"])
def test_what_is_no_plain_file(tmp_path: Path, suffix: str, target: str) -> None:
    path = tmp_path / f"rows{suffix}"
    if target == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(target)
    for message in refusals(path):
        assert f"rows{suffix}, a {'pipe' if target == 'fifo' else 'device'}." in message


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".feather", ".parquet"])
def test_file_cut_while_it_is_read(tmp_path: Path, suffix: str) -> None:
    """In a separate process, because truncating a mapped file ends the process with a signal."""
    path = tmp_path / f"rows{suffix}"
    rows = np.random.default_rng(0).random((600_000, 2))
    if suffix in (".npy", ".npz"):
        write_array(path, rows)
    elif suffix == ".feather":
        pd.DataFrame(rows, columns=["a", "b"]).to_feather(path, compression="uncompressed")
    else:
        pd.DataFrame(rows, columns=["a", "b"]).to_parquet(path, row_group_size=50_000)
    code = (
        "import os, sys; from pathlib import Path; from alad_tf.errors import DataError\n"
        "from alad_tf.tabular import readers; path = Path(sys.argv[1]); chunks = readers.chunks(path, 1000)\n"
        "next(chunks); os.truncate(path, path.stat().st_size // 2 + 3)\n"
        "try: print(sum(map(len, chunks)))\n"
        "except DataError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=CHECKOUT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"rows{suffix}" in done.stdout and "Expected" in done.stdout


@pytest.mark.parametrize(
    ("suffix", "cell", "rows"),
    [(".feather", 0.0, 10_000_000), (".parquet", 0.0, 10_000_000), (".parquet", "x" * 2000, 40_000)],
    ids=short,
)
def test_bombs(tmp_path: Path, suffix: str, cell: float | str, rows: int) -> None:
    path = tmp_path / f"rows{suffix}"
    frame = pd.DataFrame({"a": [cell] * rows})
    frame.to_feather(path, compression="zstd") if suffix == ".feather" else frame.to_parquet(path)
    for message in refusals(path):
        assert "unpacks to at most 200 times its size" in message


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view()], ids=str)
def test_text_of_pandas_3_and_polars(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pa.table({"a": pa.array(["one", "two"], kind)}), path)
    assert readers.read(path)["a"].tolist() == ["one", "two"]
    pyarrow.parquet.write_table(pa.table({"a": pa.array(["x" * 200_000] * 400, kind)}), path)
    for message in refusals(path):
        assert "unpacks to at most 200 times its size" in message


def test_long_text_that_is_repeated(tmp_path: Path) -> None:
    """A dictionary page of 1 MB expands to a batch of 16 GB; its footer says 4 bytes per value."""
    path = tmp_path / "rows.parquet"
    column = pa.DictionaryArray.from_arrays(np.zeros(16_000, np.int32), ["x" * (1 << 20)])
    schema = pa.schema([("a", pa.string())])
    with pyarrow.parquet.ParquetWriter(path, pa.schema([("a", column.type)]), store_schema=False) as writer:
        writer.write_table(pa.table({"a": column}))
    assert pyarrow.parquet.read_schema(path) == schema
    assert "unpacks to at most 200 times its size" in refusal(lambda: next(readers.chunks(path, 1 << 14)))


def test_lying_footers(tmp_path: Path) -> None:
    """Each number of a footer that equals the count of rows, 20, is replaced by 0, 2^41 and 2^63 - 1."""
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"a": np.arange(20.0)}).to_parquet(path, compression="none")
    content = path.read_bytes()
    small, footer = b"\x28", content.index(b"schema")  # 20 as Thrift writes it: twice, in groups of seven bits
    found = 0
    for number in (0, 2**41, 2**63 - 1):
        groups = [2 * number >> 7 * k & 127 for k in range((2 * number).bit_length() // 7 + 1)]
        large = bytes([*(group | 128 for group in groups[:-1]), groups[-1]])
        for place in range(footer, len(content) - 8):
            if content[place : place + 1] == small:
                body = content[:place] + large + content[place + 1 : -8]
                size = int.from_bytes(content[-8:-4], "little") + len(large) - 1
                path.write_bytes(body + size.to_bytes(4, "little") + b"PAR1")
                try:
                    assert len(readers.read(path)) == 20  # another number that is 20
                except DataError:
                    found += 1
    assert found >= 9  # the footer's count, the group's and the column's


def test_text_offsets_behind_the_buffer(tmp_path: Path) -> None:
    """Offsets of a Feather file that point a million bytes beyond the text were followed."""
    path = tmp_path / "rows.feather"
    text = pa.table({"a": pa.array(["one", "two", "three"], pa.string())})
    pyarrow.feather.write_feather(text, path, compression="uncompressed")
    content = path.read_bytes()
    offsets = np.array([0, 3, 6, 11], "<i4").tobytes()
    assert content.count(offsets) == 1
    path.write_bytes(content.replace(offsets, np.array([0, 3, 1_000_000, 1_000_011], "<i4").tobytes()))
    for message in refusals(path):
        assert "damaged file" in message and "offset" in message.lower()


def test_feather_of_lying_length(tmp_path: Path) -> None:
    path = tmp_path / "rows.feather"
    pd.DataFrame({"a": np.arange(77.0)}).to_feather(path, compression="uncompressed")
    content = path.read_bytes()
    for number in (2**41, 2**62, -1):
        path.write_bytes(content.replace((77).to_bytes(8, "little"), number.to_bytes(8, "little", signed=True)))
        assert path.read_bytes() != content
        refusals(path)
