"""Read data files of many formats as pandas frames or Arrow tables, whole or in chunks.

Rows are numbered from 1 in messages: in a text file with a header, row 1 is the line after it. A damaged file is
refused in one line that names it; rows are never guessed. Files are read in bounded blocks and never memory-mapped, so
that a file truncated while it is read is refused like any other damaged file.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, NamedTuple

import pandas as pd
import pyarrow as pa
from pandas.api.types import union_categoricals

from alad_tf.columns.schema import Kind, as_text
from alad_tf.errors import DataError, SettingsError, listed, quoted
from alad_tf.tabular import (
    array_files,
    arrow_files,
    damage,
    dialects,
    excel_files,
    json_files,
    parquet_folders,
    text_files,
)
from alad_tf.tabular.dialects import ANY, Dialect
from alad_tf.tabular.formats import (
    BY_CELLS,
    FOLDER,
    MAX_CHUNK_ROWS,
    TEXT,
    Advance,
    chunk_rows,
    format_of,
    require_width,
)
from alad_tf.tabular.steady import steady

logger = logging.getLogger(__name__)

Numbered = Iterator[tuple[pa.Table, int]]


class _Format(NamedTuple):
    """The readers of a format: column names; frames or, for files with types, Arrow tables."""

    columns: Callable[[Path, Dialect], list[str]]
    chunks: Callable[[Path, Dialect, int, list[str], Mapping[str, Kind], Advance], Iterator[pd.DataFrame]] | None = None
    tables: Callable[[Path, int, list[str], Advance], Numbered] | None = None


def settle(path: Path, asked: Dialect = ANY, usual: Dialect | None = None, expected: Collection[str] = ()) -> Dialect:
    """Detect the dialect of a file.

    Args:
        path: the file.
        asked: given values; a value that the format does not have is an error.
        usual: preferred values if they fit the file, such as the dialect of the training file.
        expected: columns that the file should have.

    Raises:
        SettingsError: a value is invalid, or the format does not have it.
        DataError: as `read`.
    """
    asked, kind = asked.checked(), format_of(path)
    given = {name for name, value in asked.to_document().items() if value is not None}
    foreign = given - _PARTS.get(kind, set())
    if foreign:
        options = ", ".join("--no-header" if name == "header" else f"--{name}" for name in sorted(foreign))
        raise SettingsError(f"Expected options that fit the format of {path}. Received: {options}.")
    usual = usual or ANY
    with damage.reported(path):
        if kind in TEXT:
            return text_files.settle(path, asked, usual, expected)
    if kind == ".xlsx":
        header = asked.header is not False and (asked.header is not None or usual.header is not False)
        return Dialect(header=header, sheet=asked.sheet or usual.sheet)
    return ANY


def read(
    path: Path,
    *,
    without: Collection[str] = (),
    kinds: Mapping[str, Kind] | None = None,
    advance: Advance | None = None,
    dialect: Dialect | None = None,
) -> pd.DataFrame:
    """Read all rows of a file.

    Args:
        path: a file, whose suffix, one of `formats.FORMATS`, tells its format, or a folder of .parquet files.
        without: columns to leave out.
        kinds: known kinds of columns; other columns of a text file are numeric if all their cells are numbers.
        advance: called with the fraction of the file read so far.
        dialect: result of `settle`; None: detect it.

    Returns:
        A frame numbered from 0. Empty cells and NA, NaN, null and the like are missing.

    Raises:
        DataError: unknown format; a missing, empty or damaged file, or one without a table; duplicate column names.
    """
    dialect = dialect or settle(path)
    every = _every_column(path, dialect)
    names = [name for name in _named(path, every) if name not in without]
    with damage.reported(path, every, dialect.header is not False), steady(path):
        if format_of(path) in TEXT:
            frame = text_files.read(path, dialect, names, kinds or {}, advance)
        else:
            size = MAX_CHUNK_ROWS if format_of(path) in BY_CELLS else 1 << 16  # types depend on all cells of a column
            frames = list(chunks(path, size, only=names, advance=advance, dialect=dialect))
            frame = _stacked(frames) if frames else pd.DataFrame(columns=names)
    if not len(frame):
        raise DataError(f"Expected rows of data in {path}. Received: the columns {listed(names)}, and no row.")
    return frame


def _stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All rows in one frame, in which a column of categories stays one."""
    for name in frames[0].columns[[isinstance(kind, pd.CategoricalDtype) for kind in frames[0].dtypes]]:
        every = union_categoricals([frame[name] for frame in frames])
        frames = [frame.copy(deep=False) for frame in frames]
        for frame in frames:
            frame[name] = frame[name].cat.set_categories(every.categories)
    return pd.concat(frames, ignore_index=True)


