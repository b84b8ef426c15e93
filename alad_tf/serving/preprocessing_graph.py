"""Preprocessing of columns as a TensorFlow graph."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from sklearn.compose import ColumnTransformer

from alad_tf.columns import preprocessing
from alad_tf.errors import DataError, SettingsError, quoted
from alad_tf.typing import Document

Tensors = dict[str, tf.Tensor]


def transformer(prepared: Document) -> ColumnTransformer:
    """The transformer of a document of the preprocessing with keys of `Columns`, which scikit-learn does not need."""
    document = {name: value for name, value in prepared.items() if name not in ("impute", "booleans")}
    return preprocessing.from_document(document)


def argument(position: int) -> str:
    """Name of a column in the graph, where its own name may not be valid."""
    return f"column_{position}"


def require_utf_8(prepared: Document) -> None:
    """Refuse a column or a category with a lone surrogate, which a graph cannot hold.

    Raises:
        SettingsError: there is one.
        DataError: categories that are no text, which `alad fit` does not write.
    """
    found = prepared["categorical"].get("categories", ())
    if any(values["kind"] != "text" for values in found):
        raise DataError("Expected categories of text in the preprocessing of a model. Received: other categories.")
    categories = [text for values in found for text in values["values"]]
    for text in (*prepared["columns"], *categories):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise SettingsError(f"Expected columns and categories in UTF-8. Received: {quoted(text)}.") from error


def column_types(prepared: Document) -> dict[str, tf.DType]:
    """Column name -> type of the cells, in the order of the training file."""
    numeric = prepared["numeric"]["columns"]
    return {name: tf.float64 if name in numeric else tf.string for name in prepared["columns"]}


def encoded(columns: Tensors, prepared: Document) -> tuple[tf.Tensor, tf.Tensor]:
    """Transform cells as the fitted transformer does: (features [n, d] float32, valid rows [n]).

    A missing cell is NaN, or empty text. Its row is valid only with imputation.
    """
    numeric, categorical = prepared["numeric"], prepared["categorical"]
    impute = prepared["impute"]
    parts, valid = [], []
    if numeric["columns"]:
        numbers = tf.stack([columns[name] for name in numeric["columns"]], axis=1)
        missing = tf.math.is_nan(numbers)
        valid.append(tf.reduce_all(~tf.math.is_inf(numbers) & (impute | ~missing), axis=1))
        parts.append(tf.cast(_scaled_numbers(numbers, missing, numeric, prepared["scaling"]), tf.float32))
    for name, values in zip(categorical["columns"], categorical.get("categories", ())):
        cells, missing = columns[name][:, None], columns[name][:, None] == ""
        parts.append(tf.cast((cells == tf.constant(values["values"], tf.string)[None]) & ~missing, tf.float32))
        parts += [tf.cast(missing, tf.float32)] * len(values["missing"])
        valid.append(impute | ~missing[:, 0])
    return tf.concat(parts, axis=1), tf.reduce_all(tf.stack(valid, axis=1), axis=1)


def _scaled_numbers(numbers: tf.Tensor, missing: tf.Tensor, numeric: Document, scaling: str) -> tf.Tensor:
    if "medians" in numeric:
        numbers = tf.where(missing, tf.constant(numeric["medians"]["values"], tf.float64), numbers)
        indicators = tf.gather(tf.cast(missing, tf.float64), tf.constant(numeric["indicated"], tf.int32), axis=1)
        numbers = tf.concat([numbers, indicators], axis=1)
    statistics = {name: np.array(found["values"]) for name, found in numeric.get("statistics", {}).items()}
    if scaling == "standard":
        return (numbers - statistics["mean_"]) / statistics["scale_"]
    return numbers * statistics["scale_"] + statistics["min_"] if scaling == "minmax" else numbers


def parsed_columns(examples: tf.Tensor, prepared: Document) -> list[tf.Tensor]:
    """Parse tf.Example messages [n] to columns; an absent feature is a missing cell."""
    kinds = column_types(prepared)
    number, text = tf.io.FixedLenFeature([], tf.float32, np.nan), tf.io.FixedLenFeature([], tf.string, "")
    parsed = tf.io.parse_example(
        examples, {name: text if kind == tf.string else number for name, kind in kinds.items()}
    )
    return [parsed[name] if kind == tf.string else tf.cast(parsed[name], kind) for name, kind in kinds.items()]


def parsed_rows(examples: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Parse the feature "x" of tf.Example messages [n]; a list of another length gives an invalid row."""
    width = int(np.prod(shape))
    lists = tf.io.parse_example(examples, {"x": tf.io.RaggedFeature(tf.float32)})["x"]
    rows = lists.to_tensor(np.nan, shape=[None, width])
    fits = lists.row_lengths() == width
    return tf.reshape(tf.where(fits[:, None], rows, np.nan), [-1, *shape])
