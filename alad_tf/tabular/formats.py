"""File formats, size limits, and types shared by the readers."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Callable

from alad_tf.errors import DataError

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
BLOCK_BYTES = 1 << 22  # bytes of text parsed at a time; a line must fit
MAX_COLUMNS = 1 << 16
MAX_CHUNK_ROWS = 2**31 - 1  # largest batch in Arrow
MAX_CHUNK_CELLS = 1 << 23  # 64 MB of numbers
Advance = Callable[[float], None]


def chunk_rows(rows: int, columns: int) -> int:
    """Number of rows per chunk: at most `rows`, and for wide tables as many as have MAX_CHUNK_CELLS cells."""
    return max(1, min(rows, MAX_CHUNK_ROWS, MAX_CHUNK_CELLS // max(columns, 1)))


def format_of(path: Path) -> str:
    """Suffix of a file name, one of `FORMATS`, without .gz; `FOLDER` for a folder.

    Raises:
        DataError: another suffix, or the path is a FIFO or a device.
    """
    if path.is_dir():
        return FOLDER
    name = path.name.lower().replace(".ndjson", ".jsonl").replace(".txt", ".csv")
    for suffix in FORMATS:
        if name.endswith(suffix):
            _require_plain_file(path)
            return suffix.replace(".gz", "")
    raise DataError(
        f"Expected a file of rows. Received: {path}. Allowed: names that end in {', '.join(FORMATS)}, .txt or .ndjson "
        "(both also .gz), and folders of .parquet files."
    )


def _require_plain_file(path: Path) -> None:
    """Refuse files that have no end or cannot be read twice. Missing files are reported by the reader."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        kind = "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"
        raise DataError(f"Expected a file. Received: {path}, a {kind}. Write its content to a file first.")


def require_width(path: Path, columns: int) -> None:
    """Refuse a file with more than MAX_COLUMNS columns (DataError)."""
    if columns > MAX_COLUMNS:
        raise DataError(f"Expected at most {MAX_COLUMNS} columns in {path}. Received: {columns}.")
