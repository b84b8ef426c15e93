"""Folded networks: the same numbers from layers that plain Keras knows."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from reference import TINY, draw, randomise

from alad_tf import folding, networks, spectral
from alad_tf.networks import Networks, PairDense


def trained(kind: str | None = "paper") -> Networks:
    built = networks.build(TINY, spectral_norm=kind)
    randomise(built, 5)
    return built


@pytest.mark.parametrize("kind", ["paper", "tfa", None])
@pytest.mark.parametrize("pairs", [False, True])
def test_every_network_computes_the_same(kind: str | None, pairs: bool) -> None:
    built = trained(kind)
    x, z = tf.constant(draw(1, 9, 5)), tf.constant(draw(2, 9, 3))
    inputs = {"G": z, "E": x, "Dxz": [x, z], "Dxx": [x, -x], "Dzz": [z, -z]}
    folded = folding.fold(built, pairs=pairs)
    assert list(folded.models) == list(built.models)
    for name, model in folded.models.items():
        expected, got = (tf.nest.flatten(m(inputs[name], training=False)) for m in (built.models[name], model))
        assert len(got) == len(expected)
        for a, b in zip(got, expected):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_only_layers_of_keras_remain() -> None:
    layers = [layer for model in folding.fold(trained()).models.values() for layer in model.layers]
    assert {type(layer).__module__.split(".")[0] for layer in layers} == {"keras"}
    assert sum(isinstance(layer, tf.keras.layers.Dropout) for layer in layers) == 5
    assert sum(isinstance(layer, tf.keras.layers.Concatenate) for layer in layers) == 3
    assert sum(isinstance(layer, PairDense) for layer in folding.fold(trained(), pairs=True).Dxx.layers) == 1


def test_the_trained_networks_stay_as_they_are() -> None:
    built = trained()
    before = networks.get_arrays(built)
    for name, model in folding.fold(built).models.items():
        assert (model is built.models[name]) == (name == "G"), "G has no layer of the package"
        for weight in model.weights if name != "G" else ():
            weight.assign(weight + 1.0)
    for name, array in networks.get_arrays(built).items():
        np.testing.assert_array_equal(array, before[name])


def test_ablation_without_Dzz() -> None:
    assert folding.fold(networks.build(TINY, latent_discriminator=False)).Dzz is None


@pytest.mark.parametrize("bias", [True, False])
def test_convolution(bias: bool) -> None:
    x = tf.keras.Input((6, 6, 2))
    layer = spectral.SpectralNormalization(tf.keras.layers.Conv2D(3, 3, strides=2, padding="same", use_bias=bias))
    model = tf.keras.Model(x, tf.keras.layers.Flatten()(layer(x)))
    folded = folding._folded(model, pairs=False)
    images = tf.constant(draw(0, 4, 6, 6, 2))
    np.testing.assert_allclose(folded(images), model(images, training=False), rtol=1e-5, atol=1e-6)
    assert [type(layer).__name__ for layer in folded.layers] == ["InputLayer", "Conv2D", "Flatten"]


def test_models_without_own_layers_are_passed_on() -> None:
    plain = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
    assert folding._folded(plain, pairs=False) is plain
