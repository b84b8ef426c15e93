"""Public names of `import alad_tf`, and its effects on the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT

import alad_tf
from alad_tf import _tensorflow_log, stack

LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if name != LEVEL}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        env={**variables, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_public_names() -> None:
    assert set(alad_tf.__all__) == {"ALAD", "BatchScorer", "load_networks", "__version__"} <= set(dir(alad_tf))
    for name in alad_tf.__all__:
        assert getattr(alad_tf, name) is not None
    with pytest.raises(AttributeError, match="module 'alad_tf' has no attribute 'nothing'"):
        _ = alad_tf.nothing


def test_names_are_listed_before_they_are_imported() -> None:
    done = python("import alad_tf, sys; print('ALAD' in dir(alad_tf), 'numpy' in sys.modules)")
    assert done.stdout == "True False\n"


def test_types_are_marked() -> None:
    assert (CHECKOUT / "alad_tf" / "py.typed").is_file()


@pytest.mark.parametrize(
    ("code", "given", "expected"),
    [
        ("import alad_tf", {}, "3"),
        ("import alad_tf", {LEVEL: "1"}, "1"),
        ("import sys, types; sys.modules['tensorflow'] = types.ModuleType('tensorflow'); import alad_tf", {}, "None"),
    ],
)
def test_level_of_the_log_is_set_where_the_user_has_set_none(code: str, given: dict[str, str], expected: str) -> None:
    assert python(f"{code}; import os; print(os.environ.get({LEVEL!r}))", **given).stdout == f"{expected}\n"


def test_importing_prints_nothing() -> None:
    done = python("from alad_tf import *; ALAD, BatchScorer, load_networks")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(stack.name() == "current", reason="lines of its import are held back until its end")
def test_reason_of_an_abort_at_import_is_shown(tmp_path: Path) -> None:
    """As on a processor that TensorFlow does not support."""
    (tmp_path / "tensorflow.py").write_text("import os; os.write(2, b'needs AVX\\n'); os.abort()")
    done = python("import alad_tf, tensorflow", PYTHONPATH=str(tmp_path))
    assert done.returncode < 0 and done.stderr.startswith("needs AVX\n")


def test_python_without_docstrings() -> None:
    done = python("import alad_tf.estimator.alad", PYTHONOPTIMIZE="2")
    if "ImportError" in done.stderr:  # TensorFlow 2.15 reads docstrings at import
        assert done.stderr.splitlines()[-1].startswith("ImportError: Python without docstrings (-OO, PYTHONOPTIMIZE=2)")
    else:
        assert done.returncode == 0


def test_errors_of_an_import_are_not_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    lines = b"I0000 00:00:1.2 3 port.cc:153] oneDNN is on\nE0000 00:00:1.2 3 dso.cc:1] no such library\nTraceback\n"
    with pytest.raises(ImportError), _tensorflow_log.without_lines(_tensorflow_log.INFORMATION):
        os.write(2, lines)
        raise ImportError
    assert capfd.readouterr().err == "E0000 00:00:1.2 3 dso.cc:1] no such library\nTraceback\n"


def test_no_line_is_left_out_at_level_0(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEVEL, _tensorflow_log.EVERYTHING)
    with _tensorflow_log.without_lines(b""):
        os.write(2, b"a line\n")
    assert capfd.readouterr().err == "a line\n"


def test_everything_is_logged_where_it_is_asked_for() -> None:
    code = "import sys, alad_tf; print([type(finder).__name__ for finder in sys.meta_path].count('_QuietImport'))"
    assert [python(code, **given).stdout for given in ({}, {LEVEL: "1"}, {LEVEL: "0"})] == ["1\n", "1\n", "0\n"]
