"""Cells of Python, Arrow and masked arrays, without what pandas and NumPy lose of them.

pandas rounds whole numbers above 2^53 to float64 beside missing cells and fractions, and NumPy drops masks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute

EXACT = 2.0**53  # larger whole numbers may not be exact in float64


def exact(cells: pd.Series, inferred: pd.Series) -> pd.Series:
    """The inferred numbers of a column of Python cells, or the cells if numbers lose whole numbers among them."""
    rounds = inferred.dtype == "float64" and (inferred.abs() >= EXACT).any()
    return cells if rounds and any(isinstance(cell, int) for cell in cells) else inferred


def frame(rows: Sequence[Sequence[object]], names: Sequence[str]) -> pd.DataFrame:
    """Rows of Python cells as columns of the types of their cells."""
    cells = pd.DataFrame(rows, columns=list(names), dtype=object)
    inferred = cells.infer_objects()
    for name in inferred.select_dtypes("float64"):
        inferred[name] = exact(cells[name], inferred[name])
    return inferred


def as_frame(table: pa.Table) -> pd.DataFrame:
    """An Arrow table as a frame: decimal numbers as float64, and dates as datetime64."""
    for place, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.float64()))
    made = table.to_pandas(date_as_object=False, split_blocks=True, ignore_metadata=True)
    for name in filter(lambda name: _is_rounded(table.column(name)), table.column_names):
        made[name] = table.column(name).to_pandas(integer_object_nulls=True)
    return made


def as_column(cells: pa.Array | pa.ChunkedArray) -> pd.Series:
    """A column of Arrow as in `as_frame`."""
    return as_frame(pa.table([cells], ["cells"]))["cells"]


def _is_rounded(column: pa.ChunkedArray) -> bool:
    """Whether pandas would round whole numbers of a column, as it has no missing cells among integers."""
    if not pa.types.is_integer(column.type) or not column.null_count or column.null_count == len(column):
        return False
    found = pa.compute.min_max(column).as_py()
    return bool(max(abs(found["min"]), abs(found["max"])) > EXACT)


def without_mask(values: npt.ArrayLike) -> npt.ArrayLike:
    """Values with NaN, or empty text, in place of masked cells."""
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if values.dtype.kind in "OSU":
        return np.ma.filled(np.ma.asarray(values, object), "")
    return np.ma.filled(np.ma.asarray(values, np.float64), np.nan)
