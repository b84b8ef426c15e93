"""A process that fits, refits, scores and loads repeatedly does not grow, as measured by the benchmark."""

from __future__ import annotations

import memory
import pytest

GRAPH = 50.0  # MB that the graph of one training step takes: each fit once left one behind, 200 MB in the rounds here


@pytest.mark.parametrize("action", ["fit", "refit", "score", "load"])
def test_growth_is_less_than_one_graph(action: str) -> None:
    after = memory.in_process(action, memory.WARM + 4)
    assert len(after) == memory.WARM + 4 and min(after) > 100.0
    assert memory.row(action, after)["growth MB"] < GRAPH


def test_rows_of_the_report() -> None:
    found = memory.row("fit", [100.0, 300.0, 200.0, 210.0, 220.0, 310.0, 240.0])
    assert found == {
        "action": "fit", "rounds": 7, "MB after 5": 220.0, "MB after 7": 240.0, "growth MB": 10.0, "MB each": 10.0
    }  # fmt: skip
