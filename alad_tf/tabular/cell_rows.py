"""Conversion of rows of Python cells to frames, for formats that are read cell by cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import pandas as pd

from alad_tf.columns import exact
from alad_tf.io import archives

CELL_BYTES = 24  # memory of a cell, besides that of its text


def frames(path: Path, rows: Iterable[Sequence[object]], names: Sequence[str], count: int) -> Iterator[pd.DataFrame]:
    """Collect the rows of a file in frames of `count` rows (the last may be shorter), numbered from 0.

    Raises:
        DataError: the cells take far more memory than the file has bytes, as when absent cells or shared text make up
            most of them.
    """
    remaining, first = _bounded(path, rows, CELL_BYTES * len(names)), 0
    while True:
        cells = list(islice(remaining, count))
        if not cells:
            return
        frame = exact.frame(cells, names)
        frame.index = pd.RangeIndex(first, first + len(cells))
        first += len(cells)
        yield frame


def _bounded(path: Path, rows: Iterable[Sequence[object]], row_bytes: int) -> Iterator[Sequence[object]]:
    size = checked = 0
    for row in rows:
        size += row_bytes + sum(len(cell) for cell in row if isinstance(cell, str))
        if size > checked + archives.FREE_BYTES // 2:
            archives.require_bounded(path, size)
            checked = size
        yield [_in_range(cell) if isinstance(cell, int) else cell for cell in row]


def _in_range(whole: int) -> float:
    """A whole number, infinite beyond the range of floats."""
    try:
        float(whole)
    except OverflowError:
        return math.inf if whole > 0 else -math.inf
    return whole
