"""Random numbers by Philox, addressed by a seed: the same on every device, eager and compiled.

They are those of `tf.random.stateless_uniform` and `stateless_shuffle` with alg="philox", which add some thirty
operations to a graph for each call. Seeds are [2] int32 and not negative: XLA extends signs in another way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

ALGORITHM = 1  # TensorFlow's number of Philox


def bits(shape: Sequence[int | tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
    """Random int64 of all values."""
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=shape, key=key, counter=counter, alg=ALGORITHM, dtype=tf.int64
    )


def words(like: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Random whole numbers below 2**16 in the shape of `like`: four from each 64 bits, as floats are slow to draw."""
    rows, units = like.shape[0], math.prod(like.shape[1:])
    rows = tf.shape(like)[0] if rows is None else rows
    shifts = tf.constant([0, 16, 32, 48], tf.int64, [4, 1, 1])
    drawn = tf.bitwise.right_shift(bits([(rows + 3) // 4, units], seed), shifts)
    drawn = tf.reshape(tf.bitwise.bitwise_and(drawn, 0xFFFF), [-1, units])[:rows]
    return drawn if len(like.shape) == 2 else tf.reshape(drawn, tf.shape(like))


def shuffled(values: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Values [n, ...] in random order."""
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    return tf.raw_ops.StatelessShuffle(value=values, key=key, counter=counter, alg=ALGORITHM)
