"""Tests in forked processes: reports as in pytest, a crash fails one test, grown processes are replaced."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from stopped_runs import obey_control_c

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")

TESTS = Path(__file__).parent
FILES = {
    "conftest.py": """
import forked_files

def pytest_configure(config):
    if hasattr(config, "workerinput"):
        forked_files.GROWTH = -1
        config.pluginmanager.register(forked_files.ForkedFiles())
""",
    "shared.py": "left = []",
    "measured.py": "def once():\n    return 1\n\ndef never():\n    return 2\n",
    "test_a.py": """
import logging, os, signal, tempfile, warnings
import pytest, shared
from hypothesis import given, strategies

def test_leaves_something():
    shared.left.append(os.getpid())
    tempfile.NamedTemporaryFile(prefix="left-", delete=False)

def test_finds_it_in_its_own_file():
    assert shared.left == [os.getpid()]

def test_dies():
    print("last words")
    os.kill(os.getpid(), signal.SIGSEGV)

def test_goes_on_in_a_fresh_process():
    assert shared.left == []

def test_warns():
    warnings.warn("of this")

@pytest.mark.filterwarnings("ignore:of this")
def test_warns_as_it_may(tmp_path, caplog, capfd, record_property):
    warnings.warn("of this")
    (tmp_path / "file").touch()
    logging.getLogger("a").warning("logged")
    os.system("echo printed")
    assert caplog.messages == ["logged"] and capfd.readouterr().out == "printed\\n"
    record_property("key", "value")

@given(strategies.integers())
def test_of_hypothesis(n):
    assert n < 100
""",
    "test_b.py": """
import measured, pytest, shared

@pytest.fixture(scope="session")
def torn_down(tmp_path_factory):
    yield tmp_path_factory.mktemp("b")
    raise RuntimeError("torn down")

def test_finds_nothing(torn_down):
    assert not shared.left and measured.once()
    print("said in the child")
    assert shared.left, "wrong"

@pytest.mark.parametrize("n", [1, 2])
def test_parts(n):
    if n == 2:
        pytest.skip("why not")
""",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forked")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "temporary").mkdir()
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    return folder


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(TESTS), str(folder)])
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-n", "1", "--dist", "loadfile", "-v", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": "", "TMPDIR": str(folder / "temporary")},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=obey_control_c,
    )


def run(folder: Path, *options: str) -> tuple[int, str]:
    process = start(folder, *options)
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


def outcomes(folder: Path) -> dict[str, str]:
    """Outcome of each test, by the JUnit report of the last run."""
    root = ElementTree.parse(folder / "report.xml")
    return {
        case.attrib["name"]: next((child.tag for child in case if child.tag != "properties"), "passed")
        for case in root.iter("testcase")
    }


def test_reports_are_those_of_pytest(folder: Path) -> None:
    options = ["--junitxml=report.xml", "--cov=measured", "--cov-report=term", "--color=no"]
    code, output = run(folder, *options)
    forked = outcomes(folder)
    assert code == 1 and "4 failed, 5 passed, 1 skipped, 1 error" in output.splitlines()[-1], output
    assert {name for name, outcome in forked.items() if outcome != "passed"} == {
        "test_dies",
        "test_warns",
        "test_of_hypothesis",
        "test_finds_nothing",
        "test_parts[2]",
    }
    assert "test_dies: the process of this test ended by SIGSEGV" in output and "last words" in output
    assert "said in the child" in output and "AssertionError: wrong" in output and "torn down" in output
    assert "UserWarning: of this" in output and "Falsifying example" in output
    assert re.search(r"measured.py +4 +1 +75%", output)
    assert '<property name="key" value="value"' in (folder / "report.xml").read_text()
    assert not [path for path in (folder / "temporary").rglob("*") if path.name.startswith(("left-", "alad-tests-"))]


def test_first_failure_ends_the_run_and_the_last_ones_are_run_again(folder: Path) -> None:
    code, output = run(folder, "-x", "test_b.py", "--color=no")
    assert code != 0 and "1 failed" in output.splitlines()[-1] and "passed" not in output.splitlines()[-1], output
    code, output = run(folder, "--lf", "--color=no", "test_b.py")
    assert code == 1 and "1 failed" in output.splitlines()[-1] and "test_parts[1]" not in output, output


def test_control_c(folder: Path, tmp_path: Path) -> None:
    """Ctrl-C as from a terminal, to all processes."""
    started = tmp_path / "started"
    (folder / "test_waits.py").write_text(
        "import os, pathlib, time\n\ndef test_waits():\n"
        f"    pathlib.Path({str(started)!r}).write_text(str(os.getpid()))\n    time.sleep(600)\n"
    )
    process = start(folder, "test_waits.py")
    deadline = time.monotonic() + 120
    while not started.exists() or not started.read_text():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2 and "KeyboardInterrupt" in output, output
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
