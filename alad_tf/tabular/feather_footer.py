"""Unpacked size claimed by a Feather file, read before Arrow allocates memory for it.

Arrow allocates the unpacked size that a record batch claims for its buffers. Its Python interface does not expose these
sizes, so they are read here from the flatbuffers of the format (Footer, Message and RecordBatch in Arrow's schema
files).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

MAGIC = b"ARROW1"
_CONTINUATION = 0xFFFFFFFF
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3  # of the union MessageHeader
# Field numbers in the tables
_DICTIONARIES, _RECORD_BATCHES = 2, 3  # of Footer
_HEADER_TYPE, _HEADER = 1, 2  # of Message
_DATA = 1  # of DictionaryBatch
_LENGTH, _BUFFERS, _COMPRESSION = 0, 2, 3  # of RecordBatch


def unpacked_size(path: Path) -> int:
    """Total unpacked size in bytes that the batches of a file claim, plus a byte per row for columns without buffers.

    Raises:
        ValueError: the footer is missing or damaged.
        OSError: the file cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        try:
            return sum(_batch_size(file, *block) for block in _blocks(file))
        except (struct.error, IndexError, OverflowError) as error:
            raise ValueError(f"a damaged footer: {error}") from error


def _blocks(file: IO[bytes]) -> Iterator[tuple[int, int]]:
    """Yield (offset, length of the metadata) of each batch listed in the footer."""
    end = file.seek(0, os.SEEK_END)
    tail = _bytes(file, end - 10, 10)
    (length,) = struct.unpack("<i", tail[:4])
    if tail[4:] != MAGIC or not 0 < length <= end - 10:
        raise ValueError("no footer at the end of the file")
    footer = _Table.root(_bytes(file, end - 10 - length, length))
    for field in (_DICTIONARIES, _RECORD_BATCHES):
        for offset, metadata, _ in footer.structs(field, "<qi4xq"):
            yield offset, metadata


def _batch_size(file: IO[bytes], offset: int, metadata: int) -> int:
    content = _bytes(file, offset, metadata)
    prefix = 8 if struct.unpack_from("<I", content)[0] == _CONTINUATION else 4
    message = _Table.root(content[prefix:])
    kind = message.number(_HEADER_TYPE, "<B")
    if kind not in (_DICTIONARY_BATCH, _RECORD_BATCH):
        raise ValueError(f"a message of kind {kind} in place of a batch")
    batch = message.table(_HEADER)
    if kind == _DICTIONARY_BATCH:
        batch = batch.table(_DATA)
    rows = batch.number(_LENGTH, "<q")
    buffers = list(batch.structs(_BUFFERS, "<qq"))
    if rows < 0 or any(position < 0 or length < 0 for position, length in buffers):
        raise ValueError("negative sizes")
    if not batch.has(_COMPRESSION):
        return rows + sum(length for _, length in buffers)
    return rows + sum(_claimed(file, offset + metadata + position, length) for position, length in buffers if length)


def _claimed(file: IO[bytes], start: int, length: int) -> int:
    """Unpacked size that a compressed buffer claims; -1 means that it is not compressed."""
    (size,) = struct.unpack("<q", _bytes(file, start, 8))
    if size < -1:
        raise ValueError(f"a buffer of {size} bytes")
    return length if size == -1 else size


def _bytes(file: IO[bytes], start: int, size: int) -> bytes:
    if start < 0 or size < 0:
        raise ValueError("negative offsets")
    file.seek(start)
    content = file.read(size)
    if len(content) < size:
        raise ValueError("offsets behind the end of the file")
    return content


class _Table:
    """A table in a flatbuffer: fields are found through a table of offsets, which are 0 for absent fields."""

    def __init__(self, content: bytes, position: int) -> None:
        self._content, self._position = content, position
        self._offsets = position - self._read("<i", position)

    @classmethod
    def root(cls, content: bytes) -> _Table:
        return cls(content, struct.unpack_from("<I", content)[0])

    def has(self, field: int) -> bool:
        return self._place(field) != 0

    def number(self, field: int, form: str) -> int:
        place = self._place(field)
        return self._read(form, place) if place else 0

    def table(self, field: int) -> _Table:
        place = self._require(field)
        return _Table(self._content, place + self._read("<I", place))

    def structs(self, field: int, form: str) -> Iterator[tuple[int, ...]]:
        """Yield the members of a vector of structs."""
        place = self._place(field)
        if place:
            place += self._read("<I", place)
            size = struct.calcsize(form)
            for number in range(self._read("<I", place)):
                yield struct.unpack_from(form, self._content, place + 4 + number * size)

    def _require(self, field: int) -> int:
        place = self._place(field)
        if not place:
            raise ValueError("a message without its header")
        return place

    def _place(self, field: int) -> int:
        """Position of a field; 0 if it is absent."""
        entry = 4 + 2 * field
        if entry >= self._read("<H", self._offsets):
            return 0
        offset = self._read("<H", self._offsets + entry)
        return self._position + offset if offset else 0

    def _read(self, form: str, place: int) -> int:
        if place < 0:
            raise ValueError("negative offsets")
        number: int = struct.unpack_from(form, self._content, place)[0]
        return number
