"""Tables of rows in files: CSV, TSV, Parquet, Feather and NumPy arrays become pandas frames, whole or chunk by chunk.

Rows are numbered from 1 in messages: in a text file, row 1 is the line behind the header. A damaged file is refused in
one line that names it; no row is ever guessed.
"""

from __future__ import annotations

import csv
import gzip
import lzma
import re
import shutil
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Callable, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from alad_tf.errors import DataError
from alad_tf.io import archives

FORMATS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".feather", ".npy", ".npz")
BLOCK_BYTES = 1 << 22  # of text parsed at a time; a line has to fit
MAX_COLUMNS = 1 << 16
MAX_CHUNK_ROWS = 2**31 - 1  # which is what Arrow can count
Kind = Literal["number", "text"]
Advance = Callable[[float], None]
_ARROW_TYPES = {"number": pa.float64(), "text": pa.string()}


def read(path: Path, *, kinds: Mapping[str, Kind] | None = None, advance: Advance | None = None) -> pd.DataFrame:
    """All rows of a file.

    Args:
        path: the file; its name says the format, one of `FORMATS`.
        kinds: of columns whose kind is known; the others of a text file are numbers where all their cells are.
        advance: called with the share of the file that has been read.

    Returns:
        A frame numbered from 0. Cells that are empty or say NA, NaN, null and the like are missing.

    Raises:
        DataError: unknown format; a file that is missing, empty, damaged or holds no table; a header with a name twice.
    """
    if _format(path) in (".csv", ".tsv"):
        names = columns(path)
        with _faults(path, names), _text(path, advance) as file:
            table = pyarrow.csv.read_csv(file, *_text_options(path, names, kinds or {}))
            frame = _frame(path, table, 0)
    else:
        frames = list(chunks(path, 1 << 16, advance=advance))
        with _faults(path):
            frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns(path))
    if not len(frame):
        raise DataError(f"Expected rows of data in {path}. Received: {_what_there_is(path)}, and no row.")
    return frame