def chunks(
    path: Path,
    rows: int,
    *,
    only: Iterable[str] | None = None,
    kinds: Mapping[str, Kind] | None = None,
    advance: Advance | None = None,
    dialect: Dialect | None = None,
) -> Iterator[pd.DataFrame]:
    """Read the rows of a file in frames of at most `rows`, in order, holding a few of them in memory at a time.

    Args:
        path, advance, dialect: as in `read`.
        rows: number of rows in a frame; fewer if these would have too many cells (`formats.chunk_rows`).
        only: columns to read; by default all.
        kinds: kinds of columns; other kinds in a text file are inferred from its first block.

    Yields:
        Frames with a continuous index.

    Raises:
        DataError: as `read`, when the damage is reached, or if a column of `only` is missing.
    """
    dialect = dialect or settle(path)
    names = columns(path, dialect)
    wanted = names if only is None else list(only)
    with _reading(path, dialect, wanted):
        size = chunk_rows(rows, len(wanted))
        yield from _chunks(path, dialect, size, wanted, kinds or {}, advance or _unreported)


def tables(
    path: Path,
    rows: int,
    *,
    only: Iterable[str],
    kinds: Mapping[str, Kind],
    advance: Advance | None = None,
    dialect: Dialect | None = None,
) -> Iterator[tuple[pa.Table, pd.DataFrame]]:
    """Read the rows of a file unchanged, together with some of its columns as numbers and text.

    Args:
        path, rows, advance, dialect: as in `chunks`.
        only: columns of the tables.
        kinds: columns of the frames, and their kinds.

    Yields:
        (table, frame) of the same rows. In the table, cells of text, Excel and JSON files are unchanged text; those of
        other files have the types of the file.

    Raises:
        DataError: as `chunks`.
    """
    dialect = dialect or settle(path)
    kept, report = list(only), advance or _unreported
    wanted = list(dict.fromkeys([*kept, *kinds]))
    rows = chunk_rows(rows, len(wanted))
    with _reading(path, dialect, wanted):
        if format_of(path) in TEXT:
            for table, first in text_files.tables(path, dialect, rows, wanted, report):
                yield table.select(kept), text_files.typed(path, dialect, table, first, kinds)
            return
        read_tables = _FORMATS[format_of(path)].tables
        if read_tables is not None:
            for table, first in read_tables(path, rows, wanted, report):
                yield table.select(kept), arrow_files.frame_of(path, table.select(list(kinds)), first)
            return
        for frame in _chunks(path, dialect, rows, wanted, kinds, report):
            if format_of(path) in BY_CELLS:  # the type of cells may change between chunks
                arrays = {name: pa.array(as_text(frame[name]), pa.string(), from_pandas=True) for name in kept}
            else:
                arrays = {name: pa.array(frame[name], from_pandas=True) for name in kept}
            yield pa.table(arrays), frame[list(kinds)]


def _chunks(
    path: Path, dialect: Dialect, rows: int, wanted: list[str], kinds: Mapping[str, Kind], report: Advance
) -> Iterator[pd.DataFrame]:
    reader = _FORMATS[format_of(path)]
    if reader.chunks is not None:
        yield from reader.chunks(path, dialect, rows, wanted, kinds, report)
    elif reader.tables is not None:
        for table, first in reader.tables(path, rows, wanted, report):
            yield arrow_files.frame_of(path, table, first)


@contextmanager
def _reading(path: Path, dialect: Dialect, wanted: list[str]) -> Iterator[None]:
    """Refuse columns that the file does not have, and report damage."""
    every = _every_column(path, dialect)
    names = _named(path, every)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(f"Expected the columns {listed(missing)} in {path}. Received: {listed(names)}.")
    with damage.reported(path, every, dialect.header is not False), steady(path):
        yield


def _unreported(share: float) -> None:
    """Ignore progress."""


def columns(path: Path, dialect: Dialect | None = None) -> list[str]:
    """Read the column names of a file, in order; for arrays and files without a header they are x0, x1, ...

    A first column without a name is an index and left out.

    Raises:
        DataError: as `read`.
    """
    dialect = dialect or settle(path)
    return _named(path, _every_column(path, dialect))


