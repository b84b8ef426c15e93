"""Encoding of mixed columns as features, used by `alad fit` and `ALAD.fit`."""

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
from alad_tf.columns.expected import expected_cells
from alad_tf.columns.schema import Columns
from alad_tf.errors import DataError, quoted, row_name

logger = logging.getLogger(__name__)

FAINT = 1e-6  # of scaled features: below it the networks see one value


@dataclass(frozen=True)
class Encoder:
    """Schema of a table and its fitted preprocessing.

    Args:
        columns: schema of the table.
        transformer: preprocessing, fitted on the training rows.
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
        """Infer the schema of the training rows and fit the preprocessing; remarks are logged.

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
        categorical = list(categorical)
        columns = Columns.infer(frame, categorical=categorical, numeric=numeric, impute=impute, calendar=True)
        cells = columns.training_rows(frame)
        made = [feature for column in columns.dates for feature in column.features]
        for column in columns.dates:
            logger.log(logging.INFO if column.features else logging.WARNING, "%s", column.describe())
        for line in column_warnings(cells.drop(columns=made), frame, scaling != "none", set(categorical)):
            logger.warning("%s", line)
        with np.errstate(over="ignore", invalid="ignore"):  # `features` refuses numbers that do not fit float32
            return cls(columns, preprocessing.of_columns(columns, scaling=scaling).fit(cells)), cells

    def features(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Encode new rows: (x [v, d] float32 of the valid rows, valid [n] bool)."""
        cells, valid = self.columns.scoring_rows(frame)
        cells = cells[valid]
        if not len(cells):
            return np.empty((0, len(self.names)), np.float32), valid
        return self.transformed(cells), valid

    def cells(self, rows: pd.DataFrame | np.ndarray) -> pd.DataFrame:
        """Cells [n, columns] of a frame, or decoded from features [n, d], in the order of the columns.

        For reconstructed features, a category is the most likely one; an unseen category is None.
        """
        if isinstance(rows, pd.DataFrame):
            return self.columns.scoring_rows(rows)[0][self.columns.names]
        return expected_cells(self.transformer, rows)[self.columns.names]

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """(start, stop) of the features of each categorical column."""
        return tuple(preprocessing.blocks_of_categories(self.transformer).values())

    def unseen(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Categorical column -> which rows [n] of x have an unseen category; `categories.unseen` counts by row."""
        found = preprocessing.blocks_of_categories(self.transformer)
        return {name: ~(x[:, start:stop] > 0.5).any(axis=1) for name, (start, stop) in found.items()}

    def column_sums(self, x: np.ndarray) -> np.ndarray:
        """Sums [n, columns] of x [n, d] over the features of each column, in the order of the columns."""
        place = {name: k for k, name in enumerate(self.columns.names)}
        sums = np.zeros((len(x), len(place)))
        for feature, name in enumerate(preprocessing.columns_of_features(self.transformer)):
            sums[:, place[name]] += x[:, feature]
        return sums

    def every_feature(self, frame: pd.DataFrame) -> np.ndarray:
        """Features [n, d] of new rows; NaN for invalid rows."""
        x, valid = self.features(frame.reset_index(drop=True))
        every = np.full((len(frame), len(self.names)), np.nan, np.float32)
        every[valid] = x
        return every

    @property
    def names(self) -> list[str]:
        """Names of the d features."""
        return preprocessing.feature_names(self.transformer)

    def to_documents(self) -> dict[str, Any]:
        """JSON documents for a model folder."""
        return {"columns": self.columns.to_document(), "preprocessing": preprocessing.to_document(self.transformer)}

    @classmethod
    def from_documents(cls, documents: dict[str, Any]) -> Encoder:
        """The inverse of `to_documents`. Raises DataError for documents that are damaged or of two tables."""
        columns = Columns.from_document(documents["columns"])
        prepared = documents["preprocessing"]
        transformer = preprocessing.from_document(prepared)
        kinds = [tuple(prepared[kind]["columns"]) for kind in ("numeric", "categorical")]
        if kinds != [columns.numeric, columns.categorical] or prepared["columns"] != columns.names:
            raise DataError("Expected columns and preprocessing of one table. Received: those of two.")
        return cls(columns, transformer)

    def transformed(self, cells: pd.DataFrame) -> np.ndarray:
        """Encode cells of valid rows as features [n, d] float32."""
        with np.errstate(over="ignore"):
            x: np.ndarray = self.transformer.transform(cells).astype(np.float32)
        return x


@dataclass(frozen=True)
class TrainingCells:
    """Training rows and the encoder fitted on them.

    Args:
        encoder: schema and preprocessing.
        cells: result of `Columns.training_rows`.
    """

    encoder: Encoder
    cells: pd.DataFrame

    def features(self) -> np.ndarray:
        """Encode the cells as features [n, d] float32. Raises DataError for numbers beyond float32."""
        x = self.encoder.transformed(self.cells)
        bad = np.argwhere(~np.isfinite(x))
        if len(bad):
            place, feature = bad[0]
            column = preprocessing.columns_of_features(self.encoder.transformer)[feature]
            raise DataError(
                f"Expected numbers that float32 holds in column {quoted(column)}, row "
                f"{row_name(self.cells.index[place])}. Received: "
                f"{quoted(self.cells[column].iloc[[place]].tolist()[0])}. Choose another --scaling, or drop the column."
            )
        self._warn_of_faint(x)
        return x

    def _warn_of_faint(self, x: np.ndarray) -> None:
        """Warn about columns of small numbers whose features are nearly constant; `coarse` is about large numbers."""
        columns, cells = preprocessing.columns_of_features(self.encoder.transformer), self.cells
        for feature in np.flatnonzero(np.ptp(x, axis=0) < FAINT):
            column = columns[feature]
            small = column in self.encoder.columns.numeric and cells[column].abs().max() < 1.0
            if small and cells[column].nunique() > 1:
                logger.warning(
                    "column %r differs by less than %g once it is scaled, and nothing is learnt from it. Multiply it "
                    "by a power of ten first.",
                    column,
                    FAINT,
                )


def is_mixed(frame: pd.DataFrame) -> bool:
    """Whether a frame has non-numeric columns: text, categories, booleans, dates."""
    return not all(_is_numeric(frame.iloc[:, place]) for place in range(frame.shape[1]))


def _is_numeric(column: pd.Series) -> bool:
    if pd.api.types.is_object_dtype(column):
        return pd.api.types.infer_dtype(column) in ("integer", "floating", "mixed-integer-float", "decimal", "empty")
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))
