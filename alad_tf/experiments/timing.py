"""Alternating time measurements, so that a slow phase of the machine affects all calls alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Callable, NamedTuple


class Times(NamedTuple):
    """Times of several calls, measured in the same rounds."""

    of: dict[str, list[float]]  # name -> seconds of each round

    def median(self, name: str) -> float:
        """Median over the rounds."""
        return statistics.median(self.of[name])

    def ratio(self, name: str, yardstick: str) -> float:
        """Median over the rounds of name / yardstick; a slow phase of the machine affects both alike."""
        return statistics.median(a / b for a, b in zip(self.of[name], self.of[yardstick]))

    def fastest(self, names: Sequence[str]) -> str:
        """The name with the smallest median."""
        return min(names, key=self.median)

    def rows(self, ours: str) -> list[dict[str, str | float]]:
        """A row for each name: its times in milliseconds, and the ratio of ours to it."""
        return [
            {
                "what": name,
                "median ms": 1e3 * self.median(name),
                "lowest ms": 1e3 * min(seconds),
                "highest ms": 1e3 * max(seconds),
                "ours / it": self.ratio(ours, name),
            }
            for name, seconds in self.of.items()
        ]


def alternate(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    parts: Mapping[str, int] | None = None,
    called: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Call each function once to warm up, then once per round; each round starts with another one.

    Args:
        calls: name -> function to measure.
        rounds: number of rounds.
        parts: name -> number of parts in one call (default 1); times are per part.
        called: called after each measurement, for example to advance a progress bar.
        clock: seconds so far, for example `time.process_time` on a machine with other work.
    """
    for call in calls.values():
        call()
        called()
    names = list(calls)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for first in range(rounds):
        for position in range(len(names)):
            name = names[(first + position) % len(names)]
            seconds[name].append(time_of(calls[name], clock) / (parts or {}).get(name, 1))
            called()
    return Times(seconds)


def time_of(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of one call."""
    started = clock()
    call()
    return clock() - started
