"""Batch scoring with an exported model, for any engine: a dict of arrays in, a dict of arrays out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import tensorflow as tf

from alad_tf.columns.schema import as_text
from alad_tf.errors import DataError
from alad_tf.serving import versions
from alad_tf.typing import Arrays, Document

CHUNK_ROWS = 4096  # rows per call; intermediate results fit into the CPU caches


class BatchScorer:
    """Scores rows with a version written by `alad export`.

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
        self.path = versions.resolve(path).resolve()
        self.description = versions.describe(self.path)
        columns, row = self.description["columns"], self.description["row"]
        self.names: list[str] = [column["name"] for column in columns] if columns else row["features"] or []

    def __call__(self, batch: Mapping[str, npt.ArrayLike]) -> Arrays:
        """Score, is_anomaly, is_valid and, of categorical columns, how many are unseen, [n] each, of n rows.

        Args:
            batch: the columns `names`, [n] each, of any type of the engine; or, for a model without preprocessing, "x"
                [n, ...].

        Raises:
            DataError: a column is missing, or x has another shape.
        """
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
        self._model = tf.saved_model.load(str(self.path))  # keeps the functions alive
        return self._model.signatures["raw" if self.description["columns"] else "serving_default"]

    def _inputs(self, batch: Mapping[str, npt.ArrayLike]) -> Arrays:
        """Inputs by the names of the function's arguments."""
        columns = self.description["columns"]
        if columns is None and "x" in batch:
            return {"x": self._rows(np.asarray(batch["x"], np.float32))}
        missing = [name for name in self.names if name not in batch] if self.names else ["x"]
        if missing:
            raise DataError(f"Expected the columns {', '.join(missing[:8])}. Received: {', '.join(list(batch)[:8])}.")
        if columns is None:
            return {"x": self._rows(np.stack([np.asarray(batch[name], np.float32) for name in self.names], axis=1))}
        return {column["argument"]: _cells(batch[column["name"]], column) for column in columns}

    def _rows(self, x: np.ndarray) -> np.ndarray:
        shape = tuple(self.description["row"]["shape"])
        if x.shape[1:] != shape:
            raise DataError(f"Expected x of shape {['rows', *shape]}. Received: {list(x.shape)}.")
        return x


def _cells(values: npt.ArrayLike, column: Document) -> np.ndarray:
    """Cells as float64 or str; missing cells as NaN or ""."""
    cells = pd.Series(values)
    if column["type"] == "string":
        return as_text(cells).fillna("").to_numpy(object)
    try:
        return pd.to_numeric(cells).to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"Expected numbers in column {column['name']!r}. Received: {error}.") from error
