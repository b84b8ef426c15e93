"""Rows from standard input, copied to a temporary file because readers read the beginning of a file twice."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alad_tf.errors import AladError, SettingsError

STANDARD_INPUT = Path("-")
_BEGINNINGS = {  # first bytes of the binary formats
    b"PAR1": ".parquet",
    b"ARROW1": ".feather",
    b"\x93NUMPY": ".npy",
    b"\x1f\x8b": ".csv.gz",
    b"{": ".jsonl",
}


@contextmanager
def local(path: Path) -> Iterator[Path]:
    """The file itself, or for - a temporary copy of standard input, whose format is told by its first bytes.

    Raises:
        SettingsError: standard input is a terminal or closed.
    """
    if path != STANDARD_INPUT:
        yield path
        return
    if sys.stdin is None or sys.stdin.isatty():
        raise SettingsError("Expected rows on standard input. Received: a terminal. Pipe a file into the command.")
    with tempfile.TemporaryDirectory(prefix="alad-") as folder:
        content = Path(folder, "content")
        with open(content, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        copy = content.rename(Path(folder, f"standard-input{_suffix(content)}"))
        try:
            yield copy
        except AladError as error:
            raise type(error)(str(error).replace(str(copy), "standard input")) from error


def _suffix(path: Path) -> str:
    with open(path, "rb") as file:
        first = file.read(8)
    if first.startswith(b"PK"):
        return ".xlsx" if b"xl/" in path.read_bytes()[-65536:] else ".npz"
    return next((suffix for mark, suffix in _BEGINNINGS.items() if first.startswith(mark)), ".csv")
