"""CSV, TSV and other delimited text, possibly compressed, read with Arrow; quotes are checked on the way."""

from __future__ import annotations

import codecs
import csv
import gzip
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, cast

import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from alad_tf.columns.schema import Kind
from alad_tf.errors import DataError, quoted, shown
from alad_tf.io import archives
from alad_tf.tabular import damage, dialects, encodings, spreadsheets
from alad_tf.tabular.arrow_files import frame_of, regrouped
from alad_tf.tabular.dialects import Dialect
from alad_tf.tabular.formats import BLOCK_BYTES, Advance, format_of
from alad_tf.tabular.quotes import QuoteCheck

_SMALL_BLOCK_BYTES = 1 << 18
_SAMPLE_BYTES = 1 << 18  # bytes read at a time until there are SAMPLE_LINES
_MARK = "\ufeff"
_EXCEL_LINE = re.compile(rb'"?sep=[^\w\r\n]"?\s*', re.IGNORECASE)
_JSON = re.compile(rb'\s*(\[\s*)?\{\s*"')
_NULLS = pa.array(pyarrow.csv.ConvertOptions().null_values)


_Options = tuple[pyarrow.csv.ReadOptions, pyarrow.csv.ParseOptions, pyarrow.csv.ConvertOptions]


def settle(path: Path, asked: Dialect, usual: Dialect, expected: Collection[str] = ()) -> Dialect:
    """Detect the values of the dialect that `asked` does not give.

    Args:
        path: the file.
        asked: given values.
        usual: preferred values if they fit the file, such as the dialect of the training file.
        expected: names that the header should have.

    Raises:
        DataError: the text has several columns, and no separator that can be told.
    """
    encoding = asked.encoding
    if encoding is None:
        one_byte = usual.encoding if usual.encoding and not usual.encoding.startswith("utf") else None
        with _opened(path, Dialect(encoding=encodings.UTF8)) as file:
            encoding = encodings.detect(file, one_byte)
    header = (asked.header, usual.header) != (None, False) and asked.header is not False
    asked = replace(asked, encoding=encoding, header=header)
    text = _sample(path, asked)
    chosen = dialects.found(text, usual.sep or _named_separator(path), asked, expected if header else ())
    if asked.decimal is None and usual.decimal and chosen.sep == usual.sep:
        chosen = replace(chosen, decimal=usual.decimal)
    problem = None if asked.sep else dialects.unseparated(text, chosen, by_blanks=not expected)
    if problem:
        columns(path, chosen)  # refuses first what is no table at all, such as a page of HTML
        raise DataError(f"Expected a separator of the columns of {path}. Received: {problem}")
    return chosen


def grouped(path: Path, dialect: Dialect) -> Iterator[tuple[int, str]]:
    """Yield the number of each column with points that seem to separate thousands, from 0, and such a cell."""
    records = dialects.records(_sample(path, dialect), dialect.sep or ",")[int(dialect.header is not False) :]
    for number, cells in enumerate(zip_longest(*records, fillvalue="")):
        cell = dialects.thousands(cells, dialect.decimal or ".")
        if cell is not None:
            yield number, cell


def escaped(path: Path, dialect: Dialect) -> str | None:
    """A cell of the first lines that `spreadsheets.neutral_column` may have escaped, if there is one."""
    for cells in dialects.records(_sample(path, dialect), dialect.sep or ","):
        for cell in cells:
            if spreadsheets.is_escaped(cell):
                return cell
    return None


def _sample(path: Path, dialect: Dialect) -> list[str]:
    text = [line.decode("utf-8", "replace") for line in _first_lines(path, dialect, dialects.SAMPLE_LINES)]
    text[:1] = [line.removeprefix(_MARK) for line in text[:1]]
    return text


def columns(path: Path, dialect: Dialect) -> list[str]:
    """Column names: those in the first line, or x0, x1, ... without a header.

    Raises:
        DataError: the first line is not a row of text.
    """
    lines = _first_lines(path, dialect, dialects.SAMPLE_LINES)
    lines[:1] = [line.removeprefix(codecs.BOM_UTF8) for line in lines[:1]]
    _require_table(path, lines[0] if lines else b"", dialect)
    try:
        decoded = (line.decode("utf-8") for line in lines)
        names = next(csv.reader(decoded, delimiter=dialect.sep or ",", strict=True))
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        received = "a quote that is not closed" if "unexpected end" in str(error) else error
        raise DataError(f"Expected a header of names in UTF-8 on line 1 of {path}. Received: {received}.") from error
    return names if dialect.header is not False else dialects.numbered(len(names))


