"""Dialect of a data file: separator, decimal mark, encoding, header and sheet, given or detected.

Detection depends on the content alone and not on the machine: the same text is read the same way everywhere.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from alad_tf.columns import number_text
from alad_tf.errors import DataError, SettingsError
from alad_tf.tabular import encodings
from alad_tf.typing import Document

SEPARATORS = (",", ";", "\t", "|")
SAMPLE_LINES = 200
_SHOWN = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_COMMA_NUMBER = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")
_POINT_NUMBER = re.compile(r"\s*[+-]?\d*\.\d+([eE][+-]?\d+)?\s*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}(,\d{3})+\s*")
_POINT_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2}(\.\d{3}){1,2}(?P<decimals>,\d+)?\s*")
_DATE = re.compile(r"\s*(\d{4}-\d\d?-\d\d?|\d\d?[./]\d\d?[./]\d{2,4})([ T].*)?")


@dataclass(frozen=True)
class Dialect:
    """How a file is read. None means that the value is detected.

    Args:
        sep: separator of a text file, one character.
        decimal: decimal mark, "." or ",".
        encoding: text encoding.
        header: whether the first row holds the column names; without a header they are x0, x1, ...
        sheet: sheet of an Excel file; None: the first.
    """

    sep: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    header: bool | None = None
    sheet: str | None = None

    def checked(self) -> Dialect:
        """Validate the values and return the dialect with the encoding in lower case.

        Raises:
            SettingsError: a separator of several characters, another decimal mark, or an unknown encoding.
        """
        sep = "\t" if self.sep in ("\\t", "tab") else self.sep
        if sep is not None and (len(sep) != 1 or not sep.isascii() or sep in '"\r\n\0' or sep.isalnum()):
            raise SettingsError(
                f'Expected a separator of one character, such as "," or ";" or tab. Received: {self.sep!r}.'
            )
        if self.decimal not in (None, ".", ","):
            raise SettingsError(f'Expected "." or "," as decimal mark. Received: {self.decimal!r}.')
        if sep is not None and sep == self.decimal:
            raise SettingsError(f"Expected a separator other than the decimal mark. Received: {sep!r} for both.")
        encoding = None if self.encoding is None else encodings.require_known(self.encoding)
        return replace(self, sep=sep, encoding=encoding)

    def described(self) -> str:
        """Describe departures from comma, point, UTF-8 and a header; empty if there are none."""
        parts = []
        if self.sep not in (None, ","):
            parts.append(f"separated by {_SHOWN.get(self.sep or '', repr(self.sep))}")
        if self.decimal == ",":
            parts.append("decimal commas")
        if self.encoding not in (None, encodings.UTF8):
            parts.append(f"encoding {self.encoding}")
        if self.header is False:
            parts.append("no header, columns x0, x1, ...")
        if self.sheet is not None:
            parts.append(f"sheet {self.sheet!r}")
        return ", ".join(parts)

    def to_document(self) -> Document:
        """The dialect as a JSON object."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: object) -> Dialect:
        """The inverse of `to_document`.

        Raises:
            DataError: the document is damaged.
        """
        kinds = {"sep": str, "decimal": str, "encoding": str, "header": bool, "sheet": str}
        try:
            if not isinstance(document, dict) or set(document) != set(kinds):
                raise ValueError("other entries")
            if not all(document[name] is None or type(document[name]) is kinds[name] for name in kinds):
                raise ValueError("another type")
            return cls(**document).checked()
        except ValueError as error:
            raise DataError(f"Expected the dialect of a model's training file. Received: {document!r:.100}.") from error


ANY = Dialect()  # everything is detected


def separator(lines: Sequence[str], usual: str, expected: Iterable[str] = (), decimal: str | None = None) -> str:
    """Detect the separator: the one that splits all lines into the same number of cells, at least two.

    Args:
        lines: the first lines of a text, with or without a header.
        usual: the separator implied by the file name, preferred if others fit equally well or none fits.
        expected: column names; the first separator whose header has them all wins.
        decimal: the decimal mark if it is given, which separates no cells.
    """
    order = [mark for mark in dict.fromkeys([usual, *SEPARATORS]) if mark != decimal]
    wanted = set(expected)
    found = {mark: records(lines, mark) for mark in order}
    if wanted:
        for mark in order:
            if found[mark] and wanted <= set(found[mark][0]):
                return mark
    return max(order, key=lambda mark: (*_fit(found[mark]), -order.index(mark)))


