"""Many runs at once: a process for each, watched from here; complete runs are not repeated."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from alad_tf import data, files
from alad_tf.errors import AladError, Stopped
from alad_tf.settings import PROTOCOLS, SCORES, Progress, Settings, is_complete, published_results

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
GRACE_SECONDS = 30.0  # that an interrupted run has for its chunk of steps and its checkpoint
STOPPED = 75  # exit code of a run that was asked to stop and is in its checkpoint: EX_TEMPFAIL of sysexits.h
PLAIN_REPORT_SECONDS = 60.0  # between two lines of a run where no progress bar can be drawn


def run_all(settings: Settings, seeds: Sequence[int], out: Path, *, jobs: int, data_dir: Path | None = None) -> None:
    """Make every run that is not complete yet, `jobs` at a time.

    Args:
        settings: of all runs.
        seeds: one run for each.
        out: results folder; a run lives in `settings.folder(out, seed)`.
        jobs: processes at a time.
        data_dir: where the raw data are.

    Raises:
        AladError: the data cannot be had, or a folder holds other settings: nothing is run. Or runs failed: the others
            were still made, and the message names each seed and why.
        KeyboardInterrupt: after the processes saved a checkpoint and ended; a second interrupt ends them at once.
    """
    data.load(settings.dataset, data_dir=data_dir, scaling=settings.scaling, training_half=settings.training_half)
    for seed in seeds:
        settings.claim(settings.folder(out, seed), seed)
    waiting = [seed for seed in seeds if not is_complete(settings.folder(out, seed))]
    board = _Board(settings, done=[seed for seed in seeds if seed not in waiting], to_do=waiting)
    running: dict[int, _Run] = {}
    failures: dict[int, str] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                seed = waiting.pop(0)
                running[seed] = _Run(settings, seed, settings.folder(out, seed), data_dir)
            wait([run.process.sentinel for run in running.values()], timeout=0.2)
            for seed, run in list(running.items()):
                ended = not run.process.is_alive()
                for message in run.messages():
                    if isinstance(message, Progress):
                        board.show(seed, message)
                    elif isinstance(message, _Warning):
                        board.say(f"{board.title} seed {seed}: warning: {message.text}")
                    else:
                        failures[seed] = message
                if ended:
                    del running[seed]
                    if run.process.exitcode != 0:
                        log = settings.folder(out, seed) / "log.txt"
                        failures.setdefault(seed, f"its process ended with exit code {run.process.exitcode}, see {log}")
                    board.end(seed, failures.get(seed))
    finally:
        board.close()
        _stop(running, board)
    if failures:
        raise AladError("; ".join(f"seed {seed}: {reason}" for seed, reason in sorted(failures.items())))


def sum_up(settings: Settings, out: Path) -> str:
    """Write summary.json and the figures of a method's complete runs; return the tables beside the paper's, as text.

    Raises:
        AladError: a result is damaged, or the results belong to runs that cannot be summed up together.
    """
    from alad_tf import paper, plots, report

    dataset, method = settings.dataset, settings.method
    folder = out / dataset / method
    results = report.load_results(out, dataset, method)
    files.write_json(folder / "summary.json", report.summarise(results))
    f1 = paper.printed(dataset, method).get("f1")
    figures = plots.save_run_figures(
        [settings.folder(out, result["seed"]) for result in results],
        folder / "figures",
        f"{dataset} {method}",
        paper_f1=f1.mean if f1 else None,
    )
    beside = [method, *(name for name in PROTOCOLS[dataset].beside if name != method)]
    tables = [
        report.comparison(out, dataset, beside, published=published_results()),
        report.comparison(out, dataset, [method], scores=SCORES, published=published_results()),
    ]
    return "\n".join([table.as_text() for table in tables] + [f"Figures: {folder / 'figures'}"] * bool(figures))


def _stop(running: dict[int, _Run], board: _Board) -> None:
    """Ask processes to save and end; what is left after the grace, or at a second interrupt, is killed."""
    deadline = time.monotonic() + GRACE_SECONDS
    try:
        for run in running.values():
            run.process.terminate()
        for seed, run in running.items():
            run.process.join(max(0.0, deadline - time.monotonic()))
            for message in run.messages():
                if isinstance(message, str):
                    board.end(seed, message)
    finally:
        for run in running.values():
            run.process.kill()
        for run in running.values():
            run.process.join()


class _Warning(NamedTuple):
    """What a run goes on in spite of."""

    text: str


class _Run:
    """The process of one run and the pipe that it reports on: its own, so that a killed process holds up no other."""

    def __init__(self, settings: Settings, seed: int, run_dir: Path, data_dir: Path | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.reader, writer = context.Pipe(duplex=False)
        arguments = (settings, seed, run_dir, data_dir, writer)
        self.process = context.Process(target=_work, args=arguments, name=f"seed {seed}", daemon=True)
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


def _work(settings: Settings, seed: int, run_dir: Path, data_dir: Path | None, writer: Any) -> None:
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
        with open(run_dir / "log.txt", "ab") as log:
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

    def __init__(self, settings: Settings, done: list[int], to_do: list[int]) -> None:
        self.title = f"{settings.dataset} {settings.method}"
        self.bars: dict[int, tqdm] = {}
        self.started: dict[int, tuple[float, int]] = {}  # time and step of the first report
        self.printed: dict[int, float] = {}
        self.terminal = sys.stderr.isatty()
        if done:
            self.say(f"{self.title}: complete already: seed {', '.join(map(str, done))}")
        if to_do:
            self.say(f"{self.title}: {settings.epochs} epochs each of seed {', '.join(map(str, to_do))}")

    def show(self, seed: int, progress: Progress) -> None:
        """Bring a run's line up to date."""
        now = time.monotonic()
        f1 = "" if progress.f1 is None else f", F1 {progress.f1:.4f}"
        text = f"D {progress.losses['loss_d']:.3g}, G/E {progress.losses['loss_ge']:.3g}{f1}"
        if self.terminal:
            if seed not in self.bars:
                self.bars[seed] = tqdm(
                    total=progress.steps,
                    initial=progress.step,
                    desc=f"seed {seed}",
                    unit="step",
                    dynamic_ncols=True,
                )
            self.bars[seed].set_postfix_str(text, refresh=False)
            self.bars[seed].update(progress.step - self.bars[seed].n)
            return
        first, first_step = self.started.setdefault(seed, (now, progress.step))
        if now - self.printed.get(seed, first) >= PLAIN_REPORT_SECONDS:
            self.printed[seed] = now
            left = (now - first) * (progress.steps - progress.step) / max(progress.step - first_step, 1)
            share = progress.step / progress.steps
            self.say(f"{self.title} seed {seed}: {share:.0%}, {text}, about {left / 60:.0f} min left")

    def end(self, seed: int, failure: str | None) -> None:
        """Close a run's line."""
        if seed in self.bars:
            self.bars.pop(seed).close()
        self.say(f"{self.title} seed {seed}: {failure or 'complete'}")

    def close(self) -> None:
        """Close all lines."""
        for bar in self.bars.values():
            bar.close()

    @staticmethod
    def say(line: str) -> None:
        """Print a line above the bars."""
        tqdm.write(line, file=sys.stderr)