def settled(path: Path, asked: Dialect, usual: Dialect | None = None, expected: Collection[str] = ()) -> Dialect:
    """Apply `settle` and log remarks on the file."""
    dialect = settle(path, asked, usual, expected)
    for line, is_warning in remarks(path, dialect):
        logger.log(logging.WARNING if is_warning else logging.INFO, "%s", line)
    return dialect


def remarks(path: Path, dialect: Dialect) -> Iterator[tuple[str, bool]]:
    """Yield remarks on how a file is read, one line each, and whether the remark is a warning."""
    settings = dialect.described()
    if settings:
        yield f"{path.name}: {settings}", False
    every = _every_column(path, dialect)
    if every[0] == "":
        yield f"{path.name}: column 1 has no name and is left out as an index", False
    kind = format_of(path)
    if kind == ".xlsx" and dialect.sheet is None:
        titles = excel_files.sheets(path)
        if len(titles) > 1:
            yield (
                f"{path.name}: sheet {titles[0]!r} is read, not {listed(titles[1:])}; if you mean another, name it by "
                "--sheet or save it as a file of its own",
                True,
            )
    if kind in (*TEXT, ".xlsx") and dialect.header is not False and dialects.looks_like_data(every):
        yield f"the first row of {path.name} looks like data: {listed(every)}; if it is, pass --no-header", True
    if kind in TEXT and {"score", "is_valid", "reason"} <= {*every}:
        cell = text_files.escaped(path, dialect)
        if cell is not None:
            yield (
                f"{path.name} was written by alad score, with an apostrophe in front of text like {cell}, which stays; "
                "to read it again, write it as .parquet, or with --raw-text",
                True,
            )
    for number, cell in text_files.grouped(path, dialect) if kind in TEXT else ():
        read_as = "text" if dialect.decimal == "," else "decimal numbers"
        yield (
            f"column {quoted(every[number])} of {path.name} has cells like {cell}, which are read as {read_as}; if the "
            "points separate thousands, write the numbers without them",
            True,
        )


def _every_column(path: Path, dialect: Dialect) -> list[str]:
    with damage.reported(path):
        names = _FORMATS[format_of(path)].columns(path, dialect)
        require_width(path, len(names))
        if not names:
            raise DataError(f"Expected columns in {path}. Received: none.")
    return names


def _named(path: Path, every: list[str]) -> list[str]:
    """The named columns, without an unnamed index in the first column."""
    names = every[1:] if every[:1] == [""] and len(every) > 1 else every
    nameless = [number for number, name in enumerate(every, 1) if name == ""][len(every) - len(names) :]
    doubled = dialects.repeated(filter(None, names))
    if doubled or nameless:
        plural = "s" if len(nameless) > 1 else ""
        problem = f"{listed(doubled)} more than once" if doubled else f"no name for column{plural} {listed(nameless)}"
        advice = (
            "If its first row is data, pass --no-header"
            if dialects.looks_like_data(names)
            else "Give each a name of its own"
        )
        raise DataError(f"Expected a unique name for each column of {path}. Received: {problem}. {advice}.")
    return names


def _plain(
    columns: Callable[[Path], list[str]],
    chunks: Callable[[Path, int, list[str], Mapping[str, Kind], Advance], Iterator[pd.DataFrame]] | None = None,
    tables: Callable[[Path, int, list[str], Advance], Numbered] | None = None,
) -> _Format:
    """A format without a dialect."""
    return _Format(
        lambda path, dialect: columns(path),
        None
        if chunks is None
        else lambda path, dialect, rows, wanted, kinds, report: chunks(path, rows, wanted, kinds, report),
        tables,
    )


_TEXT = _Format(text_files.columns, text_files.chunks)
_FORMATS = {
    ".csv": _TEXT,
    ".tsv": _TEXT,
    ".xlsx": _Format(excel_files.columns, excel_files.chunks),
    ".jsonl": _plain(json_files.columns, json_files.chunks),
    ".parquet": _plain(arrow_files.parquet_columns, tables=arrow_files.parquet_tables),
    FOLDER: _plain(parquet_folders.columns, tables=parquet_folders.tables),
    ".feather": _plain(arrow_files.feather_columns, tables=arrow_files.feather_tables),
    ".npy": _plain(array_files.array_columns, array_files.array_chunks),
    ".npz": _plain(array_files.archive_columns, array_files.archive_chunks),
}
_PARTS = {
    ".csv": {"sep", "decimal", "encoding", "header"},
    ".tsv": {"sep", "decimal", "encoding", "header"},
    ".xlsx": {"header", "sheet"},
}
