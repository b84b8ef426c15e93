"""Refuse files that change while they are read, and would give a mixture of old and new content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alad_tf.errors import DataError


@contextmanager
def steady(path: Path) -> Iterator[None]:
    """Compare size, modification time and identity of a file before and after it is read.

    Raises:
        DataError: they differ.
    """
    before = _state(path)
    yield
    if _state(path) != before:
        raise DataError(
            f"Expected a file that does not change while it is read. Received: {path}, which another program changed. "
            "Copy it first."
        )


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:  # a missing file is reported by the reader
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
