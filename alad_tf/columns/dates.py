"""Calendar features of columns of dates and times: month, day, weekday and hour as numbers.

A feature is used if the training rows span at least two of its cycles: if they cover only one winter, the month would
make every row in summer anomalous. Dates themselves are not used, because dates of new rows are outside the training
range.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Callable

import numpy as np
import pandas as pd

from alad_tf.errors import DataError, quoted, row_name

ISO, TIME, UNCLEAR = "ISO", "time", "unclear"
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
_PATTERNS = {
    re.compile(rf"\d{{4}}-\d{{2}}-\d{{2}}([ T]{_CLOCK}(Z|[+-]\d{{2}}:?\d{{2}})?)?"): (ISO,),
    re.compile(_CLOCK): (TIME,),
    re.compile(rf"\d{{1,2}}\.\d{{1,2}}\.\d{{4}}( {_CLOCK})?"): ("%d.%m.%Y",),
    re.compile(rf"\d{{1,2}}/\d{{1,2}}/\d{{4}}( {_CLOCK})?"): ("%m/%d/%Y", "%d/%m/%Y"),
    re.compile(rf"\d{{4}}/\d{{1,2}}/\d{{1,2}}( {_CLOCK})?"): ("%Y/%m/%d",),
}
_OTHER = re.compile(
    r"(\d{1,2}([-./ ])(\d{1,2}|[A-Za-z]{3,9})\2|[A-Za-z]{3,9}\.? \d{1,2}, )\d{2}(\d{2})?"
    rf"(,? {_CLOCK}( ?[AaPp]\.?[Mm]\.?)?)?"
)
_BEGIN = {ISO: r"\d{4}-?\d{2}-?\d{2}", TIME: r"\d{1,2}:\d{2}"}  # pandas also reads "now", and a year as its first day
_ZONE = r":\d{2}.*(?:Z|[+-]\d{2}(?::?\d{2})?)\s*$"
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")
_SAMPLE = 1000  # cells that tell whether a column may be one of dates
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f")
FORMATS = (ISO, TIME, UNCLEAR, *(day + clock for days in _PATTERNS.values() for day in days for clock in _CLOCKS))
_PARTS: dict[str, tuple[int, Callable[[Any], Any]]] = {  # days in two cycles, and the feature
    "month": (730, lambda when: when.dt.month),
    "day": (62, lambda when: when.dt.day),
    "weekday": (14, lambda when: when.dt.day_of_week),
    "hour": (2, lambda when: when.dt.hour + when.dt.minute / 60 + when.dt.second / 3600),
}


def is_written(cell: object) -> bool:
    """Whether a cell is a date in another form than those that are read, such as 05-03-2023, 5 Mar 23 or with AM."""
    return isinstance(cell, str) and _OTHER.fullmatch(cell.strip()) is not None


@dataclass(frozen=True)
class DateColumn:
    """A column of dates or times.

    Args:
        name: name of the column.
        format: "ISO", "time", "unclear" or a strptime format, for text cells.
        parts: calendar features, a subset of "month", "day", "weekday" (Monday is 0) and "hour".
    """

    name: str
    format: str
    parts: tuple[str, ...]

    @property
    def features(self) -> list[str]:
        """Names of the resulting numeric columns."""
        return [f"{self.name}.{part}" for part in self.parts]

    def describe(self) -> str:
        """Describe what happens to the column, in one line."""
        if self.features:
            return f"column {quoted(self.name)}: dates and times become {', '.join(self.features)}"
        why = "its dates span less than two weeks, or two days of times"
        if self.format == UNCLEAR:
            why = "its dates may be month/day or day/month; write them YYYY-MM-DD"
        return f"column {quoted(self.name)} is left out: {why}"

    def cells(self, column: pd.Series) -> dict[str, pd.Series]:
        """The numeric columns, float64; NaN for missing cells.

        Raises:
            DataError: a cell is not a date or time in the format.
        """
        if not self.parts:
            return {}
        when = parsed(column, self.format)
        unread = np.flatnonzero(when.isna() & column.notna())
        bad = [row for row in unread if not _is_blank(column.iloc[row])]
        if bad:
            wanted = {ISO: "YYYY-MM-DD", TIME: "HH:MM"}.get(self.format, self.format)
            raise DataError(
                f"Expected a date or time ({wanted}) in column {quoted(self.name)}, row "
                f"{row_name(column.index[bad[0]])}. Received: {str(column.iloc[bad[0]])!r:.100}."
            )
        return {feature: _PARTS[part][1](when).astype(np.float64) for feature, part in zip(self.features, self.parts)}

    def to_document(self) -> dict[str, Any]:
        """The column as a JSON object."""
        return {**asdict(self), "parts": list(self.parts)}

    @classmethod
    def from_document(cls, document: Any) -> DateColumn:
        """The inverse of `to_document`; KeyError, TypeError or ValueError for a damaged document."""
        column = cls(document["name"], document["format"], tuple(document["parts"]))
        if not isinstance(column.name, str) or column.format not in FORMATS or not set(column.parts) <= set(_PARTS):
            raise ValueError(f"a column of dates in another form, {document!r:.80}")
        return column


def find(name: str, column: pd.Series) -> DateColumn | None:
    """Recognise a column of dates or times; None for other columns."""
    format = _format(column)
    if format is None:
        return None
    if format == TIME:
        return DateColumn(name, format, ("hour",))
    if format == UNCLEAR:
        return DateColumn(name, format, ())
    when = parsed(column, format).dropna()
    seconds = when.to_numpy("datetime64[s]").astype(np.float64)  # a difference of pandas ends at 292 years
    days = (seconds.max() - seconds.min()) / 86400
    clock = bool((when != when.dt.normalize()).any())
    parts = tuple(part for part, (span, _) in _PARTS.items() if days >= span and (clock or part != "hour"))
    return DateColumn(name, format, parts)


def refuse_words_among_dates(name: str, column: pd.Series) -> None:
    """Raise DataError for a column of text of which most cells are dates of one form, but not all.

    Times alone may be durations, and a day and a month may stand in either order: such columns stay categories.
    """
    present = _without_blanks(column.astype(object)).dropna()
    if pd.api.types.infer_dtype(present) != "string":
        return
    for pattern, days in _PATTERNS.items():
        if days == (TIME,) or 2 * present[:_SAMPLE].str.fullmatch(pattern).mean() <= 1:
            continue
        formats = days if days[0] == ISO else [day + clock for day in days for clock in _CLOCKS]
        known = max((parsed(present, format).notna() for format in formats), key=lambda fits: fits.sum())
        bad = present[~known]
        unlike = bad if days[0] == ISO else bad[~bad.str.fullmatch(pattern)]
        if len(unlike) and known.mean() > 0.5:
            raise DataError(
                f"Expected dates of one form in column {quoted(name)}. Received: {quoted(unlike.iloc[0])} in row "
                f"{row_name(unlike.index[0])}, and dates in {known.sum()} of {len(present)} cells. Correct the cell, "
                "drop the column, or name it as categorical (--categorical)."
            )


def parsed(column: pd.Series, format: str) -> pd.Series:
    """Cells as datetime64 without a time zone (UTC if they have one); NaT for cells in another format.

    Text with a year that pandas cannot read, such as 9999-12-31, gets one with the same calendar, from 1700 to 2099.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.dt.tz_convert("UTC").dt.tz_localize(None) if column.dt.tz is not None else column
    text = column.astype(object).where(column.notna()).map(str, na_action="ignore").astype(object)
    begin, lines = r"[ \t]*" + _BEGIN.get(format, r"\d"), "\n".join(text.dropna())  # one search is faster than many
    if re.search(f"^(?!{begin})", lines, re.MULTILINE):
        text = text.where(text.str.match(begin, na=False))
    zoned = text.str.contains(_ZONE, na=False) if re.search(r"Z|\+|:.*-", lines) else None
    if format == TIME:
        text = text.map("1970-01-01 {}".format, na_action="ignore").astype(object)
    chosen = "ISO8601" if format in (ISO, TIME) else format
    when = _times(text if zoned is None else text.mask(zoned), chosen)
    if zoned is not None:  # apart, as pandas reads a time without a zone in that of an earlier cell
        when = when.mask(zoned, _times(text.where(zoned), chosen))
    rest = np.flatnonzero(when.isna() & text.notna())
    moved = text.iloc[rest].map(_with_near_year)
    if (moved != text.iloc[rest]).any():
        times = when.to_numpy().copy()
        times[rest] = parsed(moved, format).to_numpy()
        when = pd.Series(times, when.index, name=when.name)
    return when


