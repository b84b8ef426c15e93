"""A shared graph reads and assigns the variables of the calling model."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from alad_tf.model import shared_graphs
from alad_tf.model.shared_graphs import SharedGraph

SCALAR = [tf.TensorSpec([], tf.float32)]


class Model(tf.Module):
    """y = a x + b; b counts calls."""

    def __init__(self, a: float, shape: tuple[int, ...] = (), jit: bool = False, alike: object = "model") -> None:
        super().__init__()
        self.a, self.b = tf.Variable(tf.fill(shape, a)), tf.Variable(tf.zeros(shape))
        self.graph = SharedGraph(self.of, SCALAR, [self.a, self.b], alike, jit=jit)

    def of(self, x: tf.Tensor) -> tf.Tensor:
        y = self.a * x + self.b
        self.b.assign_add(tf.ones_like(self.b))
        return y


@pytest.fixture(autouse=True)
def forget() -> None:
    shared_graphs.forget()


@pytest.mark.parametrize("jit", [False, True])
def test_each_model_has_its_own_variables(jit: bool) -> None:
    one, two, x = Model(2.0, jit=jit), Model(5.0, jit=jit), tf.constant(3.0)
    assert [float(model.graph(x)) for model in (one, two, one, one)] == [6.0, 15.0, 7.0, 8.0]
    assert (float(one.b), float(two.b)) == (3.0, 1.0)
    assert (one.graph.tracings(), two.graph.tracings()) == (1, 0)
    one.a.assign(0.0)
    assert (float(one.graph(x)), float(two.graph(x))) == (3.0, 16.0)


def test_a_graph_outlives_its_first_model() -> None:
    one, two, x = Model(2.0), Model(5.0), tf.constant(1.0)
    one.graph(x)
    del one
    assert float(two.graph(x)) == 5.0 and two.graph.tracings() == 0


def test_models_that_are_not_alike_share_nothing() -> None:
    x = tf.constant(1.0)
    models = [Model(2.0), Model(2.0, (2,)), Model(2.0, jit=True), Model(2.0, alike="other"), Model(2.0, alike=None)]
    for model in models:
        np.testing.assert_array_equal(model.graph(x), np.full(model.a.shape, 2.0))
    assert [model.graph.tracings() for model in models] == [1] * 5
    assert len(shared_graphs._graphs) == 4


def test_eager_calls() -> None:
    one, two, x = Model(2.0), Model(5.0), tf.constant(1.0)
    tf.config.run_functions_eagerly(True)
    try:
        assert [float(model.graph(x)) for model in (one, two, one)] == [2.0, 5.0, 3.0]
    finally:
        tf.config.run_functions_eagerly(False)
    assert not shared_graphs._graphs


def test_the_least_recently_used_graph_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_graphs, "LIMIT", 2)
    x, first = tf.constant(1.0), Model(2.0, alike=0)
    first.graph(x)
    for alike in (1, 0, 2):
        Model(2.0, alike=alike).graph(x)
    kept: Any = shared_graphs._graphs
    assert [key[0][0] for key in kept] == [0, 2]
    Model(2.0, alike=3).graph(x)
    assert float(first.graph(x)) == 3.0  # in use, though no longer kept for others


def test_a_variable_that_is_not_named_is_refused() -> None:
    model = Model(2.0)
    graph = SharedGraph(model.of, SCALAR, [model.a], "model")
    with pytest.raises(ValueError, match="Expected a graph of the variables that are named. Received: .* also uses"):
        graph(tf.constant(1.0))


class Slow(list[tf.Variable]):
    """Variables that another thread can overtake."""

    def __getitem__(self, place: Any) -> Any:
        time.sleep(0.05)
        return super().__getitem__(place)


def test_two_threads_in_the_first_call() -> None:
    model = Model(2.0)
    model.graph._variables = Slow(model.graph._variables)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: float(model.graph(tf.constant(3.0))), range(4)))
    assert sorted(found) == [6.0, 7.0, 8.0, 9.0]
