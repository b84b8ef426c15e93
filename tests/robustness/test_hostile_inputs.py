"""A few cases of `hostile_inputs.py`, in which nothing is trained."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import hostile_inputs
import pytest

CASES = [
    "UTF-8 with its mark",
    "FIFO that nobody writes to",
    "sparse file of 1 TB named rows.npy",
    "output is a hard link to the input",
    "file that grows while it is read",
    "JSON number of 400 digits",
    "Excel row 99,999,999,999",
    "header of 65,536 names, a row",
]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, hostile_inputs.Outcome]:
    """Of a small process in between: a child of this one would begin with the memory of this one."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return dict(zip(CASES, pool.map(hostile_inputs.outcome, CASES)))


@pytest.mark.parametrize("name", CASES)
def test_one_line_in_bounded_time_and_memory(outcomes: dict[str, hostile_inputs.Outcome], name: str) -> None:
    found = outcomes[name]
    assert found.problem == "", found.lines
    assert ("read: 11 rows" in found.lines[-1]) == (name == "UTF-8 with its mark")
