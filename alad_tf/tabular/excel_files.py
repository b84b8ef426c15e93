"""Excel files (.xlsx), read with openpyxl: one sheet, row by row. Formulas count as the values stored by Excel."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.csv

from alad_tf.columns.schema import Kind
from alad_tf.errors import DataError, listed, one_line, quoted
from alad_tf.io import archives
from alad_tf.tabular import cell_rows, dialects
from alad_tf.tabular.dialects import Dialect
from alad_tf.tabular.formats import Advance

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    import openpyxl
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

MOST_ROWS = 1 << 20  # of a sheet
_DOCUMENT_TYPES = [b"<!DOCTYPE", "<!DOCTYPE".encode("utf-16-le"), "<!DOCTYPE".encode("utf-16-be")]
_LONGEST_TYPE = max(map(len, _DOCUMENT_TYPES))
_ERRORS = ("#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!")
_OLE = b"\xd0\xcf\x11\xe0"  # begins the container of .xls and of workbooks with a password
_MISSING = {"", *_ERRORS, *pyarrow.csv.ConvertOptions().null_values}


def sheets(path: Path) -> list[str]:
    """Names of the sheets with cells, in order."""
    with _workbook(path) as workbook:
        return [sheet.title for sheet in workbook.worksheets]


def columns(path: Path, dialect: Dialect) -> list[str]:
    """Column names: those in the first row, or x0, x1, ... without a header."""
    with _sheet(path, dialect) as sheet:
        first = next(_rows(path, sheet, dialect.header is not False), None)
    if first is None:
        raise DataError(f"Expected a header and rows in {path}. Received: a sheet without cells.")
    if dialect.header is False:
        return dialects.numbered(len(first))
    return ["" if cell is None else str(cell) for cell in first]


def chunks(
    path: Path, dialect: Dialect, rows: int, wanted: list[str], kinds: Mapping[str, Kind], report: Advance
) -> Iterator[pd.DataFrame]:
    """Read the rows in frames of `rows`; see `readers.chunks`."""
    names = columns(path, dialect)
    places = [names.index(name) for name in wanted]
    with _sheet(path, dialect) as sheet:
        cells = _cells(path, dialect, _rows(path, sheet), len(names), places)
        yield from cell_rows.frames(path, cells, wanted, rows)
    report(1.0)


def _cells(
    path: Path, dialect: Dialect, rows: Iterator[list[object]], width: int, places: list[int]
) -> Iterator[list[object]]:
    if dialect.header is not False:
        next(rows)
    for number, row in enumerate(rows, 1):
        if len(row) > width:
            raise DataError(f"Expected {width} columns in row {number} of {path}. Received: {len(row)}.")
        row += [None] * (width - len(row))
        yield [row[place] for place in places]


@contextmanager
def _workbook(path: Path) -> Iterator[openpyxl.Workbook]:
    import openpyxl  # takes 0.1 s and 5 MB, which other files do without

    with open(path, "rb") as file:
        if file.read(len(_OLE)) == _OLE:
            raise DataError(
                f"Expected a workbook (.xlsx) in {path}. Received: an old .xls file, or one with a password. Save "
                "it in Excel as .xlsx, without a password."
            )
        with zipfile.ZipFile(file) as archive:
            archives.require_bounded(path, sum(member.file_size for member in archive.infolist()))
            for member in archive.infolist():
                _require_plain(archive, member)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about styles and extensions that openpyxl ignores
                workbook = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            with closing(workbook):
                yield workbook
        except (ArithmeticError, AssertionError, AttributeError, LookupError, SyntaxError) as error:
            raise ValueError(one_line(error)) from error  # openpyxl checks little of what it reads


def _require_plain(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Refuse XML with entities, which Excel never writes: they expand to far more memory than their text."""
    end = b""
    with archive.open(member) as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            text = end + block
            if any(mark in text for mark in _DOCUMENT_TYPES):
                raise ValueError(f"a document type definition in {member.filename}")
            end = text[-_LONGEST_TYPE:]


@contextmanager
def _sheet(path: Path, dialect: Dialect) -> Iterator[ReadOnlyWorksheet]:
    with _workbook(path) as workbook:
        titles = [sheet.title for sheet in workbook.worksheets]
        if not titles or (dialect.sheet is not None and dialect.sheet not in titles):
            wanted = "a sheet" if dialect.sheet is None else f"the sheet {dialect.sheet!r}"
            raise DataError(f"Expected {wanted} in {path}. Received: {listed(titles) or 'none'}.")
        yield workbook[dialect.sheet or titles[0]]


def _rows(path: Path, sheet: ReadOnlyWorksheet, header: bool = False) -> Iterator[list[object]]:
    """Cells of the rows, without trailing missing cells and empty rows. In a header, NA, null and the like are names.

    Raises:
        DataError: a formula has no stored value.
        ValueError: rows or cells are not in the order of their numbers, and openpyxl would leave out some of them, or a
            row has a number that Excel does not have.
    """
    last = empty = 0
    for number, cells in _numbered_rows(path, sheet):
        if number > MOST_ROWS:
            raise ValueError(f"more than {MOST_ROWS} rows in a sheet")
        if number <= last:
            raise ValueError(f"row {number} after row {last} in a sheet")
        row = _row(number, cells)
        empty += number - last - 1
        last = number
        if all(cell is None or cell == "" for cell in row):
            empty += 1
            continue
        yield from ([] for _ in range(empty))
        empty = 0
        yield _without_missing(row, {"", *_ERRORS} if header else _MISSING)
        header = False


def _numbered_rows(path: Path, sheet: ReadOnlyWorksheet) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Number and cells of each row, in the order of the file."""
    from openpyxl.worksheet._reader import FORMULA_TAG, WorkSheetParser

    class Parser(WorkSheetParser):
        def parse_cell(self, element: Element) -> dict[str, Any]:
            cell: dict[str, Any] = super().parse_cell(element)
            if cell["value"] is None and cell["data_type"] == "n" and element.find(FORMULA_TAG) is not None:
                raise DataError(
                    f"Expected the values of formulas in {path}. Received: none in cell {quoted(element.get('r'))}. "
                    "Open the file in Excel and save it, which computes them."
                )
            return cell

    book = sheet.parent
    formats = {"date_formats": book._date_formats, "timedelta_formats": book._timedelta_formats}
    with sheet._get_source() as source:
        texts = _Texts(sheet._shared_strings)
        yield from Parser(source, texts, data_only=True, epoch=book.epoch, **formats).parse()


class _Texts(list[str]):
    """Shared texts of a workbook, by numbers from 0. A plain list would count negative numbers from its end."""

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < len(self):
            raise ValueError(f"a cell with text {number} of {len(self)}")
        return super().__getitem__(number)


def _row(number: int, cells: list[dict[str, Any]]) -> list[object]:
    """Values of a row, None for absent cells."""
    row: list[object] = []
    for cell in cells:
        column = cell["column"]
        if column <= len(row):
            raise ValueError(f"column {column} after column {len(row)} in row {number} of a sheet")
        row += [*[None] * (column - len(row) - 1), cell["value"]]
    return row


def _without_missing(row: list[object], missing: set[str]) -> list[object]:
    """A row with None for missing values, without those at its end."""
    row = [None if isinstance(cell, str) and cell.strip() in missing else cell for cell in row]
    while row and row[-1] is None:
        row.pop()
    return row
