"""No command writes into a model folder: with a further file in it, the model could not be read any more."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from command import refused
from exported_models import table_folder

ROWS = "a,kind\n" + "".join(f"{k % 7}.5,{'bad' if k % 10 == 0 else 'good'}\n" for k in range(40))
LABELS = ("--label", "kind", "--normal", "good")
COMMANDS = {
    "reproduce": ("reproduce", "toy", "--epochs", "1", "--out", "model"),
    "tables": ("tables", "--out", "model/results"),
    "latency": ("latency", "arrhythmia", "--out", "model"),
    "fit in a model": ("fit", "rows.csv", "--model", "model/other"),
    "logs of fit": ("fit", "rows.csv", "--model", "new", "--epochs", "1", "--log-dir", "model"),
    "logs in the new model": ("fit", "rows.csv", "--model", "new", "--epochs", "1", "--log-dir", "new/logs"),
    "score": ("score", "rows.csv", "--model", "model", "--output", "model/scored.csv"),
    "report": ("report", "model", "--output", "model/report.html"),
    "compare": ("compare", "rows.csv", *LABELS, "--test", "rows.csv", "--output", "model/compared"),
    "export": ("export", "model", "model/served"),
    "serve-config": ("serve-config", "served", "model"),
    "convert": ("convert", "model", "model/scorer.tflite"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_model_folders_are_left_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(table_folder("imputed"), "model")
    Path("rows.csv").write_text(ROWS)
    before = sorted(os.listdir("model"))
    assert "outside" in refused(capfd, *COMMANDS[name])
    assert sorted(os.listdir("model")) == before
    assert not Path("new").exists()
