"""Duration of runs, with a fake clock: the estimate before they start, and the measurement after a few steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from alad_tf.errors import DataError
from alad_tf.experiments import cost
from alad_tf.experiments.baseline_settings import AnySettings, of_method
from alad_tf.experiments.cost import Forecast
from alad_tf.experiments.progress import Progress

BEGIN = datetime(2026, 3, 1, 22, 0)


class Clock:
    """Seconds since the start, set by a test."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.lines: list[str] = []

    def forecast(self, settings: AnySettings, runs: int, jobs: int) -> Forecast:
        names = [f"seed {seed}" for seed in range(runs)]
        return Forecast(settings, names, jobs, self.lines.append, lambda: self.seconds, self.now)

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    monkeypatch.setattr(cost, "cores", lambda: 4)
    yield Clock()


def training(step: int, steps: int = 1000) -> Progress:
    return Progress(step, steps, {})


@pytest.mark.parametrize(
    ("shares", "waiting", "jobs", "seconds"),
    [
        ([], 0, 2, 0.0),
        ([], 1, 2, 100.0),
        ([], 4, 2, 200.0),
        ([], 5, 2, 300.0),
        ([0.5], 0, 2, 50.0),
        ([0.5], 1, 2, 100.0),  # the one that waits begins at once
        ([0.5, 0.0], 1, 2, 150.0),  # it begins after 50 s
        ([0.9, 0.2], 2, 2, 180.0),  # they begin after 10 and 80 s
        ([1.0], 3, 1, 300.0),
    ],
)
def test_time_until_all_are_complete(shares: list[float], waiting: int, jobs: int, seconds: float) -> None:
    assert cost.together(100.0, shares, waiting, jobs) == pytest.approx(seconds)


def test_before_the_runs(clock: Clock, tmp_path: Path) -> None:
    """A run costs 900 s in the list: 5 pairs of runs take 4500 s."""
    clock.forecast(of_method("kdd99", "ALAD"), 10, 2).begin(tmp_path)
    assert clock.lines == [
        "kdd99 ALAD: 10 runs of about 15 min each, 2 at a time: about 1.2 h, until about 23:15 (an estimate from "
        "another machine). Shorter: --runs, --epochs, --jobs."
    ]


def test_fewer_epochs_and_one_run(clock: Clock, tmp_path: Path) -> None:
    """A tenth of the epochs: 10 s for the start, and 89 s instead of 890."""
    clock.forecast(of_method("kdd99", "ALAD", epochs=10), 1, 4).begin(tmp_path)
    (line,) = clock.lines
    assert line.startswith("kdd99 ALAD-10epochs: about 2 min, until about 22:01 (") and line.endswith(
        "Shorter: --epochs."
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "about 1.1 h"),
        ({"epochs": 50}, "about 1.1 h"),
        ({"epochs": 15}, "about 34 min"),
        ({"patience": None}, "about 3.7 h"),
    ],
)
def test_early_stopping_of_images(clock: Clock, tmp_path: Path, options: dict[str, int | None], says: str) -> None:
    """A run costs 4000 s in the list, for about 30 of its 100 epochs."""
    clock.forecast(of_method("cifar10", "ALAD", normal_class=0, **options), 1, 1).begin(tmp_path)
    assert f": {says}" in clock.lines[0]


@pytest.mark.parametrize(
    ("dataset", "method", "runs", "jobs", "parts"),
    [
        # Each job beyond the four cores takes from the others.
        ("cifar10", "ALAD", 10, 40, ["of about 1.1 h each, 4 at a time: about 3.3 h", "02 Mar 01:20"]),
        ("kdd99", "kNN", 10, 4, ["about 1 min each", "Shorter: --runs."]),
        ("kdd99", "ALAD-noSN", 2, 2, ["2 runs of about 15 min each, 2 at a time: about 15 min, until about 22:15"]),
    ],
)
def test_methods(
    clock: Clock, tmp_path: Path, dataset: str, method: str, runs: int, jobs: int, parts: list[str]
) -> None:
    clock.forecast(of_method(dataset, method), runs, jobs).begin(tmp_path)
    (line,) = clock.lines
    assert all(part in line for part in parts), line


