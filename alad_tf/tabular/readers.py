"""Tables of rows in files: CSV, TSV, Parquet, Feather and NumPy arrays become pandas frames, whole or chunk by chunk.

Rows are numbered from 1 in messages: in a text file, row 1 is the line after the header. A damaged file is refused in
one line that names it; no row is ever guessed. Files are read in bounded blocks and never mapped into memory, so that a
file that is cut while it is read is refused like any other damaged one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Callable

import pandas as pd

from alad_tf.errors import DataError
from alad_tf.tabular import array_files, arrow_files, damage, text_files
from alad_tf.tabular.formats import MAX_CHUNK_ROWS, Advance, Kind, format_of, listed, require_width
from alad_tf.tabular.steady import steady


def read(path: Path, *, kinds: Mapping[str, Kind] | None = None, advance: Advance | None = None) -> pd.DataFrame:
    """Read all rows of a file.

    Args:
        path: the file; its suffix, one of `formats.FORMATS`, names its format.
        kinds: of columns whose kind is known; the others of a text file are numbers where all their cells are.
        advance: called with the share of the file that has been read.

    Returns:
        A frame numbered from 0. Cells that are empty or say NA, NaN, null and the like are missing.

    Raises:
        DataError: unknown format; a file that is missing, empty, damaged or holds no table; a header with a name twice.
    """
    names = columns(path)
    with damage.reported(path, names), steady(path):
        if format_of(path) in (".csv", ".tsv"):
            frame = text_files.read(path, names, kinds or {}, advance)
        else:
            frames = list(chunks(path, 1 << 16, advance=advance))
            frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)
    if not len(frame):
        raise DataError(f"Expected rows of data in {path}. Received: the columns {listed(names)}, and no row.")
    return frame


def chunks(
    path: Path,
    rows: int,
    *,
    only: Iterable[str] | None = None,
    kinds: Mapping[str, Kind] | None = None,
    advance: Advance | None = None,
) -> Iterator[pd.DataFrame]:
    """Read the rows of a file in frames of at most `rows`, in order, holding a few of them in memory at a time.

    Args:
        path: the file; its suffix, one of `formats.FORMATS`, names its format.
        rows: of a frame.
        only: columns to read; all of them by default.
        kinds: of columns; those of a text file that are not named are inferred from its first block.
        advance: called with the share of the file that has been read.

    Yields:
        Frames whose index goes on from one to the next.

    Raises:
        DataError: as `read`, on reaching the damage; a column of `only` that the file does not have.
    """
    names = columns(path)
    wanted = names if only is None else list(only)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(f"Expected the columns {listed(missing)} in {path}. Received: {listed(names)}.")
    report = advance or (lambda share: None)
    with damage.reported(path, names), steady(path):
        yield from _CHUNKS[format_of(path)](path, min(rows, MAX_CHUNK_ROWS), wanted, kinds or {}, report)


def columns(path: Path) -> list[str]:
    """Read the names of a file's columns, in order; those of a NumPy array are x0, x1, ...

    Raises:
        DataError: as `read`.
    """
    kind = format_of(path)
    with damage.reported(path):
        names = _COLUMNS[kind](path)
        require_width(path, len(names))
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled or "" in names:
        problem = f"{listed(doubled)} more than once" if doubled else f"no name for column {names.index('') + 1}"
        raise DataError(f"Expected a name of its own for each column of {path}. Received: {problem}.")
    return names


_COLUMNS: dict[str, Callable[[Path], list[str]]] = {
    ".csv": text_files.columns,
    ".tsv": text_files.columns,
    ".parquet": arrow_files.parquet_columns,
    ".feather": arrow_files.feather_columns,
    ".npy": array_files.array_columns,
    ".npz": array_files.archive_columns,
}
_CHUNKS: dict[str, Callable[[Path, int, list[str], Mapping[str, Kind], Advance], Iterator[pd.DataFrame]]] = {
    ".csv": text_files.chunks,
    ".tsv": text_files.chunks,
    ".parquet": arrow_files.parquet_chunks,
    ".feather": arrow_files.feather_chunks,
    ".npy": array_files.array_chunks,
    ".npz": array_files.archive_chunks,
}
