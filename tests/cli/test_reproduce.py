"""`alad reproduce`: options become settings, and every user error is one clear line."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import refused, run
from conftest import CHECKOUT

from alad_tf import paths
from alad_tf.cli import main as command_line
from alad_tf.data import raw_files
from alad_tf.experiments import process, scheduler, summary
from alad_tf.experiments.baseline_settings import of_method
from alad_tf.experiments.settings import RUN_FILES, Settings, is_complete
from alad_tf.options import SCORES
from alad_tf.paths import default_out
from alad_tf.report import runs
from alad_tf.typing import Options

KDD99 = "kddcup.data_10_percent.gz"
REAL = paths.data_folders()[0]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make downloads fail at a closed local port, without data in the cache folder and the checkout."""
    monkeypatch.setattr(paths, "checkout_data", lambda: [])
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Calls:
    """Records the calls of `alad reproduce` in place of training."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.seeds: Sequence[int] = ()
        self.out = self.data_dir = Path()
        self.jobs = 0
        self.classes: Sequence[int] | None = None

    def run_all(self, settings: Settings, seeds: Sequence[int], out: Path, **others: Any) -> None:
        self.settings, self.seeds, self.out = settings, seeds, out
        self.jobs, self.classes = others.pop("jobs"), others.pop("classes")
        self.data_dir = others.pop("data_dir") or Path()
        assert not others

    def sum_up(self, settings: Settings, out: Path) -> str:
        assert (settings, out) == (self.settings, self.out)
        return "the table"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    made = Calls()
    monkeypatch.setattr(scheduler, "run_all", made.run_all)
    monkeypatch.setattr(summary, "sum_up", made.sum_up)
    return made


# Options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ("kdd99", {}),
        ("arrhythmia", {}),
        ("toy", {}),
        ("kdd99 --method ALAD-noSN", {"spectral_norm": None}),
        ("kdd99 --method ALAD-noDzz", {"latent_discriminator": False}),
        ("kdd99 --method ALAD-baseline", {"spectral_norm": None, "latent_discriminator": False}),
        ("kdd99 --epochs 3", {"epochs": 3}),
        ("kdd99 --spectral-norm tfa", {"spectral_norm": "tfa"}),
        ("toy --spectral-norm paper", {"spectral_norm": "paper"}),
        ("kdd99 --no-spectral-norm", {"spectral_norm": None}),
        ("kdd99 --no-dzz", {"latent_discriminator": False}),
        ("kdd99 --no-ema", {"ema_decay": None}),
        ("kdd99 --scaling minmax", {"scaling": "minmax"}),
        ("arrhythmia --training-half released", {"training_half": "released"}),
        ("kdd99 --no-jit", {"jit": False}),
        ("toy --jit", {"jit": True}),
        ("svhn", {}),
        ("cifar10 --no-spectral-norm", {"spectral_norm": None}),
        ("cifar10 --normal-class 3", {"normal_class": 3}),
        ("cifar10 --patience 4", {"patience": 4}),
        ("cifar10 --no-early-stopping", {"patience": None}),
        ("cifar10 --dynamics paper --last-weights", {"dynamics": None, "weights": "last"}),
        ("kdd99 --strategy mirrored", {"strategy": "mirrored"}),
        ("cifar10 --precision bfloat16", {"precision": "bfloat16"}),
        ("kdd99 --no-dzz --no-ema --epochs 2", {"latent_discriminator": False, "ema_decay": None, "epochs": 2}),
    ],
)
def test_options_become_settings(
    calls: Calls, capfd: pytest.CaptureFixture[str], options: str, changes: Options
) -> None:
    assert command_line.main(["reproduce", *options.split()]) == 0
    assert capfd.readouterr().out == "the table\n"
    assert calls.settings == Settings.of_protocol(options.split()[0], **changes)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            "kdd99 --last-weights",
            "Expected --last-weights where otherwise the best weights score. Received: ALAD on kdd99.",
        ),
        ("cifar10 --last-weights", "Received: ALAD-releasedDynamics on cifar10."),
        ("cifar10 --method IF --last-weights", "Received: IF on cifar10."),
        (
            "kdd99 --no-early-stopping",
            "Expected --no-early-stopping where training stops early. Received: ALAD on kdd99.",
        ),
        ("arrhythmia --method ALAD-noSN --spectral-norm paper", "with a method that has it. Received: ALAD-noSN on"),
        ("svhn --method ALAD-baseline --spectral-norm tfa", "Received: ALAD-baseline-releasedDynamics on svhn."),
    ],
)
def test_options_without_effect(calls: Calls, capfd: pytest.CaptureFixture[str], options: str, says: str) -> None:
    assert says in refused(capfd, "reproduce", *options.split())


@pytest.mark.parametrize(
    ("options", "classes"),
    [
        ("kdd99", None),
        ("cifar10", range(10)),
        ("svhn --normal-class all", range(10)),
        ("cifar10 --normal-class 7", [7]),
        ("cifar10 --normal-class 9,0,9", [0, 9]),
    ],
)
def test_classes(calls: Calls, options: str, classes: Sequence[int] | None) -> None:
    assert command_line.main(["reproduce", *options.split()]) == 0
    assert calls.classes == (classes if classes is None else list(classes))


@pytest.mark.parametrize(
    ("dataset", "method", "options"),
    [
        ("kdd99", "ALAD", {}),
        ("kdd99", "ALAD-noSN", {"epochs": 3, "jit": False, "ema_decay": None, "scaling": "minmax"}),
        ("arrhythmia", "ALAD-baseline", {"training_half": "released", "dynamics": "released"}),
        ("arrhythmia", "ALAD-noDzz", {"spectral_norm": "tfa"}),
        ("kdd99", "DAGMM", {"scaling": None, "train_rows": 5000, "jit": False}),
        ("cifar10", "ALAD", {"normal_class": 7}),
        ("cifar10", "ALAD-noSN", {"normal_class": 7, "dynamics": None, "patience": 3, "weights": "last"}),
        ("svhn", "ALAD", {"normal_class": 7, "patience": None, "precision": "bfloat16"}),
        ("svhn", "ALAD", {"normal_class": 7, "strategy": "mirrored"}),
        ("svhn", "AnoGAN", {"normal_class": 7, "test_rows": 32}),
        ("svhn", "kNN", {"normal_class": 7}),
    ],
)
def test_the_command_of_a_method_has_its_settings(calls: Calls, dataset: str, method: str, options: Options) -> None:
    settings = of_method(dataset, method, **options)
    label = settings.normal_class
    made = [{"epochs": settings.epochs, "seed": seed, "settings": {"normal_class": label}} for seed in (2, 3)]
    words = shlex.split(runs.command(dataset, settings.method, made))
    assert words[0] == "alad" and run(*words[1:]) == 0
    assert (calls.settings, calls.seeds) == (settings, range(2, 4))
    assert calls.classes == (None if label is None else [label])


def test_no_command_gives_such_a_name() -> None:
    assert runs.command("kdd99", "ALAD-EMA0.5", [{"epochs": 100, "seed": 0, "settings": {}}]) == "-"


@pytest.mark.parametrize("classes", ["10", "-1", "1,", "one", "1-3", ""])
def test_classes_that_there_are_not(capfd: pytest.CaptureFixture[str], classes: str) -> None:
    line = refused(capfd, "reproduce", "cifar10", f"--normal-class={classes}")
    assert f"Expected classes from 0 to 9 or all for --normal-class. Received: {classes!r}." in line


def test_class_of_a_tabular_data_set(capfd: pytest.CaptureFixture[str]) -> None:
    assert "Expected no normal class for kdd99" in refused(capfd, "reproduce", "kdd99", "--normal-class", 3)


@pytest.mark.parametrize(
    ("options", "seeds"),
    [
        ("kdd99", range(10)),
        ("arrhythmia", range(10)),
        ("toy", range(1)),
        ("kdd99 --runs 3", range(3)),
        ("kdd99 --runs 2 --seed 5", range(5, 7)),
        ("toy --seed 4", range(4, 5)),
    ],
)
def test_seeds(calls: Calls, options: str, seeds: range) -> None:
    assert command_line.main(["reproduce", *options.split()]) == 0
    assert list(calls.seeds) == list(seeds)


def test_folders_and_jobs(calls: Calls, tmp_path: Path) -> None:
    assert command_line.main(["reproduce", "toy"]) == 0
    assert (calls.out, calls.data_dir, calls.jobs) == (default_out(), Path(), process.cores())
    arguments = ["--out", str(tmp_path / "out"), "--data-dir", str(tmp_path / "data"), "--jobs", "7"]
    assert command_line.main(["reproduce", "toy", *arguments]) == 0
    assert (calls.out, calls.data_dir, calls.jobs) == (tmp_path / "out", tmp_path / "data", 7)
    assert command_line.main(["reproduce", "kdd99", "--strategy", "mirrored"]) == 0 and calls.jobs == 1  # all GPUs


def test_cores_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5, 7}, raising=False)
    assert process.cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert process.cores() == 1


def test_interrupted(calls: Calls, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def run_all(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scheduler, "run_all", run_all)
    assert command_line.main(["reproduce", "toy"]) == 130
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err.startswith("alad: interrupted") and captured.err.count("\n") == 1


# Bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", ["kdd99", "arrhythmia"])
def test_missing_data(dataset: str, no_network: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = refused(
        capfd, "reproduce", dataset, "--runs", 2, "--data-dir", tmp_path / "empty", "--out", tmp_path / "out"
    )
    for raw in raw_files.RAW_FILES[dataset]:
        assert raw.name in line and raw.sha256 in line and raw.urls[0] in line
    assert str(tmp_path / "empty") in line and str(tmp_path / "cache" / "alad_tf") in line
    assert "refused" in line and "./reproduce.sh toy" in line and "--data-dir" in line
    assert line.count("Expected") == 1
    assert not list(tmp_path.rglob("*.npz")) and not list(tmp_path.rglob("result.json"))


def test_results_of_other_settings(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = Settings.of_protocol("toy", epochs=1)
    run_dir = made.folder(tmp_path, 0)
    made.claim(run_dir, 0)
    config = json.loads((run_dir / "config.json").read_text())
    config["table"].update(batch_size=1, latent_dim=3)
    (run_dir / "config.json").write_text(json.dumps(config))
    for name in RUN_FILES[1:]:
        (run_dir / name).write_text("mine")
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in run_dir.iterdir()}
    line = refused(capfd, "reproduce", "toy", "--epochs", 1, "--out", tmp_path)
    assert "table.batch_size is 1 there and" in line and "table.latent_dim is 3 there and 2 here" in line
    assert str(run_dir) in line and "--out" in line
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in run_dir.iterdir()} == before


# The main job -----------------------------------------------------------------------------------------------------


# A small process in between: a child of this one would begin with the memory of this one.
PEAK_OF_CALL = (
    "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode; "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(code)"
)


@pytest.mark.slow
@pytest.mark.skipif(not (REAL / KDD99).is_file(), reason=f"{KDD99} not in {REAL}")
def test_one_epoch_of_kdd99(tmp_path: Path) -> None:
    call = [sys.executable, "-m", "alad_tf", "reproduce", "kdd99", "--epochs", "1", "--runs", "1", "--out"]
    done = subprocess.run(
        [sys.executable, "-c", PEAK_OF_CALL, *call, str(tmp_path)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr
    run_dir = tmp_path / "kdd99" / "ALAD-1epochs" / "seed0"
    assert is_complete(run_dir)
    result = json.loads((run_dir / "result.json").read_text())
    counts = {"n_train": 198_361, "n_test": 247_011, "n_anomalies": 48_629, "epochs": 1, "top_fraction": 0.2}
    assert {key: result[key] for key in counts} == counts
    assert result["settings"] == {
        "dataset": "kdd99",
        "epochs": 1,
        "spectral_norm": "paper",
        "latent_discriminator": True,
        "ema_decay": 0.999,
        "scaling": None,
        "training_half": "clean",
        "jit": True,
        "normal_class": None,
        "patience": None,
        "weights": None,
        "strategy": None,
        "precision": None,
        "dynamics": None,
    }
    for name in SCORES:  # 49,402 rows are flagged of which 48,629 could be anomalies
        metrics = result["scores"][name]
        assert metrics["precision"] / metrics["recall"] == pytest.approx(48_629 / 49_402, rel=1e-4)
    with np.load(run_dir / "scores.npz") as scores:
        assert all(scores[name].shape == (247_011,) and np.isfinite(scores[name]).all() for name in SCORES)
    (record,) = [json.loads(line) for line in (run_dir / "history.jsonl").read_text().splitlines()]
    assert (record["epoch"], record["step"]) == (1, 198_361 // 50)
    f1 = result["scores"]["features"]["f1"]
    row = next(line for line in done.stdout.splitlines() if line.startswith("ALAD-1epochs "))
    assert "1 this machine, 1 epoch" in row and f"{f1:.4f}" in row
    row = next(line for line in done.stdout.splitlines() if line.startswith("ALAD  "))
    assert "published" in row and "this machine" not in row and "0.9501±0.0018" in row
    assert any(line.startswith("ALAD-noSN") for line in done.stdout.splitlines())
    if sys.platform == "linux":
        assert int(done.stderr.splitlines()[-1]) < 1.5 * 1024**2  # KiB


@pytest.mark.parametrize("options", [["--seed", 2**32], ["--seed", 2**32 - 1, "--runs", 2]])
def test_seeds_that_scikit_learn_does_not_take(capfd: pytest.CaptureFixture[str], options: list[object]) -> None:
    assert "4294967296" in refused(capfd, "reproduce", "toy", "--method", "IF", *options)