def test_complete_runs_are_the_better_estimate(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = [{"seconds": seconds} for seconds in (170.0, 100.0, 900.0)]
    monkeypatch.setattr(cost, "load_results", lambda out, dataset, method: results if method == "ALAD" else [])
    clock.forecast(of_method("kdd99", "ALAD"), 2, 1).begin(tmp_path)
    assert "2 runs of about 3 min each, 1 at a time: about 6 min" in clock.lines[0]  # 10 s and 170 s, twice
    assert "(from 3 complete runs in this results folder)" in clock.lines[0]


def test_damaged_results_are_left_to_the_table(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: object) -> None:
        raise DataError("damaged")

    monkeypatch.setattr(cost, "load_results", damaged)
    clock.forecast(of_method("kdd99", "ALAD"), 1, 1).begin(tmp_path)
    assert "an estimate from another machine" in clock.lines[0]


@pytest.mark.parametrize(
    ("dataset", "method", "runs"), [("toy", "ALAD", 1), ("kdd99", "mean", 3), ("kdd99", "ALAD", 0)]
)
def test_nothing_is_said_of_what_is_short_or_unknown(
    clock: Clock, tmp_path: Path, dataset: str, method: str, runs: int
) -> None:
    clock.forecast(of_method(dataset, method), runs, 4).begin(tmp_path)
    assert clock.lines == []


def test_measured_steps(clock: Clock) -> None:
    """50 steps in 15 s are 300 ms each: 300 s for 1000 steps, and 10 s for the start of each of three runs."""
    forecast = clock.forecast(of_method("kdd99", "ALAD"), 3, 1)
    forecast.started("seed 0")
    for clock.seconds, step in ((20.0, 10), (34.0, 55), (35.0, 60), (36.0, 70)):
        forecast.reported("seed 0", training(step))
    assert clock.lines == [
        # 94 % of a run of 310 s is left, and two runs
        "kdd99 ALAD: measured 300 ms a step, about 6 min a run; all runs: about 16 min, until about 22:15"
    ]
    clock.seconds = 320.0
    forecast.ended("seed 0")
    assert clock.lines[1:] == ["kdd99 ALAD: 2 runs to do: about 11 min, until about 22:15"]
    forecast.started("seed 1")
    forecast.started("seed 2")
    for clock.seconds in (600.0, 900.0):
        forecast.ended("seed 1" if clock.seconds == 600.0 else "seed 2")
    assert len(clock.lines) == 3 and "1 run to do" in clock.lines[2]


def test_a_run_that_may_stop_early_takes_at_most_so_long(clock: Clock) -> None:
    forecast = clock.forecast(of_method("cifar10", "ALAD", normal_class=0), 2, 1)
    forecast.started("seed 0")
    for clock.seconds, step in ((0.0, 10), (15.0, 60)):
        forecast.reported("seed 0", training(step))
    assert clock.lines == [
        # 94 % of a run of 310 s is left, and one run
        "cifar10 ALAD-releasedDynamics: measured 300 ms a step, at most about 6 min a run; all runs: at most about "
        "11 min, until about 22:10"
    ]


def test_a_resumed_run_counts_from_its_step(clock: Clock) -> None:
    """800 of 1000 steps were done before: a fifth of 10 s and 1000 s is left."""
    forecast = clock.forecast(of_method("kdd99", "ALAD"), 1, 1)
    forecast.started("seed 0")
    for clock.seconds, step in ((0.0, 785), (15.0, 800)):
        forecast.reported("seed 0", training(step))
    assert clock.lines == [
        "kdd99 ALAD: measured 1e+03 ms a step, about 17 min a run; all runs: about 4 min, until about 22:03"
    ]


def test_scoring_is_no_step(clock: Clock) -> None:
    forecast = clock.forecast(of_method("kdd99", "ALAD"), 1, 1)
    forecast.started("seed 0")
    for clock.seconds in (0.0, 60.0):
        forecast.reported("seed 0", Progress(int(clock.seconds), 1000, {}, phase="scoring"))
    assert clock.lines == []


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of the process cannot be set here")
def test_the_end_is_on_the_clock_of_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks in Berlin are put back by an hour in the night to 25 October 2026."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        evening = Forecast(of_method("toy", "ALAD"), [], 1, print, now=lambda: datetime(2026, 10, 24, 22, 0))
        assert evening._until(12 * 3600.0).endswith("until about 25 Oct 09:00")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_end_beyond_the_calendar() -> None:
    forecast = Forecast(of_method("toy", "ALAD"), [], 1, print)
    assert forecast._until(1e20).startswith("about") and "until" not in forecast._until(1e20)
