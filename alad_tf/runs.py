"""Many runs at once: a process for each, watched from here; complete runs are not repeated."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from alad_tf import data, files, workers
from alad_tf.baselines.settings import AnySettings
from alad_tf.errors import AladError, SettingsError, Stopped
from alad_tf.settings import PROTOCOLS, SCORES, Progress, Settings, is_complete, published_results

LOSS_NAMES = {"loss": "loss", "loss_d": "D", "loss_ge": "G/E", "loss_g": "G"}  # in lines of progress
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
GRACE_SECONDS = 30.0  # that an interrupted run has for its chunk of steps and its checkpoint
STOPPED = 75  # exit code of a run that was asked to stop and is in its checkpoint: EX_TEMPFAIL of sysexits.h
FIRST_REPORT_SECONDS = 15.0  # of training, before the first line of a run where no progress bar can be drawn
PLAIN_REPORT_SECONDS = 60.0  # between two of them


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
    data.prepare(settings.dataset, data_dir=data_dir, scaling=settings.scaling, training_half=settings.training_half)
    folders = {name: task.settings.folder(out, task.seed) for name, task in tasks.items()}
    for name, task in tasks.items() if worker.chief else ():
        task.settings.claim(folders[name], task.seed)
    waiting = [name for name in tasks if not is_complete(folders[name], settings.files)]
    board = _Board(settings, done=[name for name in tasks if name not in waiting], to_do=waiting)
    if worker.together > 1 and waiting:
        board.say(f"{board.title}: this is {worker.name} of {worker.together} processes, which wait for each other")
    running: dict[str, _Run] = {}
    failures: dict[str, str] = {}
    try:
        while waiting or running:
            if budget is not None and not budget.fits():
                waiting.clear()
            if budget is not None and budget.is_spent():
                break
            while waiting and len(running) < jobs:
                name = waiting.pop(0)
                running[name] = _Run(name, *tasks[name], folders[name], data_dir)
            wait([run.process.sentinel for run in running.values()], timeout=0.2)
            for name, run in list(running.items()):
                ended = not run.process.is_alive()
                for message in run.messages():
                    if isinstance(message, Progress):
                        board.show(name, message)
                    elif isinstance(message, _Warning):
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


def sum_up(settings: AnySettings, out: Path) -> str:
    """Write summary.json and the figures of a method's complete runs; return the tables beside the paper's, as text.

    Raises:
        AladError: a result is damaged, or the results belong to runs that cannot be summed up together.
    """
    from alad_tf import report

    dataset, method = settings.dataset, settings.method
    folder = out / dataset / method
    results = report.load_results(out, dataset, method)
    summary = report.summarise(results)
    files.write_json(folder / "summary.json", summary)
    tables = [report.comparison(out, dataset, [method], scores=settings.scores, published=published_results())]
    figures: list[Path] = []
    if isinstance(settings, Settings):
        beside = [method, *(name for name in PROTOCOLS[dataset].beside if name != method)]
        tables.insert(0, report.comparison(out, dataset, beside, published=published_results()))
        figures = _figures(settings, results, summary, out)
    return "\n".join([table.as_text() for table in tables] + [f"Figures: {folder / 'figures'}"] * bool(figures))


def _figures(settings: Settings, results: list[dict[str, Any]], summary: dict[str, Any], out: Path) -> list[Path]:
    """The figures of a method's runs, and of images those of the classes."""
    from alad_tf import paper, plots

    dataset, method, metric = settings.dataset, settings.method, PROTOCOLS[settings.dataset].metric
    folder = out / dataset / method / "figures"
    printed = paper.printed(dataset, method).get(metric)
    figures = plots.save_run_figures(
        [
            replace(settings, normal_class=result["settings"].get("normal_class")).folder(out, result["seed"])
            for result in results
        ],
        folder,
        f"{dataset} {method}",
        paper_mean=printed.mean if printed else None,
        metric=metric,
    )
    return figures + (_class_figures(summary, out, folder) if "tasks" in summary else [])


def _class_figures(summary: dict[str, Any], out: Path, folder: Path) -> list[Path]:
    """Figures 3 and 4 (classes), 7 and 8 (ablation), 9 and 10 (scores), from the runs that there are."""
    from alad_tf import paper, plots, report

    dataset, method = summary["dataset"], summary["method"]
    data = f"{dataset}, {summary['stand_in']}" if "stand_in" in summary else dataset

    def mean(name: str, score: str = "features") -> float | None:
        figure = paper.printed(dataset, name, score).get("auroc")
        return figure and figure.mean

    tasks = {method: summary["tasks"]}  # method -> class -> score -> AUROC of each run
    for name in PROTOCOLS[dataset].beside:
        results = [] if name in tasks else report.load_results(out, dataset, name)
        if results:
            tasks[name] = report.summarise(results)["tasks"]

    def bars(name: str, score: str = "features") -> dict[int, list[float]]:
        return {label: aurocs[score] for label, aurocs in tasks[name].items()}

    ablation = {name: bars(name) for name in tasks}
    scores = {score: bars(method, score) for score in SCORES}
    return [
        plots.save_class_bars({method: ablation[method]}, folder / "classes.png", data, {method: mean(method)}),
        plots.save_class_bars(
            ablation, folder / "ablation.png", f"{data}: components", {name: mean(name) for name in ablation}
        ),
        plots.save_class_bars(
            scores, folder / "score_ablation.png", f"{data}, {method}: scores", {s: mean(method, s) for s in scores}
        ),
    ]


