"""Real calls of `alad reproduce toy`, and stopped calls; whole process groups are ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

from conftest import CHECKOUT

from alad_tf.experiments.settings import Settings

TOY = Settings.of_protocol("toy", epochs=1, jit=False)
PATIENCE = 300.0  # seconds until something that must happen has not


def state(run_dir: Path) -> dict[str, tuple[int, int]]:
    """Inode and change time of every file."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in run_dir.iterdir()}


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def group_is_empty(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def reproduce(out: Path, seeds: int, jobs: int) -> list[str]:
    """Arguments of `alad` for runs of `TOY`."""
    counts = ["--epochs", str(TOY.epochs), "--runs", str(seeds), "--jobs", str(jobs)]
    return ["reproduce", "toy", "--no-jit", *counts, "--out", str(out)]


def stopped(arguments: list[str], ready: Callable[[], bool], stop: Callable[[int], None]) -> tuple[int, str]:
    """Call `stop` with the process id once `ready`; return exit code and output at the end."""
    command = [sys.executable, "-m", "alad_tf", *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=CHECKOUT, start_new_session=True, preexec_fn=obey_signals, **pipes)
    try:
        wait_for(lambda: ready() or process.poll() is not None)
        stop(process.pid)
        output, error = process.communicate(timeout=PATIENCE)
        wait_for(lambda: group_is_empty(process.pid))
    finally:
        if not group_is_empty(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
    assert output == ""
    return process.returncode, error


def obey_control_c() -> None:
    """Let this process and its children be interrupted: processes in the background ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def obey_signals() -> None:
    """Let a new process and its children be stopped: those under `nohup` ignore SIGHUP."""
    obey_control_c()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def press_control_c(process: int) -> None:
    os.killpg(process, signal.SIGINT)  # a terminal sends it to the whole group


def terminate(process: int) -> None:
    os.kill(process, signal.SIGTERM)


def close_terminal(process: int) -> None:
    os.killpg(process, signal.SIGHUP)  # the system sends it to the whole group
