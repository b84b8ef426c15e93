"""Protection against CSV injection: text that a spreadsheet program would run as a formula.

A cell that begins with one of `_FIRST` gets an apostrophe in front, so that spreadsheet programs show it as text
(OWASP, CSV Injection). Numbers are unchanged, also those with a sign in a text column, and so are signs alone.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute

_FIRST = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"  # the last four are fullwidth
_FORMULA = f"^[{re.escape(_FIRST)}]"
_HARMLESS = r"^([+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)([eE][+-]?[0-9]+)?|[+-]+)\z"  # numbers, and signs alone


def neutral_column(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Escape the cells of a text column that a spreadsheet program would take for formulas; missing cells stay so."""
    formula = pa.compute.match_substring_regex(cells, _FORMULA)
    if pa.compute.any(formula).as_py():
        formula = pa.compute.and_not(formula, pa.compute.match_substring_regex(cells, _HARMLESS))
    if not pa.compute.any(formula).as_py():
        return cells
    escaped = pa.compute.binary_replace_slice(cells, 0, 0, "'")
    return pa.compute.case_when(pa.compute.make_struct(pa.compute.fill_null(formula, False)), escaped, cells)


def is_escaped(cell: str) -> bool:
    """Whether a cell may be a result of `neutral_column`."""
    return cell[:1] == "'" and cell[1:2] != "" and cell[1] in _FIRST
