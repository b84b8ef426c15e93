"""Rows from standard input, copied to a temporary file because readers read the beginning of a file twice."""

from __future__ import annotations

import codecs
import gzip
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from alad_tf.errors import AladError, DataError, SettingsError
from alad_tf.io import atomic
from alad_tf.tabular.formats import BLOCK_BYTES

STANDARD_INPUT = Path("-")
_COPY = "alad-standard-input"  # folder of a copy, with a random part
_ZIP = ".zip"  # an Excel file or an archive of arrays
_BEGINNINGS = {  # first bytes of the formats besides delimited text
    b"PK": _ZIP,
    b"PAR1": ".parquet",
    b"ARROW1": ".feather",
    b"\x93NUMPY": ".npy",
}
_GZIP = b"\x1f\x8b"
_MOST_BLANK = 4096  # bytes before the first object of JSON Lines


@contextmanager
def local(path: Path) -> Iterator[Path]:
    """The file itself, or for - a temporary copy of standard input, whose format is told by its first bytes.

    Copies of killed processes are removed first.

    Raises:
        SettingsError: standard input is a terminal or closed.
        DataError: it does not end in half of the free space for temporary files.
    """
    if path != STANDARD_INPUT:
        yield path
        return
    if sys.stdin is None or sys.stdin.isatty():
        received = "a closed one" if sys.stdin is None else "a terminal"
        raise SettingsError(f"Expected rows on standard input. Received: {received}. Pipe a file into the command.")
    place = Path(tempfile.gettempdir())
    with suppress(OSError):  # a folder that may not be listed
        atomic.remove_leftovers(place, [_COPY])
    with atomic.temporary_folder(place / _COPY) as folder:
        content = folder / "content"
        _copy(sys.stdin.buffer, content)
        copy = content.rename(folder / f"standard-input{_suffix(content)}")
        try:
            yield copy
        except AladError as error:
            raise type(error)(str(error).replace(str(copy), "standard input")) from error


def _copy(stream: BinaryIO, path: Path) -> None:
    """Copy a stream; of text whose first line is too long for every reader, only the beginning."""
    most = shutil.disk_usage(path.parent).free // 2
    with open(path, "wb") as file:
        beginning = stream.read(BLOCK_BYTES + 2)
        file.write(beginning)
        is_text = _format(beginning) in (".csv", ".jsonl")
        if is_text and len(beginning) > BLOCK_BYTES and b"\n" not in beginning and b"\r" not in beginning:
            return
        for block in iter(lambda: stream.read(BLOCK_BYTES), b""):
            if file.tell() + len(block) > most:
                raise DataError(
                    f"Expected at most {most >> 20} MiB on standard input, half of the free space for temporary files. "
                    "Received: more. Write the rows to a file first."
                )
            file.write(block)


def _suffix(path: Path) -> str:
    with open(path, "rb") as file:
        beginning = file.read(_MOST_BLANK)
        if beginning.startswith(_GZIP):
            return ".jsonl.gz" if _is_json(_unpacked(path)) else ".csv.gz"
        kind = _format(beginning)
        if kind != _ZIP:
            return kind
        file.seek(max(0, path.stat().st_size - 65536))
        return ".xlsx" if b"xl/" in file.read() else ".npz"


def _unpacked(path: Path) -> bytes:
    """Text at the beginning of a compressed file; empty if it is damaged, which its reader reports."""
    try:
        with gzip.open(path) as file:
            return file.read(_MOST_BLANK)
    except (EOFError, OSError, zlib.error):
        return b""


def _format(beginning: bytes) -> str:
    if _is_json(beginning):
        return ".jsonl"
    return next((suffix for mark, suffix in _BEGINNINGS.items() if beginning.startswith(mark)), ".csv")


def _is_json(beginning: bytes) -> bool:
    return beginning.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{")
