"""Encodings of text files: byte order marks, UTF-8, and what is taken where the bytes are neither."""

from __future__ import annotations

import codecs
from typing import BinaryIO

from alad_tf.errors import SettingsError
from alad_tf.tabular.formats import BLOCK_BYTES

UTF8 = "utf-8"
_MARKS = {  # longest first: UTF-16's is the beginning of UTF-32's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: UTF8,
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WINDOWS = bytes(range(0x80, 0xA0))  # control characters in Latin-1, letters and signs in Windows-1252
_UNUSED = b"\x81\x8d\x8f\x90\x9d"  # of Windows-1252


def require_known(name: str) -> str:
    """Python's name of an encoding of text.

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
    """The encoding of a text, from all its bytes: the same text has the same encoding wherever it lies.

    A byte order mark decides. UTF-16 without one has a zero in every second byte of its first line. Bytes that are
    valid UTF-8 up to a character beyond ASCII are UTF-8, and a later fault is then damage. All else is in an encoding
    of one byte a character: Windows-1252 where it uses the letters that Latin-1 lacks, or else Latin-1.

    Args:
        file: the text, at its beginning.
        otherwise: the encoding to take where the bytes are not UTF-8.
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
    begun = decoder.getstate()[0]  # a character that the end of the file cuts
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
    """A text in UTF-8, made of a binary file in another encoding as it is read.

    Raises:
        UnicodeDecodeError: on reading bytes that are not in the encoding, also at the end of a cut file.
    """

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file, self._decoder = file, codecs.getincrementaldecoder(encoding)()
        self._rest = b""
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """At least one byte and at most `size`, or nothing at the end."""
        while not self._rest:
            block = self._file.read(size)
            self._rest = self._decoder.decode(block, final=not block).encode(UTF8)
            if not block:
                break
        cut = len(self._rest) if size < 0 else size
        content, self._rest = self._rest[:cut], self._rest[cut:]
        return content
