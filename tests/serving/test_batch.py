"""BatchScorer: a dict of arrays in, a dict of arrays out."""

from __future__ import annotations

import datetime
import pickle
import shutil
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Callable
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from exported_models import (
    NAMES,
    ROWS,
    X,
    array_model,
    array_version,
    cells,
    folder,
    loaded,
    table,
    table_model,
    table_version,
)
from reference import TINY, draw, eagerly
from tolerances import of_estimator, of_table

import alad_tf
from alad_tf.errors import DataError, ForkError
from alad_tf.estimator.alad import ALAD
from alad_tf.model import forks
from alad_tf.serving import client, sources, versions
from alad_tf.serving.batch import BatchScorer
from alad_tf.serving.export import export
from alad_tf.tabular import fit, readers
from alad_tf.tabular.model import Model
from alad_tf.typing import Document


def test_columns_of_any_engine() -> None:
    frame = table(9000, seed=3)
    frame["beside"] = "ignored"
    expected = table_model("imputed").scored(frame)[0]
    close = of_table(table_model("imputed"), frame)
    scorer = BatchScorer(table_version("imputed"))
    assert scorer.names == [column["name"] for column in scorer.description["columns"]] and set(scorer.names) == set(
        NAMES
    )
    kinds: dict[str, Any] = {
        "pandas": {name: column for name, column in frame.items()},
        "NumPy": {name: column.to_numpy() for name, column in frame.items()},
        "Arrow": {name: pa.array(column).to_pandas() for name, column in frame.items()},
        "masked": {name: column.convert_dtypes() for name, column in frame.items()},
    }
    for kind, batch in kinds.items():
        scores = scorer(batch)
        assert list(scores) == ["score", "is_anomaly", "is_valid", "unseen"]
        np.testing.assert_allclose(scores["score"], expected["score"], rtol=0.0, atol=close, err_msg=kind)
        np.testing.assert_array_equal(scores["is_valid"], expected["is_valid"], err_msg=kind)
    assert {name: values.shape for name, values in scorer(frame[:0]).items()} == dict.fromkeys(scores, (0,))


def test_rows_without_preprocessing() -> None:
    scorer = BatchScorer(array_version())
    expected = loaded(array_version()).run("serving_default", {"x": ROWS})
    got, close = scorer({"x": ROWS.astype(np.float64)}), of_estimator(array_model(), ROWS)["features"]
    np.testing.assert_allclose(got["score"], expected["score"], rtol=0.0, atol=close)
    clear = np.abs(expected["score"] - array_model().threshold_) > close
    np.testing.assert_array_equal(got["is_anomaly"][clear], expected["is_anomaly"][clear])
    np.testing.assert_array_equal(got["is_valid"], expected["is_valid"])
    with pytest.raises(DataError, match=r"Expected x of shape \['rows', 5\]. Received: \[3, 4\]"):
        scorer({"x": ROWS[:3, :4]})
    with pytest.raises(DataError, match="Expected the columns x. Received: y"):
        scorer({"y": ROWS})


def test_features_that_have_names() -> None:
    names = list("abxde")
    with eagerly():
        model = ALAD(TINY, score_name="features", jit=False, random_state=3, verbose=0).fit(
            pd.DataFrame(X, columns=names)
        )
    scorer = BatchScorer(export(sources.of_estimator(model), folder() / "named"))
    batch: dict[str, Any] = dict(zip(names, ROWS.T))
    close = of_estimator(model, ROWS)["features"]
    np.testing.assert_allclose(scorer(batch)["score"], scorer({"x": ROWS})["score"], rtol=0.0, atol=close)
    masked = {**batch, "a": pd.array([None, *ROWS[1:, 0].tolist()], "Float64")}
    assert scorer(masked)["is_valid"].tolist() == [False] + [True] * (len(ROWS) - 1)
    with pytest.raises(DataError, match="Expected the columns x. Received: a, b, d, e"):
        scorer({name: batch[name] for name in "abde"})


def test_text_in_a_column_of_numbers() -> None:
    batch = {**cells(table(3)), NAMES[0]: np.array(["1", "2", "many"])}
    with pytest.raises(DataError, match=f"Expected a number in column '{NAMES[0]}', row 3. Received: 'many'"):
        BatchScorer(table_version("imputed"))(batch)


@cache
def booleans() -> tuple[pd.DataFrame, Model, BatchScorer]:
    """Rows, a model with a column of true and false, and its export."""
    rows = draw(4, 80, 2)
    frame = pd.DataFrame({"x": rows[:, 0].astype(np.float64), "ok": rows[:, 1] > 0.0, "city": [*"abcd"] * 20})
    frame.to_parquet(folder() / "booleans.parquet")
    with eagerly():
        fit.fit_file(
            folder() / "booleans.parquet",
            folder() / "model-booleans",
            options={"epochs": 1, "batch_size": 40, "random_state": 0},
        )
    version = export(sources.load(folder() / "model-booleans"), folder() / "booleans")
    return frame, Model.load(folder() / "model-booleans"), BatchScorer(version)


