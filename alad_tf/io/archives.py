"""Compressed files from untrusted sources: limits on their unpacked size, NumPy headers checked before allocation."""

from __future__ import annotations

import lzma
import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from alad_tf.errors import DataError
from alad_tf.io import atomic

MOST_TIMES = 200  # largest ratio of unpacked to compressed size; real data stay far below
DAMAGE = (EOFError, ValueError, RuntimeError, MemoryError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
FREE_BYTES = 1 << 26  # unpacked size that is always allowed
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def require_bounded(path: Path, unpacked: int) -> None:
    """Refuse a file whose compression ratio is too high for real data.

    Args:
        path: the compressed file.
        unpacked: unpacked size in bytes, in total or so far.

    Raises:
        DataError: more than FREE_BYTES, and more than MOST_TIMES the size of the file.
    """
    if unpacked > max(FREE_BYTES, MOST_TIMES * path.stat().st_size):
        raise DataError(
            f"Expected a file that unpacks to at most {MOST_TIMES} times its size. Received: {path}, which unpacks to "
            "more. If you trust it, unpack it yourself."
        )


def header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read the header of an array in NumPy's format: (shape, whether in Fortran order, type).

    Args:
        stream: positioned at the header; left positioned at the data.
        size: bytes of header and data together.

    Raises:
        ValueError: no header, pickled objects, or a size that does not fit the header.
    """
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"an array in version {version} of NumPy's format")
    try:
        shape, by_columns, dtype = _HEADERS[version](stream)
    except (SyntaxError, TypeError, tokenize.TokenError) as error:
        raise ValueError(f"a header that is no description of an array: {error}") from error
    if dtype.hasobject:
        raise ValueError("pickled objects, which are never loaded")
    if stream.tell() + math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"an array said to be {list(shape)} of {dtype}, in {size} bytes")
    return shape, by_columns, dtype


def write(path: Path, members: Mapping[str, np.ndarray]) -> None:
    """Write named arrays to an .npz file atomically."""
    with atomic.replacing(path) as temporary:
        np.savez(temporary, **members)


def arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an .npz file, by name; pickled objects are refused.

    Raises:
        DataError: the compression ratio is too high.
        OSError, one of `DAMAGE`: the file is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        require_bounded(path, sum(member.file_size for member in archive.infolist()))
        if len(set(archive.namelist())) < len(archive.namelist()):
            raise ValueError("two arrays of one name")
        for member in archive.infolist():
            with archive.open(member) as stream:
                header(stream, member.file_size)
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as members:
        return dict(members)
