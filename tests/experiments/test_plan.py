"""Missing runs of the tables are found, ordered by cost and done within a budget; baselines are fakes."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from small_results import metrics, write_image_run, write_run

from alad_tf.errors import AladError, DataError
from alad_tf.experiments import cost, plan, scheduler
from alad_tf.experiments.plan import Cell
from alad_tf.experiments.protocol import ABLATIONS
from alad_tf.experiments.settings import Settings
from alad_tf.report import comparison, paper
from alad_tf.report.results import table_epochs
from alad_tf.typing import Document, Options

HOUR = 3600.0
# fmt: off
COSTS = {
    "kdd99":      {"mean": 20, "IF": 30, "kNN": 60, "SGD-OC-SVM": 60, "OC-SVM": 120, "DAGMM": 600, "DSEBM": 900,
                   "ALAD": 1465, "AnoGAN": 1500},
    "arrhythmia": {"mean": 30, "IF": 30, "kNN": 30, "SGD-OC-SVM": 30, "OC-SVM": 30, "DAGMM": 30, "DSEBM": 30,
                   "ALAD": 75, "AnoGAN": 30},
    "svhn":       {"mean": 20, "IF": 60, "kNN": 60, "SGD-OC-SVM": 120, "OC-SVM": 300, "DSEBM": 600,
                   "ALAD": 40000, "AnoGAN": 20000},
    "cifar10":    {"mean": 20, "IF": 60, "kNN": 60, "SGD-OC-SVM": 120, "OC-SVM": 300, "DSEBM": 600,
                   "ALAD": 25000, "AnoGAN": 20000},
}  # of this page, which the hours below are of
# fmt: on


@pytest.fixture(autouse=True)
def costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fixed costs in hours, which do not change when a method becomes faster."""
    assert {dataset: set(known) for dataset, known in cost.COSTS.items()} == {name: set(COSTS[name]) for name in COSTS}
    monkeypatch.setattr(cost, "COSTS", COSTS)


class Fake:
    """Settings of a baseline."""

    def __init__(self, cell: Cell) -> None:
        self.dataset, self.method, self.normal_class = cell.dataset, cell.method, cell.normal_class
        self.epochs = table_epochs(cell.dataset, cell.method) or 1

    def folder(self, out: Path, seed: int) -> Path:
        task = "" if self.normal_class is None else f"class{self.normal_class}"
        return out / self.dataset / self.method / task / f"seed{seed}"


class Machine:
    """Replaces `scheduler.run_all`: every run takes its cost times `slowness` on a fake clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.slowness = 1000.0, 1.0
        self.calls: list[tuple[str, str, list[int], list[int] | None]] = []
        self.options: Options = {}
        self.failing: dict[str, AladError] = {}
        of_alad = plan.settings_of
        fake = lambda cell: of_alad(cell) if cell.method in ABLATIONS else Fake(cell)  # noqa: E731
        monkeypatch.setattr(plan, "settings_of", fake)
        monkeypatch.setattr(scheduler, "run_all", self.run_all)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def run_all(
        self, settings: Any, seeds: Sequence[int], out: Path, *, classes: Any, budget: scheduler.Budget, **options: Any
    ) -> None:
        self.calls.append((settings.dataset, settings.method, list(seeds), classes))
        self.options = options
        for name in (settings.dataset, settings.method):
            if name in self.failing:
                raise self.failing[name]
        tasks = [(label, seed) for seed in seeds for label in classes or [None]]
        while tasks and budget.fits():
            for label, seed in tasks[: options["jobs"]]:
                self.write(out, settings, label, seed)
            del tasks[: options["jobs"]]
            self.now += self.slowness * budget.seconds

    @staticmethod
    def write(out: Path, settings: Any, label: int | None, seed: int) -> None:
        names = ("features", "l1", "l2", "logits") if settings.method in ABLATIONS else ("score",)
        content: Document = {"scores": {name: metrics(0.5) for name in names}, "epochs": settings.epochs}
        if label is None:
            write_run(out, settings.dataset, settings.method, seed, **content)
        else:
            write_image_run(out, settings.dataset, label, seed, 0.5, method=settings.method, **content)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def said(**options: Any) -> tuple[list[str], list[str]]:
    """Failures and logged lines of `carry_out`."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger(plan.__name__)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        failures = plan.carry_out(options.pop("out"), options.pop("published", None), **options)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    return failures, lines


