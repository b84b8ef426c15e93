"""Graphs that are traced once and shared by all models with equal plans.

Tracing a training step takes seconds, and a graph takes tens of megabytes. A graph accesses variables through handles,
which are its inputs: each call passes the handles of one model's variables. Models share nothing else, and several
threads may call a graph at the same time.

AutoGraph is off, and loops are `tf.while_loop`: on Python 3.13 it raises a DeprecationWarning, which fails the tracing
where warnings are errors.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any, Callable, NamedTuple

import tensorflow as tf

from alad_tf.model import forks

LIMIT = 8  # size of the cache of recently used graphs


class SharedGraph:
    """A function as a graph, traced on the first call of the first of several equal functions.

    Args:
        function: accesses only `variables`; everything else that differs between models is an argument.
        signature: TensorSpecs of its arguments.
        variables: variables of the model, in the same order for all equal models.
        alike: everything else that the graph depends on, including the function. None: the graph is not shared.
        jit: compile with XLA.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        signature: Sequence[tf.TensorSpec],
        variables: Sequence[tf.Variable],
        alike: Hashable | None,
        *,
        jit: bool = False,
    ) -> None:
        self._function = tf.function(function, input_signature=signature, jit_compile=jit or None, autograph=False)
        self._variables = list(variables)
        self._called: tuple[_Graph, list[tf.Tensor]] | None = None  # in one piece, as several threads may set it
        self._key: Hashable = None
        if alike is not None:
            kinds = tuple((tuple(each.shape), each.dtype.name, each.trainable) for each in variables)
            self._key = (alike, tuple(signature), kinds, jit)

    def __call__(self, *arguments: Any) -> Any:
        """Call the graph with the current values of the variables (ForkError in a forked process)."""
        forks.require_threads()
        if self._key is None or tf.config.functions_run_eagerly():
            return self._function(*arguments)
        if self._called is None:
            graph = _graph(self._key, self._function, self._variables)
            self._called = graph, [self._variables[place].handle for place in graph.places]
        graph, handles = self._called
        return graph.concrete.inference_fn.call_with_captures(arguments, {}, handles)

    def tracings(self) -> int:
        """Number of times this function was traced: 0 if an equal one was traced before."""
        return int(self._function.experimental_get_tracing_count())


class _Graph(NamedTuple):
    concrete: Any  # tf.types.experimental.ConcreteFunction, which keeps the functions that it calls alive
    places: list[int]  # positions of its captures among the variables


_graphs: OrderedDict[Hashable, _Graph] = OrderedDict()
_lock = threading.Lock()


def forget() -> None:
    """Clear the cache; graphs that no model uses are freed."""
    with _lock:
        _graphs.clear()


def _graph(key: Hashable, function: Any, variables: Sequence[tf.Variable]) -> _Graph:
    """Return the graph for a key, traced with these variables if there is none yet."""
    options = tuple(sorted(tf.config.optimizer.get_experimental_options().items()))  # fixed when a graph is traced
    with _lock:
        graph = _graphs.pop((key, options), None) or _traced(function, variables)
        _graphs[key, options] = graph
        while len(_graphs) > LIMIT:
            _graphs.popitem(last=False)
    return graph


def _traced(function: Any, variables: Sequence[tf.Variable]) -> _Graph:
    concrete = function.get_concrete_function()
    places = {id(variable.handle): place for place, variable in enumerate(variables)}
    missing = [capture for capture in concrete.captured_inputs if id(capture) not in places]
    if missing:
        raise ValueError(f"Expected a graph of the variables that are named. Received: one that also uses {missing}.")
    return _Graph(concrete, [places[id(capture)] for capture in concrete.captured_inputs])