def _require_table(path: Path, first: bytes, dialect: Dialect) -> None:
    """Check that the first line of a text can be that of a table."""
    if len(first) >= BLOCK_BYTES and first[-1:] != b"\n":
        raise DataError(f"Expected a header of at most {BLOCK_BYTES} bytes in {path}. Received: a longer first line.")
    if not first.strip():
        raise DataError(f"Expected a header and rows in {path}. Received: an empty file or first line.")
    if first.lstrip(b" \t").startswith(b"<"):
        raise DataError(f"Expected rows in {path}. Received: a page of HTML or XML, {shown(first)}")
    if dialect.header is not False and _JSON.match(first):
        raise DataError(
            f"Expected delimited text in {path}. Received: JSON. Allowed: JSON Lines, one object a line, named .jsonl."
        )
    if _EXCEL_LINE.fullmatch(first):
        raise DataError(
            f"Expected a header on line 1 of {path}. Received: {quoted(first.decode().strip())}, a line for Excel. "
            "Remove it; --sep names the separator."
        )
    if b"\0" in first:
        raise DataError(
            f"Expected text in {path}. Received: binary data. Its suffix must tell its format; for UTF-16, pass "
            "--encoding utf-16-le or utf-16-be."
        )


def read(
    path: Path, dialect: Dialect, names: list[str], kinds: Mapping[str, Kind], advance: Advance | None
) -> pd.DataFrame:
    """Read all rows; a column without a given kind is numeric if all its cells are numbers."""
    with _opened(path, dialect, advance) as unpacked:
        file = _Checked(path, unpacked, dialect)
        table = pyarrow.csv.read_csv(file, *_options(path, dialect, names, kinds))
        file.finish()
    return frame_of(path, _without_blanks(path, dialect, _with_kinds(path, dialect, table, 0, kinds), kinds), 0)


def _without_blanks(path: Path, dialect: Dialect, table: pa.Table, kinds: Mapping[str, Kind]) -> pa.Table:
    """Take columns for numbers that are text only because of cells of blanks, which are missing then."""
    for place, name in enumerate(table.column_names):
        cells = table.column(place)
        if name in kinds or not pa.types.is_string(cells.type):
            continue
        present = pa.compute.not_equal(pa.compute.utf8_trim_whitespace(cells), "")
        if pa.compute.all(present).as_py() is False and pa.compute.any(present).as_py():
            with suppress(DataError):
                known = pa.compute.case_when(pa.compute.make_struct(present), cells)
                table = table.set_column(place, name, _numbers(path, dialect, known, name, 0))
    return table


def chunks(
    path: Path, dialect: Dialect, rows: int, wanted: list[str], kinds: Mapping[str, Kind], report: Advance
) -> Iterator[pd.DataFrame]:
    """Read the wanted columns in frames of `rows`; see `readers.chunks`."""
    for table, first in _tables(path, dialect, rows, _options(path, dialect, wanted, kinds), report):
        yield frame_of(path, _with_kinds(path, dialect, table, first, kinds), first)


def tables(
    path: Path, dialect: Dialect, rows: int, wanted: list[str], report: Advance
) -> Iterator[tuple[pa.Table, int]]:
    """Read the wanted columns as unchanged text; see `readers.tables`."""
    options = _options(path, dialect, wanted, dict.fromkeys(wanted, "text"), missing=False)
    yield from _tables(path, dialect, rows, options, report)


