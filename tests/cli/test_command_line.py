"""The command line: what it passes on, what it prints, and one clear line for whatever is wrong."""

from __future__ import annotations

import configparser
import csv
import importlib
import json
import logging
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from command import refused
from conftest import CHECKOUT, Alad

import alad_tf
import architectures
from alad_tf import __main__ as program
from alad_tf import paths
from alad_tf.cli import main as command_line
from alad_tf.cli import reproduce
from alad_tf.data import raw_files
from alad_tf.experiments import plan, scheduler, summary
from alad_tf.experiments.settings import RUN_FILES, Settings, is_complete
from alad_tf.model import keras_versions
from alad_tf.options import SCORES
from alad_tf.paths import default_out
from alad_tf.report import tables

KDD99 = "kddcup.data_10_percent.gz"
REAL = paths.data_folders()[0]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Downloads fail at once at a closed local port; the user's cache folder and the checkout hold no data."""
    monkeypatch.setattr(paths, "checkout_data", lambda: [])
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Calls:
    """What `alad reproduce` hands on, instead of doing it."""

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
        ("cifar10 --last-weights", {"weights": "last"}),
        ("kdd99 --strategy mirrored", {"strategy": "mirrored"}),
        ("cifar10 --precision bfloat16", {"precision": "bfloat16"}),
        ("kdd99 --no-dzz --no-ema --epochs 2", {"latent_discriminator": False, "ema_decay": None, "epochs": 2}),
    ],
)
def test_options_become_settings(
    calls: Calls, capfd: pytest.CaptureFixture[str], options: str, changes: dict[str, Any]
) -> None:
    assert command_line.main(["reproduce", *options.split()]) == 0
    assert capfd.readouterr().out == "the table\n"
    assert calls.settings == Settings.of_protocol(options.split()[0], **changes)


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
    assert (calls.out, calls.data_dir, calls.jobs) == (default_out(), Path(), os.cpu_count())
    arguments = ["--out", str(tmp_path / "out"), "--data-dir", str(tmp_path / "data"), "--jobs", "7"]
    assert command_line.main(["reproduce", "toy", *arguments]) == 0
    assert (calls.out, calls.data_dir, calls.jobs) == (tmp_path / "out", tmp_path / "data", 7)


