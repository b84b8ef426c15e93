"""The command line as a process: streams, signals, log, and effects on a calling process."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import CHECKOUT

from alad_tf.cli import main as command_line
from alad_tf.errors import DataError
from alad_tf.experiments import scheduler
from alad_tf.report import comparison
from alad_tf.tabular import model

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `alad` is the command line."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    line = f'alad() {{ "{sys.executable}" -m alad_tf "$@"; }}; {command}'
    return subprocess.run(
        ["bash", "-c", line],
        cwd=CHECKOUT,
        env={**variables, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


# Streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("arguments", [["show", "kdd99"], ["table", "5"]])
def test_standard_output_that_is_full(arguments: list[str], tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "alad_tf", *arguments],
            cwd=CHECKOUT,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["alad: error: [Errno 28] No space left on device"]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("call", ["table 2", "--help"])
def test_a_reader_that_goes_away_is_no_error(call: str, unbuffered: str) -> None:
    done = shell(f"alad {call} | true; echo ${{PIPESTATUS[0]}}", PYTHONUNBUFFERED=unbuffered)
    assert done.stderr == "" and int(done.stdout) in (0, 141)  # 0: all was written before the reader went away


def test_exit_code_for_a_reader_that_goes_away(tmp_path: Path) -> None:
    """The reader closes the pipe before anything is written."""
    done = shell(f"mkfifo {tmp_path}/pipe; alad table 2 > {tmp_path}/pipe & : < {tmp_path}/pipe; wait $!; echo $?")
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.parametrize("call", ["show kdd99", "table 2", "inspect nowhere"])
def test_standard_output_that_is_closed(call: str) -> None:
    done = shell(f"alad {call} >&-")
    assert done.returncode == 1
    assert done.stderr == "alad: error: Expected an open standard output. Received: a closed one.\n"


def test_standard_error_that_is_closed() -> None:
    done = shell("alad show kdd99 2>&-; alad inspect nowhere 2>&-; echo $?; alad table 99 2>&-; echo $?")
    assert done.stdout.splitlines()[-2:] == ["1", "1"] and done.stderr == ""
    assert done.stdout.startswith("KDD99")


def test_output_that_cannot_hold_the_signs() -> None:
    done = shell("alad table 2", PYTHONIOENCODING="ascii")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("alad: error: Expected an output in UTF-8. Received: 'ascii' codec")


# Noise ------------------------------------------------------------------------------------------------------------

VERBS = """
import sys
from alad_tf.cli import main
calls = [
    ["--version"], ["show", "kdd99"], ["table", "2"],
    ["fit", "rows.csv", "--model", "model", "--epochs", "1", "--seed", "0"],
    ["score", "rows.csv", "--model", "model", "--output", "scored.csv", "--explain", "1"],
    ["inspect", "model"], ["export", "model", "served"],
    ["reproduce", "toy", "--runs", "1", "--epochs", "1", "--out", "results"],
]
for call in calls:
    print("#", *call, file=sys.stderr, flush=True)
    assert main.main(call) == 0, call
"""
IMPORTS = "import alad_tf, numpy; alad_tf.ALAD(epochs=1, verbose=0).fit(numpy.eye(20)); alad_tf.BatchScorer"
OURS = re.compile(r"# |alad: warning: |seed 0: |.* rows|Wrote |.*epoch")


def test_no_command_and_no_import_prints_noise_of_libraries(tmp_path: Path) -> None:
    """One process runs all verbs, another imports the package and its estimator; both import TensorFlow."""
    random = np.random.default_rng(0)
    pd.DataFrame(random.normal(size=(300, 3)), columns=list("abc")).to_csv(tmp_path / "rows.csv", index=False)
    kept = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    for code in (VERBS, IMPORTS):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**kept, "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
        )
        lines = done.stderr.splitlines()
        assert done.returncode == 0 and [line for line in lines if not OURS.match(line)] == [], done.stderr
        assert lines.count("# export model served") == (code is VERBS)


# The process that calls -------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def heard_signals() -> Iterator[None]:
    """Let SIGHUP and SIGINT be heard: `nohup`, and `&` in a script, make the tests ignore them."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL), signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in zip((signal.SIGHUP, signal.SIGINT), before):
        signal.signal(number, handler)


@pytest.fixture
def no_runs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record the signal handlers during `alad reproduce`, which is replaced by a failure."""
    seen: list[Any] = []

    def run_all(*_: object, **__: object) -> None:
        seen.extend(signal.getsignal(number) for number in SIGNALS)
        raise DataError("no data")

    monkeypatch.setattr(scheduler, "run_all", run_all)
    return seen


def test_the_calling_process_stays_as_it_was(no_runs: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    def state() -> tuple[object, ...]:
        logger = logging.getLogger("alad_tf")
        handlers = [signal.getsignal(number) for number in SIGNALS]
        return sys.stdout, sys.stderr, handlers, logger.handlers[:], logger.level, logger.propagate, dict(os.environ)

    before = state()
    for _ in range(2):
        assert command_line.main(["reproduce", "toy"]) == 1
        assert command_line.main(["show", "kdd99"]) == 0
        assert command_line.main(["show", "mnist"]) == 2
        assert command_line.main(["--help"]) == 0
    assert state() == before
    assert no_runs == [signal.default_int_handler] * 6
    assert capsys.readouterr().err.count("alad: error: no data\n") == 2


def test_a_signal_that_is_ignored_stays_so(no_runs: list[Any]) -> None:
    """`nohup alad ...` continues when the terminal closes."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert command_line.main(["reproduce", "toy"]) == 1
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN == no_runs[1]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_may_call(no_runs: list[Any]) -> None:
    codes = []
    thread = threading.Thread(target=lambda: codes.append(command_line.main(["reproduce", "toy"])))
    thread.start()
    thread.join()
    assert codes == [1]


def test_interrupted_inspect(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(model, "inspect_model", lambda _: os.kill(os.getpid(), signal.SIGINT))
    assert command_line.main(["inspect", "model"]) == 130
    assert capsys.readouterr() == ("", "alad: interrupted; nothing has changed\n")


@pytest.mark.parametrize("number", SIGNALS)
def test_signals(number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(comparison, "table", lambda *_: os.kill(os.getpid(), number))
    assert command_line.main(["table", "2"]) == 130
    assert capsys.readouterr() == ("", "alad: interrupted; nothing has changed\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError(), "Expected enough memory for this command. Received: MemoryError."),
        (ImportError("no lib.so"), "Expected the libraries of this command. Received: ImportError: no lib.so."),
        (OSError(28, "No space left"), "[Errno 28] No space left"),
        (DataError("two\nlines"), "two lines"),
    ],
)
def test_errors_in_one_line(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(comparison, "table", fail)
    assert command_line.main(["table", "2"]) == 1
    assert capsys.readouterr() == ("", f"alad: error: {line}\n")


def test_what_is_logged(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings are one line with a prefix, information has no prefix; both go to standard error."""

    def table(*_: object) -> None:
        logger = logging.getLogger("alad_tf.somewhere")
        logger.debug("not shown")
        logger.info("%d of %d", 1, 2)
        logger.warning("a name with\na line break")
        raise DataError("the end")

    monkeypatch.setattr(comparison, "table", table)
    assert command_line.main(["table", "2"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["1 of 2", "alad: warning: a name with a line break", "alad: error: the end"]
