"""Several runs in parallel, in processes that each do one run after another; complete runs are not repeated."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

from alad_tf.data import loading
from alad_tf.errors import AladError, SettingsError
from alad_tf.experiments import earlier, remains, workers
from alad_tf.experiments.baseline_settings import AnySettings
from alad_tf.experiments.cost import Forecast
from alad_tf.experiments.process import Complete, RunProcess, WarningMessage
from alad_tf.experiments.progress import Progress, ProgressBoard
from alad_tf.experiments.settings import is_complete

GRACE_SECONDS = 30.0  # for an interrupted run to finish its chunk of steps and write a checkpoint


class Budget(NamedTuple):
    """A deadline and the estimated time of one run."""

    deadline: float  # of `time.monotonic`
    seconds: float

    def fits(self) -> bool:
        """Whether a run started now would end before the deadline."""
        return time.monotonic() + self.seconds <= self.deadline

    def is_spent(self) -> bool:
        """Whether the deadline has passed."""
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
    """Do all runs that are not complete, `jobs` in parallel. With several workers, each of them calls this function.

    Args:
        settings: settings of all runs.
        seeds: one run for each seed.
        out: results folder; runs are in `settings.folder(out, seed)`.
        jobs: parallel processes.
        data_dir: folder with the raw data.
        classes: for images, the normal classes; one run for each class and seed. None: the class in the settings.
        budget: runs that do not fit into it are not started, and those in progress at its end are stopped as by an
            interrupt. None: no limit.

    Raises:
        AladError: the data are not available, or a folder holds a run with other settings: nothing is run. Or some runs
            failed: the others were still done, and the message lists the failures. With several workers, the remaining
            runs are skipped after a failure.
        KeyboardInterrupt: after the processes have saved checkpoints and ended; a second interrupt kills them.
    """
    worker, tasks = workers.this(settings.strategy), _tasks(settings, seeds, classes)
    if worker.together > 1 and jobs > 1:
        raise SettingsError(f"Expected one run at a time with strategy {settings.strategy!r}. Received: --jobs {jobs}.")
    loading.prepare(settings.dataset, data_dir=data_dir, scaling=settings.scaling, training_half=settings.training_half)
    folders = {name: task.settings.folder(out, task.seed) for name, task in tasks.items()}
    for name, task in tasks.items() if worker.chief else ():
        if worker.together == 1:  # other workers would not notice that a folder has moved
            earlier.move_departures(task.settings, task.seed, out)
        task.settings.claim(folders[name], task.seed)
    waiting = [name for name in tasks if not is_complete(folders[name], settings.files)]
    for name in set(tasks) - set(waiting) if worker.chief else ():
        remains.remove(folders[name])
    board = ProgressBoard(settings, done=[name for name in tasks if name not in waiting], to_do=waiting)
    forecast = Forecast(settings, waiting, jobs, board.say if budget is None else _unsaid)
    forecast.begin(out)
    if worker.together > 1 and waiting:
        board.say(f"{board.title}: this is {worker.name} of {worker.together} processes, which wait for each other")
    runs = _Runs(tasks, folders, waiting, board, forecast, worker, data_dir)
    try:
        while runs.waiting or runs.running:
            if budget is not None and not budget.fits():
                runs.waiting.clear()
            if budget is not None and budget.is_spent():
                break
            runs.start(jobs)
            runs.listen(seconds=0.2)
    finally:
        board.close()
        runs.stop()
    if runs.failures:
        raise AladError("; ".join(f"{name}: {runs.failures[name]}" for name in tasks if name in runs.failures))


class _Runs:
    """The runs of one call: waiting, in progress and failed."""

    def __init__(
        self,
        tasks: Mapping[str, _Task],
        folders: Mapping[str, Path],
        waiting: list[str],
        board: ProgressBoard,
        forecast: Forecast,
        worker: workers.Worker,
        data_dir: Path | None,
    ) -> None:
        self.tasks, self.folders, self.waiting = tasks, folders, waiting
        self.board, self.forecast, self.worker, self.data_dir = board, forecast, worker, data_dir
        self.running: dict[str, RunProcess] = {}
        self.idle: list[RunProcess] = []  # between two runs
        self.reused = all(task.settings.strategy is None for task in tasks.values())  # devices are set up only once
        self.failures: dict[str, str] = {}

    def start(self, jobs: int) -> None:
        """Start waiting runs while fewer than `jobs` are in progress."""
        while self.waiting and len(self.running) < jobs:
            name = self.waiting.pop(0)
            task = self.tasks[name]
            self.forecast.started(name)
            run = self.idle.pop() if self.idle else RunProcess(task.settings.dataset, self.data_dir)
            run.begin(name, *task, self.folders[name])
            self.running[name] = run

    def listen(self, seconds: float) -> None:
        """Wait at most so many seconds for a process to end, then show all reports."""
        wait([run.process.sentinel for run in self.running.values()], timeout=seconds)
        for name, run in list(self.running.items()):
            ended, complete = not run.process.is_alive(), False
            for message in run.messages():
                if isinstance(message, Progress):
                    self.board.show(name, message)
                    self.forecast.reported(name, message)
                elif isinstance(message, WarningMessage):
                    self.board.say(f"{self.board.title} {name}: warning: {message.text}")
                elif isinstance(message, Complete):
                    complete = True
                else:
                    self.failures[name] = message
            if complete or ended:
                self._end(name, 0 if complete else run.process.exitcode)
            if complete and not ended:
                self.idle.append(run)
        while self.idle and (not self.waiting or not self.reused):
            self.idle.pop().end()

    def _end(self, name: str, code: int | None) -> None:
        del self.running[name]
        if code != 0:
            log = self.worker.log(self.folders[name])
            self.failures.setdefault(name, f"its process ended with exit code {code}, see {log}")
            if self.worker.together > 1:
                self.waiting.clear()
        self.board.end(name, self.failures.get(name))
        self.forecast.ended(name)

    def stop(self) -> None:
        """Ask the processes to save and end; kill the rest after `GRACE_SECONDS` or on a second interrupt."""
        deadline, processes = time.monotonic() + GRACE_SECONDS, [*self.running.values(), *self.idle]
        try:
            for run in processes:
                run.process.terminate()
            for name, run in self.running.items():
                run.process.join(max(0.0, deadline - time.monotonic()))
                for message in run.messages():
                    if isinstance(message, str):
                        self.board.end(name, message)
        finally:
            for run in processes:
                run.process.kill()
            for run in processes:
                run.process.join()


def _unsaid(line: str) -> None:
    """Print no estimate: with a budget, the plan has already printed one."""


class _Task(NamedTuple):
    """Settings and seed of one run."""

    settings: AnySettings
    seed: int


def _tasks(settings: AnySettings, seeds: Sequence[int], classes: Sequence[int] | None) -> dict[str, _Task]:
    """The runs by their names in progress lines: "seed 0", for images "class 3 seed 0"."""
    if settings.normal_class is None:
        return {f"seed {seed}": _Task(settings, seed) for seed in seeds}
    return {
        f"class {label} seed {seed}": _Task(replace(settings, normal_class=label), seed)
        for seed in seeds
        for label in classes or [settings.normal_class]
    }