CELLS: dict[str, Callable[[pd.DataFrame], dict[str, Any]]] = {
    "truth as text": lambda frame: {"ok": frame["ok"].map({True: "true", False: "false"})},
    "truth as 1 and 0": lambda frame: {"ok": frame["ok"].astype(int)},
    "bytes": lambda frame: {"city": frame["city"].str.encode("utf-8")},
    "bytes of NumPy": lambda frame: {"city": frame["city"].to_numpy().astype("S")},
    "columns of Arrow": lambda frame: {"city": pa.chunked_array([frame["city"]]), "x": pa.array(frame["x"])},
    "a masked array": lambda frame: {"x": np.ma.masked_array(frame["x"])},
    "objects of numbers": lambda frame: {"x": frame["x"].astype(object)},
    "numbers as text": lambda frame: {"x": [repr(cell) for cell in frame["x"].tolist()]},
    "another index": lambda frame: {"x": frame["x"].set_axis(range(80, 0, -1))},
    "a tensor": lambda frame: {"x": tf.constant(frame["x"])},
    "categories": lambda frame: {"city": frame["city"].astype("category")},
}


@pytest.mark.parametrize("kind", CELLS)
def test_cells_score_as_in_files(kind: str) -> None:
    """One of the columns is named as the array x of other models."""
    frame, model, scorer = booleans()
    expected, got = model.scored(frame)[0], scorer({**frame, **CELLS[kind](frame)})
    np.testing.assert_allclose(got["score"], expected["score"], rtol=0.0, atol=of_table(model, frame))
    assert got["is_valid"].all() and not got["unseen"].any()


def test_cells_that_make_a_row_invalid() -> None:
    frame, _, scorer = booleans()
    first: dict[str, list[Any]] = {"x": [10**400, None, "", np.nan, -np.inf], "city": [None, "", pd.NA, np.nan, b""]}
    for name, cells_ in first.items():
        for column in ([*cells_, *frame[name][5:]], pd.Series([*cells_, *frame[name][5:]], dtype=object)):
            got = scorer({**frame, name: column})
            assert got["is_valid"].tolist() == [False] * 5 + [True] * 75


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "fewer rows": ({"x": [1.0] * 40}, "the same number of rows in each column. Received: 40 in 'x', 80 in 'ok'"),
    "columns": ({"x": np.ones((80, 1))}, r"a list or an array \[n\] as column 'x'. Received: cells of shape \[80, 1\]"),
    "lists": ({"x": [[1.0]] * 80}, "Expected a number or text in column 'x', row 1"),
    "a number": ({"x": 3.0}, "Received: a float"),
    "nothing": ({"city": None}, "Received: a NoneType"),
    "text": ({"city": "a" * 80}, "Received: a str"),
    "a set": ({"x": {1.0}}, "Received: a set"),
    "dates": ({"x": pd.to_datetime(["2020-01-01"] * 80)}, "Expected real numbers in column 'x'"),
    "durations": ({"x": pd.to_timedelta([1] * 80, "s")}, "Expected real numbers in column 'x'"),
    "complex numbers": ({"x": np.ones(80, complex)}, "Expected real numbers in column 'x'"),
    "other bytes": ({"city": [b"\xff"] * 80}, "Expected text in UTF-8 in column 'city'"),
    "a lone surrogate": ({"city": ["\ud800"] * 80}, "Expected text in UTF-8 in column 'city'. Received: '.ud800'"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_columns_that_are_refused(kind: str) -> None:
    columns, message = REFUSED[kind]
    with pytest.raises(DataError, match=message) as raised:
        booleans()[2]({**booleans()[0], **columns})
    assert str(raised.value).isprintable()


def test_batches_of_another_form() -> None:
    frame, _, scorer = booleans()
    np.testing.assert_array_equal(scorer(pa.Table.from_pandas(frame))["score"], scorer(frame)["score"])
    for batch in ([1.0], None):
        with pytest.raises(DataError, match="Expected a dict of columns or a data frame. Received: a "):
            scorer(batch)
    with pytest.raises(DataError, match=r"as column 'x'. Received: cells of shape \[80, 2\]"):
        scorer(pd.concat([frame, frame[["x"]]], axis=1))
    with pytest.raises(DataError, match="Expected the columns x, ok, city. Received: none"):
        scorer({})


@pytest.mark.parametrize(
    "x", [np.ones((3, 5), complex), np.ones((3, 5), "M8[s]"), [[10**400] * 5], [["a"] * 5], [[1.0], [1.0, 2.0]], 3.0]
)
def test_arrays_that_are_refused(x: Any) -> None:
    with pytest.raises(DataError, match=r"^Expected x .*\. Received: ") as raised:
        BatchScorer(array_version())({"x": x})
    assert str(raised.value).isprintable()


def test_pickle_is_the_path() -> None:
    scorer = BatchScorer(array_version().parent)
    expected = scorer({"x": ROWS[:3]})
    pickled = pickle.dumps(scorer)
    assert len(pickled) < 500
    np.testing.assert_array_equal(pickle.loads(pickled)({"x": ROWS[:3]})["score"], expected["score"])


def test_damaged_versions_are_refused(tmp_path: Path) -> None:
    version = Path(shutil.copytree(array_version(), tmp_path / "1"))
    (version / "variables" / "variables.index").write_bytes(b"")
    with pytest.raises(DataError, match=r"variables/variables.index missing or damaged"):
        BatchScorer(tmp_path)
    (version / versions.DESCRIPTION).unlink()
    with pytest.raises(DataError, match="Expected an export of alad_tf"):
        alad_tf.BatchScorer(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": [{}]},
        {"columns": 5},
        {"columns": []},
        {"columns": [{"name": ["a"], "type": "string", "argument": "a"}]},
        {"columns": [{"name": "a", "type": "string", "argument": 5}]},
        {"row": None},
        {"row": {"shape": ["a"], "features": None}},
        {"row": {"shape": [5], "features": [5]}},
    ],
)
def test_descriptions_of_something_else(changes: Document) -> None:
    description = {**BatchScorer(array_version()).description, **changes}
    expected = pytest.raises(DataError, match="^Expected columns and rows in .*alad.json. Received: ")
    with patch.object(versions, "describe", lambda _: description), expected as raised:
        BatchScorer(array_version())
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("fault", [OSError("SavedModel file does not\nexist"), KeyError("serving_default")])
def test_models_that_tensorflow_does_not_load(fault: Exception) -> None:
    scorer = BatchScorer(array_version())
    expected = pytest.raises(DataError, match="^Expected a SavedModel in .*/array/1. Received: ")
    with patch.object(tf.saved_model, "load", side_effect=fault), expected as raised:
        scorer({"x": ROWS[:2]})
    assert str(raised.value).isprintable()


