"""Calls of the command line in the process of the tests."""

from __future__ import annotations

import pytest

from alad_tf.cli import main as command_line


def run(*arguments: object) -> int:
    """The exit code of a call."""
    return command_line.main([str(argument) for argument in arguments])


def refused(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a wrong call prints, warnings aside; processes that it starts print nothing else either."""
    code = run(*arguments)
    captured = capfd.readouterr()
    assert code in (1, 2) and captured.out == "", (code, captured)
    lines = [line for line in captured.err.splitlines() if "warning" not in line]
    assert len(lines) == 1 and lines[0].startswith("alad") and ": error: " in lines[0], captured.err
    return lines[0]
