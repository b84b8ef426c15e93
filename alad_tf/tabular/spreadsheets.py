"""Text in CSV files that a spreadsheet program would run as a formula.

A cell that begins with one of `_FIRST` gets an apostrophe in front, which spreadsheet programs show as text (OWASP, CSV
Injection). Numbers stay as they are, also those with a sign in a column of text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

_FIRST = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def neutral(text: str) -> str:
    """Text that no spreadsheet program takes for a formula."""
    return f"'{text}" if text.startswith(_FIRST) and not _NUMBER.fullmatch(text) else text


def neutral_names(names: Iterable[str]) -> list[str]:
    """Names of columns as `neutral`."""
    return [neutral(name) for name in names]


def neutral_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose cells of text are as `neutral`; missing ones and numbers are left."""
    text = {
        name: column.map(lambda cell: neutral(cell) if isinstance(cell, str) else cell)
        for name, column in frame.items()
        if column.dtype == object
    }
    return frame.assign(**text)
