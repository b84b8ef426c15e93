"""Exchanged categories of the benchmark, and how likely they are, counted by hand."""

from __future__ import annotations

import exchanged_categories as benchmark
import numpy as np
import pandas as pd

EVERY = pd.DataFrame(
    [["tcp", "http", "SF"]] * 5
    + [["tcp", "smtp", "SF"]] * 3
    + [["udp", "dns", "SF"]] * 2
    + [["tcp", "http", "REJ"]] * 3,
    columns=benchmark.CATEGORIES,
)


def test_one_category_is_exchanged_for_one_that_was_seen() -> None:
    faulted, names = benchmark.exchange(EVERY, EVERY, seed=0)
    changed = faulted != EVERY
    assert changed.sum(axis=1).eq(1).all()
    assert changed.columns[changed.to_numpy().argmax(axis=1)].tolist() == names.tolist()
    assert all(set(faulted[name]) <= set(EVERY[name]) for name in benchmark.CATEGORIES)
    assert set(names) == set(benchmark.CATEGORIES)


def test_rows_that_are_as_likely() -> None:
    faulted = pd.DataFrame(
        [
            ["tcp", "http", "SF"],
            ["tcp", "smtp", "SF"],
            ["tcp", "http", "REJ"],
            ["udp", "http", "SF"],
            ["tcp", "dns", "REJ"],
        ],
        columns=benchmark.CATEGORIES,
    )
    names = np.array(["service", "service", "flag", "protocol_type", "service"])
    assert benchmark.as_likely(faulted, names, EVERY).tolist() == [True, False, False, False, False]
    assert benchmark.as_likely(faulted[2:3], np.array(["service"]), EVERY).tolist() == [True]
    assert benchmark.as_likely(faulted[4:], np.array(["protocol_type"]), EVERY).tolist() == [False]
