"""A few cases of `fuzz_readers.py`; the script can run longer."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Callable

import faults_page
import fuzz_files
import fuzz_readers
import pytest


def test_readers_read_or_refuse(tmp_path: Path) -> None:
    found: dict[str, Counter[str]] = {}
    for name, make in {
        **fuzz_readers.FILES,
        "run": fuzz_readers.run,
        "model": fuzz_readers.Valid(tmp_path).model,
    }.items():
        numbers = range(12 if name == "model" else 70)
        found[name] = Counter(fuzz_readers.outcomes(make, numbers, seed=0, folder=tmp_path))
    assert all(counts.keys() == {"read", "refused"} for counts in found.values()), found


def test_a_case_is_the_same_again(tmp_path: Path) -> None:
    made = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        for number in range(20):
            chance = fuzz_files.Chance(number)
            fuzz_files.csv_file(tmp_path / name, chance)
        made.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert made[0] == made[1] and made[0]


def test_a_library_that_ends_the_process_is_found(tmp_path: Path) -> None:
    def ends(folder: Path, chance: fuzz_files.Chance) -> Callable[[], object]:
        return lambda: os.kill(os.getpid(), signal.SIGKILL) if chance.random() < 0.2 else None

    def raises(folder: Path, chance: fuzz_files.Chance) -> Callable[[], object]:
        return lambda: int("x") if chance.random() < 0.2 else None

    killed = fuzz_readers.fuzz("csv", ends, 0, tmp_path, seconds=60.0)
    assert killed.findings == [f"case {killed.read}: the process ended with exit code -9"] and killed.seconds < 60.0
    (first, *_) = fuzz_readers.fuzz("csv", raises, 0, tmp_path, seconds=0.1).findings
    assert "ValueError: invalid literal for int()" in first
    number = int(first.split()[1].rstrip(":"))
    assert fuzz_readers.apart(raises, [number], 0, tmp_path, 0.0) == [first.split(": ", 1)[1]]


def test_a_reader_that_takes_too_long_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(folder: Path, chance: fuzz_files.Chance) -> Callable[[], object]:
        return lambda: sum(iter(int, 1))

    def waits(folder: Path, chance: fuzz_files.Chance) -> Callable[[], object]:
        return lambda: time.sleep(60)

    monkeypatch.setattr(fuzz_readers, "SECONDS", 0.1)
    monkeypatch.setattr(fuzz_readers, "HANGING", 1)
    for make, number in ((hangs, signal.SIGPROF), (waits, signal.SIGALRM)):
        (finding,) = fuzz_readers.fuzz("csv", make, 0, tmp_path, seconds=60.0).findings
        assert finding == f"case 0: the process ended with exit code {-number}"


def test_table_sums_the_rounds_of_a_reader() -> None:
    rounds = [
        fuzz_readers.Round("csv", 0, 10, 20, 1.6, []),
        fuzz_readers.Round("model", 1, 1, 2, 5.0, []),
        fuzz_readers.Round("csv", 2, 1000, 5, 1.6, ["case 7: ValueError"]),
    ]
    assert fuzz_readers.table(rounds).splitlines()[2:] == [
        "| CSV and TSV | 1,036 | 1,010 | 25 | 1 | 3 |",
        "| model folder | 3 | 1 | 2 | 0 | 5 |",
    ]


def test_the_reader_with_the_least_time_is_next(tmp_path: Path) -> None:
    record = tmp_path / "rounds.jsonl"
    for done in (
        fuzz_readers.Round("csv", 0, 1, 1, 60.0, []),
        fuzz_readers.Round("json", 0, 1, 1, 59.0, []),
        fuzz_readers.Round("csv", 1, 1, 1, 60.0, []),
    ):
        fuzz_readers.add(done, record)
    recorded = fuzz_readers.rounds(record)
    assert fuzz_readers.next_round(recorded, ["csv", "json"]) == ("json", 1)
    assert fuzz_readers.next_round(recorded, ["csv"]) == ("csv", 2)
    assert fuzz_readers.next_round(recorded, ["csv", "json", "model"]) == ("model", 0)


def test_the_page_has_the_recorded_rounds() -> None:
    assert faults_page.part("rounds") == f"\n{fuzz_readers.table(fuzz_readers.rounds(fuzz_readers.RECORD))}\n"
