"""The runs that Tables II to VIII need and do not have yet, and as many of them as a budget of time allows.

The order is by cost alone: what a run is thought to take, `COSTS`. Nothing here looks at a label or at a figure.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from alad_tf.errors import AladError, DataError
from alad_tf.experiments import scheduler
from alad_tf.experiments.baseline_settings import AnySettings, of_method
from alad_tf.experiments.earlier import move_departures
from alad_tf.experiments.protocol import ABLATIONS, PROTOCOLS
from alad_tf.options import CLASSES
from alad_tf.report import comparison, paper
from alad_tf.report.results import load_results, task_of

logger = logging.getLogger(__name__)

DATASETS = (*paper.TABLE_II, *paper.TABLE_III)

# Core seconds of a run, about, with the start of its process. Those of ALAD hold for its ablations too.
# fmt: off
COSTS = {
    "kdd99":      {"mean": 10, "IF": 10, "SGD-OC-SVM": 15, "OC-SVM": 45, "kNN": 50, "DAGMM": 180, "DSEBM": 400,
                   "AnoGAN": 750, "ALAD": 900},
    "arrhythmia": {"mean": 6, "IF": 6, "kNN": 6, "SGD-OC-SVM": 6, "OC-SVM": 6, "DSEBM": 10, "DAGMM": 20,
                   "AnoGAN": 40, "ALAD": 75},
    "svhn":       {"mean": 15, "IF": 15, "OC-SVM": 40, "kNN": 40, "SGD-OC-SVM": 60, "DSEBM": 600,
                   "AnoGAN": 8000, "ALAD": 25000},
    "cifar10":    {"mean": 10, "IF": 10, "OC-SVM": 20, "kNN": 20, "SGD-OC-SVM": 40, "DSEBM": 400,
                   "AnoGAN": 5000, "ALAD": 15000},
}
# fmt: on


class Cell(NamedTuple):
    """One run that the tables need."""

    dataset: str
    method: str
    normal_class: int | None  # of images
    seed: int

    @property
    def cost(self) -> float:
        """Core seconds, about."""
        return COSTS[self.dataset]["ALAD" if self.method in ABLATIONS else self.method]


def cells(datasets: Sequence[str] = DATASETS, n_runs: int | None = None) -> list[Cell]:
    """Every run that Tables II to VIII need of these data sets, the cheapest first; `n_runs` None: the paper's."""
    found = []
    for dataset in datasets:
        images = dataset in paper.TABLE_III
        rows = [row for number in ((3, 6) if images else (2, 5)) for row in comparison.rows_of(number)]
        for method in dict.fromkeys(row.method for row in rows):
            found += [
                Cell(dataset, method, normal_class, seed)
                for seed in range(n_runs or PROTOCOLS[dataset].runs)
                for normal_class in (range(CLASSES) if images else [None])
            ]
    return sorted(found, key=lambda cell: cell.cost)


def missing(wanted: Sequence[Cell], out: Path, published: Path | None) -> list[Cell]:
    """The cells that have a result neither in `out` nor, of the protocol's epochs and of its data, among the published.

    Raises DataError, naming the file, for a result that is damaged.
    """
    found = []
    for _, group in groupby(wanted, key=_group):
        method_cells = list(group)
        there = _there(method_cells[0], out, published)
        found += [cell for cell in method_cells if (cell.normal_class, cell.seed) not in there]
    return found


def fitting(wanted: Sequence[Cell], seconds: float, jobs: int) -> tuple[list[Cell], float]:
    """The cells that fit the time, `jobs` at once in their order, and the seconds that they are thought to take."""
    chosen, used = [], 0.0
    for _, found in groupby(wanted, key=_group):
        group = _affordable(list(found), seconds - used, jobs)
        chosen += group
        used += sum(math.ceil(len(batch) / jobs) * batch[0].cost for batch in _batches(group))
    return chosen, used


