"""BatchScorer: a dict of arrays in, a dict of arrays out."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
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
from reference import TINY, eagerly
from tolerances import of_estimator, of_table

import alad_tf
from alad_tf.errors import DataError
from alad_tf.estimator.alad import ALAD
from alad_tf.serving import sources, versions
from alad_tf.serving.batch import BatchScorer
from alad_tf.serving.export import export


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
    names = list("abcde")
    with eagerly():
        model = ALAD(TINY, score_name="features", jit=False, random_state=3, verbose=0).fit(
            pd.DataFrame(X, columns=names)
        )
    scorer = BatchScorer(export(sources.of_estimator(model), folder() / "named"))
    batch = dict(zip(names, ROWS.T))
    close = of_estimator(model, ROWS)["features"]
    np.testing.assert_allclose(scorer(batch)["score"], scorer({"x": ROWS})["score"], rtol=0.0, atol=close)
    with pytest.raises(DataError, match="Expected the columns c. Received: a, b, d, e"):
        scorer({name: batch[name] for name in "abde"})


def test_text_in_a_column_of_numbers() -> None:
    batch = {**cells(table(3)), NAMES[0]: np.array(["1", "2", "many"])}
    with pytest.raises(DataError, match=f"Expected numbers in column '{NAMES[0]}'. Received: "):
        BatchScorer(table_version("imputed"))(batch)


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
