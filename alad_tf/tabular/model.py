"""Model folders of `alad fit`: an estimator with its schema and preprocessing; `alad inspect`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from tqdm import tqdm

from alad_tf.columns import preprocessing
from alad_tf.columns.encoder import Encoder
from alad_tf.columns.schema import Columns
from alad_tf.errors import DataError, listed, visible
from alad_tf.estimator import explanations, thresholds
from alad_tf.io import model_folder
from alad_tf.tabular.dialects import Dialect
from alad_tf.tabular.formats import Advance
from alad_tf.typing import Document

if TYPE_CHECKING:
    from alad_tf.estimator.alad import ALAD

CHUNK_ROWS = 1 << 14


@dataclass(frozen=True)
class Model:
    """Content of a model folder: an estimator that was fitted on columns, and the record of its training file."""

    estimator: ALAD
    data: Document = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read a folder written by `fit_file`.

        Raises:
            DataError: it is missing, damaged, or not of `alad fit`.
        """
        documents, _ = model_folder.read(folder)
        _require_documents(documents, folder)
        with sound(folder):
            _inspected(documents)
        from alad_tf.estimator.alad import ALAD

        return cls(ALAD.load(folder), documents["data"])

    @property
    def encoder(self) -> Encoder:
        """Columns and their preprocessing."""
        encoder = self.estimator.encoder_
        assert encoder is not None, "the estimator was fitted on columns"
        return encoder

    @property
    def columns(self) -> Columns:
        """Schema of the table."""
        return self.encoder.columns

    @property
    def transformer(self) -> ColumnTransformer:
        """Preprocessing from columns to features."""
        return self.encoder.transformer

    def save(self, folder: Path) -> None:
        """Write the model folder atomically."""
        self.estimator.save(folder, documents={**self.encoder.to_documents(), "data": self.data}, overwrite=True)

    def features(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Preprocess the rows of a table: (x [v, d] float32 of the valid rows, valid [n] bool)."""
        return self.encoder.features(frame)

    def scored(self, frame: pd.DataFrame, top: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
        """Score the rows of a table and count cells of unseen categories by column.

        An invalid row has the largest possible score and counts as an anomaly.

        Args:
            frame: rows with this model's columns, in any order.
            top: number of columns to name for each row, largest contribution first.

        Returns:
            A frame with the index of `frame`: score, p_value, is_anomaly, is_valid, with categorical columns unseen
            (names of the columns whose category training did not have), and feature_1, value_1, expected_1 (texts),
            contribution_1, share_1, feature_2, ...
        """
        x, valid = self.features(frame)
        scores, sound = np.full(len(frame), thresholds.LARGEST, np.float32), valid.copy()
        if len(x):
            scores[valid], sound[valid] = self.estimator.score_features(x)
        scored = pd.DataFrame(
            {
                "score": scores,
                "p_value": thresholds.p_values(scores, self.estimator.reference_scores_),
                "is_anomaly": scores > self.estimator.threshold_,
                "is_valid": sound,
            },
            index=frame.index,
        )
        unseen = self.encoder.unseen(x)
        if unseen:
            scored["unseen"] = pd.Series(_names(unseen, valid), frame.index, object)  # pandas 3 turns None into NaN
        if top:
            explained = self._explanations(x[sound[valid]], self.encoder.cells(frame)[sound], top)
            for name, values in explained.items():
                missing = None if values.dtype == object else np.nan
                scored[name] = np.full(len(frame), missing, values.dtype)
                scored.loc[sound, name] = values
        return scored, {name: int(rows.sum()) for name, rows in unseen.items() if rows.any()}

    def contributions(self, x: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
        """Expected cells of rows of features x [n, d], as a frame, and the contribution of each column, [n, c]."""
        expected, contributions = self.estimator.contributions(x)
        return self.encoder.cells(expected), self.encoder.column_sums(contributions)

    def _explanations(self, x: np.ndarray, cells: pd.DataFrame, top: int) -> dict[str, np.ndarray]:
        """For valid rows x [v, d] and their cells [v, c]: feature_1, value_1, ... share_top, [v] each."""
        expected, contributions = self.contributions(x)
        order, shares = explanations.worst(contributions, top)
        rows, names = np.arange(len(x)), np.array(self.columns.names, object)
        values, foreseen = cells.to_numpy(object), expected.to_numpy(object)
        explained: dict[str, np.ndarray] = {}
        for k, column in enumerate(order.T, 1):
            explained[f"feature_{k}"] = names[column]
            explained[f"value_{k}"] = _texts(values[rows, column], "{!r}")
            explained[f"expected_{k}"] = _texts(foreseen[rows, column], "{:.6g}")
            explained[f"contribution_{k}"] = contributions[rows, column].astype(np.float32)
            explained[f"share_{k}"] = shares[:, k - 1]
        return explained


def _names(unseen: dict[str, np.ndarray], valid: np.ndarray) -> np.ndarray:
    """Names [n] of the columns with an unseen category, None for rows without; `unseen` is of the valid rows."""
    names = np.full(len(valid), None, object)
    found = np.array(list(unseen.values())).T
    for place in np.flatnonzero(found.any(axis=1)):
        row = np.flatnonzero(valid)[place]
        names[row] = "; ".join(name for name, here in zip(unseen, found[place]) if here)
    return names


def _texts(cells: np.ndarray, number: str) -> np.ndarray:
    """Cells as text: numbers in a format, whole ones without a point; None where missing."""
    texts = np.full(len(cells), None, object)
    for row in np.flatnonzero(~pd.isna(cells)):
        cell = cells[row]
        texts[row] = number.format(float(cell)).removesuffix(".0") if isinstance(cell, float) else str(cell)
    return texts


def trained_on(folder: Path) -> tuple[Columns, Dialect]:
    """Read only the columns of a model folder and the dialect of its training file.

    Raises:
        DataError: as `Model.load`.
    """
    documents, _ = model_folder.read(folder)
    _require_documents(documents, folder)
    with sound(folder):
        return Columns.from_document(documents["columns"]), _dialect(documents["data"])


def _dialect(data: Document) -> Dialect:
    """The dialect of the training file, which folders of earlier releases do not store."""
    return Dialect.from_document(data["dialect"]) if "dialect" in data else Dialect()


def require_columns(path: Path, wanted: Columns, present: list[str]) -> None:
    """Refuse a file whose columns `present` lack some of the model's."""
    missing = [name for name in wanted.sources if name not in present]
    if missing:
        raise DataError(
            f"Expected the model's columns in {path}. Received: no {listed(missing)}; its columns are "
            f"{listed(present)}."
        )


# Inspection -------------------------------------------------------------------------------------------------------


def inspect_model(folder: Path) -> str:
    """Describe a model folder after verifying its files.

    Raises:
        DataError: it is missing, damaged, or not of `alad fit`.
    """
    documents, arrays = model_folder.read(folder)
    _require_documents(documents, folder)
    with sound(folder):
        rows = _inspected(documents)
    whole = f"{folder}: complete and unchanged, {sum(len(members) for members in arrays.values())} arrays"
    return "\n".join(f"{name:<15}{visible(value)}" for name, value in {"model": whole, **rows}.items())


def _inspected(documents: Document) -> dict[str, object]:
    model, data = documents["model"], documents["data"]
    chosen = Columns.from_document(documents["columns"])
    preprocessing.from_document(documents["preprocessing"])
    read_as = _dialect(data).described()
    categories = ", ".join(f"{name} ({count})" for name, count in data["categories"].items())
    label = data["label"] and f"column {data['label']['column']!r}, normal: {', '.join(data['label']['normal'])}"
    return {
        "trained on": f"{data['rows']} rows of {data['file']}, {data['seconds']:g} s",
        **({"read as": read_as} if read_as else {}),
        "label": label or "none",
        "dropped": ", ".join(data["dropped"]) or "none",
        "numeric": f"{len(chosen.numeric)}: {', '.join(chosen.numeric)}" if chosen.numeric else "none",
        "categorical": f"{len(chosen.categorical)}: {categories}" if chosen.categorical else "none",
        "missing cells": "imputed" if chosen.impute else "not allowed",
        "scaling": data["scaling"],
        "features": model["data"]["features"],
        "table": model["table"]["name"],
        "epochs": model["epochs_trained"],
        "score": model["settings"]["score"],
        "threshold": f"{model['threshold']['value']:.6g}; {thresholds.described(model['threshold']['rule'])}",
        "p-values": f"against {model['reference']['rows']} {model['reference']['of']}",
        "seed": model["seed"],
        "versions": ", ".join(f"{name} {version}" for name, version in model["versions"].items()),
    }


# Helpers ----------------------------------------------------------------------------------------------------------


def _require_documents(documents: Document, folder: Path) -> None:
    missing = [name for name in ("model", "columns", "preprocessing", "data") if name not in documents]
    if missing:
        raise DataError(
            f"Expected a model of `alad fit` in {folder}. Received: one without {', '.join(missing)}, as "
            "ALAD.save writes it for an array. Load it with ALAD.load."
        )


@contextmanager
def sound(folder: Path) -> Iterator[None]:
    """Convert errors caused by documents that `alad fit` did not write to a DataError."""
    try:
        yield
    except DataError:
        raise
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise DataError(
            f"Expected a model of `alad fit` in {folder}. Received: documents that do not fit together: {error!r:.200}."
        ) from error


@contextmanager
def bar(title: str) -> Iterator[Advance]:
    """Progress bar with the remaining time, on a terminal."""
    shape = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    with tqdm(total=1.0, desc=title, bar_format=shape, disable=None, mininterval=0.5) as bar:
        yield lambda share: bar.update(share - bar.n) and None
