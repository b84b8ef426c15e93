"""Dropout: fractions, masks by seed and call, and its positions in the networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from reference import TINY, draw
from small_networks import table_of
from tolerances import assert_close

from alad_tf.model import keras_versions, layers, networks


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_dropout_zeroes_its_share_and_scales_up_the_rest(rate: float) -> None:
    layer, x = layers.Dropout(rate, seed=7), tf.constant(draw(0, 400, 250)) + 10.0
    got, n = layer(x, training=True).numpy(), 400 * 250
    kept = got != 0
    assert abs((~kept).mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / n)
    assert_close(got[kept], x.numpy()[kept] / (1 - rate), 2)
    for axis in (0, 1):  # every row and every unit loses about that share
        length = kept.shape[axis]
        assert np.abs((~kept).mean(axis) - rate).max() < 6 * np.sqrt(rate * (1 - rate) / length)
        assert np.unique(kept, axis=axis).shape == kept.shape
        assert abs(np.corrcoef(kept.reshape(4, -1))[0, 1:]).max() < 5 / np.sqrt(n / 4)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 50])
def test_dropout_takes_any_number_of_rows(rows: int) -> None:
    got = layers.Dropout(0.5, seed=7)(tf.ones([rows, 40]), training=True).numpy()
    assert got.shape == (rows, 40)
    assert set(got.ravel()) == {0.0, 2.0}


def test_dropout_of_maps_is_that_of_their_units_in_a_row() -> None:
    rows = layers.Dropout(0.2, seed=7)(tf.ones([9, 60]), training=True)
    maps = layers.Dropout(0.2, seed=7)(tf.ones([9, 3, 4, 5]), training=True)
    np.testing.assert_array_equal(maps, tf.reshape(rows, [9, 3, 4, 5]))


def test_dropout_masks_are_addressed_by_seed_and_training_call() -> None:
    x = tf.ones([20, 30])
    layer, again, other = layers.Dropout(0.5, seed=7), layers.Dropout(0.5, seed=7), layers.Dropout(0.5, seed=8)
    first, second = layer(x, training=True).numpy(), layer(x, training=True).numpy()
    assert (first != second).mean() > 0.3
    np.testing.assert_array_equal(again(x, training=True), first)
    assert (other(x, training=True).numpy() != first).mean() > 0.3
    layer.set_weights([np.array(1, np.int32)])
    np.testing.assert_array_equal(layer(x, training=True), second)
    layer.set_weights([np.array(0, np.int32)])
    np.testing.assert_array_equal(tf.function(layer)(x, training=True), first)
    assert layer.calls.numpy() == 1


@pytest.mark.parametrize("training", [False, None])
def test_dropout_is_the_identity_in_inference(training: bool | None) -> None:
    layer, x = layers.Dropout(0.5, seed=7), draw(0, 20, 30)
    np.testing.assert_array_equal(layer(x, training=training), x)
    assert layer.calls.numpy() == 0


def test_dropout_comes_back_from_its_config() -> None:
    layer = layers.Dropout(0.5, seed=7, name="mask")
    again = tf.keras.layers.deserialize(tf.keras.layers.serialize(layer))
    x = tf.ones([20, 30])
    assert again.name == "mask"
    np.testing.assert_array_equal(again(x, training=True), layer(x, training=True))


def test_features_and_logits_come_after_dropout_in_training_only() -> None:
    built = networks.build(table_of("kdd99"), seed=1)
    x, z = draw(0, 400, 121), draw(1, 400, 32)
    for model, pair, rate in ((built.Dxx, [x, x + 1.0], 0.2), (built.Dxz, [x, z], 0.5)):
        logits, features = (output.numpy() for output in model(pair, training=True))
        assert abs((features == 0).mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / features.size)
        kernel, bias = (weight.numpy() for weight in keras_versions.weights(model.layers[-1]))
        assert_close(logits, features @ kernel + bias, len(kernel), (np.abs(features) @ np.abs(kernel)).max())
        assert not (model(pair, training=False)[1].numpy() == 0).any()


def test_dropout_of_a_branch_reaches_the_logits() -> None:
    joint = tuple(replace(row, dropout=0.0) for row in TINY.Dxz.joint)
    built = networks.build(replace(TINY, Dxz=replace(TINY.Dxz, joint=joint)), spectral_norm=None)
    pair = [draw(0, 8, 5), draw(1, 8, 3)]
    assert not np.allclose(built.Dxz(pair, training=True)[0], built.Dxz(pair, training=True)[0])
    np.testing.assert_array_equal(built.Dxz(pair, training=False)[0], built.Dxz(pair, training=False)[0])
