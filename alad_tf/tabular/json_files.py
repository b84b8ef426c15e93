"""JSON Lines files: one object per line, whose keys are the columns."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from alad_tf.columns.schema import Kind
from alad_tf.errors import DataError, quoted, shown
from alad_tf.tabular import cell_rows
from alad_tf.tabular.formats import BLOCK_BYTES, Advance
from alad_tf.tabular.text_files import unpacked
from alad_tf.typing import Document

FLAT = (str, int, float, bool, type(None))


def columns(path: Path) -> list[str]:
    """Keys of the objects in the first BLOCK_BYTES of the file, in order of appearance."""
    names: dict[str, None] = {}
    size = 0
    for row, length in _rows(path, None):
        names.update(dict.fromkeys(row))
        size += length
        if size >= BLOCK_BYTES:
            break
    if not names:
        raise DataError(f"Expected an object on each line of {path}. Received: no key.")
    return list(names)


def chunks(
    path: Path, rows: int, wanted: list[str], kinds: Mapping[str, Kind], report: Advance
) -> Iterator[pd.DataFrame]:
    """Read the rows in frames of `rows`; see `readers.chunks`. An absent key is a missing cell.

    With kinds, columns without one are kept as they are: lists and objects in them become JSON text.
    """
    yield from cell_rows.frames(path, _cells(path, wanted, kinds, report), wanted, rows)


def _cells(path: Path, wanted: list[str], kinds: Mapping[str, Kind], report: Advance) -> Iterator[list[object]]:
    known = set(columns(path))
    kept = {name for name in wanted if kinds and name not in kinds}
    for number, (row, _) in enumerate(_rows(path, report), 1):
        late = next((name for name in row if name not in known), None)
        if late is not None:
            raise DataError(
                f"Expected the keys of the first {BLOCK_BYTES >> 20} MiB of {path} in row {number}. Received: {late!r}."
            )
        yield [_cell(path, name, number, row.get(name), name in kept) for name in wanted]


def _rows(path: Path, report: Advance | None) -> Iterator[tuple[Document, int]]:
    """Yield the objects of the file, each with the length of its line; empty lines are skipped."""
    for number, line in enumerate(_lines(path, report), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise DataError(f"Expected JSON on line {number} of {path}. Received: {shown(error)}.") from error
        if not isinstance(row, dict):
            raise DataError(f"Expected an object on line {number} of {path}. Received: {shown(line)}")
        yield row, len(line)


def _lines(path: Path, report: Advance | None) -> Iterator[bytes]:
    with unpacked(path, report) as file:
        rest = file.read(BLOCK_BYTES).removeprefix(codecs.BOM_UTF8)
        block = rest
        while block:
            *lines, rest = rest.split(b"\n")
            yield from lines
            if len(rest) > BLOCK_BYTES:
                raise DataError(f"Expected lines of at most {BLOCK_BYTES} bytes in {path}. Received: a longer one.")
            block = file.read(BLOCK_BYTES)
            rest += block
        if rest:
            yield rest


def _cell(path: Path, name: str, row: int, cell: object, kept: bool) -> object:
    if kept and not isinstance(cell, FLAT):
        cell = json.dumps(cell, ensure_ascii=False)
    if not isinstance(cell, FLAT):
        kind = "an object" if isinstance(cell, dict) else "a list"
        raise DataError(f"Expected a number or text in column {quoted(name)}, row {row} of {path}. Received: {kind}.")
    if isinstance(cell, str) and not cell.isascii():
        try:
            cell.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"Expected text in column {quoted(name)}, row {row} of {path}. Received: half of a character "
                "(a surrogate)."
            ) from error
    return cell