def chunks(
    path: Path,
    rows: int,
    *,
    only: Iterable[str] | None = None,
    kinds: Mapping[str, Kind] | None = None,
    advance: Advance | None = None,
) -> Iterator[pd.DataFrame]:
    """The rows of a file in frames of at most `rows`, in order, holding a few of them in memory at a time.

    Args:
        path: the file; its name says the format, one of `FORMATS`.
        rows: of a frame.
        only: columns to read; all of them otherwise.
        kinds: of columns; without, those of a text file are inferred from its first block.
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
        raise DataError(f"Expected the columns {_listed(missing)} in {path}. Received: {_listed(names)}.")
    report = advance or (lambda share: None)
    with _faults(path, names):
        yield from _CHUNKS[_format(path)](path, min(rows, MAX_CHUNK_ROWS), wanted, kinds or {}, report)


def columns(path: Path) -> list[str]:
    """Names of a file's columns, in order; those of a NumPy array are x0, x1, ...

    Raises:
        DataError: as `read`.
    """
    kind = _format(path)
    with _faults(path):
        names = _COLUMNS[kind](path)
        _require_width(path, len(names))
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled or "" in names:
        problem = f"{_listed(doubled)} more than once" if doubled else f"no name for column {names.index('') + 1}"
        raise DataError(f"Expected a name of its own for each column of {path}. Received: {problem}.")
    return names


def _format(path: Path) -> str:
    """The suffix of `FORMATS` that a file has, without .gz."""
    name = path.name.lower()
    for suffix in FORMATS:
        if name.endswith(suffix):
            if path.is_dir():
                raise DataError(f"Expected a file. Received: the folder {path}.")
            return suffix.replace(".gz", "")
    raise DataError(f"Expected a file of rows. Received: {path}. Allowed: names that end in {', '.join(FORMATS)}.")


# Text -------------------------------------------------------------------------------------------------------------


@contextmanager
def _text(path: Path, advance: Advance | None = None) -> Iterator[BinaryIO]:
    """The text of a file, unpacked as it is read."""
    with open(path, "rb") as raw:
        counted: Any = _Counting(raw, path.stat().st_size, advance) if advance else raw
        if path.name.lower().endswith(".gz"):
            with _Unpacked(path, counted) as unpacked:
                yield unpacked  # type: ignore[misc]
        else:
            yield counted


class _Unpacked(gzip.GzipFile):
    """The text of a packed file, which ends with an error where it is more than real data pack to."""

    def __init__(self, path: Path, file: Any) -> None:
        super().__init__(fileobj=file)
        self._path = path

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        archives.require_bounded(self._path, self.tell())
        return content


class _Counting:
    """A binary file that tells how much of it has been read."""

    def __init__(self, file: BinaryIO, size: int, advance: Advance) -> None:
        self._file, self._size, self._advance = file, size, advance
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._advance(min(1.0, self._file.tell() / max(self._size, 1)))
        return content


def _text_columns(path: Path) -> list[str]:
    with _text(path) as file:
        first = file.readline(BLOCK_BYTES).removeprefix(b"\xef\xbb\xbf")
    if not first.strip():
        raise DataError(f"Expected a header and rows in {path}. Received: an empty file or first line.")
    if first.lstrip(b" \t").startswith(b"<"):
        raise DataError(f"Expected rows in {path}. Received: a page of HTML or XML, {_shown(first)}")
    if b"\0" in first:
        raise DataError(f"Expected text in {path}. Received: binary data. Its name has to say its format.")
    try:
        (names,) = csv.reader([first.decode("utf-8")], delimiter=_delimiter(path), strict=True)
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(f"Expected a header of names in UTF-8 on line 1 of {path}. Received: {error}.") from error
    other = next((mark for mark in ";\t|," if mark != _delimiter(path) and mark in names[0]), None)
    if len(names) == 1 and other:
        hint = "Name it .tsv" if other == "\t" else "Separate them by commas, or by tabs in a .tsv file"
        raise DataError(f"Expected columns in {path}. Received: one, named {names[0]!r}. {hint}.")
    return names


def _delimiter(path: Path) -> str:
    return "\t" if _format(path) == ".tsv" else ","


def _text_options(path: Path, names: list[str], kinds: Mapping[str, Kind]) -> tuple[Any, Any, Any]:
    return (
        pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),  # one thread: errors then say the row
        pyarrow.csv.ParseOptions(delimiter=_delimiter(path), newlines_in_values=True),
        pyarrow.csv.ConvertOptions(
            column_types={name: _ARROW_TYPES[kinds[name]] for name in names if name in kinds},
            include_columns=names,
            strings_can_be_null=True,
            true_values=[],  # a column of true and false stays as it is written
            false_values=[],
        ),
    )


def _text_chunks(
    path: Path, rows: int, wanted: list[str], kinds: Mapping[str, Kind], report: Advance
) -> Iterator[pd.DataFrame]:
    with _text(path, report) as file:
        batches = pyarrow.csv.open_csv(file, *_text_options(path, wanted, kinds))
        for table, first in _regrouped(batches, rows):
            yield _frame(path, table, first)


# Arrow's own files ------------------------------------------------------------------------------------------------


def _parquet_columns(path: Path) -> list[str]:
    with pyarrow.parquet.ParquetFile(path) as file:
        return _without_index(file.schema_arrow.names)


def _parquet_chunks(
    path: Path, rows: int, wanted: list[str], kinds: Mapping[str, Kind], report: Advance
) -> Iterator[pd.DataFrame]:
    with pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:
        batches = file.iter_batches(rows, columns=wanted, use_threads=False)
        for table, first in _regrouped(batches, rows):
            yield _frame(path, table, first)
            report((first + len(table)) / file.metadata.num_rows)


def _feather_columns(path: Path) -> list[str]:
    with open(path, "rb") as file:
        if file.read(4) == b"FEA1":
            raise DataError(f"Expected a Feather file of version 2. Received: {path}, of version 1. Write it anew.")
    with pa.memory_map(str(path)) as file:
        return _without_index(pa.ipc.open_file(file).schema.names)


def _without_index(names: list[str]) -> list[str]:
    """Columns without the nameless index that pandas stores beside them after rows were chosen or shuffled."""
    return [name for name in names if not re.fullmatch(r"__index_level_\d+__", name)]


def _feather_chunks(
    path: Path, rows: int, wanted: list[str], kinds: Mapping[str, Kind], report: Advance
) -> Iterator[pd.DataFrame]:
    with pa.memory_map(str(path)) as file:
        reader = pa.ipc.open_file(file)
        count = reader.num_record_batches

        def batches() -> Iterator[Any]:
            for number in range(count):
                yield reader.get_batch(number).select(wanted)
                report((number + 1) / count)

        for table, first in _regrouped(batches(), rows):
            yield _frame(path, table, first)


def _regrouped(batches: Iterable[Any], rows: int) -> Iterator[tuple[Any, int]]:
    """Tables of exactly `rows`, the last one shorter, each with the number of its first row."""
    waiting: list[Any] = []
    first = 0
    for batch in batches:
        waiting.append(batch)
        while sum(map(len, waiting)) >= rows:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, rows), first
            first += rows
            waiting = table.slice(rows).to_batches()
    if sum(map(len, waiting)):
        yield pa.Table.from_batches(waiting), first


def _frame(path: Path, table: Any, first: int) -> pd.DataFrame:
    for field in table.schema:
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            what = "bytes that are no UTF-8 text" if "binary" in str(field.type) else f"cells of type {field.type}"
            raise DataError(f"Expected numbers or text in column {field.name!r} of {path}. Received: {what}.")
    frame = table.to_pandas(date_as_object=False, split_blocks=True, ignore_metadata=True)
    frame.index = pd.RangeIndex(first, first + len(frame))
    return frame


# NumPy's files ----------------------------------------------------------------------------------------------------


def _array(path: Path) -> np.ndarray:
    with open(path, "rb") as file:
        archives.header(file, path.stat().st_size)
    return _checked_array(np.load(path, mmap_mode="r", allow_pickle=False), path)


def _checked_array(array: Any, path: Path) -> np.ndarray:
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "biuf" or not array.shape[1]:
        shape = f"{list(array.shape)} of {array.dtype}" if isinstance(array, np.ndarray) else "several arrays"
        raise DataError(f"Expected an array of numbers [rows, columns] in {path}. Received: {shape}.")
    _require_width(path, array.shape[1])
    return array


def _require_width(path: Path, columns: int) -> None:
    if columns > MAX_COLUMNS:
        raise DataError(f"Expected at most {MAX_COLUMNS} columns in {path}. Received: {columns}.")


def _array_columns(path: Path) -> list[str]:
    return [f"x{number}" for number in range(_array(path).shape[1])]


def _array_chunks(
    path: Path, rows: int, wanted: list[str], kinds: Mapping[str, Kind], report: Advance
) -> Iterator[pd.DataFrame]:
    return _parts(_array(path), rows, wanted, report)


def _parts(array: np.ndarray, rows: int, wanted: list[str], report: Advance) -> Iterator[pd.DataFrame]:
    for first in range(0, len(array), rows):
        part = np.asarray(array[first : first + rows])
        yield _array_frame(part, wanted, first)
        report((first + len(part)) / len(array))


def _array_frame(part: np.ndarray, wanted: list[str], first: int) -> pd.DataFrame:
    index = pd.RangeIndex(first, first + len(part))
    return pd.DataFrame(part, columns=[f"x{number}" for number in range(part.shape[1])], index=index)[wanted]


@contextmanager
def _member(path: Path) -> Iterator[tuple[Any, tuple[int, ...], bool, np.dtype]]:
    """The one array of an NPZ file as a stream behind its header: (stream, shape, order of columns, type)."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        chosen = names if len(names) == 1 else [name for name in names if name in ("x.npy", "X.npy")]
        if len(chosen) != 1:
            found = _listed(name.replace(".npy", "") for name in names)
            raise DataError(f"Expected one array in {path}, or one named x. Received: {found}.")
        member = archive.getinfo(chosen[0])
        archives.require_bounded(path, member.file_size)
        with archive.open(member) as stream:
            shape, by_columns, dtype = archives.header(stream, member.file_size)
            _checked_array(np.empty((0, *shape[1:]), dtype) if shape else np.empty((), dtype), path)
            yield stream, shape, by_columns, dtype


