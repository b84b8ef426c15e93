""".ci/current finds a Python for the current stack, or states in one line why its tests are skipped."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT
from machine import Machine, finish

from alad_tf import stack

LEFT_OUT = ".ci/current: the tests on the current stack are left out: "


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    (made.checkout / ".ci").mkdir()
    shutil.copy(CHECKOUT / ".ci/current", made.checkout / ".ci")
    return made


def called(machine: Machine, **environment: str) -> tuple[int, str, str]:
    return finish(machine.launch(machine.checkout / ".ci/current", **environment))


def test_none(machine: Machine) -> None:
    said = f"{LEFT_OUT}ALAD_CURRENT_PYTHON is none.\n"
    assert called(machine, ALAD_CURRENT_PYTHON="none") == (0, "", said)
    assert not list(machine.checkout.glob(".venv*"))


def test_another_python_than_those_of_the_stack(machine: Machine) -> None:
    old = machine.script("python3.8", "exit 1")
    said = f".ci/current: Expected ALAD_CURRENT_PYTHON to be a Python 3.12 or 3.13. Received: {old}.\n"
    assert called(machine, ALAD_CURRENT_PYTHON=str(old)) == (1, "", said)


def test_no_python_can_be_had(machine: Machine) -> None:
    (machine.bin / "python3").unlink()
    code, output, errors = called(machine)
    assert (code, output) == (0, "")
    assert errors.startswith(f"{LEFT_OUT}Expected uv to find or download a Python 3.12 or 3.13. Received: ")


def test_an_installation_that_fails_is_no_reason_to_leave_them_out(machine: Machine) -> None:
    chosen = machine.script("python", "[ $1 != --version ] && exit 0")  # says that it is one, and is none
    code, output, errors = called(machine, ALAD_CURRENT_PYTHON=str(chosen))
    assert (code, output) == (1, "") and "Expected ALAD_PYTHON to be a Python 3.12 or 3.13" in errors


@pytest.mark.skipif(stack.name() == "paper", reason="needs a Python 3.12 or 3.13")
def test_pythons_of_pyenv_are_found_without_the_path(machine: Machine) -> None:
    (machine.bin / "python3").unlink()
    version = machine.folder / "pyenv/versions" / ".".join(map(str, sys.version_info[:3]))
    (version / "bin").mkdir(parents=True)
    (version / "bin/python").symlink_to(Path(sys.executable).resolve())
    code, output, errors = called(machine, PYENV_ROOT=str(machine.folder / "pyenv"))
    assert code == 0, errors
    assert "<tests/last_release>" in output and (machine.checkout / ".venv-current").exists()