def carry_out(
    out: Path,
    published: Path | None,
    *,
    datasets: Sequence[str] = DATASETS,
    n_runs: int | None = None,
    hours: float | None = None,
    jobs: int = 1,
    data_dir: Path | None = None,
) -> list[str]:
    """Make the runs that are missing, the cheapest first, until the hours are over; what went wrong, a line for each.

    A run is started only if its cost fits the time that is left. Those that go on at the end are asked to stop as at
    an interrupt: they save a checkpoint, with which the next call goes on. `hours` None: nothing is run. The log says
    before the runs which are going to be made, and after them which were not.

    Args:
        out: results folder.
        published: results that count as there.
        datasets: of `DATASETS`.
        n_runs: seeds of each method, and of images of each normal class. None: the paper's.
        hours: of this machine's time.
        jobs: processes at a time.
        data_dir: where the raw data are.

    Raises:
        DataError: a result is damaged.
        KeyboardInterrupt: after the processes saved a checkpoint and ended.
    """
    wanted = missing(cells(datasets, n_runs), out, published)
    if hours is None or not wanted:
        hint = "nothing is run without --budget; " if wanted else ""
        logger.info("tables: %smissing: %s", hint, _described(wanted))
        return []
    chosen, seconds = fitting(wanted, 3600 * hours, jobs)
    logger.info(
        "tables: %d of %d missing runs fit %g h and take about %s with %d at a time: %s",
        len(chosen),
        len(wanted),
        hours,
        _duration(seconds),
        jobs,
        _described(chosen),
    )
    failures = _fill(wanted, out, time.monotonic() + 3600 * hours, jobs, data_dir)
    logger.info("tables: not run: %s", _described(missing(wanted, out, published)))
    return failures


def _fill(wanted: Sequence[Cell], out: Path, deadline: float, jobs: int, data_dir: Path | None) -> list[str]:
    failures: dict[str, None] = {}
    without_data = set()
    for (dataset, method), found in groupby(wanted, key=_group):
        rest = [] if dataset in without_data else list(found)
        while part := _affordable(rest, deadline - time.monotonic(), jobs):
            rest = rest[len(part) :]
            for batch in _batches(part):
                try:
                    _run(batch, out, deadline, jobs, data_dir)
                except DataError as error:  # it would be the same for every method
                    failures[f"{dataset}: {error}"] = None
                    without_data.add(dataset)
                    rest = []
                    break
                except AladError as error:
                    failures[f"{dataset} {method}: {error}"] = None
    return list(failures)


def _run(batch: Sequence[Cell], out: Path, deadline: float, jobs: int, data_dir: Path | None) -> None:
    """Make the runs of a batch. Raises SettingsError where `out` holds runs of the method with other settings."""
    first = batch[0]
    budget = scheduler.Budget(deadline, first.cost)
    if not budget.fits():
        return
    for result in load_results(out, first.dataset, first.method):
        there, seed = settings_of(first._replace(normal_class=task_of(result))), result["seed"]
        move_departures(there, seed, out)
        folder = there.folder(out, seed)
        if (folder / "config.json").exists():
            there.claim(folder, seed)
    seeds = list(dict.fromkeys(cell.seed for cell in batch))
    classes = list(dict.fromkeys(cell.normal_class for cell in batch if cell.normal_class is not None)) or None
    settings = settings_of(first)
    scheduler.run_all(settings, seeds, out, jobs=jobs, data_dir=data_dir, classes=classes, budget=budget)


def settings_of(cell: Cell) -> AnySettings:
    """The settings of a cell's run: the protocol's."""
    options = {} if cell.normal_class is None else {"normal_class": cell.normal_class}
    return of_method(cell.dataset, cell.method, **options)


def _there(cell: Cell, out: Path, published: Path | None) -> set[tuple[int | None, int]]:
    """Normal class and seed of the runs of a cell's method that need not be made."""
    ours = load_results(out, cell.dataset, cell.method)
    theirs = load_results(published, cell.dataset, cell.method) if published else []
    if theirs:
        epochs = settings_of(cell).epochs
        theirs = [result for result in theirs if result["epochs"] == epochs and not result.get("stand_in")]
    return {(task_of(result), result["seed"]) for result in (*ours, *theirs)}


def _group(cell: Cell) -> tuple[str, str]:
    return cell.dataset, cell.method


def _affordable(group: Sequence[Cell], seconds: float, jobs: int) -> list[Cell]:
    """The first cells of a method that fit the time."""
    return list(group[: jobs * max(0, int(seconds // group[0].cost))]) if group else []


def _batches(group: Sequence[Cell]) -> Iterator[list[Cell]]:
    """The cells of a method in parts that are every one of some seeds with every one of some classes."""
    classes: dict[int, list[int | None]] = {}
    for cell in group:
        classes.setdefault(cell.seed, []).append(cell.normal_class)
    for labels in sorted(set(map(tuple, classes.values()))):
        yield [cell for cell in group if tuple(classes[cell.seed]) == labels]


def _described(found: Sequence[Cell]) -> str:
    """Methods by data set and how many runs of each, with what they cost."""
    if not found:
        return "nothing"
    parts = [f"{dataset} {method} ({len(list(group))})" for (dataset, method), group in groupby(found, key=_group)]
    return f"{', '.join(parts)}; about {_duration(sum(cell.cost for cell in found))} of one core"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{math.ceil(seconds / 60)} min"
