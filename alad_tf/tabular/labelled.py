"""Files of labelled rows, for the evaluation of models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from alad_tf.columns.encoder import Encoder
from alad_tf.columns.schema import Columns, Kind, require
from alad_tf.errors import DataError
from alad_tf.tabular import readers
from alad_tf.tabular.dialects import ANY, Dialect
from alad_tf.tabular.labels import Labels, warn_of_unlabelled
from alad_tf.tabular.model import CHUNK_ROWS, require_columns


class LabelledRows:
    """The rows of a file with the columns of a schema and a label column.

    Args:
        path: file in one of `formats.FORMATS`.
        columns: required columns.
        labels: label column.
        usual: dialect of the training file.

    Raises:
        DataError: the file cannot be read or lacks columns.
        SettingsError: the file lacks the label column.
    """

    def __init__(self, path: Path, columns: Columns, labels: Labels, usual: Dialect) -> None:
        self._path, self._columns, self.labels = path, columns, labels
        self._dialect = readers.settled(path, ANY, usual, columns.sources)
        present = readers.columns(path, self._dialect)
        require_columns(path, columns, present)
        require(present, [labels.column], "--label")

    def chunks(self) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
        """Yield chunks of rows with a label, and which of them are anomalies, [n] bool; say how many have none.

        Raises:
            DataError: there are no rows.
        """
        kinds: dict[str, Kind] = {self.labels.column: "text", **self._columns.kinds()}
        empty, unlabelled = True, 0
        for frame in readers.chunks(self._path, CHUNK_ROWS, only=kinds, kinds=kinds, dialect=self._dialect):
            known = self.labels.is_known(frame)
            empty, unlabelled = False, unlabelled + int((~known).sum())
            yield frame[known], self.labels.is_anomaly(frame[known])
        if empty:
            raise DataError(f"Expected rows to test on in {self._path}. Received: none.")
        warn_of_unlabelled(unlabelled, self._path)

    def features(self, encoder: Encoder) -> tuple[np.ndarray, np.ndarray, int]:
        """All valid rows: (x [v, d] float32, anomalies [v] bool, number of invalid rows)."""
        rows, anomalies, invalid = [], [], 0
        for frame, anomaly in self.chunks():
            x, valid = encoder.features(frame)
            finite = np.isfinite(x).all(axis=1)
            rows.append(x[finite])
            anomalies.append(anomaly[valid][finite])
            invalid += len(frame) - int(finite.sum())
        return np.concatenate(rows), np.concatenate(anomalies), invalid
