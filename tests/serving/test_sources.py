"""Sources of exports: the origin of each kind's threshold, and refused folders and options."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from exported_models import array_model, table_folder
from small_run import settings, small

from alad_tf.errors import DataError, SettingsError
from alad_tf.experiments import run
from alad_tf.io import manifest
from alad_tf.model import weights
from alad_tf.serving import preprocessing_graph, sources


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    with small(epochs=2):
        run.run(settings(2), 3, folder)
    return folder


def test_run_flags_the_share_of_the_protocol(run_dir: Path) -> None:
    with small():
        source = sources.load(run_dir)
        scores = np.load(run_dir / "scores.npz")["features"]
        assert np.mean(scores > source.detector.threshold) == pytest.approx(100 / 2148, abs=1 / len(scores))
        assert source.rule == {"rule": "top_fraction", "value": 100 / 2148, "scores": "test rows"}
        assert source.origin["kind"] == "run" and source.origin["seed"] == 3
        assert source.features == ["x1", "x2"] and source.detector.shape == (2,)
        for name, array in weights.get_arrays(source.detector.networks).items():
            np.testing.assert_array_equal(array, np.load(run_dir / "weights.npz")[name])


@pytest.mark.parametrize("score", ["features", "l1", "l2", "logits"])
def test_score_and_share_of_a_run(run_dir: Path, score: str) -> None:
    with small():
        source = sources.load(run_dir, score=score, contamination=0.25)
    scores = np.load(run_dir / "scores.npz")[score]
    assert source.detector.score == score
    assert np.mean(scores > source.detector.threshold) == pytest.approx(0.25, abs=0.002)
    assert source.rule == {"rule": "contamination", "value": 0.25, "scores": "test rows"}


def test_threshold_of_ones_own(run_dir: Path) -> None:
    with small():
        of_run = sources.load(run_dir, threshold=2.5)
    of_model = sources.load(table_folder("imputed"), threshold=2.5)
    for source in (of_run, of_model):
        assert source.detector.threshold == 2.5
        assert source.rule == {"rule": "value", "value": 2.5, "scores": "none"}


def test_estimator_without_names() -> None:
    model = array_model()
    source = sources.of_estimator(model)
    assert source.features is None and source.detector.preprocessing is None
    assert (source.detector.threshold, source.rule) == (model.threshold_, model.threshold_rule_)


def test_what_is_refused(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Received: both"):
        sources.load(run_dir, threshold=1.0, contamination=0.1)
    with pytest.raises(SettingsError, match=r"at most 0.5. Received: 0.6"):
        sources.load(run_dir, contamination=0.6)
    with small(), pytest.raises(SettingsError, match="Expected a known score. Received: 'l3'"):
        sources.load(run_dir, score="l3")
    with small(), pytest.raises(SettingsError, match="Expected a finite threshold. Received: nan"):
        sources.load(run_dir, threshold=float("nan"))
    with pytest.raises(SettingsError, match="Expected the model's score, neighbours"):
        sources.load(table_folder("imputed"), score="l1")
    with pytest.raises(DataError, match="which is neither"):
        sources.load(tmp_path)
    damaged = Path(shutil.copytree(run_dir, tmp_path / "damaged"))
    (damaged / "scores.npz").write_bytes(b"PK")
    with small(), pytest.raises(DataError, match="Expected the scores of a run"):
        sources.load(damaged)
    np.savez_compressed(damaged / "scores.npz", features=np.random.default_rng(0).normal(size=999))
    content = bytearray((damaged / "scores.npz").read_bytes())
    content[200:260] = b"\xff" * 60
    (damaged / "scores.npz").write_bytes(content)
    with small(), pytest.raises(DataError, match="Expected the scores of a run"):
        sources.load(damaged)
    config = (damaged / "config.json").read_text().replace('"scaling": null', '"scaling": "minmax"')
    (damaged / "config.json").write_text(config)
    with small(), pytest.raises(SettingsError, match="Expected a run without scaling"):
        sources.load(damaged)


def test_columns_of_another_table(tmp_path: Path) -> None:
    folder = shutil.copytree(table_folder("imputed"), tmp_path / "model")
    columns = json.loads((folder / "columns.json").read_text())
    columns["categorical"], columns["numeric"] = columns["categorical"][:1], [*columns["numeric"], "size"]
    (folder / "columns.json").write_text(json.dumps(columns))
    content = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").write_text(json.dumps({**content, "files": manifest.entries(folder)}))
    with pytest.raises(DataError):
        sources.load(folder)


def test_categories_that_are_no_text() -> None:
    prepared = {"columns": ["a"], "categorical": {"categories": [{"kind": "number", "values": [1.0], "missing": []}]}}
    with pytest.raises(DataError, match="Expected categories of text"):
        preprocessing_graph.require_utf_8(prepared)


def test_numbers_that_float32_cannot_tell_apart(caplog: pytest.LogCaptureFixture) -> None:
    model = copy.deepcopy(array_model())
    sources.of_estimator(model)
    assert not caplog.text
    model.center_ = model.center_ + np.array([1.7e9, 0.0, 0.0, 0.0, 0.0])
    sources.of_estimator(model)
    assert "float32" in caplog.text and "features x0:" in caplog.text
