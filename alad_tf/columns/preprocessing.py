"""Preprocessing of mixed columns with scikit-learn's ColumnTransformer, stored as JSON instead of a pickle.

A transformer restored from its document gives bit-identical output.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from alad_tf.columns.schema import Columns
from alad_tf.errors import DataError, SettingsError
from alad_tf.options import SCALING_NAMES
from alad_tf.typing import Document

_SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler}
_SCALER_ARRAYS = {
    "standard": ("mean_", "var_", "scale_"),
    "minmax": ("min_", "scale_", "data_min_", "data_max_", "data_range_"),
}
MOST_CELLS = 1 << 25  # in the rows used to rebuild a transformer: half a gigabyte
_CATEGORIES = r"\|O|\|b1|[<>|][iuf]\d{1,2}"  # types of categories, as in dtype.str
_KINDS = {"text": str, "number": float, "integer": int, "boolean": bool}


def column_transformer(
    frame: pd.DataFrame,
    *,
    categorical: Iterable[str] = (),
    numeric: Iterable[str] = (),
    scaling: str = "standard",
    impute: bool = False,
) -> ColumnTransformer:
    """Return an unfitted ColumnTransformer for the columns of a frame.

    Numeric columns are scaled and, if allowed, imputed by the median, with an indicator feature for columns that had
    missing cells in training. Categorical columns are encoded one-hot; a category not seen in training is all zeros.
    Columns are matched by name, and others are dropped.

    Args:
        frame: rows; columns of numbers are numeric, others categorical, unless named below.
        categorical: names of columns to encode one-hot, whatever their type.
        numeric: names of columns to read as numbers.
        scaling: scaling of numeric columns: "standard" (mean 0, variance 1), "minmax" (to [0, 1]) or "none".
        impute: allow missing cells; a missing category is then a separate category.

    Raises:
        SettingsError: unknown scaling or column.
        DataError: a column is neither numeric nor categorical.
    """
    return of_columns(Columns.infer(frame, categorical=categorical, numeric=numeric, impute=impute), scaling=scaling)


def of_columns(columns: Columns, *, scaling: str = "standard") -> ColumnTransformer:
    """`column_transformer` for a known schema.

    Raises:
        SettingsError: unknown scaling.
    """
    if scaling not in SCALING_NAMES:
        raise SettingsError(f"Expected a known scaling. Received: {scaling!r}. Allowed: {', '.join(SCALING_NAMES)}.")
    steps: list[tuple[str, TransformerMixin | str]] = []
    if columns.impute:
        steps.append(("impute", SimpleImputer(strategy="median", add_indicator=True)))
    steps.append(("scale", _SCALERS[scaling]() if scaling in _SCALERS else "passthrough"))
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    parts = [("numeric", Pipeline(steps), list(columns.numeric)), ("categorical", one_hot, list(columns.categorical))]
    transformer = ColumnTransformer(
        [part for part in parts if part[2]], sparse_threshold=0.0, verbose_feature_names_out=False
    )
    return transformer.set_output(transform="default")  # whatever scikit-learn is configured to


def feature_names(transformer: ColumnTransformer) -> list[str]:
    """Names of the features of a fitted transformer; where scikit-learn's are equal, a number makes them unique."""
    unique: dict[str, None] = {}
    for _, fitted, columns in _parts(transformer):
        for name in map(str, fitted.get_feature_names_out(columns)):
            numbered = (f"{name} ({number})" for number in itertools.count(2))
            unique[next(one for one in itertools.chain([name], numbered) if one not in unique)] = None
    return list(unique)


def columns_of_features(transformer: ColumnTransformer) -> list[str]:
    """The source column of each feature of a fitted transformer."""
    names: list[str] = []
    for part, fitted, columns in _parts(transformer):
        if part == "numeric":
            indicator = _indicated(fitted)
            names += [*columns, *(columns[position] for position in indicator)]
        else:
            for column, categories in zip(columns, fitted.categories_):
                names += [column] * len(categories)
    return names


def blocks_of_categories(transformer: ColumnTransformer) -> dict[str, tuple[int, int]]:
    """Categorical column -> its first output feature and the one behind its last, of a fitted transformer."""
    found, start = {}, 0
    for part, fitted, columns in _parts(transformer):
        widths = [len(categories) for categories in fitted.categories_] if part == "categorical" else []
        for column, width in zip(columns, widths):
            found[column] = start, start + width
            start += width
        start += len(columns) + len(_indicated(fitted)) if part == "numeric" else 0
    return found


# JSON documents ---------------------------------------------------------------------------------------------------


def to_document(transformer: ColumnTransformer) -> Document:
    """Convert a fitted transformer to a JSON object: schema, statistics and categories.

    Raises:
        SettingsError: another kind of transformer, an unfitted one, or categories that JSON cannot represent.
    """
    try:
        parts = {part: (fitted, columns) for part, fitted, columns in _parts(transformer)}
        scaling = _scaling(parts["numeric"][0]) if "numeric" in parts else "none"
        document: Document = {
            "columns": [str(name) for name in transformer.feature_names_in_],
            "scaling": scaling,
            "numeric": {"columns": []},
            "categorical": {"columns": []},
        }
        if "numeric" in parts:
            document["numeric"] = _numeric_document(*parts["numeric"], scaling)
        if "categorical" in parts:
            encoder, columns = parts["categorical"]
            document["categorical"] = {"columns": columns, "categories": [_values(c) for c in encoder.categories_]}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(
            f"Expected a fitted transformer of alad_tf.columns.preprocessing.column_transformer. Received: {error}."
        ) from error
    return document


