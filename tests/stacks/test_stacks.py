"""Both stacks read files of either one, with the writer's scores; write.py wrote them on each stack."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import tolerances
from small_run import settings, small

from alad_tf import metrics, stack
from alad_tf.cli.main import main
from alad_tf.data import loading
from alad_tf.experiments import run
from alad_tf.experiments.protocol import PROTOCOLS
from alad_tf.experiments.settings import Settings, is_complete
from alad_tf.model.scores import Scorer
from alad_tf.report import results
from alad_tf.serving import sources
from alad_tf.serving.batch import BatchScorer
from alad_tf.serving.c_api import SavedModel
from alad_tf.serving.export import export
from alad_tf.tabular.model import Model, inspect_model

HERE = Path(__file__).parent
FAR = 3  # a row with a cell far outside of the training rows, so that its score and its rounding are large
KERAS = {"paper": "2.15.0", "current": "3.15.1"}


@pytest.fixture(params=stack.NAMES)
def folder(request: pytest.FixtureRequest) -> Path:
    """Folder written by a stack."""
    return HERE / str(request.param)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.read_csv(HERE / "rows.csv")


def scored(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "scored.csv")


def compare(answer: dict[str, np.ndarray], folder: Path, rows: pd.DataFrame) -> None:
    """Scores equal the writer's up to rounding, and flags too except at the threshold."""
    model, expected = Model.load(folder / "model"), scored(folder)
    close = np.full(len(rows), tolerances.of_table(model, rows.drop(index=FAR)))
    close[FAR] = tolerances.of_table(model, rows.loc[[FAR]])
    assert expected["is_valid"].all() and answer["is_valid"].all()
    difference = np.abs(answer["score"] - expected["score"].to_numpy())
    assert (difference <= close).all(), (difference, close)
    clear = np.abs(expected["score"] - model.estimator.threshold_).to_numpy() > close
    assert clear.sum() > 15 and 0 < expected["is_anomaly"][clear].sum() < clear.sum()
    np.testing.assert_array_equal(answer["is_anomaly"][clear], expected["is_anomaly"][clear])


def test_model_folder(folder: Path, rows: pd.DataFrame) -> None:
    """The row with an unseen category scores above the training rows; the writers' version did not raise it yet."""
    model = Model.load(folder / "model")
    answer, unknown = model.scored(rows, top=2)
    expected, raised = scored(folder), answer["unseen"].notna()
    assert answer.loc[raised, "unseen"].tolist() == ["country"]
    assert (answer.loc[raised, "score"] > model.estimator.training_scores_[-1]).all()
    names = ["score", "is_anomaly", "is_valid", "p_value"]
    answer.loc[raised, names] = expected.loc[raised, names].astype(answer[names].dtypes)
    compare({name: answer[name].to_numpy() for name in names[:3]}, folder, rows)
    assert answer.loc[FAR, "feature_1"] == expected.loc[FAR, "feature_1"]
    np.testing.assert_allclose(answer["p_value"], expected["p_value"], atol=0.01)  # ranks
    assert unknown == {"country": 1} and "complete and unchanged" in inspect_model(folder / "model")


def test_export(folder: Path, rows: pd.DataFrame) -> None:
    scorer = BatchScorer(folder / "exported" / "payments")
    compare(dict(scorer({name: rows[name].to_numpy() for name in rows})), folder, rows)
    threshold = sources.load(folder / "model").detector.threshold
    assert scorer.description["threshold"]["value"] == pytest.approx(threshold)


def test_export_through_the_c_api(folder: Path, rows: pd.DataFrame) -> None:
    """TensorFlow's C++ loader runs the graph that the other version wrote."""
    x, _ = Model.load(folder / "model").features(rows)
    answer = SavedModel(folder / "exported" / "payments" / "1").run("serving_default", {"x": x})
    expected = scored(folder)["score"].to_numpy()
    np.testing.assert_allclose(answer["score"], expected, rtol=1e-3)


@pytest.fixture
def run_dir(folder: Path) -> Iterator[Path]:
    """Of a run of two epochs with small networks."""
    (found,) = (folder / "results" / "toy").glob("*/seed3")
    with small():
        yield found


def test_run(folder: Path, run_dir: Path) -> None:
    assert Settings.of_run(run_dir) == (settings(2), 3) and is_complete(run_dir, settings(2).files)
    (result,) = results.load_results(folder / "results", "toy", settings(2).method)
    assert result["stack"]["name"] == stack.of_result(result) == folder.name
    assert result["stack"]["keras"] == KERAS[folder.name]
    y = loading.load("toy").y_test
    with np.load(run_dir / "scores.npz") as stored:
        np.testing.assert_array_equal(stored["y_test"], y)
        for name, values in result["scores"].items():
            assert metrics.evaluate(y, stored[name], PROTOCOLS["toy"].top_fraction) == pytest.approx(values)


def test_weights_of_a_run_give_its_scores(run_dir: Path) -> None:
    x = loading.load("toy").x_test
    built = run.load_networks(run_dir)
    with np.load(run_dir / "scores.npz") as stored:
        tolerances.assert_scores(Scorer(built)(x), stored, tolerances.of_scores(built, x))


def test_export_and_page_of_a_run(run_dir: Path, tmp_path: Path) -> None:
    """`alad export` compares the answers of what it wrote with the scores of the networks."""
    source = sources.load(run_dir)
    export(source, tmp_path / "toy", version=1)
    x = loading.load("toy").x_test[:100]
    answer = BatchScorer(tmp_path / "toy")({"x": x})
    close = tolerances.of_scores(source.detector.networks, x)["features"]
    with np.load(run_dir / "scores.npz") as stored:
        np.testing.assert_allclose(answer["score"], stored["features"][:100], rtol=0.0, atol=close)
    main(["report", str(run_dir), "--output", str(tmp_path / "run.html")])
    assert run_dir.parent.name in (tmp_path / "run.html").read_text()


@pytest.mark.parametrize("name", ["E", "Dxx"])
def test_keras_files(folder: Path, rows: pd.DataFrame, name: str) -> None:
    """Their outputs equal those of the networks in the model folder."""
    if (folder.name, stack.name()) == ("current", "paper"):
        pytest.skip("Keras 2.15 does not read .keras files of Keras 3")
    model = Model.load(folder / "model")
    x, _ = model.features(rows)
    scaled = tf.constant((x - model.estimator.center_) / model.estimator.scale_, tf.float32)
    inputs, network = scaled if name == "E" else [scaled, scaled], model.estimator.networks_.models[name]
    other = {"Functional": tf.keras.Model} if folder.name != stack.name() else None  # Keras 3 has moved it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # renamed options, and inputs that the file names in a list
        read = tf.keras.models.load_model(folder / "keras" / f"{name}.keras", custom_objects=other)
        answers = tf.nest.flatten(read(inputs, training=False))
    close = tolerances.of_network(network, inputs).bound
    for answer, expected in zip(answers, tf.nest.flatten(network(inputs, training=False))):
        np.testing.assert_allclose(answer, expected, rtol=0.0, atol=close)