def typed(path: Path, dialect: Dialect, table: pa.Table, first: int, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """Convert a table of `tables` to numbers and text by the given kinds, in a frame numbered from `first`."""
    return frame_of(path, _with_kinds(path, dialect, table.select(list(kinds)), first, kinds), first)


def _with_kinds(path: Path, dialect: Dialect, table: pa.Table, first: int, kinds: Mapping[str, Kind]) -> pa.Table:
    """Convert columns of text to numbers and text with missing cells, by the given kinds."""
    columns = dict(zip(table.column_names, table.columns))
    for name in filter(kinds.__contains__, table.column_names):
        trimmed = pa.compute.utf8_trim_whitespace(columns[name]) if kinds[name] == "number" else columns[name]
        present = pa.compute.invert(pa.compute.is_in(trimmed, _NULLS))
        cells = pa.compute.case_when(pa.compute.make_struct(present), trimmed)  # if_else gives wrong results on slices
        columns[name] = _numbers(path, dialect, cells, name, first) if kinds[name] == "number" else cells
    return pa.table(columns)


def _numbers(path: Path, dialect: Dialect, cells: pa.ChunkedArray, name: str, first: int) -> pa.ChunkedArray:
    text = cells
    if dialect.decimal == ",":  # a number then has no point
        text = pa.compute.replace_substring(pa.compute.replace_substring(text, ".", "?"), ",", ".")
    try:
        return text.cast(pa.float64())
    except pa.ArrowInvalid as error:
        with suppress(pa.ArrowInvalid):  # hexadecimal numbers, which Arrow also finds in columns without a given kind
            return text.cast(pa.int64()).cast(pa.float64())
        row = next((row for row, cell in enumerate(text) if not _is_number(cell)), 0)
        raise DataError(
            f"Expected a number in column {quoted(name)}, row {first + row + 1} of {path}. Received: "
            f"{quoted(cells[row].as_py())}"
        ) from error


def _is_number(cell: pa.Scalar) -> bool:
    with suppress(pa.ArrowInvalid):
        cell.cast(pa.float64())
        return True
    return False


def _tables(
    path: Path, dialect: Dialect, rows: int, options: _Options, report: Advance
) -> Iterator[tuple[pa.Table, int]]:
    """Read in small blocks, because Arrow reads 32 of them ahead; from a line longer than a block on, in large ones."""
    reading, parsing, converting = options
    inferred = set(converting.include_columns) - set(converting.column_types)  # from the first block
    done = 0
    for size in [BLOCK_BYTES] if inferred else [_SMALL_BLOCK_BYTES, BLOCK_BYTES]:
        reading.block_size = size
        try:
            for table, first in _tables_of_blocks(path, dialect, rows, (reading, parsing, converting), report):
                if first >= done:
                    yield table, first
                    done = first + len(table)
            return
        except pa.ArrowInvalid as error:
            if size == BLOCK_BYTES or not damage.is_of_long_line(error):
                raise


def _tables_of_blocks(
    path: Path, dialect: Dialect, rows: int, options: _Options, report: Advance
) -> Iterator[tuple[pa.Table, int]]:
    with _opened(path, dialect, report) as unpacked:
        file = _Checked(path, unpacked, dialect)
        yield from regrouped(pyarrow.csv.open_csv(file, *options), rows)
        file.finish()


def _named_separator(path: Path) -> str:
    return "\t" if format_of(path) == ".tsv" else ","


def _first_lines(path: Path, dialect: Dialect, count: int) -> list[bytes]:
    """The first complete lines of a text in UTF-8, at most BLOCK_BYTES."""
    content = b""
    with _opened(path, dialect) as file:
        while content.count(b"\n") < count and len(content) < BLOCK_BYTES:
            block = file.read(_SAMPLE_BYTES)
            if not block:
                break
            content += block
    return content.splitlines(keepends=True)[:count]


def _options(
    path: Path, dialect: Dialect, names: list[str], kinds: Mapping[str, Kind], missing: bool = True
) -> _Options:
    given = None if dialect.header is not False else columns(path, dialect)
    return (
        # with one thread, errors include the row
        pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=given),
        pyarrow.csv.ParseOptions(delimiter=dialect.sep or ",", newlines_in_values=True),
        pyarrow.csv.ConvertOptions(
            column_types={name: pa.string() for name in names if name in kinds},
            include_columns=names,
            decimal_point=dialect.decimal or ".",
            strings_can_be_null=missing,
            true_values=[],  # a column of true and false stays text
            false_values=[],
        ),
    )


@contextmanager
def _opened(path: Path, dialect: Dialect, advance: Advance | None = None) -> Iterator[BinaryIO]:
    """The text of a file in UTF-8, decompressed as it is read."""
    with unpacked(path, advance) as file:
        in_utf8 = dialect.encoding in (None, encodings.UTF8)
        try:
            yield file if in_utf8 else encodings.Transcoded(file, dialect.encoding or "")  # type: ignore[misc]
        except UnicodeError as error:
            raise DataError(
                f"Expected text in {dialect.encoding} in {path}. Received: bytes that do not fit it: {shown(error)}. "
                "Name another --encoding, or leave the option out."
            ) from error


@contextmanager
def unpacked(path: Path, advance: Advance | None = None) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed as they are read."""
    with open(path, "rb") as raw:
        counted = cast(BinaryIO, _Counting(raw, path.stat().st_size, advance)) if advance else raw
        if path.name.lower().endswith(".gz"):
            with _Unpacked(path, counted) as file:
                yield file  # type: ignore[misc]
        else:
            yield counted


class _Checked:
    """Text for Arrow's reader with a check for unclosed quotes, which swallow rows."""

    def __init__(self, path: Path, file: BinaryIO, dialect: Dialect) -> None:
        self._file = file
        self._quotes = QuoteCheck(path, dialect.sep or ",")
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._quotes.feed(content)
        return content

    def finish(self) -> None:
        """Check the end of the text, which Arrow may not have read."""
        while self.read(BLOCK_BYTES):
            pass


class _Unpacked(gzip.GzipFile):
    """The text of a compressed file; an error if the compression ratio is too high for real data."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        super().__init__(fileobj=file)
        self._path = path

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        archives.require_bounded(self._path, self.tell())
        return content


class _Counting:
    """A binary file that reports the progress of reading."""

    def __init__(self, file: BinaryIO, size: int, advance: Advance) -> None:
        self._file, self._size, self._advance = file, size, advance
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._advance(min(1.0, self._file.tell() / max(self._size, 1)))
        return content