def _times(text: pd.Series, format: str) -> pd.Series:
    return pd.to_datetime(text, format=format, utc=True, errors="coerce").dt.tz_localize(None)


def _without_blanks(column: pd.Series) -> pd.Series:
    """A column in which text of blanks only is missing."""
    if column.dtype.kind != "O":
        return column
    return column.mask(column.map(_is_blank).astype(bool))


def _is_blank(cell: object) -> bool:
    return isinstance(cell, str) and not cell.strip()


def _with_near_year(text: str) -> str:
    """Text with a year that pandas can read: after 400 years, months, days and weekdays repeat."""
    return _YEAR.sub(lambda year: str(1700 + (int(year[0]) - 1700) % 400), text, count=1)


def _format(column: pd.Series) -> str | None:
    if pd.api.types.is_datetime64_any_dtype(column):
        return ISO if column.notna().any() else None
    if not pd.api.types.is_object_dtype(column) and not pd.api.types.is_string_dtype(column):
        return None
    present = _without_blanks(column).dropna()
    if not len(present) or pd.api.types.infer_dtype(present) not in ("string", "date", "datetime", "time"):
        return None
    text = present.astype(str)
    for pattern, days in _PATTERNS.items():
        if pattern.fullmatch(text.iloc[0]) and text.str.fullmatch(pattern).all():
            return _fitting(text, days)
    return None


def _fitting(text: pd.Series, days: tuple[str, ...]) -> str | None:
    """The only format that fits all cells; `UNCLEAR` if two formats fit."""
    if days[0] in (ISO, TIME):
        return days[0] if parsed(text, days[0]).notna().all() else None
    formats = [day + clock for day in days for clock in _CLOCKS]
    fitting = [format for format in formats if parsed(text, format).notna().all()]
    return None if not fitting else fitting[0] if len(fitting) == 1 else UNCLEAR
