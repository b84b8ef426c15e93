"""Text in CSV files that a spreadsheet program would run as a formula.

A cell that begins with one of `_FIRST` gets an apostrophe in front, which spreadsheet programs show as text (OWASP, CSV
Injection). Numbers stay as they are, also those with a sign in a column of text.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute

_FIRST = ("=", "+", "-", "@", "\t", "\r")
_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)


def neutral(text: str) -> str:
    """Text that no spreadsheet program takes for a formula."""
    return f"'{text}" if text.startswith(_FIRST) and not _NUMBER.fullmatch(text) else text


def neutral_column(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of text whose cells are as `neutral`; missing ones are left."""
    marked = pa.compute.fill_null(pa.compute.match_substring_regex(cells, _FORMULA), False)
    if not pa.compute.any(marked).as_py():
        return cells
    return pa.chunked_array([[cell and neutral(cell) for cell in cells.to_pylist()]], cells.type)
