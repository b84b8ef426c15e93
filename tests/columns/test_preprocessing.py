"""scikit-learn's ColumnTransformer for mixed tables, and its JSON form: the same output bit for bit."""

from __future__ import annotations

import copy
import json
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import StandardScaler

from alad_tf.columns import preprocessing
from alad_tf.columns.encoder import Encoder
from alad_tf.columns.schema import Columns
from alad_tf.errors import DataError, SettingsError
from alad_tf.options import SCALING_NAMES

FRAME = pd.DataFrame(
    {"n": [1.0, 2.0, 4.0, 5.0], "t": ["b", "a", "b", "b"], "i": [10, 20, 30, 40], "f": [True, False, True, True]}
)
GAPS = FRAME.assign(n=[1.0, np.nan, 4.0, 7.0], t=["b", None, "b", "a"])


def fitted(frame: pd.DataFrame = FRAME, **options: Any) -> ColumnTransformer:
    return preprocessing.column_transformer(frame, **options).fit(frame)


def through_json(transformer: ColumnTransformer) -> ColumnTransformer:
    return preprocessing.from_document(json.loads(json.dumps(preprocessing.to_document(transformer), allow_nan=False)))


def test_output() -> None:
    x = fitted().transform(FRAME)
    assert isinstance(x, np.ndarray) and x.shape == (4, 2 + 2 + 2)
    assert np.allclose(x[:, :2].mean(axis=0), 0.0) and np.allclose(x[:, :2].std(axis=0), 1.0)
    assert x[:, 2:4].tolist() == [[0, 1], [1, 0], [0, 1], [0, 1]]  # a, b
    assert x[:, 4:].tolist() == [[0, 1], [1, 0], [0, 1], [0, 1]]  # False, True
    assert preprocessing.columns_of_features(fitted()) == ["n", "i", "t", "t", "f", "f"]


@pytest.mark.parametrize(
    ("scaling", "column"),
    [("none", [1, 2, 4, 5]), ("minmax", [0, 0.25, 0.75, 1]), ("standard", np.array([-2, -1, 1, 2]) / np.sqrt(2.5))],
)
def test_scaling(scaling: str, column: Any) -> None:
    assert np.allclose(fitted(scaling=scaling).transform(FRAME)[:, 0], column)


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_features_of_one_name_get_a_number(output: str) -> None:
    """A category and a column, an indicator and a column, a text and a missing cell."""
    frame = pd.DataFrame(
        {"t": ["id", "x", "y"], "t_id": [1.0, None, 2.0], "missingindicator_t_id": [1, 2, 3], "c": ["nan", None, "a"]}
    )
    with sklearn.config_context(transform_output=output):
        encoder, cells = Encoder.fit(frame, impute=True, scaling="none")
        x = encoder.transformed(cells)
    assert encoder.names == [
        *("t_id", "missingindicator_t_id", "missingindicator_t_id (2)", "t_id (2)", "t_x", "t_y"),
        *("c_a", "c_nan", "c_nan (2)"),
    ]
    assert isinstance(x, np.ndarray) and x.shape == (3, 9)


def test_unknown_scaling() -> None:
    with pytest.raises(SettingsError, match="'robust'.*standard, minmax, none"):
        preprocessing.column_transformer(FRAME, scaling="robust")


def test_named_kinds() -> None:
    transformer = fitted(categorical=["i"], numeric=["f"])
    assert preprocessing.columns_of_features(transformer) == ["n", "f", "t", "t", "i", "i", "i", "i"]


def test_columns_are_matched_by_name() -> None:
    transformer = fitted()
    shuffled = FRAME[["f", "i", "n", "t"]].assign(other="x")
    assert np.array_equal(transformer.transform(shuffled), transformer.transform(FRAME))
    with pytest.raises(ValueError, match="'t'"):
        transformer.transform(FRAME.drop(columns="t"))


def unseen(transformer: ColumnTransformer, frame: pd.DataFrame) -> dict[str, list[bool]]:
    numeric, categorical = (tuple(columns) for _, _, columns in transformer.transformers_[:2])
    encoder = Encoder(Columns(numeric, categorical), transformer)
    return {name: rows.tolist() for name, rows in encoder.unseen(transformer.transform(frame)).items()}


def test_unseen_categories_are_zeros_and_found() -> None:
    rows = FRAME.assign(t=["b", "new", "newer", "a"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = fitted().transform(rows)
    assert x[:, 2:4].tolist() == [[0, 1], [0, 0], [0, 0], [1, 0]]
    assert preprocessing.blocks_of_categories(fitted()) == {"t": (2, 4), "f": (4, 6)}
    assert unseen(fitted(), rows)["t"] == [False, True, True, False] and not any(unseen(fitted(), rows)["f"])
    assert not any(unseen(fitted(), FRAME)["t"])
    assert not any(unseen(fitted(GAPS, impute=True), GAPS)["t"])
    assert sum(unseen(fitted(FRAME, impute=True), GAPS)["t"]) == 1


def test_missing_cells() -> None:
    transformer = fitted(GAPS, impute=True, scaling="none")
    x = transformer.transform(GAPS)
    assert preprocessing.columns_of_features(transformer) == ["n", "i", "n", "t", "t", "t", "f", "f"]
    assert x[:, 0].tolist() == [1.0, 4.0, 4.0, 7.0]  # the median
    assert x[:, 2].tolist() == [0.0, 1.0, 0.0, 0.0]  # says where
    assert x[:, 3:6].tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]]  # a, b, missing
    later = GAPS.assign(i=[np.nan, 20, 30, 40])
    assert transformer.transform(later)[0, 1] == 25.0
    assert np.isnan(fitted(FRAME).transform(GAPS)[1, 0])  # not imputed unless asked for


