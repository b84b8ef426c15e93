"""`alad show`, `alad table` and `alad tables`: output, folders that they read, messages."""

from __future__ import annotations

import csv
import logging
from pathlib import Path
from typing import Any

import pytest
from conftest import Alad

import architectures
from alad_tf.cli import main as command_line
from alad_tf.cli import reproduce
from alad_tf.experiments import plan, process
from alad_tf.paths import default_out
from alad_tf.report import tables
from alad_tf.typing import Options


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
    """The table names missing cells, and nothing is written."""
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
    """Standard output has only the CSV; footnotes go to standard error."""
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
    """Records what `alad tables` would do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures: list[str] = []
        self.planned: dict[str, object] = {}
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
    options: str, changes: Options, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    calls = Tables(monkeypatch)
    assert command_line.main(["tables", *options.split()]) == 0
    expected = {
        "folders": (default_out(), Path("published")),
        "datasets": ["kdd99", "arrhythmia", "svhn", "cifar10"],
        "n_runs": None,
        "hours": None,
        "jobs": process.cores(),
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