def from_document(document: Document) -> ColumnTransformer:
    """Rebuild a fitted transformer from its document. Executes no code from the document.

    The transformer is fitted on a few artificial rows of the same structure, and then gets the stored statistics.

    Raises:
        DataError: the document is damaged.
    """
    try:
        numeric, categorical = document["numeric"], document["categorical"]
        columns = Columns(tuple(numeric["columns"]), tuple(categorical["columns"]), "medians" in numeric)
        transformer = of_columns(columns, scaling=document["scaling"])
        transformer.fit(_made_up_rows(document))
        for part, fitted, names in _parts(transformer):
            if part == "numeric":
                _set_statistics(fitted, numeric, document["scaling"])
            else:
                for name, found, expected in zip(names, fitted.categories_, categorical["categories"]):
                    if _values(found) != expected:
                        raise ValueError(f"categories of {name!r} that are not sorted, or not of their kind")
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, SettingsError) as error:
        raise DataError(
            f"Expected the preprocessing of a model. Received: a damaged document: {error!r:.200}."
        ) from error
    return transformer


def _parts(transformer: ColumnTransformer) -> Iterable[tuple[str, Pipeline | OneHotEncoder, list[str]]]:
    return [part for part in transformer.transformers_ if part[0] in ("numeric", "categorical")]


def _scaling(pipeline: Pipeline) -> str:
    scaler = pipeline.named_steps["scale"]
    return next((name for name, kind in _SCALERS.items() if type(scaler) is kind), "none")


def _indicated(pipeline: Pipeline) -> list[int]:
    """Positions of the columns with an indicator feature for missing cells."""
    if "impute" not in pipeline.named_steps:
        return []
    return [int(position) for position in pipeline.named_steps["impute"].indicator_.features_]


def _numeric_document(pipeline: Pipeline, columns: list[str], scaling: str) -> Document:
    document: Document = {"columns": columns}
    if "impute" in pipeline.named_steps:
        document["medians"] = _statistics(pipeline.named_steps["impute"].statistics_)
        document["indicated"] = _indicated(pipeline)
    if scaling != "none":
        scaler = pipeline.named_steps["scale"]
        document["statistics"] = {name: _statistics(getattr(scaler, name)) for name in _SCALER_ARRAYS[scaling]}
        document["rows"] = np.asarray(scaler.n_samples_seen_).tolist()
    return document


def _indicated_in(document: Document) -> list[int]:
    indicated: list[int] = document["indicated"] if "medians" in document else []
    if not set(indicated) <= set(range(len(document["columns"]))):
        raise ValueError(f"positions of columns expected, {indicated!r:.80} received")
    return indicated


def _set_statistics(pipeline: Pipeline, document: Document, scaling: str) -> None:
    features = len(document["columns"]) + len(_indicated_in(document))
    if "medians" in document:
        pipeline.named_steps["impute"].statistics_ = _numbers(document["medians"], len(document["columns"]))
    if scaling != "none":
        scaler = pipeline.named_steps["scale"]
        for name in _SCALER_ARRAYS[scaling]:
            setattr(scaler, name, _numbers(document["statistics"][name], features))
        rows = np.asarray(document["rows"])
        scaler.n_samples_seen_ = rows if rows.ndim else rows[()]


def _statistics(numbers: np.ndarray) -> Document:
    """Finite numbers as JSON, which represents float64 and narrower types exactly."""
    return {"type": numbers.dtype.str, "values": numbers.tolist()}


def _numbers(document: Document, length: int) -> np.ndarray:
    numbers = np.array(document["values"], np.float64)
    if numbers.shape != (length,) or not np.isfinite(numbers).all() or document["type"] not in ("<f4", "<f8"):
        raise ValueError(f"{length} finite numbers expected, {document!r:.80} received")
    return numbers.astype(document["type"])


def _made_up_rows(document: Document) -> pd.DataFrame:
    """Artificial rows with every category, and with missing numbers in columns that have an indicator feature."""
    categories = [_array(values) for values in document["categorical"].get("categories", [])]
    count = max([2, *map(len, categories)])
    indicated = _indicated_in(document["numeric"])
    columns = document["numeric"]["columns"]
    features = len(columns) + len(indicated) + sum(map(len, categories))
    if count * (len(document["columns"]) + features) > MOST_CELLS:
        raise ValueError(f"{features} features from columns of up to {count} categories, too many to rebuild")
    made: dict[str, np.ndarray] = {}
    for position, name in enumerate(columns):
        made[name] = np.arange(count, dtype=np.float64)
        if position in indicated:
            made[name][0] = np.nan
    for name, values in zip(document["categorical"]["columns"], categories):
        made[name] = np.resize(values, count)
    if sorted(made) != sorted(document["columns"]):
        raise ValueError("columns that do not match")
    return pd.DataFrame({name: pd.Series(made[name], dtype=made[name].dtype) for name in document["columns"]})


def _values(categories: np.ndarray) -> Document:
    """Categories as JSON: type, kind and values, with None and NaN last, as in scikit-learn."""
    values = [value for value in categories.tolist() if not pd.isna(value)]
    missing = ["None" if value is None else "NaN" for value in categories.tolist()[len(values) :]]
    types = {type(value) for value in values}
    kind = next((name for name, kind in _KINDS.items() if types <= {kind}), None)
    if kind is None:
        raise TypeError(f"categories of the types {sorted(t.__name__ for t in types)}")
    return {"kind": kind, "type": categories.dtype.str, "values": values, "missing": missing}


def _array(document: Document) -> np.ndarray:
    if not re.fullmatch(_CATEGORIES, document["type"]):
        raise ValueError(f"categories of type {document['type']!r:.80}")
    values = [_KINDS[document["kind"]](value) for value in document["values"]]
    values += [{"None": None, "NaN": np.nan}[value] for value in document["missing"]]
    array = np.empty(len(values), document["type"])
    array[:] = values
    return array
