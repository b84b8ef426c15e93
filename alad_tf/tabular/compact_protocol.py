"""Reader of Thrift's compact protocol, the format of the footer of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT, UUID = range(1, 14)
_FIXED = {BYTE: 1, DOUBLE: 8, UUID: 16}  # bytes
_NUMBERS = (I16, I32, I64)
_NESTED = 32  # limit on nested structs and lists to skip, more than Parquet has


class Compact:
    """Bytes and the current reading position.

    All methods raise IndexError at the end of the bytes and ValueError for invalid data.
    """

    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield (number, type) of each field of a struct; the caller reads or skips its value."""
        field = 0
        while True:
            head = self._byte()
            if head == 0:
                return
            field = field + (head >> 4) if head >> 4 else self.number()
            field = (field + (1 << 15)) % (1 << 16) - (1 << 15)
            yield field, head & 15

    def items(self, kind: int) -> Iterator[None]:
        """Yield once for each item of a list of the given type; the caller reads the item."""
        found, size = self._list()
        if found != kind and size:
            raise ValueError(f"a list of type {found} instead of {kind}")
        for _ in range(size):
            yield

    def number(self) -> int:
        """Read a 64-bit integer."""
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def binary(self) -> bytes:
        """Read bytes, or text as bytes."""
        size = self._varint()
        start = self._place
        self._move(size)
        return self._content[start : self._place]

    def skip(self, kind: int, level: int = 0) -> None:
        """Skip the value of a field."""
        if level > _NESTED:
            raise ValueError(f"more than {_NESTED} levels")
        if kind in _NUMBERS:
            self._varint()
        elif kind == BINARY:
            self._move(self._varint())
        elif kind == STRUCT:
            for _, inner in self.fields():
                self.skip(inner, level + 1)
        elif kind in (LIST, SET):
            inner, size = self._list()
            self._skip_items((inner,), size, level)
        elif kind == MAP:
            size = self._varint()
            kinds = self._byte() if size else 0
            self._skip_items((kinds >> 4, kinds & 15), size, level)
        elif kind in _FIXED:
            self._move(_FIXED[kind])
        elif kind not in (TRUE, FALSE):
            raise ValueError(f"a field of type {kind}")

    def _skip_items(self, kinds: tuple[int, ...], size: int, level: int) -> None:
        for _ in range(size):
            for kind in kinds:
                self.skip(BYTE if kind in (TRUE, FALSE) else kind, level + 1)

    def _list(self) -> tuple[int, int]:
        """Read the type and the number of items of a list."""
        head = self._byte()
        return head & 15, head >> 4 if head >> 4 < 15 else self._varint()

    def _byte(self) -> int:
        value = self._content[self._place]
        self._place += 1
        return value

    def _move(self, size: int) -> None:
        if size > len(self._content) - self._place:
            raise IndexError("values behind its end")
        self._place += size

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._content[self._place]
            self._place += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value & (1 << 64) - 1
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")
