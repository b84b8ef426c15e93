"""`alad reproduce toy` in real processes: stopped, completed, summarised and repeated."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import Alad
from stopped_runs import (
    press_control_c,
    reproduce,
    state,
    stopped,
)

from alad_tf.cli.arguments import GOES_ON
from alad_tf.experiments.settings import WRITTEN, is_complete
from alad_tf.options import SCORES
from alad_tf.report import comparison

pytestmark = pytest.mark.minutes(0.7)


def arrays(path: Path) -> dict[str, bytes]:
    """The bits of an .npz file's arrays."""
    with np.load(path) as stored:
        return {name: stored[name].tobytes() for name in stored}


class Made:
    """Results folder of two runs, the second of which was stopped and resumed, and output of the command."""

    def __init__(self, alad: Alad, out: Path) -> None:
        self.method = out / "toy" / "ALAD-1epochs"
        self.runs = [self.method / "seed0", self.method / "seed1"]
        started = self.runs[1] / "log.txt"
        self.stopped = stopped(reproduce(out, seeds=2, jobs=1), started.exists, press_control_c)
        self.complete_then = [is_complete(run_dir) for run_dir in self.runs]
        self.files_then = [state(run_dir) for run_dir in self.runs]
        self.arguments = reproduce(out, seeds=2, jobs=2)
        self.done = alad(*self.arguments)


@pytest.fixture(scope="module")
def made(alad: Alad, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(alad, tmp_path_factory.mktemp("made") / "results")


def test_stopped_then_completed(made: Made) -> None:
    code, error = made.stopped
    assert code == 130, error
    assert error.splitlines() == [
        "toy ALAD-1epochs: seed 0, seed 1: 1 epoch each",
        "toy ALAD-1epochs seed 0: complete",
        f"alad: interrupted; {GOES_ON}",
    ]
    assert made.complete_then == [True, False]
    assert "result.json" not in made.files_then[1]
    assert made.done.returncode == 0
    assert made.done.stderr.splitlines() == [
        "toy ALAD-1epochs: complete already: seed 0",
        "toy ALAD-1epochs: seed 1: 1 epoch",
        "toy ALAD-1epochs seed 1: complete",
    ]
    assert state(made.runs[0]) == made.files_then[0]


def test_results_folder(made: Made) -> None:
    for seed, run_dir in enumerate(made.runs):
        assert is_complete(run_dir)
        assert {path.name for path in run_dir.iterdir()} == {*WRITTEN, "log.txt"}
        result = json.loads((run_dir / "result.json").read_text())
        assert (result["dataset"], result["method"], result["seed"], result["epochs"]) == (
            "toy",
            made.method.name,
            seed,
            1,
        )
        assert (result["n_train"], result["n_test"]) == (2048, 2148)
        assert result["settings"]["jit"] is False
        assert (run_dir / "reconstructions.png").read_bytes().startswith(b"\x89PNG")
        assert set(result["scores"]) == set(SCORES)
    assert {path.name for path in made.method.iterdir()} == {"seed0", "seed1", "summary.json", "figures"}
    assert {path.name for path in (made.method / "figures").iterdir()} >= {"roc.png", "scores.png", "losses.png"}
    assert (made.method / "figures" / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_seeds_differ(made: Made) -> None:
    assert arrays(made.runs[0] / "weights.npz") != arrays(made.runs[1] / "weights.npz")


def test_summary(made: Made) -> None:
    summary = json.loads((made.method / "summary.json").read_text())
    results = [json.loads((run_dir / "result.json").read_text()) for run_dir in made.runs]
    assert summary == comparison.summarise(results)
    assert summary["runs"] == [0, 1]


def test_printed(made: Made) -> None:
    f1 = json.loads((made.method / "summary.json").read_text())["scores"]["features"]["f1"]
    assert f"{f1['mean']:.4f}±{f1['std']:.4f}" in made.done.stdout
    assert re.search("^ALAD-1epochs.* 2 this machine", made.done.stdout, re.MULTILINE)  # and the mark of a footnote
    assert all(f"\n  {score}" in made.done.stdout for score in SCORES)
    assert str(made.method / "figures") in made.done.stdout


def test_second_call_leaves_complete_runs_alone(made: Made, alad: Alad) -> None:
    before = [state(run_dir) for run_dir in made.runs]
    again = alad(*made.arguments)
    assert (again.returncode, again.stdout) == (0, made.done.stdout)
    assert again.stderr.splitlines() == ["toy ALAD-1epochs: complete already: seed 0, seed 1"]
    assert [state(run_dir) for run_dir in made.runs] == before


@pytest.mark.slow
def test_incomplete_run_is_remade_with_the_same_bits(made: Made, alad: Alad) -> None:
    files = [made.runs[1] / name for name in ("weights.npz", "scores.npz")]
    before, expected = state(made.runs[0]), [arrays(path) for path in files]
    files[0].unlink()
    assert alad(*made.arguments).returncode == 0
    assert state(made.runs[0]) == before
    assert [arrays(path) for path in files] == expected
