"""Runs of baselines: their files, repeated and resumed runs, and the messages of the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import tensorflow as tf
from conftest import Alad
from small_baselines import of_toy
from small_run import outcome

from alad_tf import metrics, paths
from alad_tf.baselines import anogan
from alad_tf.cli import main as command_line
from alad_tf.data import loading
from alad_tf.errors import DataError, Stopped
from alad_tf.experiments import models
from alad_tf.experiments import progress as progress_module
from alad_tf.experiments import run as experiment
from alad_tf.experiments.baseline_settings import of_method
from alad_tf.experiments.progress import Progress, ProgressBoard
from alad_tf.experiments.run import load_networks
from alad_tf.experiments.settings import is_complete

REAL = paths.data_folders()[0]
DEEP = tuple(models.DEEP)


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    """Use tables for the toy data, short searches, and a few eager steps."""
    tf.config.run_functions_eagerly(True)
    steps = patch.dict(anogan.Search.__init__.__kwdefaults__, steps=2)
    with of_toy(), steps, patch.object(anogan, "SEARCH_ROWS", 1024):
        yield
    tf.config.run_functions_eagerly(False)


def settings(method: str, **options: Any) -> Any:
    return of_method("toy", method, **({"epochs": 3, "jit": False} if method in DEEP else {}), **options)


class StopAfter:
    """Asks a run to stop at its n-th call."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self) -> bool:
        self.left -= 1
        return self.left == 0


@pytest.mark.parametrize("method", DEEP)
def test_stopped_run_goes_on_to_the_same_bits(method: str, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    result = experiment.run(settings(method), 3, whole)
    with pytest.raises(Stopped, match="stopped at step 7 of 12"):  # chunks of 3 and 1 steps in epochs of 4
        experiment.run(settings(method), 3, parts, stopping=StopAfter(3))
    assert not is_complete(parts, settings(method).files)
    experiment.run(settings(method), 3, parts)
    assert outcome(whole) == outcome(parts)
    assert set(result["scores"]) == set(settings(method).scores)
    split, stored = loading.load("toy", scaling=settings(method).scaling), np.load(whole / "scores.npz")
    for name in settings(method).scores:
        assert stored[name].shape == (2148,)
        assert result["scores"][name] == metrics.evaluate(split.y_test, stored[name], 100 / 2148)
    assert result["settings"] == asdict(settings(method)) and result["method"] == settings(method).method
    assert {path.name for path in whole.iterdir()} == set(settings(method).files)
    with pytest.raises(DataError, match=f"Expected a run of ALAD in .*. Received: one of {method}"):
        load_networks(whole)


@pytest.mark.parametrize("method", ["IF", "mean"])
def test_run_without_networks_leaves_no_weights(method: str, tmp_path: Path) -> None:
    reports: list[Progress] = []
    result = experiment.run(settings(method), 3, tmp_path, report=reports.append)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "history.jsonl", "scores.npz", "result.json"}
    assert is_complete(tmp_path, settings(method).files) and not is_complete(tmp_path)
    assert (tmp_path / "history.jsonl").read_text() == ""
    assert result["epochs"] == 1 and "n_train_used" not in result and "unshared" not in result
    assert reports == [Progress(2148, 2148, {}, phase="scoring")]


def test_rows_that_a_run_is_limited_to(tmp_path: Path) -> None:
    """The same rows for the same seed, others for another seed; all rows if the limit is larger."""
    result = experiment.run(settings("mean", train_rows=50, test_rows=500), 3, tmp_path / "a")
    assert (result["n_train"], result["n_test"]) == (2048, 2148)
    assert (result["n_train_used"], result["n_test_used"]) == (50, 500)
    scores = [np.load(tmp_path / "a" / "scores.npz")]
    assert scores[0]["score"].shape == scores[0]["y_test"].shape == (500,)
    assert result["n_anomalies"] == scores[0]["y_test"].sum()
    for seed, name in ((3, "b"), (4, "c")):
        experiment.run(settings("mean", train_rows=50, test_rows=500), seed, tmp_path / name)
        scores.append(np.load(tmp_path / name / "scores.npz"))
    assert np.array_equal(scores[0]["score"], scores[1]["score"])
    assert not np.array_equal(scores[0]["score"], scores[2]["score"])
    result = experiment.run(settings("mean", train_rows=2048, test_rows=9999), 3, tmp_path / "d")
    assert "n_train_used" not in result and "n_test_used" not in result


def test_metrics_without_shared_rows_by_hand(tmp_path: Path) -> None:
    """Two of six test rows are also training rows; of the others, one anomaly ranks above two of three normal rows."""
    x_train = np.array([[0.0, 0.0], [1.0, 1.0], [-1.0, -1.0]], np.float32)
    x_test = np.array([[1, 1], [0, 0], [0, 2], [0, 3], [0, 5], [0, 4]], np.float32)
    y_test = np.array([0, 1, 0, 0, 0, 1])
    made = loading.load("toy")._replace(x_train=x_train, x_test=x_test, y_test=y_test)
    with patch.object(loading, "load", lambda *_, **__: made):
        result = experiment.run(settings("mean"), 3, tmp_path)
    unshared = result["unshared"]
    assert (unshared["n_test"], unshared["n_anomalies"]) == (4, 1)
    assert unshared["scores"]["score"]["auroc"] == pytest.approx(2 / 3)
    assert unshared["scores"]["score"]["average_precision"] == pytest.approx(1 / 2)
    assert result["scores"]["score"]["auroc"] == pytest.approx((0 + 3) / 8)  # scores 2 0 2 3 5 4: row 1 is last


