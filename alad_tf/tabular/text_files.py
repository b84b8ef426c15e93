"""CSV and TSV files, packed or not, by Arrow's reader; quotes are checked on the way."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from alad_tf.errors import DataError
from alad_tf.io import archives
from alad_tf.tabular.arrow_files import frame_of, regrouped
from alad_tf.tabular.formats import BLOCK_BYTES, Advance, Kind, format_of, shown
from alad_tf.tabular.quotes import QuoteCheck

_ARROW_TYPES = {"number": pa.float64(), "text": pa.string()}


def columns(path: Path) -> list[str]:
    """Names of the columns, from the first line.

    Raises:
        DataError: the first line is no header of names in UTF-8.
    """
    with _opened(path) as file:
        first = file.readline(BLOCK_BYTES)
    if len(first) == BLOCK_BYTES and first[-1:] != b"\n":
        raise DataError(f"Expected a header of at most {BLOCK_BYTES} bytes in {path}. Received: a longer first line.")
    first = first.removeprefix(b"\xef\xbb\xbf")
    if not first.strip():
        raise DataError(f"Expected a header and rows in {path}. Received: an empty file or first line.")
    if first.lstrip(b" \t").startswith(b"<"):
        raise DataError(f"Expected rows in {path}. Received: a page of HTML or XML, {shown(first)}")
    if b"\0" in first:
        raise DataError(f"Expected text in {path}. Received: binary data. Its name has to say its format.")
    try:
        (names,) = csv.reader([first.decode("utf-8")], delimiter=_delimiter(path), strict=True)
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(f"Expected a header of names in UTF-8 on line 1 of {path}. Received: {error}.") from error
    other = next((mark for mark in ";\t|," if mark != _delimiter(path) and mark in names[0]), None)
    if len(names) == 1 and other:
        hint = "Name it .tsv" if other == "\t" else "Separate them by commas, or by tabs in a .tsv file"
        raise DataError(f"Expected columns in {path}. Received: one, named {names[0]!r}. {hint}.")
    return names


def read(path: Path, names: list[str], kinds: Mapping[str, Kind], advance: Advance | None) -> pd.DataFrame:
    """Read all rows; a column whose kind is not given is one of numbers where all its cells are numbers."""
    with _opened(path, advance) as unpacked:
        file = _Checked(path, unpacked)
        table = pyarrow.csv.read_csv(file, *_options(path, names, kinds))
        file.finish()
    return frame_of(path, table, 0)


def chunks(
    path: Path, rows: int, wanted: list[str], kinds: Mapping[str, Kind], report: Advance
) -> Iterator[pd.DataFrame]:
    """Read the wanted columns in frames of `rows`; see `readers.chunks`."""
    with _opened(path, report) as unpacked:
        file = _Checked(path, unpacked)
        for table, first in regrouped(pyarrow.csv.open_csv(file, *_options(path, wanted, kinds)), rows):
            yield frame_of(path, table, first)
        file.finish()


def _delimiter(path: Path) -> str:
    return "\t" if format_of(path) == ".tsv" else ","


def _options(
    path: Path, names: list[str], kinds: Mapping[str, Kind]
) -> tuple[pyarrow.csv.ReadOptions, pyarrow.csv.ParseOptions, pyarrow.csv.ConvertOptions]:
    return (
        pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),  # one thread: errors then say the row
        pyarrow.csv.ParseOptions(delimiter=_delimiter(path), newlines_in_values=True),
        pyarrow.csv.ConvertOptions(
            column_types={name: _ARROW_TYPES[kinds[name]] for name in names if name in kinds},
            include_columns=names,
            strings_can_be_null=True,
            true_values=[],  # a column of true and false stays as it is written
            false_values=[],
        ),
    )


@contextmanager
def _opened(path: Path, advance: Advance | None = None) -> Iterator[BinaryIO]:
    """The text of a file, unpacked as it is read."""
    with open(path, "rb") as raw:
        counted = cast(BinaryIO, _Counting(raw, path.stat().st_size, advance)) if advance else raw
        if path.name.lower().endswith(".gz"):
            with _Unpacked(path, counted) as unpacked:
                yield unpacked  # type: ignore[misc]
        else:
            yield counted


class _Checked:
    """Text for Arrow's reader, which refuses quotes that are left open and so swallow rows."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._file = file
        self._quotes = QuoteCheck(path, _delimiter(path))
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._quotes.feed(content)
        return content

    def finish(self) -> None:
        """Check the end of the text, also where Arrow has not asked for it."""
        while self.read(BLOCK_BYTES):
            pass


class _Unpacked(gzip.GzipFile):
    """The text of a packed file, which ends with an error where it is more than real data pack to."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        super().__init__(fileobj=file)
        self._path = path

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        archives.require_bounded(self._path, self.tell())
        return content


class _Counting:
    """A binary file that reports how much of it has been read."""

    def __init__(self, file: BinaryIO, size: int, advance: Advance) -> None:
        self._file, self._size, self._advance = file, size, advance
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._advance(min(1.0, self._file.tell() / max(self._size, 1)))
        return content
