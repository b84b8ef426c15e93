"""Write tables in chunks to CSV, Parquet and Feather files, and as CSV to standard output.

All cells of all outputs pass through the function that `writing` yields, as Arrow tables.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Callable, NamedTuple

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from alad_tf.errors import DataError, SettingsError, shown
from alad_tf.io import atomic
from alad_tf.tabular import spreadsheets
from alad_tf.tabular.dialects import Dialect

OUTPUTS = (".csv", ".parquet", ".feather")
STANDARD_OUTPUT = Path("-")

_PLAIN = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_temporal)  # whose text needs no quotes

Write = Callable[[pa.Table], None]


class Style(NamedTuple):
    """Format of CSV output.

    Args:
        sep: separator of cells.
        decimal: decimal mark of numbers.
        raw_text: write text unchanged; otherwise escape it with `spreadsheets.neutral_column`.
    """

    sep: str = ","
    decimal: str = "."
    raw_text: bool = False

    @classmethod
    def of(cls, dialect: Dialect, raw_text: bool = False) -> Style:
        """The style that matches the dialect of an input."""
        return cls(dialect.sep or ",", dialect.decimal or ".", raw_text)


def format_of(output: Path) -> str:
    """Suffix of an output, one of `OUTPUTS`; standard output is .csv.

    Raises:
        SettingsError: another suffix.
    """
    if output == STANDARD_OUTPUT:
        return ".csv"
    suffix = output.suffix.lower()
    if suffix not in OUTPUTS or output.name.lower() == suffix:
        allowed = f"{', '.join(OUTPUTS[:-1])} or {OUTPUTS[-1]}, or - for standard output"
        raise SettingsError(f"Expected an output in {allowed}. Received: {output}.")
    return suffix


@contextmanager
def writing(output: Path, schema: pa.Schema, style: Style) -> Iterator[Write]:
    """Write tables one after the other to a file, atomically, or to standard output.

    Args:
        output: file with a suffix in `OUTPUTS`, or `STANDARD_OUTPUT`.
        schema: schema of all tables.
        style: format of CSV.

    Raises:
        DataError: the format cannot hold the cells of a column.
    """
    with reported(output), _writing(output, schema, style) as write:
        yield write


@contextmanager
def reported(output: Path) -> Iterator[None]:
    """Raise DataError for rows that Arrow cannot convert to those of an output."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise DataError(f"Expected rows that can be written to {output}. Received: {shown(error)}.") from error


@contextmanager
def _writing(output: Path, schema: pa.Schema, style: Style) -> Iterator[Write]:
    if output == STANDARD_OUTPUT:
        with _text(sys.stdout.buffer, schema, style) as write:
            yield write
        sys.stdout.buffer.flush()
        return
    with atomic.replacing(output) as temporary, _FORMATS[format_of(output)](temporary, schema, style) as write:
        yield write


@contextmanager
def _csv(path: Path, schema: pa.Schema, style: Style) -> Iterator[Write]:
    with open(path, "wb") as file, _text(file, schema, style) as write:
        yield write


@contextmanager
def _text(file: BinaryIO, schema: pa.Schema, style: Style) -> Iterator[Write]:
    header = pa.table([pa.array([name]) for name in schema.names], names=schema.names)
    file.write(lines(header, style))

    def write(table: pa.Table) -> None:
        file.write(lines(table, style))

    yield write


@contextmanager
def _parquet(path: Path, schema: pa.Schema, style: Style) -> Iterator[Write]:
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        yield writer.write_table


@contextmanager
def _feather(path: Path, schema: pa.Schema, style: Style) -> Iterator[Write]:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        yield writer.write_table


_FORMATS: dict[str, Callable[[Path, pa.Schema, Style], AbstractContextManager[Write]]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".feather": _feather,
}


def lines(table: pa.Table, style: Style) -> bytes:
    """The rows of a table as lines of CSV in UTF-8; cells are quoted only if necessary."""
    if not len(table):
        return b""
    cells = [_cells(column, style) for column in table.columns]
    ended = _joined(_joined(*cells, style.sep), "\n", "")
    return b"".join(_content(chunk) for chunk in ended.chunks)


def _joined(*cells: pa.ChunkedArray | str) -> pa.ChunkedArray:
    """Join texts row by row; the last argument is the separator."""
    texts = [pa.scalar(cell, pa.large_string()) if isinstance(cell, str) else cell for cell in cells]
    return pa.compute.binary_join_element_wise(*texts)


def _content(array: pa.Array) -> bytes:
    """All texts of an array concatenated, straight from its buffer."""
    offsets = memoryview(array.buffers()[1]).cast("q")
    begin, end = offsets[array.offset], offsets[array.offset + len(array)]
    return bytes(memoryview(array.buffers()[2])[begin:end])


def _cells(column: pa.ChunkedArray, style: Style) -> pa.ChunkedArray:
    """The cells of a column as text; missing cells are empty."""
    if pa.types.is_boolean(column.type):
        column = pa.compute.if_else(column, "True", "False")
    text = column.cast(pa.large_string())
    if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        text = pa.compute.replace_substring(text, ".", style.decimal) if style.decimal != "." else text
    elif not any(holds(column.type) for holds in _PLAIN):
        text = _quoted(text if style.raw_text else spreadsheets.neutral_column(text), style)
    return pa.compute.fill_null(text, "")


def _quoted(text: pa.ChunkedArray, style: Style) -> pa.ChunkedArray:
    mark = "|".join("\\" + character for character in style.sep) + '|["\r\n]'
    special = pa.compute.match_substring_regex(text, mark)
    if not pa.compute.any(special).as_py():
        return text
    doubled = pa.compute.replace_substring(text, '"', '""')
    return pa.compute.case_when(pa.compute.make_struct(special), _joined('"', doubled, '"', ""), text)
