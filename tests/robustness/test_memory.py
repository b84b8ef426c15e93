"""Memory does not grow: TensorFlow objects of a fit are freed with the estimator, or reused by the next fit."""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import replace
from typing import Any, Callable

import pytest
from reference import TINY, draw
from small_baselines import TABLES

from alad_tf import ALAD, baselines
from alad_tf.model import networks, shared_graphs
from architectures.rows import of_width

X = draw(0, 40, 5)


def make(method: str, **options: Any) -> Any:
    if method == "ALAD":
        return ALAD(**{"architecture": TINY, "jit": False, "verbose": 0, "random_state": 1, **options})
    table = replace(of_width(TABLES[method], 5), epochs=2)
    return getattr(baselines, method)(**{"architecture": table, "verbose": 0, "random_state": 1, **options})


def alive() -> Counter[str]:
    """Graphs and operations that are still referenced in Python."""
    gc.collect()
    names = Counter(type(thing).__name__ for thing in gc.get_objects())
    return Counter({name: count for name, count in names.items() if name.endswith("FuncGraph") or name == "Operation"})


@pytest.mark.parametrize("method", ["ALAD", "DSEBM", "DAGMM", "AnoGAN"])
def test_a_second_fit_leaves_no_graph_behind(method: str) -> None:
    make(method).fit(X)
    before = alive()
    make(method).fit(X).score_samples(X)
    assert alive() == before


def test_graphs_that_no_model_uses_are_freed() -> None:
    """Each batch size has a graph of its own; TensorFlow keeps those whose gradients are registered."""
    counts = []
    for batch_size in (7, 8, 9):
        make("ALAD", architecture=replace(TINY, batch_size=batch_size)).fit(X)
        shared_graphs.forget()
        counts.append(alive())
    assert counts[1] == counts[2]


def names(built: Any) -> list[str]:
    return [variable.name for variable in built.variables]


@pytest.mark.parametrize(
    "build", [lambda: networks.build(TINY), lambda: networks.build(TINY, spectral_norm=None)], ids=["paper", "none"]
)
def test_networks_of_a_table_have_the_same_names_each_time(build: Callable[[], Any]) -> None:
    """TensorFlow keeps 45 KB for each new variable name."""
    first = names(build())
    assert names(build()) == first and len(set(first)) == len(first) > 0
