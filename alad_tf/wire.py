"""Protocol buffers by hand, for the few messages that are read and written without TensorFlow's own classes.

A message is a sequence of fields: a number, and a whole number or bytes (text, a message within). Entries of a map are
messages with the fields 1 (key) and 2 (value).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Union

Value = Union[int, bytes]


def field(number: int, value: int | bytes | str) -> bytes:
    """One field of a message; concatenated fields are a message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """(number, value) of each field of a message.

    Raises:
        ValueError: it is no message.
    """
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        number, kind = key >> 3, key & 7
        length = {1: 8, 5: 4}.get(kind, 0)
        if kind in (0, 2):
            length, position = _read_varint(message, position)
        if kind not in (0, 1, 2, 5) or (kind != 0 and position + length > len(message)):
            raise ValueError(f"Expected a protocol-buffer message. Received: {len(message)} bytes that are none")
        if kind == 0:
            yield number, length
        else:
            yield number, message[position : position + length]
            position += length


def entries(message: bytes, number: int) -> dict[str, bytes]:
    """The map in a field of a message whose keys are text and whose values are messages."""
    found = {}
    for place, entry in fields(message):
        if place == number and isinstance(entry, bytes):
            parts = dict(fields(entry))
            found[bytes(parts.get(1, b"")).decode()] = bytes(parts.get(2, b""))
    return found


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if position >= len(message):
            raise ValueError("Expected a protocol-buffer message. Received: one that ends within a number")
        byte = message[position]
        number, shift, position = number | (byte & 0x7F) << shift, shift + 7, position + 1
        if not byte & 0x80:
            return number, position
