"""Tests catch mutations of losses.py and scores.py; some run here, all in `python tests/robustness/mutate.py`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import CHECKOUT
from mutate import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.module}: {mutation.what}")
def test_mutation_applies(mutation: Mutation) -> None:
    source = (CHECKOUT / "alad_tf" / f"{mutation.module.replace('.', '/')}.py").read_text(encoding="utf-8")
    assert source.count(mutation.old) == 1
    compile(source.replace(mutation.old, mutation.new), "changed", "exec")


def test_some_mutations_are_caught() -> None:
    command = [sys.executable, str(CHECKOUT / "tests" / "robustness" / "mutate.py"), "--every", "11"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done
    assert done.stdout.splitlines()[-1] == "4 mutations, 4 caught"
