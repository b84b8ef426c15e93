"""NumPy files with one array [rows, columns]: .npy and .npz."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pandas as pd

from alad_tf.columns.schema import Kind
from alad_tf.errors import DataError, listed
from alad_tf.io import archives
from alad_tf.tabular.formats import Advance, chunk_rows, require_width


class _Array(NamedTuple):
    """An array in NumPy's format: the stream, positioned after the header, and the content of the header."""

    stream: IO[bytes]
    shape: tuple[int, int]
    by_columns: bool
    dtype: np.dtype

    @property
    def read_as(self) -> np.dtype:
        """The type of the cells in memory, which pandas and Arrow have too: float64 for wider numbers."""
        is_wide = self.dtype.kind == "f" and self.dtype.itemsize > 8
        return np.dtype(np.float64) if is_wide else self.dtype.newbyteorder("=")

    def names(self) -> list[str]:
        return [f"x{number}" for number in range(self.shape[1])]


def array_columns(path: Path) -> list[str]:
    """Column names of an .npy file: x0, x1, ..."""
    with _array(path) as array:
        return array.names()


def archive_columns(path: Path) -> list[str]:
    """Column names of an .npz file: x0, x1, ..."""
    with _member(path) as array:
        return array.names()


def array_chunks(
    path: Path, rows: int, wanted: list[str], kinds: Mapping[str, Kind], report: Advance
) -> Iterator[pd.DataFrame]:
    """Read the rows of an .npy file in frames of `rows`; see `readers.chunks`."""
    with _array(path) as array:
        yield from _frames(array, rows, wanted, report)


def archive_chunks(
    path: Path, rows: int, wanted: list[str], kinds: Mapping[str, Kind], report: Advance
) -> Iterator[pd.DataFrame]:
    """Read the rows of an .npz file in frames of `rows`; see `readers.chunks`."""
    with _member(path) as array:
        if not array.by_columns:
            yield from _frames(array, rows, wanted, report)
            array.stream.read(1)  # zipfile verifies the checksum at the end
        else:  # Fortran order: a row is spread over the whole stream
            with tempfile.TemporaryFile() as file:
                shutil.copyfileobj(array.stream, file)
                file.seek(0)
                yield from _frames(array._replace(stream=file), rows, wanted, report)


@contextmanager
def _array(path: Path) -> Iterator[_Array]:
    with open(path, "rb") as file:
        yield _described(path, file, path.stat().st_size)


@contextmanager
def _member(path: Path) -> Iterator[_Array]:
    """The only array of an .npz file, or the one named x."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        chosen = names if len(names) == 1 else [name for name in names if name in ("x.npy", "X.npy")]
        if len(chosen) != 1:
            found = listed(name.replace(".npy", "") for name in names)
            raise DataError(f"Expected one array in {path}, or one named x. Received: {found}.")
        member = archive.getinfo(chosen[0])
        archives.require_bounded(path, member.file_size)
        with archive.open(member) as stream:
            yield _described(path, stream, member.file_size)


def _described(path: Path, stream: IO[bytes], size: int) -> _Array:
    """Read the header of an array, which must be numbers [rows, columns]."""
    shape, by_columns, dtype = archives.header(stream, size)
    if len(shape) != 2 or not shape[1] or dtype.kind not in "biuf":
        raise DataError(f"Expected an array of numbers [rows, columns] in {path}. Received: {list(shape)} of {dtype}.")
    require_width(path, shape[1])
    return _Array(stream, (shape[0], shape[1]), by_columns and shape[0] > 1 and shape[1] > 1, dtype)


def _frames(array: _Array, rows: int, wanted: list[str], report: Advance) -> Iterator[pd.DataFrame]:
    count, rows = array.shape[0], chunk_rows(rows, array.shape[1])
    start = array.stream.tell() if array.by_columns else 0
    for first in range(0, count, rows):
        number = min(rows, count - first)
        part = _columns_of(array, start, first, number) if array.by_columns else _rows_of(array, number)
        yield pd.DataFrame(part, columns=array.names(), index=pd.RangeIndex(first, first + number))[wanted]
        report((first + number) / count)


def _rows_of(array: _Array, rows: int) -> np.ndarray:
    """Read the next rows of an array in C order."""
    return _numbers(array, rows * array.shape[1]).reshape(rows, array.shape[1])


def _columns_of(array: _Array, start: int, first: int, rows: int) -> np.ndarray:
    """Read rows of an array in Fortran order whose data begin at `start`."""
    count, width = array.shape
    part = np.empty((rows, width), array.read_as, order="F")
    for column in range(width):
        array.stream.seek(start + (column * count + first) * array.dtype.itemsize)
        part[:, column] = _numbers(array, rows)
    return part


def _numbers(array: _Array, count: int) -> np.ndarray:
    size = count * array.dtype.itemsize
    content = array.stream.read(size)
    if len(content) < size:
        raise EOFError(f"the array ends before its {array.shape[0]} rows")
    with np.errstate(over="ignore"):  # infinite, as everywhere
        return np.frombuffer(content, array.dtype).astype(array.read_as, copy=False)
