"""The matrix of processors runs existing test files and reports whether each combination passed."""

from __future__ import annotations

from pathlib import Path

import matrix
import pytest


@pytest.mark.parametrize("name", matrix.NUMERIC)
def test_each_file_exists(name: str) -> None:
    assert (matrix.TESTS / name).is_file()


def test_a_failure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With and without the variables of the combination."""
    text = "import os\n\ndef test_it():\n    assert 'ONEDNN_MAX_CPU_ISA' not in os.environ\n"
    (tmp_path / "test_it.py").write_text(text)
    monkeypatch.setattr(matrix, "TESTS", tmp_path)
    monkeypatch.setattr(matrix, "NUMERIC", ["test_it.py"])
    monkeypatch.setattr("sys.argv", ["matrix.py", "--only", "1", "3", "-p", "no:xdist"])
    monkeypatch.setenv("PYTEST_ADDOPTS", f"--rootdir={tmp_path}")
    assert matrix.main() == 1
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][-2:]
    assert "| 1 | as it is, 1 thread | passed | 1 passed" in rows[0]
    assert "| 3 | ONEDNN_MAX_CPU_ISA=AVX2 | FAILED | 1 failed" in rows[1]
