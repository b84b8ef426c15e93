"""Conversion of rows of Python cells to frames, for formats that are read cell by cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import pandas as pd


def frames(rows: Iterable[Sequence[object]], names: Sequence[str], count: int) -> Iterator[pd.DataFrame]:
    """Collect rows of cells in frames of `count` rows (the last may be shorter), numbered from 0."""
    remaining, first = iter(rows), 0
    while True:
        cells = list(islice(remaining, count))
        if not cells:
            return
        frame = pd.DataFrame(cells, columns=list(names), dtype=object).infer_objects()
        frame.index = pd.RangeIndex(first, first + len(cells))
        first += len(cells)
        yield frame
