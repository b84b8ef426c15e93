"""Files of rows with labels, on which a model or several methods are judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from alad_tf.columns.encoder import Encoder
from alad_tf.columns.schema import Columns, Kind, require
from alad_tf.errors import DataError
from alad_tf.tabular import readers
from alad_tf.tabular.dialects import Dialect
from alad_tf.tabular.labels import Labels
from alad_tf.tabular.model import CHUNK_ROWS, require_columns


class LabelledRows:
    """The rows of a file with the columns of a schema and a column of labels.

    Args:
        path: in one of `formats.FORMATS`.
        columns: which it has to have.
        labels: which rows are normal.
        usual: how the training file was read.

    Raises:
        DataError: the file cannot be read, or lacks columns.
        SettingsError: it lacks the column of labels.
    """

    def __init__(self, path: Path, columns: Columns, labels: Labels, usual: Dialect) -> None:
        self._path, self._columns, self._labels = path, columns, labels
        self._dialect = readers.settle(path, usual=usual, expected=columns.sources)
        present = readers.columns(path, self._dialect)
        require_columns(path, columns, present)
        require(present, [labels.column], "--label")

    def chunks(self) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
        """Yield the rows of the file, a part at a time, and which of them are anomalies, [n] bool.

        Raises:
            DataError: there are no rows.
        """
        kinds: dict[str, Kind] = {self._labels.column: "text", **self._columns.kinds()}
        empty = True
        for frame in readers.chunks(self._path, CHUNK_ROWS, only=kinds, kinds=kinds, dialect=self._dialect):
            empty = False
            yield frame, self._labels.is_anomaly(frame)
        if empty:
            raise DataError(f"Expected rows to test on in {self._path}. Received: none.")

    def features(self, encoder: Encoder) -> tuple[np.ndarray, np.ndarray, int]:
        """All valid rows at once: (x [v, d] float32, anomalies [v] bool, how many rows were not valid)."""
        rows, anomalies, invalid = [], [], 0
        for frame, anomaly in self.chunks():
            x, valid = encoder.features(frame)
            finite = np.isfinite(x).all(axis=1)
            rows.append(x[finite])
            anomalies.append(anomaly[valid][finite])
            invalid += len(frame) - int(finite.sum())
        return np.concatenate(rows), np.concatenate(anomalies), invalid
