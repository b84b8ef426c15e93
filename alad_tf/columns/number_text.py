"""Numbers as people write them in text: plain, with a decimal comma, or with separators, signs and units."""

from __future__ import annotations

import re
from typing import SupportsFloat

import numpy as np

_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
_GROUPS = r"\d{1,3}(?P<mark>[.,'\u2019\u00a0\u202f])\d{3}(?:(?P=mark)\d{3})?(?:(?!(?P=mark))[.,]\d+)?"
_SIGN = "[$\u20ac\u00a3\u00a5]"
_UNIT = rf"\s?%|\s?{_SIGN}|\s(?!am\b|pm\b)[a-z\u00b5]{{1,3}}"  # a short word behind a blank
_WRITTEN = re.compile(rf"\s*(?:{_SIGN}\s?)?[+-]?(?:{_GROUPS}|\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?)(?:{_UNIT})?\s*")


def is_plain(cell: SupportsFloat | str) -> bool:
    """Whether a cell is a number as written in files; Python also accepts 1_000 and digits of other scripts."""
    if isinstance(cell, str) and ("_" in cell or not cell.isascii()):
        return False
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    except OverflowError:  # a Python integer beyond float64
        return True
    return not isinstance(cell, (bool, np.bool_))


def has_zero_decimals(cell: object) -> bool:
    """Whether a cell is a whole number with decimals, such as 1.0."""
    return isinstance(cell, str) and re.fullmatch(r"\s*[+-]?\d+\.0+\s*", cell) is not None


def has_decimal_comma(cell: object) -> bool:
    """Whether a cell is a number with one comma, such as 66,8."""
    return isinstance(cell, str) and _DECIMAL_COMMA.fullmatch(cell) is not None


def is_written(cell: object) -> bool:
    """Whether a cell is a number in any form, such as 1,000, 5 kg, 12.5 % or digits of other scripts."""
    return isinstance(cell, str) and _WRITTEN.fullmatch(cell) is not None
