"""A few cases of `hostile_inputs.py`, in which nothing is trained."""

from __future__ import annotations

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
]


@pytest.mark.parametrize("name", CASES)
def test_one_line_in_bounded_time_and_memory(name: str) -> None:
    found = hostile_inputs.outcome(name)
    assert found.problem == "", found.lines
    assert ("read: 11 rows" in found.lines[-1]) == (name == "UTF-8 with its mark")
