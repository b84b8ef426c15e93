"""`alad tables --budget`: the runs that Tables II to VIII still need, within a time budget.

Runs are ordered by their estimated cost, `cost.COSTS`, and by nothing else: neither labels nor results are used.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from alad_tf.errors import AladError, DataError
from alad_tf.experiments import cost, scheduler
from alad_tf.experiments.baseline_settings import AnySettings, of_method
from alad_tf.experiments.earlier import move_departures
from alad_tf.experiments.protocol import PROTOCOLS
from alad_tf.options import CLASSES
from alad_tf.report import comparison, paper
from alad_tf.report.results import load_results, task_of

logger = logging.getLogger(__name__)

DATASETS = (*paper.TABLE_II, *paper.TABLE_III)


class Cell(NamedTuple):
    """One run needed for the tables."""

    dataset: str
    method: str
    normal_class: int | None  # None for tabular data
    seed: int

    @property
    def cost(self) -> float:
        """Approximate core seconds."""
        seconds = cost.known(self.dataset, self.method)
        assert seconds is not None, "the tables have no such data set or method"
        return seconds


def cells(datasets: Sequence[str] = DATASETS, n_runs: int | None = None) -> list[Cell]:
    """All runs on these data sets needed for Tables II to VIII, cheapest first; `n_runs` None: the paper's number."""
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
    """The cells without a result in `out` or a published result with the protocol's epochs and data.

    Raises DataError, naming the file, for a damaged result.
    """
    found = []
    for _, group in groupby(wanted, key=_group):
        method_cells = list(group)
        there = _there(method_cells[0], out, published)
        found += [cell for cell in method_cells if (cell.normal_class, cell.seed) not in there]
    return found


def fitting(wanted: Sequence[Cell], seconds: float, jobs: int) -> tuple[list[Cell], float]:
    """The first cells that fit into the time, `jobs` in parallel, and their estimated seconds."""
    chosen, used = [], 0.0
    for _, found in groupby(wanted, key=_group):
        group = _affordable(list(found), seconds - used, jobs)
        chosen += group
        used += sum(cost.together(batch[0].cost, (), len(batch), jobs) for batch in _batches(group))
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
    """Do missing runs, cheapest first, until the time is over; return one line for each failure.

    A run is started only if its estimated cost fits into the time left. Runs still in progress at the end are stopped
    as by an interrupt: they save a checkpoint, from which the next call resumes. The planned runs are logged at the
    start, and those not done at the end.

    Args:
        out: results folder.
        published: folder of published results, whose runs need not be done again.
        datasets: names from `DATASETS`.
        n_runs: seeds for each method and, on images, each normal class. None: the paper's number.
        hours: time budget on this machine. None: nothing is run.
        jobs: parallel processes.
        data_dir: folder with the raw data.

    Raises:
        DataError: a result is damaged.
        KeyboardInterrupt: after the processes have saved checkpoints and ended.
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
        cost.duration(seconds),
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
                except DataError as error:  # the same for every method
                    failures[f"{dataset}: {error}"] = None
                    without_data.add(dataset)
                    rest = []
                    break
                except AladError as error:
                    failures[f"{dataset} {method}: {error}"] = None
    return list(failures)


def _run(batch: Sequence[Cell], out: Path, deadline: float, jobs: int, data_dir: Path | None) -> None:
    """Do the runs of a batch. Raises SettingsError if `out` holds runs of the method with other settings."""
    first = batch[0]
    budget = scheduler.Budget(deadline, first.cost)
    if not budget.fits():
        return
    settings = settings_of(first)
    for result in load_results(out, first.dataset, settings.method):
        there, seed = settings_of(first._replace(normal_class=task_of(result))), result["seed"]
        move_departures(there, seed, out)
        folder = there.folder(out, seed)
        if (folder / "config.json").exists():
            there.claim(folder, seed)
    seeds = list(dict.fromkeys(cell.seed for cell in batch))
    classes = list(dict.fromkeys(cell.normal_class for cell in batch if cell.normal_class is not None)) or None
    scheduler.run_all(settings, seeds, out, jobs=jobs, data_dir=data_dir, classes=classes, budget=budget)


def settings_of(cell: Cell) -> AnySettings:
    """The protocol's settings for a cell."""
    options = {} if cell.normal_class is None else {"normal_class": cell.normal_class}
    return of_method(cell.dataset, cell.method, **options)


def _there(cell: Cell, out: Path, published: Path | None) -> set[tuple[int | None, int]]:
    """Normal class and seed of the runs of a cell's method that have results already."""
    settings = settings_of(cell)
    ours = load_results(out, cell.dataset, settings.method)
    theirs = load_results(published, cell.dataset, settings.method) if published else []
    theirs = [result for result in theirs if result["epochs"] == settings.epochs and not result.get("stand_in")]
    return {(task_of(result), result["seed"]) for result in (*ours, *theirs)}


def _group(cell: Cell) -> tuple[str, str]:
    return cell.dataset, cell.method


def _affordable(group: Sequence[Cell], seconds: float, jobs: int) -> list[Cell]:
    """The first cells of a method that fit into the time."""
    return list(group[: jobs * int(min(max(0.0, seconds / group[0].cost), len(group)))]) if group else []


def _batches(group: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Split the cells of a method into batches, each a product of some seeds and some classes."""
    classes: dict[int, list[int | None]] = {}
    for cell in group:
        classes.setdefault(cell.seed, []).append(cell.normal_class)
    for labels in sorted(set(map(tuple, classes.values()))):
        yield [cell for cell in group if tuple(classes[cell.seed]) == labels]


def _described(found: Sequence[Cell]) -> str:
    """Describe runs: data set, method and number of runs, and the total cost."""
    if not found:
        return "nothing"
    parts = [f"{dataset} {method} ({len(list(group))})" for (dataset, method), group in groupby(found, key=_group)]
    return f"{', '.join(parts)}; about {cost.duration(sum(cell.cost for cell in found))} of one core"
