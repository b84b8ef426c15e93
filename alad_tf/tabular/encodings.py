"""Encodings of text files: byte order marks, UTF-8, and a fallback for other bytes."""

from __future__ import annotations

import codecs
from typing import BinaryIO

from alad_tf.errors import SettingsError
from alad_tf.tabular.formats import BLOCK_BYTES

UTF8 = "utf-8"
_MARKS = {  # longest first, because the mark of UTF-16 is a prefix of that of UTF-32
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: UTF8,
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WINDOWS = bytes(range(0x80, 0xA0))  # control characters in Latin-1, letters and signs in Windows-1252
_UNUSED = b"\x81\x8d\x8f\x90\x9d"  # of Windows-1252


def require_known(name: str) -> str:
    """Python's name of a text encoding.

    Raises:
        SettingsError: an unknown one.
    """
    try:
        "".encode(name)
        known = codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise SettingsError(
            f"Expected an encoding that Python knows. Received: {name!r}. Allowed: utf-8, latin-1, utf-16 and the like."
        ) from error
    return UTF8 if known == UTF8 else name.lower()


def detect(file: BinaryIO, otherwise: str | None = None) -> str:
    """Detect the encoding of a text from all of its bytes.

    A byte order mark decides. UTF-16 without one has a zero in every second byte of its first line. Bytes that are
    valid UTF-8 up to and including a character beyond ASCII are UTF-8, and later invalid bytes are damage. All else is
    in an encoding with one byte per character: Windows-1252 if it uses letters that Latin-1 lacks, or else Latin-1.

    Args:
        file: the text, at its beginning.
        otherwise: the encoding for bytes that are not UTF-8, instead of the last two.
    """
    block = file.read(BLOCK_BYTES)
    for mark, name in _MARKS.items():
        if block.startswith(mark):
            return name
    wide = _without_mark(block)
    if wide:
        return wide
    decoder = codecs.getincrementaldecoder(UTF8)()
    while block:
        try:
            text = decoder.decode(block)
        except UnicodeDecodeError as error:
            beyond_ascii = not error.object[: error.start].isascii()
            return UTF8 if beyond_ascii else otherwise or _one_byte(error.object, file)
        if not text.isascii():
            return UTF8
        block = file.read(BLOCK_BYTES)
    begun = decoder.getstate()[0]  # a character truncated by the end of the file
    return UTF8 if not begun else otherwise or _one_byte(begun, file)


def _without_mark(block: bytes) -> str | None:
    line = block[: min(200, len(block) // 2 * 2)]
    if len(line) >= 4 and line[1::2].count(0) == len(line) // 2 and line[::2].count(0) == 0:
        return "utf-16-le"
    if len(line) >= 4 and line[::2].count(0) == len(line) // 2 and line[1::2].count(0) == 0:
        return "utf-16-be"
    return None


def _one_byte(block: bytes, file: BinaryIO) -> str:
    windows = False
    while block:
        if any(byte in block for byte in _UNUSED):
            return "latin-1"
        windows = windows or len(block.translate(None, _WINDOWS)) < len(block)
        block = file.read(BLOCK_BYTES)
    return "cp1252" if windows else "latin-1"


class Transcoded:
    """A binary file in another encoding, converted to UTF-8 as it is read.

    Raises:
        UnicodeDecodeError: on reading invalid bytes, also at the end of a truncated file.
    """

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file, self._decoder = file, codecs.getincrementaldecoder(encoding)()
        self._rest = b""
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """Read at least one byte and at most `size`, or nothing at the end."""
        while not self._rest:
            block = self._file.read(size)
            self._rest = self._decoder.decode(block, final=not block).encode(UTF8)
            if not block:
                break
        cut = len(self._rest) if size < 0 else size
        content, self._rest = self._rest[:cut], self._rest[cut:]
        return content
