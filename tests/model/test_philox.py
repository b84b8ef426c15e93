"""Random numbers equal those of TensorFlow's functions, eager and compiled."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from alad_tf.model import philox

SEEDS = np.array([[1, 2], [77, 2**30], [2**31 - 1, 2**31 - 1]], np.int32)


@pytest.mark.parametrize("seed", SEEDS.tolist())
def test_bits_and_orders_are_those_of_tensorflow(seed: list[int]) -> None:
    expected = tf.random.stateless_uniform([13, 7], seed, None, None, tf.int64, alg="philox")
    for jit in (None, True):
        graph = tf.function(lambda of: philox.bits([13, 7], of), jit_compile=jit)
        np.testing.assert_array_equal(graph(tf.constant(seed)), expected)
    order = tf.random.experimental.stateless_shuffle(tf.range(50), seed, alg="philox")
    np.testing.assert_array_equal(philox.shuffled(tf.range(50), tf.constant(seed)), order)


@pytest.mark.parametrize("shape", [(50, 64), (7, 3), (5, 4, 4, 3)])
def test_words_are_quarters_of_bits(shape: tuple[int, ...]) -> None:
    """The first rows get the lowest 16 bits, and so on, as in earlier releases."""
    rows, units = (shape[0] + 3) // 4, int(np.prod(shape[1:]))
    bits = philox.bits([rows, units], tf.constant(SEEDS[0])).numpy()
    expected = np.concatenate([bits >> 16 * k & 0xFFFF for k in range(4)])[: shape[0]].reshape(shape)
    of_any_length = tf.function(
        lambda like: philox.words(like, tf.constant(SEEDS[0])), input_signature=[tf.TensorSpec([None, *shape[1:]])]
    )
    for words in (philox.words, lambda like, seed: of_any_length(like)):
        np.testing.assert_array_equal(words(tf.zeros(shape), tf.constant(SEEDS[0])), expected)
    assert 0.4 < np.mean(expected >= 2**15) < 0.6
