"""Rows of an estimator: frames and arrays become validated features."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from alad_tf.columns.encoder import Encoder, TrainingCells, is_mixed
from alad_tf.errors import DataError, listed
from alad_tf.estimator.network_detector import NetworkDetector
from alad_tf.estimator.sklearn_versions import validated_rows
from alad_tf.estimator.validation import first_text, nan_for_missing, require_finite, require_valid
from alad_tf.model import categories


class RowDetector(NetworkDetector):
    """A detector whose rows are numbers, or frames of mixed columns that `encoder_` encodes.

    Attributes:
        encoder_: schema and preprocessing of mixed columns; None for numbers alone.
        data_: description of the training file in the folder of a loaded model.
    """

    scaling: str | None
    impute: bool
    n_features_in_: int
    encoder_: Encoder | None = None
    data_: dict[str, Any] | None = None

    def _encoded(self, X: npt.ArrayLike | TrainingCells, fresh: bool) -> npt.ArrayLike:
        """Encode `TrainingCells`, mixed frames, and all rows where training resumes with an encoder."""
        if fresh:
            self.encoder_ = self.data_ = None
            if isinstance(X, pd.DataFrame) and is_mixed(X):
                rows = X.reset_index(drop=True)  # messages number the rows
                X = TrainingCells(*Encoder.fit(rows, scaling=self.scaling or "none", impute=self.impute))
        if isinstance(X, TrainingCells):
            self.encoder_ = X.encoder
            return X.features()
        return X if self.encoder_ is None else self._finite(X, "to train on")

    def _numbers(self, X: npt.ArrayLike) -> np.ndarray:
        """Features [n, d] of rows X, with the columns of training; NaN and infinite values are allowed."""
        return self._validated(X if self.encoder_ is None else self.encoder_.every_feature(self._frame(X)))

    def _finite(self, X: npt.ArrayLike, purpose: str) -> np.ndarray:
        """Features [n, d] of rows X (DataError for NaN and infinite values)."""
        rows = self._numbers(X)
        if self.encoder_ is not None and not np.isfinite(rows).all():
            require_valid(self.encoder_.columns.reasons(self._frame(X)), purpose)
        require_finite(rows, self._names(), purpose)
        return rows

    def _frame(self, X: npt.ArrayLike) -> pd.DataFrame:
        """Rows as a frame with the encoder's columns, which an array has in their order if all are numbers."""
        assert self.encoder_ is not None
        if isinstance(X, pd.DataFrame):
            return X
        columns, rows = self.encoder_.columns, np.asarray(X)
        text = columns.categorical or columns.dates or hasattr(X, "columns")
        if text or rows.ndim != 2 or rows.shape[1] != len(columns.sources):
            received = f"an array of shape {list(rows.shape)}" if isinstance(X, np.ndarray) else type(X).__name__
            raise DataError(
                f"Expected a pandas frame with the columns {listed(columns.sources)}. Received: {received}."
            )
        return pd.DataFrame(rows, columns=columns.sources)

    def _validated(self, X: npt.ArrayLike, reset: bool = False, least: int = 1) -> np.ndarray:
        """X, encoded if there is an encoder, as [n, d] floats."""
        X = nan_for_missing(X)
        try:
            return validated_rows(
                self,
                X,
                reset=reset,
                dtype=[np.float64, np.float32],
                finite=False,
                ensure_min_samples=least,
            )
        except (OverflowError, TypeError, ValueError) as error:
            place = first_text(X)
            if place is None:
                raise
            raise DataError(f"Expected numbers. Received: {place}. Encode or drop that column.") from error

    def _names(self) -> list[str]:
        if self.encoder_ is not None:
            return self.encoder_.names
        names = getattr(self, "feature_names_in_", None)
        return [f"x{k}" for k in range(self.n_features_in_)] if names is None else names.tolist()

    @property
    def _blocks(self) -> categories.Blocks:
        """The features of each categorical column."""
        return () if self.encoder_ is None else self.encoder_.blocks
