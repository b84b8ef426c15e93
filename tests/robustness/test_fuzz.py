"""A few cases of `fuzz_readers.py`; the script can run longer."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Callable

import fuzz_files
import fuzz_readers
import pytest


def test_readers_read_or_refuse(tmp_path: Path) -> None:
    counts, findings = fuzz_readers.fuzz(tmp_path, seed=0, numbers=range(70))
    assert findings == []
    assert set(counts) == {f"{name} {end}" for name in fuzz_readers.READERS for end in ("read", "refused")}


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
        return lambda: os.kill(os.getpid(), signal.SIGKILL)

    def raises(folder: Path, chance: fuzz_files.Chance) -> Callable[[], object]:
        return lambda: int("x")

    for make, says in ((ends, "said nothing and ended with exit code -9"), (raises, "said ValueError: invalid")):
        with pytest.raises(AssertionError, match=says):
            fuzz_readers.apart(make, 0, 0, tmp_path)
    assert fuzz_readers.apart(lambda folder, chance: lambda: None, 0, 0, tmp_path) == "read"
