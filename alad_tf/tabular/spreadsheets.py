"""Protection against CSV injection: text that a spreadsheet program would run as a formula.

A cell that begins with one of `_FIRST` gets an apostrophe in front, so that spreadsheet programs show it as text
(OWASP, CSV Injection). Numbers are unchanged, also those with a sign in a text column.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute

_FIRST = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four are fullwidth
_FORMULA = f"^[{re.escape(''.join(_FIRST))}]"
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)


def neutral(text: str) -> str:
    """Escape text that a spreadsheet program would take for a formula."""
    return f"'{text}" if text.startswith(_FIRST) and not _NUMBER.fullmatch(text) else text


def neutral_column(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Apply `neutral` to a text column; missing cells stay missing."""
    marked = pa.compute.fill_null(pa.compute.match_substring_regex(cells, _FORMULA), False)
    if not pa.compute.any(marked).as_py():
        return cells
    return pa.chunked_array([[cell and neutral(cell) for cell in cells.to_pylist()]], cells.type)