def _archive_columns(path: Path) -> list[str]:
    with _member(path) as (_, shape, _, _):
        return [f"x{number}" for number in range(shape[1])]


def _archive_chunks(
    path: Path, rows: int, wanted: list[str], kinds: Mapping[str, Kind], report: Advance
) -> Iterator[pd.DataFrame]:
    with _member(path) as (stream, (count, width), by_columns, dtype):
        if by_columns and count:  # rows are all over it: unpacked to a file and read from there
            with tempfile.TemporaryFile() as file:
                shutil.copyfileobj(stream, file)
                file.flush()
                yield from _parts(np.memmap(file, dtype, "r", 0, (count, width), "F"), rows, wanted, report)
            return
        for first in range(0, count, rows):
            part = min(rows, count - first)
            content = stream.read(part * width * dtype.itemsize)
            if len(content) < part * width * dtype.itemsize:
                raise EOFError(f"the array ends before row {count}")
            yield _array_frame(np.frombuffer(content, dtype).reshape(part, width), wanted, first)
            report((first + part) / count)
        stream.read(1)  # at its end the checksum is compared


# Faults -----------------------------------------------------------------------------------------------------------


@contextmanager
def _faults(path: Path, names: list[str] | None = None) -> Iterator[None]:
    """What libraries raise on damage, as one line that names the file."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"Expected a file of rows. Received: {path}, which does not exist.") from error
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise DataError(f"Expected a complete file. Received: {path}, cut or damaged: {_shown(error)}") from error
    except MemoryError as error:
        raise DataError(f"Expected rows that fit in memory. Received: {path}. Train on a part of them.") from error
    except (pa.ArrowException, OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise DataError(_explained(path, str(error), names)) from error


def _explained(path: Path, message: str, names: list[str] | None) -> str:
    """A message of Arrow or NumPy in the words of this project."""
    cell = re.search(r"In CSV column #(\d+):(?: Row #(\d+):)? CSV conversion error to (\w+): (.*)", message, re.S)
    if cell and names:
        column, row = names[int(cell[1])], f", row {int(cell[2]) - 1}" if cell[2] else ""
        if "UTF8" in cell[4]:
            return f"Expected text in UTF-8 in {path}. Received: other bytes in column {column!r}{row}."
        value = cell[4].replace("invalid value ", "")
        return f"Expected a number in column {column!r}{row} of {path}. Received: {_shown(value)}"
    width = re.search(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)", message)
    if width:
        place = f"line {width[1]} of {path}" if width[1] else f"each line of {path}"
        return f"Expected {width[2]} columns in {place}, as in its header. Received: {width[3]}."
    if "straddling" in message:
        return f"Expected lines of at most {BLOCK_BYTES} bytes in {path}. Received: a longer one. Is a quote left open?"
    if "pickle" in message or "Python objects" in message:
        return f"Expected an array of numbers in {path}. Received: pickled objects, never loaded, or another format."
    return f"Expected rows in {path}, as its name says. Received: a damaged file or another format: {_shown(message)}"


def _what_there_is(path: Path) -> str:
    return f"the columns {_listed(columns(path))}"


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(map(_shown, every[:8])) + (f" and {len(every) - 8} more" if len(every) > 8 else "")


def _shown(message: object) -> str:
    """The first line of a message or of bytes, cut to a readable length."""
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
    line = (text.strip().splitlines() or [""])[0]
    return line if len(line) <= 120 else line[:117] + "..."


_COLUMNS: dict[str, Callable[[Path], list[str]]] = {
    ".csv": _text_columns,
    ".tsv": _text_columns,
    ".parquet": _parquet_columns,
    ".feather": _feather_columns,
    ".npy": _array_columns,
    ".npz": _archive_columns,
}
_CHUNKS: dict[str, Callable[[Path, int, list[str], Mapping[str, Kind], Advance], Iterator[pd.DataFrame]]] = {
    ".csv": _text_chunks,
    ".tsv": _text_chunks,
    ".parquet": _parquet_chunks,
    ".feather": _feather_chunks,
    ".npy": _array_chunks,
    ".npz": _archive_chunks,
}
