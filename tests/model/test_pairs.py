"""Layers and discriminators of pairs: two inputs side by side, or one first member for several second ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from reference import draw, randomise
from small_networks import pair_widths, table_of
from tolerances import assert_close, assert_within, of_network

from alad_tf.model import keras_versions, layers, networks, spectral_norm

PAIR_WRAPPERS: dict[str | None, Any] = {
    None: lambda layer: layer,
    "paper": spectral_norm.wrapper("paper"),
    "tfa": spectral_norm.wrapper("tfa"),
}


@pytest.mark.parametrize("kind", PAIR_WRAPPERS)
def test_pair_layer_is_a_dense_layer_on_both_members_side_by_side(kind: str | None) -> None:
    """Also in training calls, for the gradient of the kernel, and for an empty batch."""
    of_pairs = PAIR_WRAPPERS[kind](layers.PairDense(4, activation="tanh"))
    dense = PAIR_WRAPPERS[kind](tf.keras.layers.Dense(4, activation="tanh"))
    a, b = tf.constant(draw(0, 6, 3)), tf.constant(draw(1, 6, 2))
    of_pairs([a, b]), dense(tf.concat([a, b], axis=1))
    dense.set_weights([draw(2, *weight.shape) for weight in of_pairs.get_weights()])
    of_pairs.set_weights(dense.get_weights())
    arguments = {} if kind is None else {"training": True}
    kernel, bias = (weight.numpy() for weight in keras_versions.trained(dense))
    rows = np.abs(np.concatenate([a, b], 1))
    size, slope = float((rows @ np.abs(kernel)).max() + np.abs(bias).max()), float(rows.sum(axis=0).max())
    with tf.GradientTape() as tape:
        got = of_pairs([a, b], **arguments)
        got_gradient = tape.gradient(got, keras_versions.trained(of_pairs))
    with tf.GradientTape() as tape:
        expected = dense(tf.concat([a, b], axis=1), **arguments)
        expected_gradient = tape.gradient(expected, keras_versions.trained(dense))
    assert_close(got, expected, 9, size)
    for one, other in zip(got_gradient, expected_gradient):
        assert_close(one, other, 6 + 9 + 9, slope * size)
    for one, other in zip(of_pairs.get_weights(), dense.get_weights()):
        assert_close(one, other, 9, max(1.0, size))
    assert of_pairs([a[:0], b[:0]]).shape == (0, 4)


def test_first_member_may_stand_once_for_several_second_members() -> None:
    layer = layers.PairDense(4)
    a, b = tf.constant(draw(0, 6, 3)), tf.constant(draw(1, 18, 2))
    assert_close(layer([a, b]), layer([tf.concat([a, a, a], axis=0), b]), 5)
    kernel = layer.kernel.numpy()
    by_hand = [a[row % 6].numpy() @ kernel[:3] + b[row].numpy() @ kernel[3:] for row in range(18)]
    assert_close(layer([a, b]), by_hand, 5)


@pytest.mark.parametrize("table", ["tiny", "kdd99", "toy"])
def test_discriminators_take_a_shared_first_member(table: str) -> None:
    built = networks.build(table_of(table))
    randomise(built, seed=1)
    for name, (width, other) in pair_widths(table_of(table)).items():
        a, b = tf.constant(draw(2, 5, width)), tf.constant(draw(3, 10, other))
        shared, plain = built.models[name]([a, b]), built.models[name]([tf.concat([a, a], axis=0), b])
        for one, whole in zip(shared, plain):
            assert_within(one, whole, of_network(built.models[name], [a, b]))
