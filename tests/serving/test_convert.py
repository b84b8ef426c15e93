"""The scorer as ONNX and TensorFlow Lite, compared with alad_tf's scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from command import refused, run
from exported_models import ROWS, array_model, table_folder
from reference import eagerly
from tolerances import of_estimator

from alad_tf.errors import AladError, SettingsError
from alad_tf.estimator.alad import ALAD
from alad_tf.io import locks
from alad_tf.options import SCORES
from alad_tf.serving import convert as converting
from alad_tf.serving import lite_interpreter, sample_requests, sources
from alad_tf.serving.checks import compare, decisions, expected
from alad_tf.serving.convert import convert
from alad_tf.serving.signatures import Detector

Answer = dict[str, np.ndarray]


def with_onnxruntime(path: Path, x: np.ndarray) -> Answer:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: x})))


def with_tensorflow_lite(path: Path, x: np.ndarray) -> Answer:
    return lite_interpreter.run(path.read_bytes(), x)


def detector(score: str) -> Detector:
    return replace(sources.of_estimator(array_model()).detector, score=score)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("ending", [".onnx", ".tflite"])
def test_answers_are_those_of_the_package(ending: str, score: str, tmp_path: Path) -> None:
    if ending == ".onnx":
        pytest.importorskip("tf2onnx", reason="needs the extra onnx")
        pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    path = tmp_path / f"scorer{ending}"
    convert(detector(score), path)
    close = of_estimator(array_model(), ROWS[:500])[score]
    answers = with_onnxruntime if ending == ".onnx" else with_tensorflow_lite
    for rows in (1, 7, 500):
        x = ROWS[:rows].copy()
        x[3:4, 2] = np.nan
        expected, answer = decisions(detector(score), x), answers(path, x)
        assert set(answer) == set(expected)
        np.testing.assert_allclose(answer["score"], expected["score"], rtol=0.0, atol=close)
        np.testing.assert_array_equal(answer["is_valid"], expected["is_valid"])
        clear = np.abs(expected["score"] - detector(score).threshold) > close
        np.testing.assert_array_equal(answer["is_anomaly"][clear], expected["is_anomaly"][clear])
    assert [path.name for path in tmp_path.iterdir()] == [path.name], "nothing beside the file"


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"Expected a file in .onnx or .tflite. Received: .*scorer.pb"):
        convert(detector("l1"), tmp_path / "scorer.pb")


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tf2onnx", None)
    with pytest.raises(AladError, match=r"Install the extra \(Python 3.10 or later\): pip install '.\[onnx\]'"):
        convert(detector("l1"), tmp_path / "scorer.onnx")
    assert not list(tmp_path.iterdir())


def test_operations_that_a_format_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "alad_tf.serving.signatures._masked", lambda values, valid: tf.math.betainc(values, values, values)
    )
    with pytest.raises(AladError, match="Expected operations that TensorFlow Lite has. Received: "):
        convert(detector("l1"), tmp_path / "scorer.tflite")
    assert not list(tmp_path.iterdir())


def test_other_answers_than_the_packages_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = converting._tflite
    monkeypatch.setattr(converting, "_tflite", lambda asked: whole(replace(asked, score="l2")))
    with pytest.raises(AladError, match="Expected the scores of alad_tf, .* from .tflite"):
        convert(detector("l1"), tmp_path / "scorer.tflite")
    assert not list(tmp_path.iterdir())


def test_model_of_categories_only(tmp_path: Path) -> None:
    """Most rows have been seen in training: their distance to it is 0, and another by rounding in other code."""
    frame = pd.DataFrame({"a": [*"pq" * 60, "r"], "b": [*"uvw" * 40, "x"]})
    with eagerly():
        model = ALAD(epochs=1, batch_size=40, jit=False, random_state=0, verbose=0).fit(frame)
    own = sources.of_estimator(model).detector
    x = sample_requests.requests(own, 8)["serving_default"]["x"]
    assert model.encoder_
    x[:6] = model.encoder_.features(frame[:6])[0]
    wanted = expected(own, x)
    assert np.median(wanted.outputs["score"]) < 1e-6 < wanted.tolerance.min() <= wanted.tolerance.max() < 0.1
    compare("an export", {"score": wanted.outputs["score"] + np.float32(1e-6)}, wanted)
    with pytest.raises(AladError, match="other outputs in 8 rows"):
        compare("an export", {"score": wanted.outputs["score"] + np.float32(0.1)}, wanted)


def test_decisions_are_compared_where_they_are_clear() -> None:
    own = replace(detector("l1"), threshold=float(np.median(decisions(detector("l1"), ROWS[:7])["score"])))
    wanted = expected(own, ROWS[:7])
    assert wanted.clear.sum() == 6
    outputs = {**wanted.outputs, "is_anomaly": np.where(wanted.clear, wanted.outputs["is_anomaly"], True)}
    compare("an export", outputs, wanted)
    with pytest.raises(AladError, match="other outputs in 6 rows"):
        compare("an export", {**outputs, "is_anomaly": ~wanted.outputs["is_anomaly"]}, wanted)


def test_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "scorer.tflite"
    assert run("convert", table_folder("imputed"), path, "--threshold", "2.5") == 0
    said = capfd.readouterr()
    assert said.out.splitlines() == ["threshold 2.5 (value 2.5)", f"converted: {path}"]
    assert said.err == "", "the converter's counts of operations"
    assert path.stat().st_size > 1000
    assert "Expected a file in .onnx or .tflite" in refused(capfd, "convert", table_folder("imputed"), tmp_path / "x")


def test_existing_files_are_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "scorer.tflite"
    path.write_text("kept")
    assert "Pass --overwrite to replace it" in refused(capfd, "convert", table_folder("imputed"), path)
    with locks.claimed(path):
        arguments = ("convert", table_folder("imputed"), path, "--overwrite")
        assert "that no other process is using" in refused(capfd, *arguments)
    assert path.read_text() == "kept"
    assert run(*arguments) == 0
    assert path.stat().st_size > 1000
