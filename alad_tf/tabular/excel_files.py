"""Excel files (.xlsx), read with openpyxl: one sheet, row by row. Formulas count as the values stored by Excel."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.csv

from alad_tf.columns.schema import Kind
from alad_tf.errors import DataError, one_line
from alad_tf.io import archives
from alad_tf.tabular import cell_rows, dialects
from alad_tf.tabular.dialects import Dialect
from alad_tf.tabular.formats import Advance, listed

if TYPE_CHECKING:
    import openpyxl
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

MOST_ROWS = 1 << 20  # of a sheet
_DOCUMENT_TYPES = [b"<!DOCTYPE", "<!DOCTYPE".encode("utf-16-le"), "<!DOCTYPE".encode("utf-16-be")]
_ROW = re.compile(rb"""<(?:\w+:)?row\s(?:[^>]*?\s)?r=["']\s*(-?\d{1,9})\s*["'][^>]*>""")
_LONGEST_TAG = 1 << 16
_ERRORS = ("#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!")
_MISSING = {"", *_ERRORS, *pyarrow.csv.ConvertOptions().null_values}


def sheets(path: Path) -> list[str]:
    """Names of the sheets with cells, in order."""
    with _workbook(path) as workbook:
        return [sheet.title for sheet in workbook.worksheets]


def columns(path: Path, dialect: Dialect) -> list[str]:
    """Column names: those in the first row, or x0, x1, ... without a header."""
    with _sheet(path, dialect) as sheet:
        first = next(_rows(sheet), None)
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
        cells = _cells(path, dialect, _rows(sheet), len(names), places)
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
    """Refuse what Excel never writes and openpyxl accepts: XML with entities, and rows in another order.

    Entities expand to far more memory than their text. openpyxl leaves out a row whose number is not above that of the
    row before it.
    """
    last, end = 0, b""
    with archive.open(member) as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            text = end + block
            if any(mark in text for mark in _DOCUMENT_TYPES):
                raise ValueError(f"a document type definition in {member.filename}")
            for found in _ROW.finditer(text) if member.filename.startswith("xl/worksheets/") else ():
                number = int(found[1])
                if number <= last:
                    raise ValueError(f"row {number} after row {last} in {member.filename}")
                last = number
            tag = text.rfind(b"<")
            ends_here = tag < 0 or b">" in text[tag:] or len(text) - tag > _LONGEST_TAG
            end = b"" if ends_here else text[max(0, tag - 1) :]  # with the byte before it, which is of it in UTF-16


@contextmanager
def _sheet(path: Path, dialect: Dialect) -> Iterator[ReadOnlyWorksheet]:
    with _workbook(path) as workbook:
        titles = [sheet.title for sheet in workbook.worksheets]
        if not titles or (dialect.sheet is not None and dialect.sheet not in titles):
            wanted = "a sheet" if dialect.sheet is None else f"the sheet {dialect.sheet!r}"
            raise DataError(f"Expected {wanted} in {path}. Received: {listed(titles) or 'none'}.")
        sheet = workbook[dialect.sheet or titles[0]]
        sheet.reset_dimensions()  # some programs write wrong ones
        yield sheet


def _rows(sheet: ReadOnlyWorksheet) -> Iterator[list[object]]:
    """Cells of the rows, without trailing missing cells and empty rows.

    Raises:
        ValueError: a row has a number that Excel does not have; openpyxl yields all rows before it.
    """
    empty = 0
    for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
        if number > MOST_ROWS:
            raise ValueError(f"more than {MOST_ROWS} rows in a sheet")
        row = [None if isinstance(cell, str) and cell.strip() in _MISSING else cell for cell in cells]
        while row and row[-1] is None:
            row.pop()
        if not row and all(cell is None or cell == "" for cell in cells):
            empty += 1
            continue
        yield from ([] for _ in range(empty))
        empty = 0
        yield row
