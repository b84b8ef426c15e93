"""Output of commands has no control characters except line ends, whatever the names contain."""

from __future__ import annotations

from pathlib import Path

import command
import pytest

from alad_tf.cli import terminal
from alad_tf.errors import visible

HOSTILE = "a\x1b[31m\x1b]0;title\x07\r\x9b\u202e\u2028\ud800b"


def test_control_characters_are_written_out() -> None:
    assert visible(HOSTILE) == r"a\x1b[31m\x1b]0;title\x07\r\x9b\u202e\u2028\ud800b"
    assert visible("σ ± µ 北\tA") == "σ ± µ 北\tA"


def test_lines_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say(f"one\n{HOSTILE}")
    terminal.tell(f"one\n{HOSTILE}")
    captured = capsys.readouterr()
    assert captured.out == captured.err == f"one\n{visible(HOSTILE)}\n"


def test_names_of_columns_in_messages(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.csv").write_text("\x1b[31ma,b\n1,2\n", encoding="utf-8")
    line = command.refused(
        capfd, "fit", tmp_path / "rows.csv", "--model", tmp_path / "model", "--drop", "\x1b[2Jc\nalad: error: fake"
    )
    assert "\x1b" not in line and r"\x1b[2Jc" in line and r"\x1b[31ma, b" in line
