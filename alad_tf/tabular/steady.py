"""Files that change while they are read are refused: a part of the old content and of the new is no table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alad_tf.errors import DataError


@contextmanager
def steady(path: Path) -> Iterator[None]:
    """Compare size, time of the last change and identity of a file before and after it is read.

    Raises:
        DataError: they differ.
    """
    before = _state(path)
    yield
    if _state(path) != before:
        raise DataError(
            f"Expected a file that stays as it is while it is read. Received: {path}, which another program changed. "
            "Copy it first."
        )


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:  # a missing file is for the reader to report
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
