"""Batch scoring with an exported model, for any engine: a dict of arrays in, a dict of arrays out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import tensorflow as tf

from alad_tf.columns.exact import as_column, as_frame, exact, without_mask
from alad_tf.columns.schema import Columns
from alad_tf.errors import DataError, listed, one_line, quoted, shown, visible
from alad_tf.model import forks
from alad_tf.serving import versions
from alad_tf.typing import Arrays, Document

CHUNK_ROWS = 4096  # rows per call; intermediate results fit into the CPU caches
_SEQUENCES = (list, tuple, np.ndarray, pd.Series, pd.Index, pd.api.extensions.ExtensionArray)


class BatchScorer:
    """Scores rows with a version written by `alad export`, with the cells that `alad score` accepts.

    It is pickled as its path, and each process loads the model on the first call.

    Args:
        path: folder of the version, or BASE/NAME for the currently newest one.

    Attributes:
        path: folder of the version.
        description: content of its alad.json.
        names: required columns of a batch; others are ignored.

    Raises:
        DataError: there is no such version, or one of its files is damaged.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(os.path.realpath(versions.resolve(path)))
        self.description = versions.describe(self.path)
        try:
            self._arguments, self._schema, self._shape = _interface(self.description)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"Expected columns and rows in {self.path / versions.DESCRIPTION}. Received: {one_line(error)}."
            ) from error
        self.names: list[str] = list(self._arguments) or [*self._schema.numeric]

    def __call__(self, batch: Mapping[str, npt.ArrayLike] | pd.DataFrame) -> Arrays:
        """Score, is_anomaly, is_valid and, of categorical columns, how many are unseen, [n] each, of n rows.

        Args:
            batch: the columns `names`, [n] each: lists, or arrays or columns of NumPy, pandas or Arrow; or, for a model
                without preprocessing, "x" [n, ...]. Calendar features of dates are columns of their own.

        Raises:
            DataError: a column is missing, columns of different lengths, x of another shape, or a cell that is not a
                number, or not text in UTF-8.
        """
        forks.require_threads()
        batch = _from_arrow(batch)
        if not isinstance(batch, (Mapping, pd.DataFrame)):
            raise DataError(f"Expected a dict of columns or a data frame. Received: a {type(batch).__name__}.")
        inputs = self._inputs(batch)
        rows = len(next(iter(inputs.values())))
        answers = [
            self._function(**{name: tf.constant(cells[start : start + CHUNK_ROWS]) for name, cells in inputs.items()})
            for start in range(0, max(rows, 1), CHUNK_ROWS)
        ]
        names = ("score", "is_anomaly", "is_valid", "unseen")
        return {
            name: np.concatenate([answer[name].numpy() for answer in answers]) for name in names if name in answers[0]
        }

    def __reduce__(self) -> tuple[type[BatchScorer], tuple[Path]]:
        return type(self), (self.path,)

    @cached_property
    def _function(self) -> tf.types.experimental.ConcreteFunction:
        try:
            self._model = tf.saved_model.load(str(self.path))  # keeps the functions alive
            function = self._model.signatures["raw" if self._arguments else "serving_default"]
            if {*function.structured_input_signature[1]} != ({*self._arguments.values()} or {"x"}):
                raise ValueError("other inputs than its description has")
        except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError, tf.errors.OpError) as error:
            raise DataError(f"Expected a SavedModel in {self.path}. Received: {one_line(error)}.") from error
        return function

    def _inputs(self, batch: Mapping[str, npt.ArrayLike] | pd.DataFrame) -> Arrays:
        """Inputs by the names of the function's arguments."""
        missing = [name for name in self.names if name not in batch]
        if self._shape and "x" in batch and (missing or not self.names or np.ndim(batch["x"]) > 1):
            return {"x": self._rows(batch["x"])}
        if missing or not self.names:
            raise DataError(f"Expected the columns {listed(missing or ['x'])}. Received: {listed(batch) or 'none'}.")
        if not self._arguments and all(_is_of_numbers(batch[name]) for name in self.names):
            _require_equal_lengths({name: np.shape(batch[name])[0] for name in self.names})
            with np.errstate(over="ignore"):
                return {"x": np.stack([np.asarray(batch[name], np.float32) for name in self.names], axis=1)}
        cells = self._schema.scoring_rows(_frame(batch, self.names))[0]
        if not self._arguments:
            with np.errstate(over="ignore"):
                return {"x": cells[self.names].to_numpy(np.float32)}
        return {
            argument: _encoded(cells[name]) if cells[name].dtype.kind == "O" else cells[name].to_numpy()
            for name, argument in self._arguments.items()
        }

    def _rows(self, values: npt.ArrayLike) -> np.ndarray:
        """Rows x of any type of real numbers as float32."""
        try:
            given = np.asarray(without_mask(values))
            if given.dtype.kind not in "biufOSU":
                raise ValueError(f"cells of type {given.dtype}")
            with np.errstate(over="ignore"):
                x: np.ndarray = given.astype(np.float32)
        except (OverflowError, TypeError, ValueError) as error:
            raise DataError(
                f"Expected x [n, ...] of numbers. Received: {shown(visible(error)).rstrip('.')}."
            ) from error
        if x.shape[1:] != self._shape or not x.ndim:
            raise DataError(f"Expected x of shape {['rows', *self._shape]}. Received: {list(x.shape)}.")
        return x


