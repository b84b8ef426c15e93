"""Many runs at once: a process for each, watched from here; complete runs are not repeated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

from alad_tf.data import loading
from alad_tf.errors import AladError, SettingsError
from alad_tf.experiments import workers
from alad_tf.experiments.baseline_settings import AnySettings
from alad_tf.experiments.process import Run, WarningMessage
from alad_tf.experiments.progress import Progress, ProgressBoard
from alad_tf.experiments.settings import is_complete

GRACE_SECONDS = 30.0  # that an interrupted run has for its chunk of steps and its checkpoint


class Budget(NamedTuple):
    """Until when runs may go on, and for how long one of them is thought to."""

    deadline: float  # as `time.monotonic` counts
    seconds: float

    def fits(self) -> bool:
        """Whether a run that starts now ends in time."""
        return time.monotonic() + self.seconds <= self.deadline

    def is_spent(self) -> bool:
        """Whether the deadline is over."""
        return time.monotonic() >= self.deadline


def run_all(
    settings: AnySettings,
    seeds: Sequence[int],
    out: Path,
    *,
    jobs: int,
    data_dir: Path | None = None,
    classes: Sequence[int] | None = None,
    budget: Budget | None = None,
) -> None:
    """Make every run that is not complete yet, `jobs` at a time; with several processes all of them call this.

    Args:
        settings: of all runs.
        seeds: one run for each.
        out: results folder; a run lives in `settings.folder(out, seed)`.
        jobs: processes at a time.
        data_dir: where the raw data are.
        classes: images: one run of each seed for each normal class. None: for the one of the settings.
        budget: runs that do not fit it are not started, and those that go on at its end are asked to stop as at an
            interrupt. None: all are made.

    Raises:
        AladError: the data cannot be had, or a folder holds other settings: nothing is run. Or runs failed: the others
            were still made, and the message names each and why.
            With several processes that train as one, the others are left where one fails.
        KeyboardInterrupt: after the processes saved a checkpoint and ended; a second interrupt ends them at once.
    """
    worker, tasks = workers.this(settings.strategy), _tasks(settings, seeds, classes)
    if worker.together > 1 and jobs > 1:
        raise SettingsError(f"Expected one run at a time with strategy {settings.strategy!r}. Received: --jobs {jobs}.")
    loading.prepare(settings.dataset, data_dir=data_dir, scaling=settings.scaling, training_half=settings.training_half)
    folders = {name: task.settings.folder(out, task.seed) for name, task in tasks.items()}
    for name, task in tasks.items() if worker.chief else ():
        task.settings.claim(folders[name], task.seed)
    waiting = [name for name in tasks if not is_complete(folders[name], settings.files)]
    board = ProgressBoard(settings, done=[name for name in tasks if name not in waiting], to_do=waiting)
    if worker.together > 1 and waiting:
        board.say(f"{board.title}: this is {worker.name} of {worker.together} processes, which wait for each other")
    running: dict[str, Run] = {}
    failures: dict[str, str] = {}
    try:
        while waiting or running:
            if budget is not None and not budget.fits():
                waiting.clear()
            if budget is not None and budget.is_spent():
                break
            while waiting and len(running) < jobs:
                name = waiting.pop(0)
                running[name] = Run(name, *tasks[name], folders[name], data_dir)
            wait([run.process.sentinel for run in running.values()], timeout=0.2)
            for name, run in list(running.items()):
                ended = not run.process.is_alive()
                for message in run.messages():
                    if isinstance(message, Progress):
                        board.show(name, message)
                    elif isinstance(message, WarningMessage):
                        board.say(f"{board.title} {name}: warning: {message.text}")
                    else:
                        failures[name] = message
                if ended:
                    del running[name]
                    if run.process.exitcode != 0:
                        log = worker.log(folders[name])
                        failures.setdefault(name, f"its process ended with exit code {run.process.exitcode}, see {log}")
                        if worker.together > 1:
                            waiting.clear()
                    board.end(name, failures.get(name))
    finally:
        board.close()
        _stop(running, board)
    if failures:
        raise AladError("; ".join(f"{name}: {failures[name]}" for name in tasks if name in failures))


def _stop(running: dict[str, Run], board: ProgressBoard) -> None:
    """Ask processes to save and end; what is left after the grace, or at a second interrupt, is killed."""
    deadline = time.monotonic() + GRACE_SECONDS
    try:
        for run in running.values():
            run.process.terminate()
        for name, run in running.items():
            run.process.join(max(0.0, deadline - time.monotonic()))
            for message in run.messages():
                if isinstance(message, str):
                    board.end(name, message)
    finally:
        for run in running.values():
            run.process.kill()
        for run in running.values():
            run.process.join()


class _Task(NamedTuple):
    """What one run makes."""

    settings: AnySettings
    seed: int


def _tasks(settings: AnySettings, seeds: Sequence[int], classes: Sequence[int] | None) -> dict[str, _Task]:
    """The runs by the name that lines of progress have for them: "seed 0", of images "class 3 seed 0"."""
    if settings.normal_class is None:
        return {f"seed {seed}": _Task(settings, seed) for seed in seeds}
    return {
        f"class {label} seed {seed}": _Task(replace(settings, normal_class=label), seed)
        for seed in seeds
        for label in classes or [settings.normal_class]
    }
