"""The score "neighbours": distance to the nearest training rows by value and reconstruction error.

It is a score of this package, not of the paper.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from alad_tf.options import NEIGHBOURS

MOST_REFERENCES = 2_000  # training rows that a model keeps
MOST_NUMBERS = 1 << 24  # of which they consist: 64 MB
CHUNK_ROWS = 512  # whose distances to all references are in memory at a time: 4 MB


def choose(n_rows: int, n_features: int, seed: int) -> np.ndarray:
    """Positions [m] of the training rows to keep as references, ascending: all, or as many as allowed at random."""
    most = min(MOST_REFERENCES, max(MOST_NUMBERS // (2 * n_features), NEIGHBOURS + 1))
    return np.sort(np.random.default_rng(seed).permutation(n_rows)[:most])


def points(x: tf.Tensor, x_hat: tf.Tensor) -> tf.Tensor:
    """The points (x, x - x') [n, 2 d] of rows x and their reconstructions x' [n, d], in scaled units."""
    return tf.concat([x, x - x_hat], axis=1)


def mean_distance(points: tf.Tensor, references: tf.Tensor) -> tf.Tensor:
    """Mean Euclidean distance of each point to its second to sixth nearest reference.

    The nearest is passed over for all points: for a training row it is the row itself, and training rows and fresh ones
    are to have scores of one kind. The nearest are found by matrix product. Their distances are computed from
    differences, so small ones are exact.

    Args:
        points: [n, w].
        references: [m, w].

    Returns:
        [n] float32, 0 with one reference.
    """
    count = min(1 + NEIGHBOURS, references.shape[0])
    closeness = 2.0 * tf.matmul(points, references, transpose_b=True) - tf.reduce_sum(references**2, axis=1)
    nearest = tf.gather(references, tf.math.top_k(closeness, count).indices)
    distances = tf.sqrt(tf.reduce_sum((points[:, None, :] - nearest) ** 2, axis=2))
    return (tf.reduce_sum(distances, axis=1) - tf.reduce_min(distances, axis=1)) / max(count - 1, 1)


def score(points: np.ndarray, references: np.ndarray) -> np.ndarray:
    """`mean_distance` [n] of any number of points, in chunks of rows."""
    kept, starts = tf.constant(references), range(0, max(len(points), 1), CHUNK_ROWS)
    chunks = (tf.constant(points[start : start + CHUNK_ROWS]) for start in starts)
    return np.concatenate([mean_distance(chunk, kept) for chunk in chunks])