def test_is_scikit_learns_own() -> None:
    transformer = preprocessing.column_transformer(FRAME)
    assert type(transformer) is ColumnTransformer
    named = clone(transformer).set_output(transform="pandas").fit_transform(FRAME)
    assert list(named.columns) == ["n", "i", "t_a", "t_b", "f_False", "f_True"]


# JSON -------------------------------------------------------------------------------------------------------------

cells = {
    "number": st.floats(-1e30, 1e30, width=64),
    "integer": st.integers(-(2**53), 2**53),
    "text": st.text(max_size=5),
    "boolean": st.booleans(),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A mixed table and options, with missing cells if they are imputed."""
    kinds = draw(st.lists(st.sampled_from([*cells, "code", "level"]), min_size=1, max_size=4))
    rows = draw(st.integers(2, 7))
    impute = draw(st.booleans())
    columns: dict[str, object] = {}
    for place, kind in enumerate(kinds):
        cell = {**cells, "code": st.integers(-3, 3), "level": st.floats(-2, 2)}[kind]
        values = draw(st.lists(cell, min_size=rows, max_size=rows))
        if impute and kind in ("number", "text", "level"):
            for row in draw(st.sets(st.integers(1, rows - 1))):
                values[row] = None if kind == "text" else np.nan
        columns[f"{kind} {place}"] = pd.Series(values, dtype=object if kind == "text" else None)
    named = [name for name in columns if name.startswith(("code", "level"))]
    scaling = draw(st.sampled_from(SCALING_NAMES))
    return pd.DataFrame(columns), {"categorical": named, "impute": impute, "scaling": scaling}


@settings(max_examples=60, deadline=None)
@given(tables())
def test_round_trip_is_exact(table: tuple[pd.DataFrame, dict[str, Any]]) -> None:
    frame, options = table
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn, on sums of numbers as large as 1e30
        transformer = fitted(frame, **options)
        again = through_json(transformer)
        other = frame.iloc[::-1].reset_index(drop=True)
        for rows in (frame, other, frame[list(frame.columns)[::-1]]):
            expected, received = transformer.transform(rows), again.transform(rows)
            assert expected.dtype == received.dtype and expected.tobytes() == received.tobytes()
    assert preprocessing.columns_of_features(again) == preprocessing.columns_of_features(transformer)
    assert list(again.get_feature_names_out()) == list(transformer.get_feature_names_out())
    assert preprocessing.to_document(again) == preprocessing.to_document(transformer)


@pytest.mark.parametrize("scaling", SCALING_NAMES)
def test_round_trip_of_float32(scaling: str) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(1e3, 1.0, (50, 3)).astype(np.float32), columns=list("abc"))
    transformer = fitted(frame, scaling=scaling)
    assert through_json(transformer).transform(frame).tobytes() == transformer.transform(frame).tobytes()


def test_round_trip_keeps_unknown_and_missing() -> None:
    for frame, options in ((FRAME, {}), (GAPS, {"impute": True})):
        transformer = fitted(frame, **options)
        rows = frame.assign(t=["new", "a", "b", "b"])
        assert np.array_equal(through_json(transformer).transform(rows), transformer.transform(rows))


def test_others_are_not_written() -> None:
    other = ColumnTransformer([("numeric", StandardScaler(), ["n"])]).fit(FRAME)
    for transformer in (preprocessing.column_transformer(FRAME), other):
        with pytest.raises(SettingsError, match="column_transformer"):
            preprocessing.to_document(transformer)
    dates = FRAME.assign(d=pd.Timestamp("2020-01-02"))
    with pytest.raises(SettingsError, match="column_transformer"):
        preprocessing.to_document(fitted(dates, categorical=["d"]))


def damaged(path: str, value: object) -> Any:
    document = copy.deepcopy(preprocessing.to_document(fitted(GAPS, impute=True)))
    *parents, last = path.split("/")
    place: Any = document
    for name in parents:
        place = place[int(name) if name.isdigit() else name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("numeric", None),
        ("scaling", "pickle"),
        ("columns", ["n"]),
        ("numeric/columns", ["n"]),
        ("numeric/indicated", [7]),
        ("numeric/indicated", None),
        ("numeric/medians/values", [1.0]),
        ("numeric/medians/type", "|O"),
        ("numeric/statistics/mean_/values", [1.0, "x", 2.0]),
        ("numeric/statistics/scale_", None),
        ("numeric/statistics/var_/values", [1.0, float("nan"), 2.0]),
        ("categorical/categories/0/values", ["b", "a"]),
        ("categorical/categories/0/kind", "module"),
        ("categorical/categories/0/type", "<M8[s]"),
        ("categorical/categories/0/type", "(" + "9" * 5000 + ",)f8"),
        ("categorical/categories/0/type", "9" * 5000 + "f8"),
        ("categorical/categories/1/values", []),
        ("categorical/categories", []),
    ],
)
def test_damaged_document(path: str, value: object) -> None:
    with pytest.raises(DataError, match="preprocessing of a model"):
        preprocessing.from_document(damaged(path, value))


@pytest.mark.parametrize("document", [None, [], {}, "x", 3])
def test_no_document(document: Any) -> None:
    with pytest.raises(DataError, match="preprocessing of a model"):
        preprocessing.from_document(document)


def test_more_categories_than_can_be_rebuilt() -> None:
    """Rebuilding needs a row for each category, with a feature for each."""
    document = preprocessing.to_document(fitted())
    values = [f"c{k:05}" for k in range(38_000)]
    document["categorical"]["categories"][0] = {"kind": "text", "type": "|O", "values": values, "missing": []}
    with pytest.raises(DataError, match="380.. features from columns of up to 38000 categories, too many to rebuild"):
        preprocessing.from_document(document)
