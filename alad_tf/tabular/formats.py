"""Formats of files of rows, limits of what is read from them, and the types that readers share."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Callable

from alad_tf.errors import DataError, shown

FORMATS = (
    ".csv",
    ".csv.gz",
    ".tsv",
    ".tsv.gz",
    ".parquet",
    ".feather",
    ".xlsx",
    ".jsonl",
    ".jsonl.gz",
    ".npy",
    ".npz",
)
TEXT = (".csv", ".tsv")
BY_CELLS = (".xlsx", ".jsonl")
FOLDER = "folder of .parquet"
BLOCK_BYTES = 1 << 22  # of text parsed at a time; a line has to fit
MAX_COLUMNS = 1 << 16
MAX_CHUNK_ROWS = 2**31 - 1  # the largest batch that Arrow can count
Advance = Callable[[float], None]


def format_of(path: Path) -> str:
    """The suffix of `FORMATS` that the name of a file has, without .gz; `FOLDER` for a folder.

    Raises:
        DataError: another suffix; a FIFO or a device under the name.
    """
    if path.is_dir():
        return FOLDER
    name = path.name.lower().replace(".ndjson", ".jsonl").replace(".txt", ".csv")
    for suffix in FORMATS:
        if name.endswith(suffix):
            _require_plain_file(path)
            return suffix.replace(".gz", "")
    raise DataError(
        f"Expected a file of rows. Received: {path}. Allowed: names that end in {', '.join(FORMATS)}, and folders of "
        ".parquet files."
    )


def _require_plain_file(path: Path) -> None:
    """Refuse what has no end or cannot be read twice. A missing file is for the reader to report."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        kind = "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"
        raise DataError(f"Expected a file. Received: {path}, a {kind}. Write its content to a file first.")


def require_width(path: Path, columns: int) -> None:
    """Refuse a file of more than MAX_COLUMNS columns (DataError)."""
    if columns > MAX_COLUMNS:
        raise DataError(f"Expected at most {MAX_COLUMNS} columns in {path}. Received: {columns}.")


def listed(names: Iterable[str]) -> str:
    """The first names of a list and how many more there are, for a message."""
    every = list(names)
    return ", ".join(map(shown, every[:8])) + (f" and {len(every) - 8} more" if len(every) > 8 else "")
