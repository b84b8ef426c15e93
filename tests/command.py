"""Calls of the command line in the test process."""

from __future__ import annotations

import pytest

from alad_tf.cli import main as command_line


def run(*arguments: object) -> int:
    """Run a command and return its exit code."""
    return command_line.main([str(argument) for argument in arguments])


def refused(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a wrong call and return its one line, without warnings; child processes must print nothing else."""
    code = run(*arguments)
    captured = capfd.readouterr()
    assert code in (1, 2) and captured.out == "", (code, captured)
    lines = [line for line in captured.err.splitlines() if "warning" not in line]
    assert len(lines) == 1 and lines[0].startswith("alad") and ": error: " in lines[0], captured.err
    return lines[0]