def _interface(description: Document) -> tuple[dict[str, str], Columns, tuple[int, ...]]:
    """Column -> argument of the signature raw, the columns, and the shape of x, of a description; empty for the other.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: a description of something else.
    """
    if description["columns"] is None:
        names, shape = description["row"]["features"] or [], description["row"]["shape"]
        if not shape or {type(size) for size in shape} != {int} or {type(name) for name in names} - {str}:
            raise ValueError("features or a shape of another type")
        return {}, Columns(tuple(names), ()), tuple(shape)
    columns = {column["name"]: column for column in description["columns"]}
    if not columns or not all(isinstance(text, str) for name in columns for text in (name, columns[name]["argument"])):
        raise ValueError("columns of another type")
    categorical = tuple(name for name, column in columns.items() if column["type"] == "string")
    booleans = tuple(name for name in categorical if columns[name].get("boolean", False))
    numeric = tuple(name for name in columns if name not in categorical)
    return {name: columns[name]["argument"] for name in columns}, Columns(numeric, categorical, True, (), booleans), ()


def _frame(batch: Mapping[str, npt.ArrayLike] | pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The named columns of a batch, by position."""
    columns = {name: _column(name, batch[name]) for name in names}
    _require_equal_lengths({name: len(column) for name, column in columns.items()})
    return pd.DataFrame(columns)


def _require_equal_lengths(rows: Mapping[str, int]) -> None:
    if len(set(rows.values())) > 1:
        received = listed(f"{count} in {quoted(name)}" for name, count in rows.items())
        raise DataError(f"Expected the same number of rows in each column. Received: {received}.")


def _from_arrow(values: Any) -> Any:
    """A table or a column of Arrow with the cells that files have; other tables and columns that pandas has."""
    if isinstance(values, (pa.Table, pa.RecordBatch)):
        return as_frame(pa.table(values.columns, values.schema.names))
    if isinstance(getattr(values, "dtype", None), pd.ArrowDtype):
        values = pa.array(values)
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return as_column(values)
    return values.to_pandas() if hasattr(values, "to_pandas") else values


def _is_of_numbers(values: npt.ArrayLike) -> bool:
    """Whether a column is an array of NumPy, or a Series of one, of numbers, whose cells need no checks."""
    if not isinstance(values, (np.ndarray, pd.Series)) or isinstance(values, np.ma.MaskedArray) or values.ndim != 1:
        return False
    return isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf"


def _column(name: str, values: npt.ArrayLike) -> pd.Series:
    """Cells without an index; bytes as text, and empty text as a missing cell."""
    given = _from_arrow(without_mask(values))
    given = given if isinstance(given, _SEQUENCES) else np.asarray(given)
    shape: tuple[int, ...] = getattr(given, "shape", (0,))
    if len(shape) != 1:
        received = f"cells of shape {list(shape)}" if shape else f"a {type(values).__name__}"
        raise DataError(f"Expected a list or an array [n] as column {quoted(name)}. Received: {received}.")
    try:
        column = pd.Series(given).reset_index(drop=True)
        if isinstance(given, (list, tuple)) and column.dtype == np.float64:  # large whole numbers beside missing cells
            column = exact(pd.Series(given, dtype=object), column)
    except OverflowError:  # an integer beyond float64 in a list
        column = pd.Series(given, dtype=object)
    except (NotImplementedError, ValueError) as error:  # of structured arrays
        raise DataError(f"Expected numbers or text in column {quoted(name)}. Received: {one_line(error)}.") from error
    if column.dtype.kind not in "OSU":
        return column
    try:
        cells = [cell.decode() if isinstance(cell, bytes) else cell for cell in column]
    except UnicodeDecodeError as error:
        raise DataError(f"Expected text in UTF-8 in column {quoted(name)}. Received: {one_line(error)}.") from error
    return pd.Series([None if isinstance(cell, str) and not cell else cell for cell in cells], dtype=object)


def _encoded(column: pd.Series) -> np.ndarray:
    """Text in UTF-8, empty for a missing cell."""
    try:
        return np.array([cell.encode() for cell in column.fillna("")], object)
    except UnicodeEncodeError as error:
        raise DataError(
            f"Expected text in UTF-8 in column {quoted(column.name)}. Received: {quoted(error.object)}."
        ) from error
