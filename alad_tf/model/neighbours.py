"""The score "neighbours": distance to the nearest training rows, by value and reconstruction error.

This score is not in the paper.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import tensorflow as tf

from alad_tf.model.shared_graphs import SharedGraph
from alad_tf.options import NEIGHBOURS

MOST_REFERENCES = 2_000  # training rows stored in a model
MOST_NUMBERS = 1 << 24  # numbers in these rows: 64 MB
CHUNK_ROWS = 512  # rows whose distances to all references are in memory at a time: 4 MB


def choose(n_rows: int, n_features: int, seed: int) -> np.ndarray:
    """Ascending positions [m] of the training rows to store as references: all, or a random sample of allowed size."""
    most = min(MOST_REFERENCES, max(MOST_NUMBERS // (2 * n_features), NEIGHBOURS + 1))
    return np.sort(np.random.default_rng(seed).permutation(n_rows)[:most])


def points(x: tf.Tensor, x_hat: tf.Tensor) -> tf.Tensor:
    """The points (x, x - x') [n, 2 d] of rows x and their reconstructions x' [n, d], in scaled units."""
    return tf.concat([x, x - x_hat], axis=1)


def mean_distance(points: tf.Tensor, references: tf.Tensor) -> tf.Tensor:
    """Mean Euclidean distance of each point to its second to sixth nearest reference.

    The nearest reference is skipped: for a training row it is the row itself, and scores of training rows and new rows
    should be comparable. Neighbours are found with a matrix product of rows minus the mean reference, since products of
    large numbers are rounded by more than small distances. The distances of those found are computed from differences,
    so that small ones are exact.

    Args:
        points: [n, w].
        references: [m, w].

    Returns:
        [n] float32; 0 if there is only one reference.
    """
    return _mean_distance(points, references, _count(references))


def score(points: np.ndarray, references: np.ndarray) -> np.ndarray:
    """`mean_distance` [n] for any number of points, in chunks of rows, each in a call of a graph."""
    graph, kept = _graph(_count(references)), tf.constant(references)
    starts = range(0, max(len(points), 1), CHUNK_ROWS)
    return np.concatenate([graph(tf.constant(points[start : start + CHUNK_ROWS]), kept).numpy() for start in starts])


def _count(references: tf.Tensor | np.ndarray) -> int:
    """Number of the nearest references to find."""
    return min(1 + NEIGHBOURS, int(references.shape[0]))


@cache
def _graph(count: int) -> SharedGraph:
    rows = tf.TensorSpec([None, None], tf.float32)
    return SharedGraph(partial(_mean_distance, count=count), [rows, rows], [], None)


def _mean_distance(points: tf.Tensor, references: tf.Tensor, count: int) -> tf.Tensor:
    mean = tf.reduce_mean(references, axis=0)
    centred = references - mean
    closeness = 2.0 * tf.matmul(points - mean, centred, transpose_b=True) - tf.reduce_sum(centred**2, axis=1)
    nearest = tf.gather(references, tf.math.top_k(closeness, count).indices)
    distances = tf.sqrt(tf.reduce_sum((points[:, None, :] - nearest) ** 2, axis=2))
    return (tf.reduce_sum(distances, axis=1) - tf.reduce_min(distances, axis=1)) / max(count - 1, 1)
