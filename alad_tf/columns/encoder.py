"""From the mixed columns of a table to the features that networks see: the one way of `alad fit` and `ALAD.fit`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer

from alad_tf.columns import preprocessing
from alad_tf.columns.column_warnings import column_warnings
from alad_tf.columns.schema import Columns
from alad_tf.errors import DataError

logger = logging.getLogger(__name__)

FAINT = 1e-6  # of scaled features: below it the networks see one value


@dataclass(frozen=True)
class Encoder:
    """Columns of a table and their preprocessing.

    Args:
        columns: which are used, and how.
        transformer: fitted on the training rows.
    """

    columns: Columns
    transformer: ColumnTransformer

    @classmethod
    def fit(
        cls,
        frame: pd.DataFrame,
        *,
        categorical: Iterable[str] = (),
        numeric: Iterable[str] = (),
        scaling: str = "standard",
        impute: bool = False,
    ) -> tuple[Encoder, pd.DataFrame]:
        """Choose the columns of the training rows and fit their preprocessing; what is remarkable is logged.

        Args:
            frame: the training rows.
            categorical, numeric, impute: as in `preprocessing.column_transformer`.
            scaling: of numeric columns: "standard", "minmax" or "none".

        Returns:
            (encoder, training cells)

        Raises:
            AladError: as `Columns.infer` and `Columns.training_rows`.
        """
        names = [name for name in frame.columns if not isinstance(name, str)]
        if names:
            raise DataError(f"Expected names of columns that are text. Received: {names[0]!r}.")
        columns = Columns.infer(frame, categorical=categorical, numeric=numeric, impute=impute, calendar=True)
        cells = columns.training_rows(frame)
        made = [feature for column in columns.dates for feature in column.features]
        for column in columns.dates:
            logger.info("%s", column.describe())
        for line in column_warnings(cells.drop(columns=made), frame, scaled=scaling != "none"):
            logger.warning("%s", line)
        return cls(columns, preprocessing.of_columns(columns, scaling=scaling).fit(cells)), cells

    def training_features(self, cells: pd.DataFrame) -> np.ndarray:
        """The training cells as features [n, d] float32, which they have to fit in (DataError)."""
        x = self._transformed(cells)
        bad = np.argwhere(~np.isfinite(x))
        if len(bad):
            row, feature = bad[0]
            column = preprocessing.columns_of_features(self.transformer)[feature]
            raise DataError(
                f"Expected numbers that float32 holds in column {column!r}, row {cells.index[row] + 1}. Received: "
                f"{cells[column].iloc[[row]].tolist()[0]!r}. Choose another --scaling, or drop the column."
            )
        self._warn_of_faint(cells, x)
        return x

    def _warn_of_faint(self, cells: pd.DataFrame, x: np.ndarray) -> None:
        """Name columns of small numbers that are nearly one value as features; `coarse` names large ones."""
        columns = preprocessing.columns_of_features(self.transformer)
        for feature in np.flatnonzero(np.ptp(x, axis=0) < FAINT):
            column = columns[feature]
            if column in self.columns.numeric and cells[column].abs().max() < 1.0 and cells[column].nunique() > 1:
                logger.warning(
                    "column %r differs by less than %g once it is scaled, and nothing is learnt from it. Multiply it "
                    "by a power of ten first.",
                    column,
                    FAINT,
                )

    def features(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
        """The features of new rows.

        Returns:
            (x [v, d] float32 of the valid rows, valid [n] bool, cells of unknown category by column)
        """
        cells, valid = self.columns.scoring_rows(frame)
        cells = cells[valid]
        if not len(cells):
            return np.empty((0, len(self.names)), np.float32), valid, {}
        return self._transformed(cells), valid, preprocessing.unknown_categories(self.transformer, cells)

    def every_feature(self, frame: pd.DataFrame) -> np.ndarray:
        """Features [n, d] of new rows, NaN for those that are not valid."""
        x, valid, _ = self.features(frame)
        every = np.full((len(frame), len(self.names)), np.nan, np.float32)
        every[valid] = x
        return every

    @property
    def names(self) -> list[str]:
        """Names of the d features."""
        return [str(name) for name in self.transformer.get_feature_names_out()]

    def to_documents(self) -> dict[str, Any]:
        """The JSON documents of a model folder that hold it."""
        return {"columns": self.columns.to_document(), "preprocessing": preprocessing.to_document(self.transformer)}

    @classmethod
    def from_documents(cls, documents: dict[str, Any]) -> Encoder:
        """The inverse of `to_documents` (DataError for damaged ones)."""
        columns = Columns.from_document(documents["columns"])
        return cls(columns, preprocessing.from_document(documents["preprocessing"]))

    def _transformed(self, cells: pd.DataFrame) -> np.ndarray:
        with np.errstate(over="ignore"):
            x: np.ndarray = self.transformer.transform(cells).astype(np.float32)
        return x


def is_mixed(X: Any) -> bool:
    """Whether X is a frame with columns that are not numbers: text, categories, true and false, dates."""
    return isinstance(X, pd.DataFrame) and not all(_is_numeric(X.iloc[:, place]) for place in range(X.shape[1]))


def _is_numeric(column: pd.Series) -> bool:
    if pd.api.types.is_object_dtype(column):
        return pd.api.types.infer_dtype(column) in ("integer", "floating", "mixed-integer-float", "decimal", "empty")
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))