# What is needed -----------------------------------------------------------------------------------------------------


def test_cells_are_those_of_the_tables() -> None:
    tabular = ["OC-SVM", "IF", "DSEBM", "DAGMM", "AnoGAN", "SGD-OC-SVM", "mean", "kNN", *ABLATIONS]
    images = [method for method in tabular if method != "DAGMM"]
    wanted = plan.cells()
    for dataset, methods, count in (("kdd99", tabular, 10), ("arrhythmia", tabular, 10), ("svhn", images, 30)):
        found = [cell for cell in wanted if cell.dataset == dataset]
        assert {cell.method for cell in found} == set(methods)
        assert len(set(found)) == len(found) == count * len(methods)
    assert Cell("cifar10", "ALAD-noDzz", 9, 2) in wanted and Cell("kdd99", "DAGMM", None, 9) in wanted
    for number in (2, 3, 5, 6, 7, 8):  # every row that is printed is filled
        for dataset in comparison.datasets_of(number):
            needed = {row.method for row in comparison.rows_of(number)}
            assert needed <= {cell.method for cell in wanted if cell.dataset == dataset}
    for dataset, method in paper.SCORE_STUDY.items():
        assert any((cell.dataset, cell.method) == (dataset, method) for cell in wanted)


def test_cells_of_some_data_sets_and_runs() -> None:
    wanted = plan.cells(["svhn", "arrhythmia"], 2)
    assert {cell.dataset for cell in wanted} == {"svhn", "arrhythmia"} and {cell.seed for cell in wanted} == {0, 1}


def test_order_is_by_cost_alone() -> None:
    wanted = plan.cells()
    costs = [cell.cost for cell in wanted]
    assert costs == sorted(costs) and min(costs) > 0
    assert Cell("kdd99", "ALAD-noSN", None, 0).cost == Cell("kdd99", "ALAD", None, 0).cost == 1465
    assert Cell("svhn", "ALAD", 0, 0).cost == 40_000 and Cell("cifar10", "ALAD-baseline", 3, 0).cost == 25_000
    assert Cell("kdd99", "IF", None, 0).cost == 30


def test_missing_is_what_is_neither_in_out_nor_published(tmp_path: Path, machine: Machine) -> None:
    out, published = tmp_path / "out", tmp_path / "published"
    write_run(out, "kdd99", "ALAD", 0)
    write_run(published, "kdd99", "ALAD", 1)
    write_run(published, "kdd99", "IF", 2, epochs=1, scores={"score": metrics(0.5)})
    (out / "kdd99" / "ALAD" / "seed3").mkdir()
    wanted = [cell for cell in plan.cells(["kdd99"], 4) if cell.method in ("ALAD", "IF")]
    assert [(cell.method, cell.seed) for cell in plan.missing(wanted, out, published)] == [
        *(("IF", 0), ("IF", 1), ("IF", 3), ("ALAD", 2), ("ALAD", 3))
    ]


