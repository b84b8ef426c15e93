"""Counts and sizes claimed by the footer of a Parquet file, read before Arrow allocates memory for them.

In pyarrow, only `RowGroupMetaData.column` exposes these numbers, and it crashes the process if the statistics of a
column contradict the schema. Therefore they are read here, from FileMetaData, RowGroup, ColumnChunk and ColumnMetaData
of parquet.thrift.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from alad_tf.tabular.compact_protocol import BINARY, I32, I64, LIST, STRUCT, Compact

MAGIC = b"PAR1"
MOST_BYTES = 1 << 26  # size limit of a footer; 65,536 columns in several row groups take less
MOST_GROUPS = 1 << 18  # limit on row groups, which may be empty
_WIDTHS = (1, 4, 8, 12, 4, 8, 4, 1)  # bytes of a value in memory, by the number of its physical type
# (number, type) of the fields to read
_FILE_ROWS, _GROUPS = (3, I64), (4, LIST)
_COLUMNS, _GROUP_ROWS = (1, LIST), (3, I64)
_META_DATA = (3, STRUCT)
_TYPE, _PATH, _VALUES, _SIZE = (1, I32), (3, LIST), (5, I64), (6, I64)
_Value = TypeVar("_Value")


class Chunk(NamedTuple):
    """A column of a row group."""

    flat: bool  # not nested in another column, so that it has a value for each row
    values: int
    size: int  # claimed unpacked size in bytes, or the memory of its values if that is more


class Group(NamedTuple):
    """A row group."""

    rows: int
    chunks: list[Chunk]


class Footer(NamedTuple):
    """Content of a footer."""

    rows: int
    groups: list[Group]


def read(path: Path) -> Footer:
    """Read the footer of a Parquet file. If a field occurs twice, the last one counts, as in Arrow.

    Raises:
        ValueError: the footer is missing, damaged or larger than MOST_BYTES, or has more than MOST_GROUPS.
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 8))
        tail = file.read(8)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != MAGIC or length > end - 8:
            raise ValueError("no footer at the end of the file")
        if length > MOST_BYTES:
            raise ValueError(f"a footer of {length} bytes; at most {MOST_BYTES} are read")
        file.seek(end - 8 - length)
        content = file.read(length)
    try:
        return _footer(Compact(content))
    except IndexError as error:
        raise ValueError(f"a damaged footer: {error}") from error


def _footer(content: Compact) -> Footer:
    rows, groups = None, None
    for field in content.fields():
        if field == _FILE_ROWS:
            rows = content.number()
        elif field == _GROUPS:
            groups = list(_each_group(content))
        else:
            content.skip(field[1])
    return Footer(_present(rows), _present(groups))


def _each_group(content: Compact) -> Iterator[Group]:
    for number, _ in enumerate(content.items(STRUCT)):
        if number == MOST_GROUPS:
            raise ValueError(f"more than {MOST_GROUPS} row groups")
        yield _group(content)


def _group(content: Compact) -> Group:
    rows, chunks = None, None
    for field in content.fields():
        if field == _GROUP_ROWS:
            rows = content.number()
        elif field == _COLUMNS:
            chunks = [_chunk(content) for _ in content.items(STRUCT)]
        else:
            content.skip(field[1])
    return Group(_present(rows), _present(chunks))


def _chunk(content: Compact) -> Chunk:
    chunk = None
    for field in content.fields():
        if field == _META_DATA:
            chunk = _meta_data(content)
        else:
            content.skip(field[1])
    return _present(chunk)


def _meta_data(content: Compact) -> Chunk:
    kind, levels, values, size = None, None, None, None
    for field in content.fields():
        if field == _TYPE:
            kind = content.number()
        elif field == _PATH:
            levels = len([content.binary() for _ in content.items(BINARY)])
        elif field == _VALUES:
            values = content.number()
        elif field == _SIZE:
            size = content.number()
        else:
            content.skip(field[1])
    kind, values = _present(kind), _present(values)
    width = _WIDTHS[kind] if 0 <= kind < len(_WIDTHS) else 1
    return Chunk(_present(levels) == 1, values, max(_present(size), values * width))


def _present(value: _Value | None) -> _Value:
    if value is None:
        raise ValueError("a footer without one of its fields")
    return value