@pytest.mark.parametrize("damaged", [False, True])
def test_stopped_while_scoring(tmp_path: Path, damaged: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The search stops after a block; the next call resumes with the next block and does not train again."""
    run, reports = tmp_path / "run", list[Progress]()
    with pytest.raises(Stopped, match="stopped after 1024 of 2148 rows were scored; the same command resumes there"):
        experiment.run(settings("AnoGAN"), 3, run, report=reports.append, stopping=StopAfter(7))
    assert [report.step for report in reports if not report.phase] == [3, 4, 7, 8, 11, 12]
    assert not (run / "result.json").exists()
    kept = run / "checkpoints" / "scores.npz"
    if damaged:
        content = kept.read_bytes()
        kept.write_bytes(content[:300] + bytes([content[300] ^ 1]) + content[301:])
    reports.clear()
    searched: list[int] = []
    search = anogan.Search._search

    def counted(self: anogan.Search, x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        searched.append(len(x))
        return search(self, x, z)

    with patch.object(anogan.Search, "_search", counted):
        experiment.run(settings("AnoGAN"), 3, run, report=reports.append)
    assert searched == [1024] * (3 if damaged else 2)
    warnings = [record.getMessage() for record in caplog.records if record.name.startswith("alad_tf")]
    assert len(warnings) == damaged and all("scores so far in" in text and "scoring again" in text for text in warnings)
    assert [(report.phase, report.step, report.steps) for report in reports] == [
        ("scoring", done, 2148) for done in (1024, 2048, 2148)
    ]
    assert not kept.parent.exists()
    experiment.run(settings("AnoGAN"), 3, tmp_path / "whole")
    assert outcome(run) == outcome(tmp_path / "whole")


def test_board_shows_the_phases(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "FIRST_REPORT_SECONDS", 0.0)
    monkeypatch.setattr(progress_module, "PLAIN_REPORT_SECONDS", 0.0)
    for terminal in (False, True):
        board = ProgressBoard(settings("AnoGAN"), done=[], to_do=["seed 0"])
        board.terminal = terminal
        for progress in (
            Progress(6, 12, {"loss_d": 1.25, "loss_g": 0.5}),
            Progress(1024, 2048, {}, phase="scoring"),
            Progress(2048, 2048, {}, phase="scoring"),
        ):
            board.show("seed 0", progress)
        board.end("seed 0", None)
        board.close()
        error = capfd.readouterr().err
        assert "D 1.25, G 0.5" in error and "scoring" in error and "seed 0: complete" in error
        assert ("1024/2048" if terminal else "50%, scoring") in error


# The command line


def refused(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert command_line.main(list(arguments)) == 1
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cifar10", "--method", "DAGMM"], "Expected a table of DAGMM for cifar10, but there is none"),
        (["kdd99", "--no-dzz", "--method", "IF"], "Received: latent_discriminator, which only ALAD has"),
        (["kdd99", "--no-ema", "--method", "DSEBM"], "Received: ema_decay, which only ALAD has"),
        (["kdd99", "--train-rows", "100"], "Received: train_rows, which only baselines have"),
        (["kdd99", "--method", "IF", "--epochs", "3"], "Expected no epochs: IF has none. Received: 3"),
        (["kdd99", "--method", "IF", "--jit"], "Expected no XLA for IF"),
        (["kdd99", "--method", "DAGMM", "--train-rows", "1023"], "Expected at least 1024 train rows, a batch of DAGMM"),
        (["svhn", "--method", "AnoGAN", "--patience", "3"], "Expected no patience for AnoGAN. Received: 3"),
    ],
)
def test_command_line_refuses(
    arguments: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capfd, "reproduce", *arguments, "--out", str(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("method", "row"), [("DSEBM", "Softplus"), ("DAGMM", "Softmax"), ("AnoGAN", "LReLU")])
def test_show(method: str, row: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["show", "kdd99", "--method", method]) == 0
    assert row in capfd.readouterr().out


def test_reproduce_the_forest(alad: Alad, tmp_path: Path) -> None:
    if not (REAL / "arrhythmia.mat").exists():
        pytest.skip(f"arrhythmia.mat not in {REAL}")
    done = alad("reproduce", "arrhythmia", "--method", "IF", "--runs", "2", "--jobs", "1", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "IF" in done.stdout
    folder = tmp_path / "arrhythmia" / "IF"
    results = [json.loads((folder / f"seed{seed}" / "result.json").read_text()) for seed in (0, 1)]
    assert results[0]["scores"] != results[1]["scores"] and results[0]["n_test"] == 226
    assert (folder / "summary.json").exists() and not list(folder.glob("seed*/weights.npz"))
    again = alad("reproduce", "arrhythmia", "--method", "IF", "--runs", "2", "--out", tmp_path)
    assert again.returncode == 0 and "complete already: seed 0, seed 1" in again.stderr
    assert again.stdout == done.stdout
