"""Schema of a table: numeric and categorical columns, and checks of their cells.

In training, an invalid cell is an error that names its place; in scoring, it only makes its row invalid. Rows are
numbered from 1 in messages.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from alad_tf.columns import dates, number_text
from alad_tf.columns.dates import DateColumn
from alad_tf.columns.exact import as_column
from alad_tf.errors import DataError, SettingsError, listed, quoted, row_name
from alad_tf.typing import Document

Kind = Literal["number", "text"]
MAX_CATEGORIES = 1000  # per column, because each becomes a feature
_OBJECTS_OF_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")
_BOOLEANS = {"true": "True", "1": "True", "false": "False", "0": "False"}


@dataclass(frozen=True)
class Columns:
    """The columns that a model is fitted on, in the order of the training file.

    Args:
        numeric: names of numeric columns.
        categorical: names of categorical columns, whose cells are compared as text.
        impute: allow missing cells. If not, they are an error in training and make a row invalid in scoring.
        dates: columns of dates and times; their calendar features are among the numeric columns.
        booleans: names of the categorical columns of true and false, which have several spellings in files.
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    impute: bool = False
    dates: tuple[DateColumn, ...] = ()
    booleans: tuple[str, ...] = ()

    @classmethod
    def infer(
        cls,
        frame: pd.DataFrame,
        *,
        categorical: Iterable[str] = (),
        numeric: Iterable[str] = (),
        impute: bool = False,
        calendar: bool = False,
    ) -> Columns:
        """Infer the schema of a frame: columns of numbers are numeric, others categorical, unless named otherwise.

        With `calendar`, dates and times become calendar features (`dates`); without it, they are an error.

        Raises:
            SettingsError: a name is not in the frame, or is given as both kinds.
            DataError: an unnamed column holds dates, or numbers except for a few text cells; or there are no columns.
        """
        columns = _readable(frame, map(str, frame.columns))
        named = {**dict.fromkeys(numeric, "number"), **dict.fromkeys(categorical, "text")}
        require(columns, named, "kind")
        both = sorted({*numeric} & {*categorical})
        if both:
            raise SettingsError(f"Expected one kind for a column. Received: {listed(both)} as numeric and categorical.")
        found = {name: dates.find(name, cells) for name, cells in columns.items() if calendar and name not in named}
        of_dates = tuple(column for column in found.values() if column is not None)
        features = [feature for column in of_dates for feature in column.features]
        taken = sorted({*features} & {*columns})
        if taken:
            raise DataError(f"Expected other names than those of calendar features. Received: {listed(taken)}.")
        others = {name: cells for name, cells in columns.items() if not found.get(name)}
        kinds = {name: named.get(name) or _kind(name, cells, calendar) for name, cells in others.items()}
        numbers = [name for name, kind in kinds.items() if kind == "number"]
        text = [name for name, kind in kinds.items() if kind == "text"]
        if not numbers + features + text:
            raise DataError("Expected columns to learn from. Received: none.")
        booleans = tuple(name for name in text if name not in named and _is_boolean(columns[name]))
        return cls((*numbers, *features), tuple(text), impute, of_dates, booleans)

    @property
    def names(self) -> list[str]:
        """Names of the preprocessed columns: numeric, then categorical."""
        return [*self.numeric, *self.categorical]

    @property
    def sources(self) -> list[str]:
        """Columns that a table must have: dates instead of their calendar features."""
        made = {feature for column in self.dates for feature in column.features}
        used = [column.name for column in self.dates if column.parts]
        return [*(name for name in self.names if name not in made), *used]

    def kinds(self) -> dict[str, Kind]:
        """Kinds of columns for reading a text file: numbers as numbers, everything else as text."""
        return {name: "number" if name in self.numeric else "text" for name in self.sources}

    def to_document(self) -> Document:
        """The columns as a JSON object."""
        return {
            "numeric": list(self.numeric),
            "categorical": list(self.categorical),
            "impute": self.impute,
            "dates": [column.to_document() for column in self.dates],
            "booleans": list(self.booleans),
        }

    @classmethod
    def from_document(cls, document: Document) -> Columns:
        """The inverse of `to_document`.

        Raises:
            DataError: the document is damaged.
        """
        try:
            columns = cls(
                tuple(document["numeric"]),
                tuple(document["categorical"]),
                document["impute"],
                tuple(DateColumn.from_document(column) for column in document.get("dates", [])),
                tuple(document.get("booleans", [])),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"Expected the columns of a model. Received: a damaged document: {error!r}.") from error
        made = {feature for column in columns.dates for feature in column.features}
        sound = all(isinstance(name, str) for name in columns.names) and isinstance(columns.impute, bool)
        if not sound or not made <= {*columns.numeric} or not {*columns.booleans} <= {*columns.categorical}:
            raise DataError("Expected the columns of a model. Received: names or settings of another type.")
        return columns

    def training_rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Cells of training rows: numbers as float64 and categories as text, in the order of `names`.

        Raises:
            DataError: fewer than two rows; a missing or empty column; a cell that is not a number, infinite, or missing
                without `impute`; more than MAX_CATEGORIES categories.
        """
        if len(frame) < 2:
            raise DataError(f"Expected at least 2 rows to train on. Received: {len(frame)}.")
        cells = self._cells(frame)
        for name in self.names:
            if cells[name].isna().all():
                raise DataError(
                    f"Expected values in column {quoted(name)}. Received: no cell with one. Drop the column."
                )
        for name in self.numeric:
            _refuse(np.isinf(cells[name]), cells[name], "a finite number")
            if self.impute:  # a median can be half a sum
                _refuse(cells[name].abs() > sys.float_info.max / 2, cells[name], "a number whose double is finite")
        if not self.impute:
            for name in self.names:
                _refuse(cells[name].isna(), cells[name], "a value", " Drop the row, or pass --impute.")
        for name in self.categorical:
            if cells[name].nunique() > MAX_CATEGORIES:
                raise DataError(
                    f"Expected at most {MAX_CATEGORIES} categories in column {quoted(name)}. Received: "
                    f"{cells[name].nunique()}. If it names the row, drop it; if it is a number, name it as numeric."
                )
        return cells

    def scoring_rows(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
        """(cells of rows to score, valid rows [n] bool); rows with an infinite or missing cell are invalid.

        Columns are matched by name; others are ignored.

        Raises:
            DataError: a missing column, or a cell that is not a number.
        """
        cells = self._cells(frame)
        valid = ~np.isinf(cells[list(self.numeric)].to_numpy(np.float64)).any(axis=1)
        if not self.impute:
            valid &= ~cells.isna().any(axis=1).to_numpy()
        return cells, valid

    def reasons(self, frame: pd.DataFrame) -> list[str]:
        """Reasons [n] why rows are invalid: columns with a missing or infinite cell; empty for valid rows."""
        cells = self._cells(frame)
        found: list[dict[str, None]] = [{} for _ in range(len(cells))]
        source = {feature: column.name for column in self.dates for feature in column.features}
        for name in self.names:
            bad = {"missing": cells[name].isna() if not self.impute else pd.Series(False, cells.index)}
            if name in self.numeric:
                bad["infinite"] = np.isinf(cells[name])
            for what, rows in bad.items():
                for row in np.flatnonzero(rows):
                    found[row][f"{what}: {source.get(name, name)}"] = None
        return ["; ".join(reasons) for reasons in found]

    def _cells(self, frame: pd.DataFrame) -> pd.DataFrame:
        missing = [name for name in self.sources if name not in frame.columns]
        if missing:
            raise DataError(f"Expected the columns {listed(missing)}. Received: {listed(frame.columns)}.")
        columns = _readable(frame, self.sources)
        dates_used = [date for date in self.dates if date.parts]
        made = {name: cells for date in dates_used for name, cells in date.cells(columns[date.name]).items()}
        numbers = {name: made[name] if name in made else as_numbers(columns[name]) for name in self.numeric}
        text = {name: (as_boolean if name in self.booleans else as_text)(columns[name]) for name in self.categorical}
        text = {name: cells.mask(cells == "") for name, cells in text.items()}  # missing, as in text files
        return pd.DataFrame({**numbers, **text}, index=frame.index)


def require(present: Iterable[str], named: Iterable[str], what: str) -> None:
    """Check that a table has the named columns.

    Raises:
        SettingsError: some are missing; the message lists them and the existing columns.
    """
    present = list(present)
    unknown = [name or "''" for name in named if name not in present]
    if unknown:
        raise SettingsError(
            f"Expected columns of the data ({what}). Received: {listed(unknown)}. Allowed: {listed(present)}."
        )


def _kind(name: str, column: pd.Series, calendar: bool) -> str:
    if _is_time(column):
        raise DataError(
            f"Expected numbers or categories in column {quoted(name)}. Received: dates or times. Drop it, replace it "
            "with numbers, or name it as categorical."
        )
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "text"
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return "number"
    if pd.api.types.infer_dtype(column, skipna=True) in _OBJECTS_OF_NUMBERS:
        return "number"
    _refuse_text_among_numbers(name, column)
    if calendar:
        dates.refuse_words_among_dates(name, column)
    return "text"


def _refuse_text_among_numbers(name: str, column: pd.Series) -> None:
    """Refuse a categorical column that is mostly numbers, and categorical only because of a few words."""
    cells = column[column.notna()].astype(object)
    words = cells[[not number_text.is_plain(cell) for cell in cells]]
    if 0 < len(words) < len(cells) / 2:
        commas = number_text.has_decimal_comma(words.iloc[0])
        advice = "Pass --decimal , if that is a decimal comma" if commas else "Correct the cell"
        raise DataError(
            f"Expected numbers or categories in column {quoted(name)}. Received: {quoted(words.iloc[0])} in row "
            f"{row_name(words.index[0])}, and numbers in {len(cells) - len(words)} of {len(cells)} cells. {advice}, or "
            "name the column as categorical (--categorical)."
        )


def _is_time(column: pd.Series) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column))


def as_numbers(column: pd.Series) -> pd.Series:
    """Cells as float64, missing cells as NaN.

    Raises:
        DataError: a cell that is not a real number, such as a date.
    """
    if pd.api.types.is_complex_dtype(column) or _is_time(column):
        raise DataError(f"Expected real numbers in column {quoted(column.name)}. Received: {column.dtype}.")
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    try:
        numbers = pd.to_numeric(column, errors="coerce")
        if pd.api.types.is_complex_dtype(numbers):
            _refuse(column.map(lambda cell: isinstance(cell, complex)), column, "a real number")
        numbers = numbers.astype(np.float64)
    except TypeError as error:  # of periods, intervals and the like
        raise DataError(
            f"Expected real numbers in column {quoted(column.name)}. Received: cells of which {error}."
        ) from error
    except OverflowError:
        return as_numbers(column.map(_infinite_if_huge))
    _refuse(numbers.isna() & column.notna(), column, "a number")
    return numbers


def _infinite_if_huge(cell: object) -> object:
    """Infinity in place of a Python integer beyond float64, as in files."""
    if isinstance(cell, int) and abs(cell) > sys.float_info.max:
        return math.inf if cell > 0 else -math.inf
    return cell


def as_text(column: pd.Series) -> pd.Series:
    """Cells as text, missing cells as NaN. Whole numbers have the same text in integer and float columns."""
    if pd.api.types.infer_dtype(column, skipna=True) == "string":
        return column.astype(object).where(column.notna(), np.nan)
    cells = [np.nan if pd.isna(cell) else _text(cell) for cell in column.astype(object)]
    return pd.Series(cells, column.index, dtype=object, name=column.name)


def as_boolean(column: pd.Series) -> pd.Series:
    """Boolean cells, 1 and 0 as the text True and False; others as in `as_text`."""
    return as_text(column).map(lambda cell: _BOOLEANS.get(cell.lower(), cell), na_action="ignore").astype(object)


def _is_boolean(column: pd.Series) -> bool:
    present = column.dropna()
    return bool(len(present)) and set(as_text(present).str.lower()) <= {"true", "false"}


def _text(cell: object) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _readable(frame: pd.DataFrame, names: Iterable[str]) -> dict[str, pd.Series]:
    """Columns by name, without types of Arrow and with periods as times.

    Raises:
        DataError: a name of several columns; a cell with a list, a dictionary or an array.
    """
    names = list(names)
    doubled = sorted({*names} & {*frame.columns[frame.columns.duplicated()]})
    if doubled:
        raise DataError(f"Expected a unique name for each column. Received: {listed(doubled)} more than once.")
    columns = {name: _without_arrow(frame[name]) for name in names}
    for column in columns.values():
        if column.dtype.kind == "O" and pd.api.types.infer_dtype(column, skipna=True) != "string":
            _refuse(column.map(_is_collection), column, "a number or text")
    return columns


def _without_arrow(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.PeriodDtype):
        return column.dt.to_timestamp()
    if isinstance(column.dtype, pd.ArrowDtype):
        return as_column(pa.array(column.array)).set_axis(column.index).rename(column.name)
    return column


def _is_collection(cell: object) -> bool:
    return bool(pd.api.types.is_list_like(cell) or isinstance(cell, np.ndarray))  # arrays without axes are no lists


def _refuse(bad: pd.Series, column: pd.Series, expected: str, advice: str = "") -> None:
    """Raise DataError for the first bad cell, with the number of further ones."""
    rows = np.flatnonzero(bad)
    if not len(rows):
        return
    cell = column.iloc[rows[0]]
    is_number = isinstance(cell, Real) and not isinstance(cell, np.timedelta64)
    missing = pd.api.types.is_scalar(cell) and pd.isna(cell)
    received = "a missing cell" if missing else quoted(float(cell) if is_number else str(cell))
    more = f", and {len(rows) - 1} more in that column" if len(rows) > 1 else ""
    raise DataError(
        f"Expected {expected} in column {quoted(column.name)}, row {row_name(column.index[rows[0]])}. "
        f"Received: {received}{more}.{advice}"
    )
