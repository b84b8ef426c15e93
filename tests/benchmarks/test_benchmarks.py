"""The measuring tools of the benchmarks."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest
import yardstick


def test_calls_alternate_and_times_are_those_of_a_part() -> None:
    order: list[str] = []
    calls = {name: partial(order.append, name) for name in "ab"}
    clock = iter([0.0, 1.0, 0.0, 4.0, 0.0, 6.0, 0.0, 3.0, 0.0, 2.0, 0.0, 8.0])
    times = yardstick.alternate(calls, 3, parts={"b": 2}, clock=lambda: next(clock))
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"
    assert times.of == {"a": [1.0, 3.0, 2.0], "b": [2.0, 3.0, 4.0]}
    assert (times.median("a"), times.ratio("a", "b"), times.fastest(["b", "a"])) == (2.0, 0.5, "a")
    assert times.rows("b")[0] == {
        "what": "a", "median ms": 2e3, "lowest ms": 1e3, "highest ms": 3e3, "ours / it": 2.0
    }  # fmt: skip


ADDS = """
print("adder", flush=True)
total = 0
while True:
    amount = int(input())
    if not amount:
        break
    total += amount
    print(total, flush=True)
"""


def test_a_peer_says_what_it_is_and_how_long_it_worked() -> None:
    peer = yardstick.Peer([sys.executable, "-c", ADDS])
    assert peer.version == "adder"
    before = yardstick.processor_seconds(peer)
    peer.work(100)
    peer.work(50)
    assert peer.seconds == 150.0 and 150.0 <= yardstick.processor_seconds(peer) - before < 200.0
    with pytest.raises(RuntimeError, match="Received: its end"):
        peer.work(0)
    peer.end()


def test_a_report_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"what": "ours", "ms": 1.23456}, {"what": "theirs", "ms": 12345.6, "note": "slow"}]
    yardstick.publish("Title", rows, tmp_path / "report.json", one_fact=3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == ["Title", "", "what        ms  note", "ours     1.235     -", "theirs  12,346  slow"]
    assert "one fact: 3" in lines
    assert any(line.startswith("numpy openblas: ") for line in lines)
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["rows"] == rows and written["one_fact"] == 3 and "processor" in written["machine"]