def test_missing_of_images_is_by_class(tmp_path: Path) -> None:
    write_image_run(tmp_path, "svhn", 3, 0, 0.5)
    wanted = [cell for cell in plan.cells(["svhn"], 1) if cell.method == "ALAD"]
    assert [cell.normal_class for cell in plan.missing(wanted, tmp_path, None)] == [0, 1, 2, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("change", [{"epochs": 25}, {"stand_in": "stand-in data: 5 images"}])
def test_published_runs_that_are_not_the_protocols_do_not_count(tmp_path: Path, change: Options) -> None:
    write_image_run(tmp_path, "svhn", 3, 0, 0.5, **change)
    wanted = [Cell("svhn", "ALAD", 3, 0)]
    assert plan.missing(wanted, tmp_path / "out", tmp_path) == wanted
    assert plan.missing(wanted, tmp_path, None) == (wanted if "epochs" in change else [])


# What fits ----------------------------------------------------------------------------------------------------------


def test_what_fits_a_budget() -> None:
    """Arrhythmia, two runs: eight baselines of 30 s and four rows of ALAD of 75 s, two at a time."""
    wanted = plan.cells(["arrhythmia"], 2)
    chosen, seconds = plan.fitting(wanted, HOUR, jobs=2)
    assert (chosen, seconds) == (wanted, 8 * 30 + 4 * 75)
    assert plan.fitting(wanted, HOUR, jobs=1)[1] == 2 * (8 * 30 + 4 * 75)
    chosen, seconds = plan.fitting(wanted, 5 * 30 + 29, jobs=2)  # five rounds, and no room for a sixth
    assert (chosen, seconds) == (wanted[:10], 150)
    chosen, seconds = plan.fitting(wanted, 16 * 30 + 100, jobs=1)  # one of the runs of 75 s, not two
    assert (chosen, seconds) == (wanted[:17], 16 * 30 + 75)
    assert plan.fitting(wanted, 29.9, jobs=8) == ([], 0)


# What is made -------------------------------------------------------------------------------------------------------


def test_without_a_budget_nothing_is_run(tmp_path: Path, machine: Machine) -> None:
    failures, (line,) = said(out=tmp_path, datasets=["arrhythmia"], n_runs=1)
    assert failures == [] and machine.calls == []
    assert line.startswith("tables: nothing is run without --budget; missing: arrhythmia OC-SVM (1), ")
    assert line.endswith("arrhythmia ALAD-noDzz (1); about 9 min of one core")  # 8 x 30 + 4 x 75 = 540 s


def test_everything_within_the_budget(tmp_path: Path, machine: Machine) -> None:
    options: Options = {"out": tmp_path, "datasets": ["arrhythmia"], "n_runs": 2, "jobs": 2}
    failures, (first, last) = said(**options, hours=1, data_dir=tmp_path / "data")
    assert failures == [] and last == "tables: not run: nothing"
    assert first.startswith("tables: 24 of 24 missing runs fit 1 h and take about 9 min with 2 at a time: ")
    assert len(machine.calls) == 12 and all(call[2:] == ([0, 1], None) for call in machine.calls)
    assert {call[1] for call in machine.calls[8:]} == set(ABLATIONS)
    assert machine.options == {"jobs": 2, "data_dir": tmp_path / "data"}
    _, lines = said(**options, hours=1)
    assert lines == ["tables: missing: nothing"] and len(machine.calls) == 12


def test_what_does_not_fit_is_named_and_made_by_the_next_call(tmp_path: Path, machine: Machine) -> None:
    options: Options = {"out": tmp_path, "datasets": ["arrhythmia"], "n_runs": 2, "jobs": 1}
    _, (first, last) = said(**options, hours=580 / HOUR)  # 16 runs of 30 s and one of 75 s
    assert "17 of 24 missing runs" in first and "arrhythmia kNN (2), arrhythmia ALAD (1); about 10 min" in first
    assert machine.calls[-1] == ("arrhythmia", "ALAD", [0], None)
    assert last.startswith("tables: not run: arrhythmia ALAD (1), arrhythmia ALAD-baseline (2), ")
    machine.calls.clear()
    _, lines = said(**options, hours=1)
    assert lines[-1] == "tables: not run: nothing"
    assert ("arrhythmia", "ALAD", [1], None) in machine.calls and len(machine.calls) == 4


def test_a_fast_machine_makes_more_and_a_slow_one_less(tmp_path: Path, machine: Machine) -> None:
    """540 s are planned for 16 runs of 30 s and none of the eight of 75 s.

    At half the time each the 16 take 240 s, and of the others, 37.5 s each, the last starts at 465 s: 540 less 75.
    At twice the time a run starts every 60 s, the last at 480 s.
    """
    for slowness, made in ((0.5, 23), (2.0, 9)):
        machine.slowness = slowness
        out = tmp_path / str(slowness)
        said(out=out, datasets=["arrhythmia"], n_runs=2, hours=540 / HOUR)
        assert len(list(out.rglob("result.json"))) == made


def test_missing_classes_are_asked_for_seed_by_seed(tmp_path: Path, machine: Machine) -> None:
    out, published = tmp_path / "out", tmp_path / "published"
    scores = {"score": metrics(0.5)}
    for label in (0, 1):
        write_image_run(published, "svhn", label, 0, 0.5, method="mean", scores=scores, epochs=1)
    said(out=out, published=published, datasets=["svhn"], hours=580 / HOUR)  # of 20 s: 28 are missing
    assert machine.calls == [
        ("svhn", "mean", [1, 2], list(range(10))),
        ("svhn", "mean", [0], list(range(2, 10))),
    ]


def test_failures_are_told_and_the_others_go_on(tmp_path: Path, machine: Machine) -> None:
    machine.failing = {"DAGMM": AladError("seed 0: Expected this."), "kdd99": DataError("Expected a file.")}
    failures, (_, last) = said(out=tmp_path, datasets=["kdd99", "arrhythmia"], n_runs=1, hours=10)
    assert failures == ["kdd99: Expected a file.", "arrhythmia DAGMM: seed 0: Expected this."]
    assert sum(call[0] == "kdd99" for call in machine.calls) == 1
    assert sum(call[0] == "arrhythmia" for call in machine.calls) == 12
    assert "arrhythmia DAGMM (1)" in last and "kdd99 ALAD (1)" in last and "arrhythmia DSEBM" not in last


def test_runs_of_another_table_are_not_added_to(tmp_path: Path, machine: Machine) -> None:
    protocol = Settings.of_protocol("arrhythmia")
    run_dir = write_run(tmp_path, "arrhythmia", "ALAD", 0).parent
    protocol.claim(run_dir, 0)
    config = json.loads((run_dir / "config.json").read_text())
    config["table"]["batch_size"] = 31
    (run_dir / "config.json").write_text(json.dumps(config))
    failures, _ = said(out=tmp_path, datasets=["arrhythmia"], n_runs=2, hours=1)
    (failure,) = failures
    assert failure.startswith("arrhythmia ALAD: ") and "table.batch_size is 31 there and 32 here" in failure
    assert ("arrhythmia", "ALAD") not in [call[:2] for call in machine.calls] and len(machine.calls) == 11


def test_quick_looks_neither_count_nor_block(tmp_path: Path, machine: Machine) -> None:
    """One in the folder of earlier versions, one without XLA there, and one in its own folder."""
    quick = Settings.of_protocol("arrhythmia", epochs=1)
    without = Settings.of_protocol("arrhythmia", jit=False)
    quick.claim(write_run(tmp_path, "arrhythmia", "ALAD", 2, epochs=1).parent, 2)
    without.claim(write_run(tmp_path, "arrhythmia", "ALAD", 3).parent, 3)
    write_run(tmp_path, "arrhythmia", "ALAD-1epochs", 0, epochs=1)
    failures, (first, last) = said(out=tmp_path, datasets=["arrhythmia"], n_runs=2, hours=1)
    assert failures == [] and "24 of 24 missing runs" in first and last == "tables: not run: nothing"
    assert ("arrhythmia", "ALAD", [0, 1], None) in machine.calls
    assert not without.folder(tmp_path, 3).with_name("seed0").exists()
    assert (without.folder(tmp_path, 3) / "result.json").exists()


def test_interrupt_ends_it(tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_all(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scheduler, "run_all", run_all)
    with pytest.raises(KeyboardInterrupt):
        said(out=tmp_path, datasets=["arrhythmia"], hours=1)


def test_settings_are_the_protocols() -> None:
    assert plan.settings_of(Cell("cifar10", "ALAD-noSN", 7, 0)) == Settings.of_protocol(
        "cifar10", "ALAD-noSN", normal_class=7
    )
    assert plan.settings_of(Cell("kdd99", "ALAD", None, 3)) == Settings.of_protocol("kdd99")


def test_a_budget_without_end() -> None:
    wanted = plan.cells(["arrhythmia"], 2)
    assert plan.fitting(wanted, math.inf, jobs=2)[0] == wanted
