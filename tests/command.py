"""Calls of the command line in the process of the tests."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from alad_tf.cli import main as command_line


@pytest.fixture(autouse=True)
def handler_of_sigterm() -> Iterator[None]:
    """`main` sets one of its own."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def run(*arguments: object) -> int:
    """The exit code of a call; after a fault, `main` has done with standard output."""
    stdout = sys.stdout
    try:
        return command_line.main([str(argument) for argument in arguments])
    finally:
        sys.stdout = stdout


def refused(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a wrong call prints."""
    try:
        code: Any = run(*arguments)
    except SystemExit as end:
        code = end.code
    captured = capfd.readouterr()
    assert code in (1, 2) and captured.out == "", (code, captured)
    lines = [line for line in captured.err.splitlines() if "warning" not in line]
    assert len(lines) == 1 and lines[0].startswith("alad") and ": error: " in lines[0], captured.err
    return lines[0]