def _stop(running: dict[str, _Run], board: _Board) -> None:
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


class _Warning(NamedTuple):
    """What a run goes on in spite of."""

    text: str


class _Run:
    """The process of one run and the pipe that it reports on: its own, so that a killed process holds up no other."""

    def __init__(self, name: str, settings: AnySettings, seed: int, run_dir: Path, data_dir: Path | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.reader, writer = context.Pipe(duplex=False)
        arguments = (settings, seed, run_dir, data_dir, writer)
        self.process = context.Process(target=_work, args=arguments, name=name, daemon=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the process inherits it: its parent ends it
        try:
            with _environment(dict.fromkeys(THREAD_VARIABLES, str(PROTOCOLS[settings.dataset].threads))):
                self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        writer.close()

    def messages(self) -> Iterator[Progress | _Warning | str]:
        """What the run has said since the last call: how far it is, or why it ended early."""
        try:
            while self.reader.poll():
                yield self.reader.recv()
        except (EOFError, OSError):  # the process has ended
            return


def _work(settings: AnySettings, seed: int, run_dir: Path, data_dir: Path | None, writer: Any) -> None:
    """Body of a run's process: ends with exit code 0, or says why not in one line. Libraries talk to log.txt.

    SIGTERM ends it at once until its first report, for there is nothing to save; then at the end of a chunk of steps.
    """
    asked: list[int] = []

    def say(message: Progress | _Warning | str) -> None:
        with suppress(BrokenPipeError):  # nobody listens any more: `stopping` sees that too
            writer.send(message)

    def report(progress: Progress) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
        say(progress)

    def stopping() -> bool:
        parent = multiprocessing.parent_process()
        return bool(asked) or parent is None or not parent.is_alive()

    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        with open(workers.this(settings.strategy).log(run_dir), "ab") as log:
            os.dup2(log.fileno(), sys.stderr.fileno())
        from alad_tf import experiment

        experiment.run(
            settings,
            seed,
            run_dir,
            data_dir=data_dir,
            report=report,
            warn=lambda text: say(_Warning(text)),
            stopping=stopping,
        )
    except (AladError, OSError, MemoryError) as error:
        say(str(error) or type(error).__name__)
        sys.exit(STOPPED if isinstance(error, Stopped) else 1)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
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


class _Board:
    """One line a run: a progress bar on a terminal, else a plain line now and then."""

    def __init__(self, settings: AnySettings, done: list[str], to_do: list[str]) -> None:
        self.title = f"{settings.dataset} {settings.method}"
        self.bars: dict[str, tqdm] = {}
        self.started: dict[str, tuple[float, int]] = {}  # time and step of the first report
        self.printed: dict[str, float] = {}
        self.phases: dict[str, str] = {}
        self.terminal = sys.stderr.isatty()
        if done:
            self.say(f"{self.title}: complete already: {', '.join(done)}")
        if to_do:
            what = "" if settings.table is None else f"{settings.epochs} epochs each of "
            self.say(f"{self.title}: {what}{', '.join(to_do)}")

    def show(self, name: str, progress: Progress) -> None:
        """Bring a run's line up to date."""
        now = time.monotonic()
        quality = "" if progress.quality is None else f", {progress.quality}"
        losses = (f"{LOSS_NAMES[key]} {loss:.3g}" for key, loss in progress.losses.items() if key in LOSS_NAMES)
        text = (progress.phase or ", ".join(losses)) + quality
        if self.phases.setdefault(name, progress.phase) != progress.phase:  # another count begins
            self._forget(name)
            self.phases[name] = progress.phase
        if self.terminal:
            if name not in self.bars:
                self.bars[name] = tqdm(
                    total=progress.steps,
                    initial=progress.step,
                    desc=name,
                    unit="row" if progress.phase else "step",
                    dynamic_ncols=True,
                )
            self.bars[name].set_postfix_str(text, refresh=False)
            self.bars[name].update(progress.step - self.bars[name].n)
            return
        first, first_step = self.started.setdefault(name, (now, progress.step))
        early = name not in self.printed and now - first >= FIRST_REPORT_SECONDS
        if early or now - self.printed.get(name, first) >= PLAIN_REPORT_SECONDS:
            self.printed[name] = now
            left = (now - first) * (progress.steps - progress.step) / max(progress.step - first_step, 1)
            share = progress.step / progress.steps
            self.say(f"{self.title} {name}: {share:.0%}, {text}, about {left / 60:.0f} min left")

    def end(self, name: str, failure: str | None) -> None:
        """Close a run's line."""
        self._forget(name)
        self.say(f"{self.title} {name}: {failure or 'complete'}")

    def _forget(self, name: str) -> None:
        if name in self.bars:
            self.bars.pop(name).close()
        for known in (self.started, self.printed, self.phases):
            known.pop(name, None)

    def close(self) -> None:
        """Close all lines."""
        for bar in self.bars.values():
            bar.close()

    @staticmethod
    def say(line: str) -> None:
        """Print a line above the bars."""
        tqdm.write(line, file=sys.stderr)