def test_interrupted(calls: Calls, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def run_all(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scheduler, "run_all", run_all)
    assert command_line.main(["reproduce", "toy"]) == 130
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err.startswith("alad: interrupted") and captured.err.count("\n") == 1


def test_console_script() -> None:
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    name, _, place = setup["options.entry_points"]["console_scripts"].strip().partition(" = ")
    module, _, function = place.partition(":")
    assert name == "alad"
    assert getattr(importlib.import_module(module), function) is program.main


# Help and tables --------------------------------------------------------------------------------------------------


VERBS = tuple(command_line.alad.commands)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], *([verb, "--help"] for verb in VERBS)])
def test_help(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(arguments) == 0
    captured = capfd.readouterr()
    assert captured.out.startswith(f"Usage: alad {' '.join(arguments[:-1])}".rstrip()) and captured.err == ""


@pytest.mark.parametrize("arguments", [["show"], ["fit", "a", "--no-such-option"], ["reproduce", "toy", "--runs"]])
def test_help_before_anything_else_is_checked(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([arguments[0], "--help", *arguments[1:]]) == 0
    assert capfd.readouterr().out.startswith(f"Usage: alad {arguments[0]} ")


def test_no_command_is_a_call_for_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([]) == 0
    alone = capfd.readouterr()
    assert command_line.main(["--help"]) == 0
    assert alone == capfd.readouterr() and alone.err == "" and all(f"  {verb} " in alone.out for verb in VERBS)


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_has_examples_that_parse(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([*verb.split(), "--help"]) == 0
    _, _, text = capfd.readouterr().out.partition("Examples:\n")
    examples = [shlex.split(line.strip().split("   ")[0]) for line in text.splitlines() if line.startswith("  alad ")]
    assert examples
    for _, name, *arguments in examples:
        assert name == verb or not verb
        command_line.alad.commands[name].make_context(name, arguments)


@pytest.mark.parametrize("verb", VERBS)
def test_help_explains_every_parameter(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([verb, "--help"]) == 0
    text = capfd.readouterr().out
    for param in command_line.alad.commands[verb].params:
        assert getattr(param, "help", None), param.name
        names = param.opts if isinstance(param, click.Option) else [param.make_metavar()]
        assert all(re.search(rf"^  {name}\b", text, re.M) for name in names)


def test_versions(capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["--version"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[:2] == [f"alad_tf {alad_tf.__version__}", f"Python {platform.python_version()}"]
    assert lines[2:] == [
        f"TensorFlow {metadata.version('tensorflow')}",
        f"Keras {metadata.version('keras')}",
        f"NumPy {np.__version__}",
        f"stack: {'current' if keras_versions.KERAS_3 else 'paper'}",
    ]


@pytest.mark.parametrize("dataset", architectures.DATASETS)
def test_show(dataset: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["show", dataset]) == 0
    assert capfd.readouterr().out == architectures.render(architectures.load(dataset)) + "\n"


def test_show_the_table_of_another_method(capfd: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["show", "kdd99", "--method", "AnoGAN"]) == 0
    assert capfd.readouterr().out.startswith("KDD99 GAN (Table X)\n")


def test_show_in_a_process_of_its_own(alad: Alad) -> None:
    done = alad("show", "kdd99")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == architectures.render(architectures.load("kdd99")) + "\n"


@pytest.mark.parametrize(
    ("number", "rows", "first"),
    [(2, 22, "OC-SVM"), (3, 20, "OC-SVM"), (5, 8, "Baseline"), (6, 8, "Baseline"), (7, 12, "L1"), (8, 8, "L1")],
)
def test_table_without_results(
    number: int,
    rows: int,
    first: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Missing cells are named, and nothing is written."""
    monkeypatch.setattr(reproduce, "published_results", lambda: None)
    assert command_line.main(["table", str(number), "--out", str(tmp_path / "none")]) == 0
    captured = capfd.readouterr()
    lines = [line for line in captured.out.splitlines() if line.startswith("  ") and "not run" in line]
    assert len(lines) == rows and lines[0].strip().startswith(first)
    assert all(line.count("not run") >= (3 if number in (2, 5, 7) else 1) for line in lines)
    assert captured.err == "" and not (tmp_path / "none").exists()


def test_table_of_published_results(alad: Alad, tmp_path: Path) -> None:
    done = alad("table", "5", "--out", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Baseline + SN + DL" in done.stdout and "0.950±0.002" in done.stdout


def test_format_of_a_table(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """CSV alone is on standard output; what its rows do not say is on standard error."""
    outputs = {}
    for form in ("text", "markdown", "csv"):
        assert command_line.main(["table", "5", "--format", form, "--out", str(tmp_path)]) == 0
        outputs[form] = capfd.readouterr()
    assert outputs["text"].out.startswith("Table V: ") and outputs["markdown"].out.startswith("**Table V: ")
    assert outputs["text"].err == outputs["markdown"].err == ""
    rows = list(csv.DictReader(outputs["csv"].out.splitlines()))
    assert [row["model"] for row in rows[:2]] == ["Baseline", "Baseline + DL"] and len(rows) == 8
    assert float(rows[3]["f1"]) == pytest.approx(0.950, abs=5e-4) and rows[3]["f1_paper_std"] == "0.002"
    assert "SN: spectral normalisation" in outputs["csv"].err and "[1]" not in outputs["csv"].err


def test_table_iv_without_measurements(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproduce, "published_results", lambda: None)
    assert command_line.main(["table", "4", "--out", str(tmp_path / "none")]) == 0
    assert capfd.readouterr().out.count("not measured") == 12


class Tables:
    """What `alad tables` hands on, instead of doing it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures: list[str] = []
        self.planned: dict[str, Any] = {}
        self.written: tuple[Path | None, ...] = ()
        monkeypatch.setattr(plan, "carry_out", self.carry_out)
        monkeypatch.setattr(tables, "write", self.write)
        monkeypatch.setattr(reproduce, "published_results", lambda: Path("published"))

    def carry_out(self, *folders: Path, **options: Any) -> list[str]:
        logging.getLogger(plan.__name__).info("what is run")
        self.planned = {"folders": folders, **options}
        return self.failures

    def write(self, *folders: Path) -> str:
        self.written = folders
        return "the tables"


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ("", {}),
        ("--budget 1.5", {"hours": 1.5}),
        ("--runs 2", {"n_runs": 2}),
        ("--datasets svhn,kdd99", {"datasets": ["kdd99", "svhn"]}),
        ("--jobs 3", {"jobs": 3}),
        ("--data-dir raw", {"data_dir": Path("raw")}),
        ("--out there", {"folders": (Path("there"), Path("published"))}),
    ],
)
def test_options_of_tables(
    options: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    calls = Tables(monkeypatch)
    assert command_line.main(["tables", *options.split()]) == 0
    expected = {
        "folders": (default_out(), Path("published")),
        "datasets": ["kdd99", "arrhythmia", "svhn", "cifar10"],
        "n_runs": None,
        "hours": None,
        "jobs": os.cpu_count(),
        "data_dir": None,
        **changes,
    }
    assert calls.planned == expected and calls.written == expected["folders"]
    assert tuple(capfd.readouterr()) == ("the tables\n", "what is run\n")


def test_tables_are_there_in_spite_of_runs_that_failed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Tables(monkeypatch).failures = ["kdd99: no data", "svhn IF: seed 0: too hot"]
    assert command_line.main(["tables", "--budget", "1"]) == 1
    captured = capfd.readouterr()
    assert captured.out == "the tables\n"
    assert captured.err.splitlines() == ["what is run", "alad: error: kdd99: no data; svhn IF: seed 0: too hot"]


def test_tables_from_the_published_results(alad: Alad, tmp_path: Path) -> None:
    done = alad("tables", "--out", tmp_path / "out", "--datasets", "arrhythmia", "--runs", 11)
    assert done.returncode == 0 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("tables: nothing is run without --budget; missing: arrhythmia ")
    assert all(f"Table {number}: " in done.stdout for number in ("II", "III", "IV", "V", "VI", "VII", "VIII"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tables"]


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
