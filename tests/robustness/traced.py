"""Run a function in a forked process under strace: list its system calls, or make one fail or kill the process.

The process is forked from one that has imported everything, and strace is attached before the function starts: calls of
the imports are not counted, and a case takes seconds. strace counts the calls of each thread.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, NamedTuple

CALLS = ("rename", "renameat", "renameat2", "fsync", "fdatasync", "unlink", "unlinkat", "rmdir", "write", "close")
ON_DESCRIPTORS = ("fsync", "fdatasync", "write", "close")  # others name a file by its path
CRASH = 70  # exit code of a function that raised
SECONDS = 300.0  # that a process may take
_ENTRY = re.compile(rf"^(\d+) +({'|'.join(CALLS)})\((?:(?:\d+|AT_FDCWD)<([^>]*)>)?(.*)")
_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"')
_RANDOM = re.compile(
    r"((?<=/)(?:\.[^/]+\.alad_tf-|\.step)[a-z0-9_]{8}(?=/|\.[a-z]+$|$))|(tempstate\d+|tmp[0-9a-f]{32})$"
)


class Point(NamedTuple):
    """The n-th call of one kind in a thread, counted from 1."""

    call: str
    number: int


class Called(NamedTuple):
    """A call in a trace: its number among the calls of its name in its thread, from 1, and the file it was made on.

    Of two paths, as those of rename, it is the second. Files whose names differ in their random part are the same.
    """

    name: str
    number: int
    file: str


@dataclass(frozen=True)
class Ended:
    """Outcome of a process: exit code, or negative number of a signal, and output."""

    code: int
    out: str
    err: str


def available() -> bool:
    """Whether strace is installed and may attach to a process."""
    if shutil.which("strace") is None:
        return False
    done = subprocess.run(["strace", "-o", os.devnull, "-e", "trace=none", "true"], capture_output=True)
    return done.returncode == 0


def run(work: Callable[[], int], folder: Path, log: Path, options: list[str] | None = None) -> Ended:
    """Call a function in a separate process, in `folder`.

    Args:
        work: returns the exit code.
        folder: current folder of the process.
        log: prefix of the names of the files for outputs and trace.
        options: of strace; None: without it.
    """
    out, err = log.with_suffix(".out"), log.with_suffix(".err")
    gate, opener = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process == 0:
        os.close(opener)
        _child(work, folder, gate, out, err)
    os.close(gate)
    tracer = None
    try:
        if options is not None:
            command = ["strace", "-f", "-y", "-q", "-s", "500", "-o", str(log.with_suffix(".trace")), *options]
            tracer = subprocess.Popen([*command, "-p", str(process)], stderr=subprocess.DEVNULL)
            _wait_for_tracer(process, tracer)
        os.write(opener, b"1")
        code = _wait(process)
    finally:
        os.close(opener)
        if tracer is not None:
            tracer.wait(timeout=SECONDS)
    return Ended(code, out.read_text(errors="replace"), err.read_text(errors="replace"))


def inject(point: Point, what: str) -> list[str]:
    """Options that kill the process at a call (what: "SIGKILL"), or make the call fail with an error ("EIO")."""
    effect = "signal=SIGKILL" if what == "SIGKILL" else f"error={what}"
    return ["-e", f"trace={point.call}", "-e", f"inject={point.call}:{effect}:when={point.number}"]


def calls(trace: Path, folder: Path) -> list[Called]:
    """All calls of a trace of a process that worked in `folder`, in their order."""
    counts: Counter[tuple[str, str]] = Counter()
    found = []
    for line in trace.read_text(errors="replace").splitlines():
        entry = _ENTRY.match(line)
        if entry:
            thread, name, opened, rest = entry.groups(default="")
            counts[name, thread] += 1
            file = opened if name in ON_DESCRIPTORS else os.path.join(folder, opened, (_PATH.findall(rest) or [""])[-1])
            found.append(Called(name, counts[name, thread], _RANDOM.sub(_masked, file)))
    return found


def _masked(found: re.Match[str]) -> str:
    return found[1][:-8] + "*" if found[1] else "*"


def _child(work: Callable[[], int], folder: Path, gate: int, out: Path, err: Path) -> None:
    code = CRASH
    try:
        os.read(gate, 1)
        os.close(gate)
        for path, descriptor in ((out, 1), (err, 2)):
            target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.dup2(target, descriptor)
            os.close(target)
        os.chdir(folder)
        code = work()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _wait_for_tracer(process: int, tracer: subprocess.Popen[bytes]) -> None:
    """Wait until all threads are traced."""
    threads = Path(f"/proc/{process}/task")
    for _ in range(1000):
        states = [(thread / "status").read_text() for thread in threads.iterdir()]
        if all(not re.search(r"^TracerPid:\s+0$", state, re.M) for state in states):
            return
        if tracer.poll() is not None:
            break
        time.sleep(0.01)
    raise RuntimeError("strace has not attached")


def _wait(process: int) -> int:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    raise TimeoutError(f"the process was still at work after {SECONDS:g} s")
