"""Time that the runs of a call will take, estimated before they start and then measured on the first of them."""

from __future__ import annotations

import heapq
import math
import statistics
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Callable

from alad_tf.errors import DataError
from alad_tf.experiments.baseline_settings import AnySettings
from alad_tf.experiments.process import cores
from alad_tf.experiments.progress import Progress, at_most
from alad_tf.experiments.protocol import ABLATIONS
from alad_tf.report.results import load_results

# Approximate core seconds of a run, including the start of its process. Those of ALAD also apply to its ablations.
# fmt: off
COSTS = {
    "kdd99":      {"mean": 10, "IF": 10, "SGD-OC-SVM": 15, "OC-SVM": 45, "kNN": 50, "DAGMM": 180, "DSEBM": 400,
                   "AnoGAN": 750, "ALAD": 900},
    "arrhythmia": {"mean": 6, "IF": 6, "kNN": 6, "SGD-OC-SVM": 6, "OC-SVM": 6, "DSEBM": 10, "DAGMM": 20,
                   "AnoGAN": 40, "ALAD": 75},
    "svhn":       {"mean": 15, "IF": 15, "OC-SVM": 40, "kNN": 40, "SGD-OC-SVM": 60, "DSEBM": 600,
                   "AnoGAN": 8000, "ALAD": 10000},
    "cifar10":    {"mean": 10, "IF": 10, "OC-SVM": 20, "kNN": 20, "SGD-OC-SVM": 40, "DSEBM": 400,
                   "AnoGAN": 5000, "ALAD": 4000},
}
# fmt: on

EARLY = {"svhn": 60, "cifar10": 30}  # epochs of ALAD with early stopping, approximately
SHORT_SECONDS = 60.0  # runs that take less in total need no estimate
MEASURED_SECONDS = 15.0  # of training before the time of a step is known
LONGEST = 1e9  # seconds of an estimate with a date of its end
START_SECONDS = 10.0  # from the start of a process to the start of training


def known(dataset: str, method: str) -> float | None:
    """Core seconds of a run of the protocol; None for a data set that is not in the tables."""
    return COSTS.get(dataset, {}).get("ALAD" if method in ABLATIONS else method)


def guess(settings: AnySettings, out: Path) -> tuple[float, str] | None:
    """Estimated seconds of a run and their origin: complete runs with the same settings in `out`, or `COSTS`."""
    try:
        there = [result["seconds"] for result in load_results(out, settings.dataset, settings.method)]
    except (DataError, KeyError):  # reported when results are summarised
        there = []
    if there:
        runs = f"{len(there)} complete run{'s' if len(there) > 1 else ''}"
        return START_SECONDS + statistics.median(there), f"from {runs} in this results folder"
    seconds = known(settings.dataset, settings.base)
    if seconds is None:
        return None
    share = _epochs(settings) / _epochs(settings.usual)
    return START_SECONDS + share * (seconds - START_SECONDS), "an estimate from another machine"


def _epochs(settings: AnySettings) -> int:
    stops_early = settings.patience and settings.base in ABLATIONS
    return min(settings.epochs, EARLY[settings.dataset]) if stops_early else settings.epochs


def together(seconds: float, shares: Iterable[float], waiting: int, jobs: int) -> float:
    """Seconds until all runs are complete.

    Args:
        seconds: seconds of a run.
        shares: completed fraction of each run in progress.
        waiting: number of waiting runs.
        jobs: parallel runs.
    """
    ends = [seconds * (1.0 - share) for share in shares]
    ends += [0.0] * (min(jobs, len(ends) + waiting) - len(ends))
    heapq.heapify(ends)
    for _ in range(waiting):
        heapq.heappush(ends, heapq.heappop(ends) + seconds)
    return max(ends, default=0.0)


def duration(seconds: float) -> str:
    """A time in hours or minutes."""
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{math.ceil(seconds / 60)} min"


class Forecast:
    """Prints the remaining time of the runs of a call: before the first, when one has been measured, and after each.

    Args:
        settings: settings of all runs.
        waiting: names of the runs.
        jobs: parallel runs.
        say: prints a line.
        clock: monotonic clock in seconds.
        now: current time of day.
    """

    def __init__(
        self,
        settings: AnySettings,
        waiting: Sequence[str],
        jobs: int,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._settings, self._waiting, self._say, self._clock, self._now = settings, [*waiting], say, clock, now
        self._jobs = min(jobs, cores())  # more would share the cores
        self._title = f"{settings.dataset} {settings.method}"
        self._most = at_most(settings)
        self._first: dict[str, tuple[float, int]] = {}  # time and step of the first report of each run
        self._shares: dict[str, float] = {}
        self._seconds: float | None = None  # of a run, measured

    def begin(self, out: Path) -> None:
        """Print the estimated time of the runs, and how to reduce it."""
        found, runs = guess(self._settings, out), len(self._waiting)
        if found is None or not runs:
            return
        seconds, origin = found
        total = together(seconds, [], runs, self._jobs)
        if total < SHORT_SECONDS:
            return
        each = f"{runs} runs of about {duration(seconds)} each, {self._jobs} at a time: " if runs > 1 else ""
        self._say(f"{self._title}: {each}{self._until(total)} ({origin}){self._shorter(runs)}.")

    def reported(self, name: str, progress: Progress) -> None:
        """Record the progress of a run; the first run that has trained for a while gives the measured time."""
        if progress.phase:
            return
        now = self._clock()
        self._shares[name] = progress.step / progress.steps
        first, step = self._first.setdefault(name, (now, progress.step))
        if self._seconds is None and now - first >= MEASURED_SECONDS and progress.step > step:
            a_step = (now - first) / (progress.step - step)
            self._seconds = START_SECONDS + progress.steps * a_step
            left = f"{1e3 * a_step:.3g} ms a step, {self._most}about {duration(self._seconds)} a run; "
            self._left(f"measured {left}all runs")

    def ended(self, name: str) -> None:
        """Record that a run is complete or has failed."""
        self._forget(name)
        if self._waiting or self._shares:
            runs = len(self._waiting) + len(self._shares)
            self._left(f"{runs} {'run' if runs == 1 else 'runs'} to do")

    def started(self, name: str) -> None:
        """Record that a run begins."""
        self._waiting.remove(name)
        self._shares[name] = 0.0

    def _left(self, what: str) -> None:
        if self._seconds is None:
            return
        seconds = together(self._seconds, self._shares.values(), len(self._waiting), self._jobs)
        if seconds >= SHORT_SECONDS:
            self._say(f"{self._title}: {what}: {self._most}{self._until(seconds)}")

    def _forget(self, name: str) -> None:
        self._shares.pop(name, None)
        self._first.pop(name, None)

    def _until(self, seconds: float) -> str:
        if seconds > LONGEST:
            return f"about {duration(seconds)}"
        now = self._now()
        end = datetime.fromtimestamp(now.timestamp() + seconds)  # a sum of times of day forgets daylight saving
        day = "" if end.date() == now.date() else f"{end:%d %b} "
        return f"about {duration(seconds)}, until about {day}{end:%H:%M}"

    def _shorter(self, runs: int) -> str:
        ways = ["--runs"] * (runs > 1) + ["--epochs"] * (self._settings.table is not None)
        ways += ["--jobs"] * (runs > self._jobs < cores())
        return f". Shorter: {', '.join(ways)}" if ways else ""
