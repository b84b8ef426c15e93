"""The pages of docs say what works: their commands and their Python are run, in order, on less than they say."""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import CHECKOUT

from alad_tf import data, report
from alad_tf.settings import published_results

KDD99 = data.RAW_FILES["kdd99"][0].name
SHORTER = {"fit": ["--epochs", "2"], "reproduce": ["--epochs", "1", "--runs", "1", "--jobs", "1"]}
# By data set: a training of one epoch takes longer than a test should.
NOT_RUN = {("reproduce", "kdd99"), ("reproduce", "arrhythmia"), ("tables", "--budget")}
OUTSIDE = ("tensorboard", "tensorflow_model_server", "docker", "curl", "pip", "git")


def blocks(page: str) -> list[tuple[str, str, str]]:
    """(language, what it needs, text) of each fenced block of a page."""
    text = (CHECKOUT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^```(python|bash) ?([a-z0-9]*)\n(.*?)^```$", text, re.S | re.M)


def commands(text: str) -> list[list[str]]:
    """Command lines of a block, comments left out, `./reproduce.sh` as the command that it calls."""
    lines = [shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines()]
    return [_plain(line) for line in lines if line]


def _plain(line: list[str]) -> list[str]:
    if line[0] != "./reproduce.sh":
        return line
    return ["alad", "reproduce", *line[1:]] if line[1] != "tables" else ["alad", *line[1:]]


def run(line: list[str], folder: Path) -> str:
    """Standard output of a command in a folder."""
    assert line[0] == "alad", line
    arguments = [*line[1:], *SHORTER.get(line[1], [])]
    if line[1] in ("reproduce", "table", "tables"):
        arguments += ["--out", str(folder / "results")]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "alad_tf", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, (line, done.stderr)
    assert "Traceback" not in done.stderr and "alad: error" not in done.stderr
    return done.stdout


def run_page(page: str, needs: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Run the blocks of a page that need nothing, or this; standard output by command."""
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    outputs = {}
    for language, needed, text in blocks(page):
        if needed != needs:
            continue
        if language == "python":
            exec(compile(text, page, "exec"), names)
            continue
        for line in commands(text):
            if line[0] not in OUTSIDE and tuple(line[1:3]) not in NOT_RUN:
                outputs[" ".join(line)] = run(line, folder)
    return outputs


def test_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHORTER, "fit", ["--epochs", "20"])
    fit, score, inspect = run_page("own-data.md", "", tmp_path, monkeypatch).values()
    auroc = re.search(r"AUROC ([\d.]+)", fit)
    assert auroc and float(auroc[1]) > 0.9
    assert "391 rows" in score and "numeric        30" in inspect
    columns = list(pd.read_csv("scored.csv").columns)
    assert columns[5:] == [f"{name}_{k}" for k in (1, 2, 3) for name in ("feature", "share")]


@pytest.mark.skipif(not (data.data_directory() / KDD99).is_file(), reason=f"{KDD99} not in {data.data_directory()}")
def test_own_data_on_kdd99(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the first rows only."""
    monkeypatch.setattr(pd, "read_csv", functools.partial(pd.read_csv, nrows=20_000))
    fit, score = run_page("own-data.md", "kdd99", tmp_path, monkeypatch).values()
    assert "AUROC" in fit and "AUROC" in score
    assert len(pd.read_parquet("scored.parquet")) == 10_000


def test_tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = run_page("tune.md", "", tmp_path, monkeypatch)
    assert "'score'" in capsys.readouterr().out
    assert [line.split()[1] for line in outputs] == ["show", "fit", "inspect", "fit", "fit"]
    show, _, inspect, by_l2, _ = outputs.values()
    assert "Table XI for 30 features" in show and "AUROC" in by_l2
    assert re.search(r"epochs +2\n", inspect)
    assert list(Path("logs").iterdir())


def test_reproduce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = run_page("reproduce.md", "", tmp_path, monkeypatch)
    assert "Table XI" in outputs["alad show kdd99"]
    assert "Table V" in outputs["alad table 5"]
    assert "Table VIII" in outputs["alad tables"] and outputs["alad table 2 --format csv"].startswith("data_set,model")
    assert (tmp_path / "results" / "toy").is_dir() and (tmp_path / "results" / "tables" / "table5.csv").is_file()


def test_every_command_parses() -> None:
    """Also those that the tests above leave out, and those of the README."""
    from alad_tf import __main__ as command_line

    count = 0
    pages = [*(CHECKOUT / "docs").glob("*.md"), CHECKOUT / "README.md"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```bash ?[a-z0-9]*\n(.*?)^```$", text, re.S | re.M):
            for line in commands(block):
                if line[0] == "alad" and "[" not in "".join(line) and line[:3] != ["alad", "reproduce", "test"]:
                    command_line._parser().parse_args(line[1:])
                    count += 1
    assert count > 10


def test_tables_in_the_readme_are_those_of_the_published_results(tmp_path: Path) -> None:
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    printed = re.findall(r"^```text\n(Table .*?)^```$", text, re.S | re.M)
    assert [block.split()[1] for block in printed] == ["II:", "IV:", "V:", "VII:"]
    for name, block in zip(("2", "4", "5", "7"), printed):
        assert block == report.table(name, tmp_path, published_results()).as_text()
