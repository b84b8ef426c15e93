"""A separate process that does runs one after another."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Callable, NamedTuple, Union

from alad_tf import _tensorflow_log
from alad_tf.errors import AladError, Stopped
from alad_tf.experiments import workers
from alad_tf.experiments.baseline_settings import AnySettings
from alad_tf.experiments.progress import Progress
from alad_tf.experiments.protocol import PROTOCOLS

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
GPU_GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH"  # of TensorFlow: take memory when it is needed, not all at the start
LEFT_TO_PARENT = {signal.SIGINT, signal.SIGHUP}  # a terminal also sends them to runs; the parent stops its runs itself
STOPPED = 75  # exit code of a run that was stopped and saved a checkpoint: EX_TEMPFAIL of sysexits.h


class WarningMessage(NamedTuple):
    """A warning from a run that continues."""

    text: str


class Complete(NamedTuple):
    """The run of a process is complete, and the process waits for the next one."""


Message = Union[Progress, WarningMessage, Complete, str]  # a str: why the run ended early


class RunProcess:
    """A process that does runs, so that TensorFlow is imported and a training step is traced and compiled only once.

    It ends when a run fails. Each process has a pipe of its own, so that a killed one does not block others.
    """

    def __init__(self, dataset: str, data_dir: Path | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, data_dir, os.getcwd()), daemon=True)
        threads = dict.fromkeys(THREAD_VARIABLES, str(PROTOCOLS[dataset].threads))
        memory = {GPU_GROWTH: os.environ.get(GPU_GROWTH, "true")}  # several processes may share a GPU
        log = {_tensorflow_log.VARIABLE: _tensorflow_log.CHOSEN or _tensorflow_log.EVERYTHING}
        with _no_modules_of_current_folder():
            resource_tracker.ensure_running()  # else the first process starts it, which unblocks SIGINT again
            signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_PARENT)  # inherited by the process
            try:
                with environment({**threads, **memory, **log}):
                    self.process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, LEFT_TO_PARENT)
        theirs.close()

    def begin(self, name: str, settings: AnySettings, seed: int, run_dir: Path) -> None:
        """Begin a run; the one before it must be complete."""
        with suppress(ConnectionError):  # killed meanwhile, which its exit code tells
            self.pipe.send((name, settings, seed, run_dir))

    def messages(self) -> Iterator[Message]:
        """Messages of the run since the last call: progress, warnings, its end, or the reason why it ended early."""
        try:
            while self.pipe.poll():
                yield self.pipe.recv()
        except (EOFError, OSError):  # the process has ended
            return

    def end(self) -> None:
        """End the process, which is not doing a run."""
        self.pipe.close()
        self.process.join()


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serve(pipe: Connection, data_dir: Path | None, folder: str) -> None:
    """Main function of a process: do the runs that are received until the other end of the pipe is closed.

    Relative paths are below `folder`.
    """
    os.chdir(folder)
    with suppress(EOFError, ConnectionError):
        while True:
            name, settings, seed, run_dir = pipe.recv()
            multiprocessing.current_process().name = name
            _work(settings, seed, run_dir, data_dir, pipe)
            pipe.send(Complete())


def _work(settings: AnySettings, seed: int, run_dir: Path, data_dir: Path | None, pipe: Connection) -> None:
    """Do a run; if it fails, send the reason in one line and exit. Output of libraries goes to log.txt.

    SIGTERM ends the process at once before the first report of a run, when there is nothing to save, and later after a
    chunk of steps.
    """
    asked: list[int] = []

    def say(message: Message) -> None:
        with suppress(ConnectionError):  # the parent has ended, which `stopping` notices too
            pipe.send(message)

    def report(progress: Progress) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
        say(progress)

    def stopping() -> bool:
        parent = multiprocessing.parent_process()
        return bool(asked) or parent is None or not parent.is_alive()

    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        with open(workers.this(settings.strategy).log(run_dir), "ab", opener=_opened_here) as log:
            os.dup2(log.fileno(), sys.stderr.fileno())
        from alad_tf.experiments import run as experiment

        with _warnings_handed_to(say):
            experiment.run(settings, seed, run_dir, data_dir=data_dir, report=report, stopping=stopping)
    except (AladError, OSError, MemoryError) as error:
        say(str(error) or type(error).__name__)
        sys.exit(STOPPED if isinstance(error, Stopped) else 1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if asked:  # too late for this run, but there must be no other
        sys.exit()


def _opened_here(path: str, flags: int) -> int:
    """Open a log in the run's folder; refuse links, and pipes, which would block."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


class _Warnings(logging.Handler):
    """Log handler that passes each warning to a function."""

    def __init__(self, say: Callable[[WarningMessage], None]) -> None:
        super().__init__(logging.WARNING)
        self.say = say

    def emit(self, record: logging.LogRecord) -> None:
        self.say(WarningMessage(record.getMessage()))


@contextmanager
def _warnings_handed_to(say: Callable[[WarningMessage], None]) -> Iterator[None]:
    """Pass the package's warnings to a function, and to no other handler."""
    logger = logging.getLogger("alad_tf")
    handlers, propagate = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [_Warnings(say)], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagate


@contextmanager
def _no_modules_of_current_folder() -> Iterator[None]:
    """Keep Python processes started meanwhile from importing modules of the current folder, which `python -c` does.

    Python has a flag and an environment variable for this from 3.11 on. Earlier ones start in the standard library.
    """
    here = os.open(".", os.O_RDONLY)
    try:
        with environment({"PYTHONSAFEPATH": "1"}):
            if not hasattr(sys.flags, "safe_path"):
                os.chdir(os.path.dirname(os.__file__))
            yield
    finally:
        os.fchdir(here)
        os.close(here)


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables temporarily, for processes started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
