"""Tables of scored rows: row numbers, the columns of the file, and scores; optionally sorted."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from alad_tf.columns.schema import Kind

logger = logging.getLogger(__name__)

OVERFLOW = "a number beyond the range of float32"
_OF_INVALID_ROWS = ("score", "p_value")  # columns that are empty for invalid rows
SPARE_ROWS = 1 << 16  # rows collected before the largest scores are selected again


class Layout:
    """The columns of an output, in order: row numbers or an id, the columns of the file, scores.

    If the file has a column with the name of a score column, the latter gets the prefix alad_, with a warning.

    Args:
        kept: columns of the file to keep.
        id_column: first column of the output; None: row numbers.
        as_text: the output is text, so columns without a text form, such as lists, are left out.
        kinds: kinds of the model's columns; those of numbers become numbers if the output has types.
    """

    def __init__(
        self, kept: Sequence[str], id_column: str | None, as_text: bool, kinds: Mapping[str, Kind] | None = None
    ) -> None:
        self._kept, self._id, self._as_text, self._kinds = list(kept), id_column, as_text, kinds or {}
        self._said = False

    @property
    def score(self) -> str:
        """Name of the score column."""
        return _free("score", self.source)

    @property
    def source(self) -> list[str]:
        """The columns of the file that are in the output."""
        return [*([] if self._id is None else [self._id]), *self._kept]

    def joined(self, table: pa.Table, frame: pd.DataFrame, scored: pd.DataFrame, reasons: Sequence[str]) -> pa.Table:
        """Build a table of the output.

        Args:
            table: unchanged rows of the file, with the columns `source`.
            frame: the same rows as numbers and text.
            scored: result of `Model.scored` for these rows.
            reasons: why a row is invalid, for each invalid row.
        """
        left_out = [name for name in self._kept if self._as_text and not _has_text(table.schema.field(name).type)]
        columns = {name: self._cells(table, frame, name) for name in self.source if name not in left_out}
        ours = _scores(scored, reasons)
        names = {name: _free(name, self.source) for name in ["row", *ours]}
        if self._id is None:
            columns = {names["row"]: pa.array(scored.index + 1, pa.int64()), **columns}
        self._say_once(left_out, names)
        return pa.table({**columns, **{names[name]: cells for name, cells in ours.items()}})

    def _cells(self, table: pa.Table, frame: pd.DataFrame, name: str) -> pa.ChunkedArray | pa.Array:
        """An unchanged column of the file; numbers of a text file become numbers if the output has types."""
        column = table.column(name)
        if pa.types.is_dictionary(column.type) and not pa.types.is_nested(column.type.value_type):
            return column.cast(column.type.value_type)
        if not self._as_text and pa.types.is_string(column.type) and self._kinds.get(name) == "number":
            return pa.array(pd.to_numeric(frame[name]), pa.float64(), from_pandas=True)
        return column

    def _say_once(self, left_out: Sequence[str], names: dict[str, str]) -> None:
        renamed = [f"{mine} as {other}" for mine, other in names.items() if mine != other]
        if self._id is not None:
            renamed = [line for line in renamed if not line.startswith("row ")]
        if renamed and not self._said:
            logger.warning(
                "the file has columns with the names of score columns; the scores are written as %s", ", ".join(renamed)
            )
        if left_out and not self._said:
            logger.warning("columns without a text form are left out: %s", ", ".join(left_out))
        self._said = True


def _scores(scored: pd.DataFrame, reasons: Sequence[str]) -> dict[str, pa.Array]:
    """The score columns; an invalid row has a reason instead of a score."""
    valid = scored["is_valid"].to_numpy()
    columns = {}
    for name in scored.columns:
        cells = scored[name].to_numpy()
        kind = pa.string() if cells.dtype == object else None
        columns[name] = pa.array(cells, kind, mask=~valid if name in _OF_INVALID_ROWS else None, from_pandas=True)
        if name == "is_valid":
            told = np.full(len(scored), None, object)
            told[~valid] = [reason or OVERFLOW for reason in reasons]
            columns["reason"] = pa.array(told, pa.string())
    return columns


def _has_text(kind: pa.DataType) -> bool:
    """Whether Arrow can write cells of a type as text. Bytes may be no text, also those in a dictionary."""
    if "binary" in str(getattr(kind, "storage_type", kind)):
        return False
    try:
        pa.nulls(1, kind).cast(pa.large_string())
    except pa.ArrowException:
        return False
    return True


def score_column(names: Collection[str]) -> str | None:
    """The score column of an output with these columns; see `Layout`. None if there is none."""
    found = None
    name = "score"
    while name in names:
        found, name = name, f"alad_{name}"
    return found


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name = f"alad_{name}"
    return name


def ordered(tables: Iterable[pa.Table], score: str, top: int | None, sort: bool) -> Iterator[pa.Table]:
    """Yield tables in the order of the file or, with `top` or `sort`, one table with the largest scores first.

    Args:
        tables: results of `Layout.joined`.
        score: name of the score column.
        top: number of rows with the largest scores to keep; rows without a score are left out.
        sort: keep all rows, in memory; rows without a score come last.
    """
    if top is None and not sort:
        yield from tables
        return
    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        table = table.cast(pa.schema([_large(field) for field in table.schema]))  # one array holds the text of all rows
        waiting.append(table)
        count += len(table)
        if top is not None and count >= 2 * top + SPARE_ROWS:
            waiting = [_largest_first(waiting, score, top)]
            count = len(waiting[0])
    if waiting:
        yield _largest_first(waiting, score, top)


def _large(field: pa.Field) -> pa.Field:
    return field.with_type(pa.large_string()) if pa.types.is_string(field.type) else field


def _largest_first(tables: Sequence[pa.Table], score: str, top: int | None) -> pa.Table:
    """Rows sorted by score, largest first; ties in the order of the file."""
    table = pa.concat_tables(tables)
    scores = table.column(score)
    if top is not None:
        rows = pa.compute.is_valid(scores)
        table, scores = table.filter(rows), scores.filter(rows)
    order = pa.compute.sort_indices(pa.table({"score": scores}), [("score", "descending")])  # null comes last
    return table.take(order if top is None else order[:top])
