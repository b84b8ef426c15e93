"""The examples run with fewer epochs and print output as in the documentation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT
from matplotlib import image

pytestmark = pytest.mark.slow


def example(name: str, folder: Path, *arguments: str) -> str:
    """Run an example in a folder and return its standard output."""
    command = [sys.executable, str(CHECKOUT / "examples" / name), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_breast_cancer(tmp_path: Path) -> None:
    heading, seed, mean = example("breast_cancer.py", tmp_path, "--seeds", "1", "--epochs", "20").splitlines()
    assert heading.split()[:2] == ["seed", "ALAD"]
    values = [float(value) for value in seed.split()[1:4]]
    assert all(0.8 < value <= 1.0 for value in values) and seed.split()[1:] == mean.split()[1:]
    assert not list(tmp_path.iterdir())


def test_digits(tmp_path: Path) -> None:
    out = example("digits.py", tmp_path, "--epochs", "30", "--figure", "f.png", "--log-dir", "logs")
    auroc = re.search(r"87 eights to train on, 1710 digits to score: AUROC ([\d.]+)", out)
    assert auroc and float(auroc[1]) > 0.6
    assert image.imread(tmp_path / "f.png").shape[1] > 500
    assert list((tmp_path / "logs").iterdir())
