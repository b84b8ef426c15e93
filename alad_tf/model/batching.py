"""Scores of any number of rows, computed in chunks, with progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

import numpy as np
import tensorflow as tf

from alad_tf.model.networks import as_input
from alad_tf.model.shared_graphs import SharedGraph

Watch = Callable[[int, int], None]  # called with the number of scored rows and the total; may raise to stop scoring
Score = Callable[[np.ndarray, Watch], dict[str, np.ndarray]]  # name -> [n], larger = more anomalous, of x [n, ...]
Parts = dict[str, np.ndarray]  # partial results, which are not computed again
CHUNK_ROWS = 4096
CHUNK_IMAGES = 256
TILE = 16  # rows; divides the sizes of all chunks


def unwatched(done: int, of: int) -> None:
    """Ignore progress."""


def padded(x: np.ndarray) -> np.ndarray:
    """Rows x [n, d] with the last one repeated up to a multiple of `TILE` rows.

    The rounding of a row depends on the number of rows in a matrix product. With whole tiles it does not.
    """
    missing = -len(x) % TILE
    return np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) if missing and len(x) else x


def in_chunks(score: Callable[[Any], Mapping[str, Any]], x: np.ndarray, watch: Watch) -> dict[str, np.ndarray]:
    """Apply `score` to rows x [n, d] or images in chunks; return arrays [n]."""
    size, parts = CHUNK_ROWS if x.ndim == 2 else CHUNK_IMAGES, []
    for first in range(0, max(len(x), 1), size):
        parts.append(score(as_input(x[first : first + size])))
        watch(min(first + size, len(x)), len(x))
    return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}


def in_graph(score: Callable[[tf.Tensor], Mapping[str, tf.Tensor]], model: Any) -> Score:
    """Turn a function that scores a batch into one that scores arrays of any length, in a graph shared by equal models.

    Args:
        score: function of rows [n, ...] that calls the model.
        model: a tf.Module with variables and a `plan`.
    """
    rows = tf.TensorSpec([None, *model.plan.table.data_shape], tf.float32)
    graph = SharedGraph(score, [rows], model.variables, ("scores", model.plan))
    return lambda x, watch: in_chunks(graph, x, watch)
