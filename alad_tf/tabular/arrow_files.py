"""Parquet and Feather files, read with Arrow, with limits on their unpacked size and full validation of each batch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from alad_tf.columns.exact import as_frame
from alad_tf.errors import DataError, quoted, shown, visible
from alad_tf.io import archives
from alad_tf.tabular import feather_footer, parquet_footer
from alad_tf.tabular.formats import Advance

_TEXT = (pa.types.is_string, pa.types.is_binary, pa.types.is_large_string, pa.types.is_large_binary)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
_VIEWS = (pa.types.is_string_view, pa.types.is_binary_view)  # dictionaries cannot be cast to these


def parquet_columns(path: Path) -> list[str]:
    """Column names of a Parquet file."""
    with pyarrow.parquet.ParquetFile(path) as file:
        return _without_index(file.schema_arrow.names)


def parquet_types(path: Path, wanted: Iterable[str]) -> dict[str, pa.DataType]:
    """Types of columns in the tables of `parquet_tables`."""
    with pyarrow.parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        return {name: _plain_text(schema.field(name).type) for name in wanted}


def parquet_tables(
    path: Path, rows: int, wanted: list[str], report: Advance, groups: Sequence[int] | None = None
) -> Iterator[tuple[pa.Table, int]]:
    """Read the rows of a Parquet file, or of some row groups, in Arrow tables of `rows`; see `readers.tables`."""
    count = sum(parquet_groups(path))
    with pyarrow.parquet.ParquetFile(path) as file:
        types = {field.name: field.type for field in file.schema_arrow}
    text = [name for name in wanted if any(holds(types[name]) for holds in (*_TEXT, *_VIEWS))]
    # Read text as dictionaries, so that a long text that is repeated takes no memory before its size is known.
    with pyarrow.parquet.ParquetFile(path, read_dictionary=text) as file:
        batches = file.iter_batches(rows, groups, columns=wanted, use_threads=False)
        for table, first in regrouped(_decoded(path, batches, types), rows):
            yield table, first
            report((first + len(table)) / count)


def parquet_groups(path: Path) -> list[int]:
    """Count the rows of each row group of a Parquet file.

    Refuses a footer that contradicts itself or claims more data than a file of this size can hold.

    Raises:
        ValueError: the number of rows differs from that of the row groups or columns.
        DataError: the compression ratio is too high for real data.
    """
    footer = parquet_footer.read(path)
    size = rows = 0
    for group in footer.groups:
        rows += group.rows
        for chunk in group.chunks:
            if group.rows < 0 or chunk.values < 0 or (chunk.flat and chunk.values != group.rows):
                raise ValueError(f"a column of {chunk.values} values in a row group of {group.rows} rows")
            size += chunk.size
        archives.require_bounded(path, size + rows)
    if rows != footer.rows:
        raise ValueError(f"a footer that claims {footer.rows} rows, and row groups of {rows}")
    return [group.rows for group in footer.groups]


def _decoded(
    path: Path, batches: Iterable[pa.RecordBatch], types: Mapping[str, pa.DataType]
) -> Iterator[pa.RecordBatch]:
    """Validate batches and decode dictionaries to text, if its size is within the limit."""
    size = 0
    for batch in batches:
        batch.validate(full=True)
        columns = []
        for name, column in zip(batch.schema.names, batch.columns):
            size += _text_bytes(column)
            archives.require_bounded(path, size)
            if pa.types.is_dictionary(column.type) and not pa.types.is_dictionary(types[name]):
                column = column.cast(_plain_text(types[name]))
            columns.append(_without_views(column))
        yield pa.RecordBatch.from_arrays(columns, batch.schema.names)


def _text_bytes(column: pa.Array) -> int:
    """Bytes of the text of a dictionary or of views, which repeat a text without taking memory for it."""
    if _is_view(column.type):
        lengths = _lengths(column)
    elif pa.types.is_dictionary(column.type) and any(holds(column.type.value_type) for holds in (*_TEXT, *_VIEWS)):
        lengths = _lengths(column.dictionary).take(column.indices)
    else:
        return 0
    return pa.compute.sum(lengths).as_py() or 0


def _lengths(text: pa.Array) -> pa.Array:
    """Bytes of each text; Arrow has no function for views, each of which begins with its length (int32)."""
    if not _is_view(text.type):
        return pa.compute.binary_length(text)
    found = np.frombuffer(text.buffers()[1], np.int32)[::4][text.offset : text.offset + len(text)]
    return pa.array(found, mask=~text.is_valid().to_numpy(zero_copy_only=False))


def _is_view(kind: pa.DataType) -> bool:
    return any(holds(kind) for holds in _VIEWS)


def _without_views(column: pa.Array) -> pa.Array:
    """Views, also those in a dictionary, as plain text or bytes."""
    if pa.types.is_dictionary(column.type) and _is_view(column.type.value_type):
        return pa.DictionaryArray.from_arrays(
            column.indices, _without_views(column.dictionary), ordered=column.type.ordered
        )
    return column.cast(_plain_text(column.type)) if _is_view(column.type) else column


def _plain_text(kind: pa.DataType) -> pa.DataType:
    """The type of text or bytes without views; other types are unchanged."""
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _plain_text(kind.value_type), kind.ordered)
    return pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary() if _is_view(kind) else kind


def feather_columns(path: Path) -> list[str]:
    """Column names of a Feather file (version 2)."""
    with open(path, "rb") as file:
        if file.read(4) == b"FEA1":
            raise DataError(
                f"Expected a Feather file of version 2. Received: {path}, of version 1. Write it again in version 2."
            )
    with pa.OSFile(str(path)) as file:
        return _without_index(pa.ipc.open_file(file).schema.names)


def feather_tables(path: Path, rows: int, wanted: list[str], report: Advance) -> Iterator[tuple[pa.Table, int]]:
    """Read the rows of a Feather file in Arrow tables of `rows`; see `readers.tables`. Holds one batch in memory."""
    archives.require_bounded(path, feather_footer.unpacked_size(path))
    with pa.OSFile(str(path)) as file:
        reader = pa.ipc.open_file(file)
        count = reader.num_record_batches

        def batches() -> Iterator[pa.RecordBatch]:
            for number in range(count):
                yield reader.get_batch(number).select(wanted)
                report((number + 1) / count)

        types = {name: reader.schema.field(name).type for name in wanted}
        yield from regrouped(_decoded(path, batches(), types), rows)


def _without_index(names: list[str]) -> list[str]:
    """Column names without the unnamed index that pandas stores after rows were selected or shuffled."""
    return [name for name in names if not re.fullmatch(r"__index_level_\d+__", name)]


def regrouped(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[tuple[pa.Table, int]]:
    """Regroup batches to tables of `rows` (the last may be shorter), each with the number of its first row."""
    waiting: list[pa.RecordBatch] = []
    first = count = 0
    for batch in batches:
        waiting.append(batch)
        count += len(batch)
        while count >= rows:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, rows), first
            first, count = first + rows, count - rows
            waiting = table.slice(rows).to_batches()
    if count:
        yield pa.Table.from_batches(waiting), first


def frame_of(path: Path, table: pa.Table, first: int) -> pd.DataFrame:
    """Convert an Arrow table of numbers and text to a frame numbered from `first`; decimal numbers become float64.

    Raises:
        DataError: a column has another type.
    """
    for field in table.schema:
        nested = pa.types.is_nested(field.type)
        if nested or any(holds(field.type) for holds in _BYTES):
            what = f"cells of type {shown(visible(field.type))}" if nested else "bytes, not UTF-8 text"
            raise DataError(f"Expected numbers or text in column {quoted(field.name)} of {path}. Received: {what}.")
    frame = as_frame(table)
    frame.index = pd.RangeIndex(first, first + len(frame))
    return frame