def unseparated(lines: Sequence[str], dialect: Dialect, by_blanks: bool) -> str | None:
    """Why a text with one column seems to have several, for a message; None if it does not."""
    if any(len(record) > 1 for record in records(lines, dialect.sep or ",")):
        return None
    by_commas = [len(record) for record in records(lines[:1], ",")]
    if dialect.decimal == "," and by_commas > [1] and not _COMMA_NUMBER.fullmatch(lines[0]):
        return "columns that commas separate, and a comma as decimal mark. Write it with semicolons."
    split = records(lines, " ") if by_blanks else []
    words = [[cell for cell in record if cell] for record in split]
    parts = {len(record) for record in words}
    if len(words) < 2 or len(parts) > 1 or sum(all(map(number_text.is_plain, cells)) for cells in zip(*words[1:])) < 2:
        return None
    runs = any("" in record for record in split)
    advice = "Replace runs of blanks by a separator" if runs else "Pass --sep ' '"
    return f"lines of {parts.pop()} words each. {advice}, or pass --sep , if they are one column."


def records(lines: Sequence[str], mark: str) -> list[list[str]]:
    """Split lines into cells; an empty list if their quotes cannot be read."""
    try:
        return [record for record in csv.reader(lines, delimiter=mark) if record]
    except csv.Error:
        return []


def _fit(records: list[list[str]]) -> tuple[float, float]:
    """Quality of a separator: fraction of records as long as the first, and of cells without other separators."""
    if not records or len(records[0]) < 2:
        return 0.0, 0.0
    width = len(records[0])
    cells = [cell for record in records for cell in record]
    clean = sum(not any(mark in cell for mark in SEPARATORS) or bool(_COMMA_NUMBER.fullmatch(cell)) for cell in cells)
    return sum(len(record) == width for record in records) / len(records), clean / len(cells)


def decimal_mark(records: Iterable[Sequence[str]]) -> str:
    """Detect the decimal mark: a comma if some cell is a number with a decimal comma, and none has a point.

    A comma before groups of three digits may separate thousands and does not count.
    """
    commas = points = False
    for record in records:
        for cell in record:
            grouped = _POINT_THOUSANDS.fullmatch(cell)
            commas = commas or bool(_COMMA_NUMBER.fullmatch(cell) and not _THOUSANDS.fullmatch(cell))
            commas = commas or bool(grouped and grouped["decimals"])
            points = points or bool(_POINT_NUMBER.fullmatch(cell))
    return "," if commas and not points else "."


def thousands(cells: Iterable[str], decimal: str) -> str | None:
    """The first cell of a column whose points seem to separate thousands, as in 1.234; None if they do not.

    Where the point is the decimal mark, whole numbers of at most three digits must stand beside such cells.
    """
    every = [cell.strip() for cell in cells]
    pointed = [cell for cell in every if "." in cell]
    if len(pointed) < 3 or not all(map(_POINT_THOUSANDS.fullmatch, pointed)):
        return None
    digits = [len(cell.lstrip("+-")) for cell in every if cell.lstrip("+-").isdecimal()]
    return pointed[0] if decimal == "," or 0 < max(digits, default=0) <= 3 else None


def found(lines: Sequence[str], usual: str, asked: Dialect, expected: Iterable[str] = ()) -> Dialect:
    """The dialect of a text with a known encoding: the given values, and the rest detected from its lines."""
    sep = asked.sep if asked.sep is not None else separator(lines, usual, expected, asked.decimal)
    decimal = asked.decimal
    if decimal is None:
        decimal = "." if sep == "," else decimal_mark(records(lines, sep)[1 if asked.header is not False else 0 :])
    return replace(asked, sep=sep, decimal=decimal, header=asked.header is not False)


def looks_like_data(names: Sequence[str]) -> bool:
    """Whether a header seems to be a row of data: at least half of its cells are numbers or dates.

    Names 0, 1, 2, ... do not count as data: a table made from an array has them.
    """
    counts = [[str(k + first) for k in range(len(names))] for first in (0, 1)]
    if list(names) in counts:
        return False
    values = sum(_is_value(name) for name in names)
    return bool(names) and values > 0 and 2 * values >= len(names)


def _is_value(name: str) -> bool:
    return bool(_DATE.fullmatch(name) or _COMMA_NUMBER.fullmatch(name)) or number_text.is_plain(name)


def numbered(width: int) -> list[str]:
    """Column names of a file without a header: x0, x1, ..."""
    return [f"x{number}" for number in range(width)]


def repeated(names: Iterable[str]) -> list[str]:
    """The names that occur more than once."""
    return sorted(name for name, count in Counter(names).items() if count > 1)
