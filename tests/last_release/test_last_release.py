"""Files of release 0.1.0 can be read and give the same scores: a model folder, an export, a run of the toy data.

`rows.csv` has the first rows of the table that the model was fitted on, `scored.csv` what `alad score --explain 2` of
that release wrote for them. The weights of the run are left out because they are too large for the repository.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alad_tf import metrics
from alad_tf.data import loading
from alad_tf.estimator.alad import ALAD
from alad_tf.experiments.protocol import PROTOCOLS
from alad_tf.experiments.settings import Settings, is_complete
from alad_tf.report import results
from alad_tf.serving import sources
from alad_tf.serving.batch import BatchScorer
from alad_tf.tabular.model import Model, inspect_model

HERE = Path(__file__).parent
MODEL, EXPORT, RUN = HERE / "model", HERE / "exported" / "fraud", HERE / "results" / "toy" / "ALAD" / "seed0"
ROUNDING = 1e-5  # of float32 products on another processor, relative: 5e-7 was seen


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.read_csv(HERE / "rows.csv")


@pytest.fixture(scope="module")
def expected() -> pd.DataFrame:
    return pd.read_csv(HERE / "scored.csv")


def test_model_folder(rows: pd.DataFrame, expected: pd.DataFrame) -> None:
    scored, unknown = Model.load(MODEL).scored(rows, top=2)
    np.testing.assert_allclose(scored["score"], expected["score"], rtol=ROUNDING)
    np.testing.assert_allclose(scored[["share_1", "share_2"]], expected[["share_1", "share_2"]], rtol=1e-4)
    np.testing.assert_allclose(scored["p_value"], expected["p_value"], rtol=1e-12)
    for column in ("is_anomaly", "is_valid", "feature_1", "feature_2"):
        assert scored[column].tolist() == expected[column].tolist()
    assert unknown == {}
    assert "complete and unchanged" in inspect_model(MODEL)


def test_estimator_of_the_model_folder_is_pickled_and_saved_again(rows: pd.DataFrame, tmp_path: Path) -> None:
    model = ALAD.load(MODEL)
    model.save(tmp_path / "model")
    for again in (pickle.loads(pickle.dumps(model)), ALAD.load(tmp_path / "model")):
        np.testing.assert_array_equal(again.anomaly_score(rows), model.anomaly_score(rows))
        assert (again.threshold_, again.threshold_rule_) == (model.threshold_, model.threshold_rule_)


def test_export(rows: pd.DataFrame, expected: pd.DataFrame) -> None:
    answer = BatchScorer(EXPORT)({name: rows[name].to_numpy() for name in rows})
    np.testing.assert_allclose(answer["score"], expected["score"], rtol=ROUNDING)
    np.testing.assert_array_equal(answer["is_anomaly"], expected["is_anomaly"])
    threshold = sources.load(MODEL).detector.threshold
    assert BatchScorer(EXPORT).description["threshold"]["value"] == pytest.approx(threshold)


def test_run() -> None:
    settings, seed = Settings.of_run(RUN)
    assert (settings.dataset, settings.method, seed) == ("toy", "ALAD-1epochs", 0)
    assert is_complete(RUN, ["config.json", "history.jsonl", "result.json", "scores.npz"])
    (result,) = results.load_results(HERE / "results", "toy", "ALAD-1epochs")
    with np.load(RUN / "scores.npz") as stored:
        y = loading.load("toy").y_test
        np.testing.assert_array_equal(stored["y_test"], y)
        for name, values in result["scores"].items():
            assert metrics.evaluate(y, stored[name], PROTOCOLS["toy"].top_fraction) == pytest.approx(values)