def test_a_model_of_other_columns_than_its_description() -> None:
    column = {"name": "a", "type": "string", "argument": "column_9", "missing_allowed": True}
    description = {**BatchScorer(table_version("imputed")).description, "columns": [column]}
    with patch.object(versions, "describe", lambda _: description):
        scorer = BatchScorer(table_version("imputed"))
    with pytest.raises(DataError, match="Received: ValueError: other inputs than its description has"):
        scorer({"a": ["b"]})


def test_cells_that_only_arrow_has(tmp_path: Path) -> None:
    """Dates, decimal numbers and large whole numbers as categories, and empty text, which is a missing cell."""
    days = [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)] * 30
    amounts, names = [Decimal("1.50"), Decimal("2.00")] * 30, [2**53 + 1, 2**53 + 3] * 30
    numbers = np.random.default_rng(0).normal(size=60)
    table = pa.table({"n": numbers, "day": days, "amount": amounts, "id": names, "t": ["", None, "a", "b"] * 15})
    pq.write_table(table, tmp_path / "x.parquet")
    named = fit.Preparation(categorical=("day", "amount", "id"), impute=True)
    with eagerly():
        fit.fit_file(tmp_path / "x.parquet", tmp_path / "model", preparation=named, options={"epochs": 1})
    scorer = BatchScorer(export(sources.load(tmp_path / "model"), tmp_path / "served"))
    last = {**{name: [table[name][0].as_py()] for name in table.column_names}, "id": [None]}
    few = pa.concat_tables([table[:8], pa.table(last, schema=table.schema)])
    for batch in (few, {name: few[name] for name in few.column_names}, few.to_pandas(types_mapper=pd.ArrowDtype)):
        scores = scorer(batch)
        assert scores["unseen"][:8].tolist() == [0] * 8 and scores["is_valid"].all()
    pq.write_table(few, tmp_path / "few.parquet")
    frame = pd.concat(readers.chunks(tmp_path / "few.parquet", 100))
    model = Model.load(tmp_path / "model")
    close = of_table(model, frame)
    np.testing.assert_allclose(scorer(few)["score"], model.scored(frame)[0]["score"], rtol=0.0, atol=close)


def test_masked_and_structured_arrays() -> None:
    scorer = BatchScorer(array_version())
    x = np.ma.array(ROWS[:2], mask=[[True, *[False] * 4], [False] * 5])
    assert scorer({"x": x})["is_valid"].tolist() == [False, True]
    assert client.checked({"x": x}, scorer.description, "serving_default")["x"][0, 0] != ROWS[0, 0]
    with pytest.raises(DataError, match="NaN"):
        array_model().anomaly_score(x)
    imputed = BatchScorer(table_version("imputed"))
    columns: dict[str, Any] = {name: column.to_numpy() for name, column in table(3).items()}
    hidden = {**columns, NAMES[1]: np.ma.array([999.0, 0.0, 1.0], mask=[True, False, False])}
    shown = {**columns, NAMES[1]: [None, 0.0, 1.0]}
    np.testing.assert_array_equal(imputed(hidden)["score"], imputed(shown)["score"])
    with pytest.raises(DataError, match="column 'a-b'"):
        imputed({**columns, "a-b": np.zeros(3, [("p", float), ("q", float)])})


def test_a_forked_process_is_refused() -> None:
    scorer = BatchScorer(array_version())
    scorer({"x": ROWS[:2]})
    with patch.object(forks, "_forked", True), pytest.raises(ForkError):
        scorer({"x": ROWS[:2]})
