"""Progress of runs: lines, bars on a terminal and the time left."""

from __future__ import annotations

import sys
import types

import pytest
from stopped_runs import (
    TOY,
)

from alad_tf.experiments import progress as board_module
from alad_tf.experiments.baseline_settings import of_method
from alad_tf.experiments.progress import Progress, ProgressBoard


def progress(step: int, quality: str | None = None) -> Progress:
    return Progress(step, 400, {"loss_d": 1.23456, "loss_ge": 2.34567}, quality)


def test_plain_lines(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """One line per run and minute, the first one earlier; the time left is measured from the first report."""
    clock = iter([0.0, 59.0, 60.0, 100.0, 120.0, 180.0])
    monkeypatch.setattr(board_module, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    board = ProgressBoard(TOY, done=[], to_do=["seed 4"])
    for step in (1, 50, 100, 150, 200):
        board.show("seed 4", progress(step))
    board.show("seed 4", progress(300, "F1 0.8765"))
    board.end("seed 4", None)
    board.close()
    assert capfd.readouterr().err.splitlines() == [
        "toy ALAD-1epochs: seed 4: 1 epoch",
        "toy ALAD-1epochs seed 4: 12%, D 1.23, G/E 2.35, about 7 min left",
        "toy ALAD-1epochs seed 4: 50%, D 1.23, G/E 2.35, about 2 min left",
        "toy ALAD-1epochs seed 4: 75%, D 1.23, G/E 2.35, F1 0.8765, about 1 min left",
        "toy ALAD-1epochs seed 4: complete",
    ]


def test_time_left_of_a_resumed_run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Only steps of this call count: 50 in a minute, 50 left."""
    clock = iter([0.0, 60.0])
    monkeypatch.setattr(board_module, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    board = ProgressBoard(TOY, done=[], to_do=["seed 4"])
    for step in (300, 350):
        board.show("seed 4", progress(step))
    assert "88%, D 1.23, G/E 2.35, about 1 min left" in capfd.readouterr().err


def test_a_run_that_may_stop_early_takes_at_most_so_long(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Training may end before its last epoch; scoring may not."""
    clock = iter([0.0, 60.0, 100.0, 160.0])
    monkeypatch.setattr(board_module, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    board = ProgressBoard(of_method("cifar10", "ALAD", normal_class=0), done=[], to_do=[])
    for report in (
        progress(100),
        progress(200),
        Progress(0, 40, {}, phase="scoring"),
        Progress(20, 40, {}, phase="scoring"),
    ):
        board.show("class 0", report)
    training, scoring = capfd.readouterr().err.splitlines()
    assert training.endswith(", at most about 2 min left") and scoring.endswith("50%, scoring, about 1 min left")


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "24")
    board = ProgressBoard(TOY, done=["seed 2"], to_do=["seed 0", "seed 1"])
    for name in ("seed 0", "seed 1"):
        board.show(name, progress(100))
    board.show("seed 1", progress(400, "F1 0.5000"))
    board.bars["seed 1"].refresh()
    board.end("seed 1", None)
    board.end("seed 0", "Expected this. Received: that.")
    board.close()
    error = capfd.readouterr().err
    assert "seed 0:" in error and "100%" in error and "400/400" in error
    assert "D 1.23, G/E 2.35, F1 0.5000" in error
    assert "toy ALAD-1epochs seed 1: complete" in error
    assert "toy ALAD-1epochs seed 0: Expected this. Received: that." in error
    assert not board.bars
