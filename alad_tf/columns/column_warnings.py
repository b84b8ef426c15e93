"""Warnings about training rows: columns that seldom help a detector."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Callable

import numpy as np
import pandas as pd

from alad_tf.columns import dates, number_text
from alad_tf.columns.coarse import coarse_feature
from alad_tf.errors import listed, quoted

LABEL_NAMES = ("label", "labels", "target", "class", "y", "is_anomaly", "anomaly", "outlier")
FEW_ROWS = 100
DISTINCT_ROWS = 20  # minimum number of rows for a warning about distinct values
NEARLY_ALL = 0.995  # fraction of rows with the same value in a nearly constant column
MOST_CODES = 20
ROWS_A_CODE = 10
_FORMS: dict[str, Callable[[str], bool]] = {
    "points": number_text.has_zero_decimals,
    "plain": number_text.is_plain,
    "written": number_text.is_written,
    "dates": dates.is_written,
}
_TEXTS = {
    "nearly": f"one value in at least {NEARLY_ALL:.1%} of the rows: {{}}",
    "distinct": "a different value in each row: {}; drop columns that only identify the row (--drop)",
    "codes": "few distinct whole numbers: {}; if they are codes, not amounts, name the columns with --categorical",
    "points": (
        "whole numbers with decimals like 1.0, which become categories: {}; 1 is another category, so write them alike "
        "in all files, or name the columns with --numeric"
    ),
    "plain": (
        "numbers that are stored as text and become categories: {}; name the columns with --numeric or --categorical"
    ),
    "written": (
        "numbers with commas, separators, signs or units, which become categories: {}; write them as plain numbers, "
        "pass --decimal , for decimal commas, or name the columns with --categorical"
    ),
    "dates": (
        "dates in a form that is not read, which become categories: {}; write them like 2026-11-28, or --drop the "
        "columns"
    ),
}


def column_warnings(
    cells: pd.DataFrame, frame: pd.DataFrame, scaled: bool, categorical: Collection[str] = ()
) -> Iterator[str]:
    """Yield warnings about training cells, one line each.

    Reasons: few rows; columns that are constant or nearly so, that identify the row, or that may be codes; numbers and
    dates in text; names of labels; differences that are lost in floating-point precision.

    Args:
        cells: result of `Columns.training_rows` for the frame.
        frame: the rows as read, in which whole numbers above 2^53 are exact.
        scaled: whether numbers are centered before they become float32.
        categorical: columns that the user named as categorical.
    """
    if len(cells) < max(FEW_ROWS, 2 * cells.shape[1]):
        yield f"{len(cells)} rows of {cells.shape[1]} columns are few for training: scores will vary between seeds"
    kinds: dict[str, list[str]] = defaultdict(list)
    for name in cells.columns:
        numbers = frame[name].to_numpy()
        by_name = name in categorical or isinstance(frame[name].dtype, pd.CategoricalDtype)
        coarse = (
            not by_name
            and numbers.dtype.kind in "iuf"
            and coarse_feature(name, numbers, np.float64 if scaled else np.float32)
        )
        if coarse:
            yield coarse
            continue
        if name.lower() in LABEL_NAMES:
            yield f"column {quoted(name)} is trained on; if it is a label, name it with --label or --drop it"
        kind = _in_text(cells[name], by_name) or _kind(cells[name])
        if kind == "constant":
            yield f"column {quoted(name)} is constant: {cells[name].head(1).tolist()[0]!r} in all rows"
        elif kind:
            kinds[kind].append(repr(name))
    yield from (text.format(listed(kinds[kind])) for kind, text in _TEXTS.items() if kinds[kind])


def _in_text(column: pd.Series, by_name: bool) -> str | None:
    """What most cells of a column of text are, the first of `_FORMS`; None for others and for columns of numbers."""
    if pd.api.types.is_numeric_dtype(column):
        return None
    counts = column.value_counts()
    for kind, test in _FORMS.items():
        if (kind == "points" or not by_name) and 2 * counts[[test(cell) for cell in counts.index]].sum() > counts.sum():
            return kind
    return None


def _kind(column: pd.Series) -> str | None:
    """The kind of problem with a column, or None."""
    counts = column.value_counts(dropna=False)
    if len(counts) == 1:
        return "constant"
    if counts.iloc[0] >= NEARLY_ALL * len(column):
        return "nearly"
    whole = not pd.api.types.is_numeric_dtype(column) or bool((column.dropna() % 1 == 0).all())
    if whole and len(counts) == len(column) >= DISTINCT_ROWS:
        return "distinct"
    if column.dtype == np.float64 and whole and 3 <= len(counts) <= min(MOST_CODES, len(column) // ROWS_A_CODE):
        return "codes"
    return None
