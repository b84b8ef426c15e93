"""Custom networks: unsuitable networks are refused by name; training uses copies."""

from __future__ import annotations

import random
from typing import Callable

import numpy as np
import pytest
import tensorflow as tf
from reference import draw
from small_networks import own

from alad_tf import ALAD
from alad_tf.errors import SettingsError
from alad_tf.estimator import custom_networks
from alad_tf.typing import Options


def test_those_that_fit() -> None:
    assert custom_networks.require(own(latent=3, features=7), 7) == 3
    models = own()
    del models["Dzz"]
    assert custom_networks.require(models, 5) == 2
    assert custom_networks.copies(models).Dzz is None


def test_copies() -> None:
    models, state = own(), random.getstate()
    copies = custom_networks.copies(models)
    assert random.getstate() == state
    assert list(copies.models) == ["G", "E", "Dxz", "Dxx", "Dzz"]
    for name, model in models.items():
        for mine, theirs in zip(model.get_weights(), copies.models[name].get_weights()):
            np.testing.assert_array_equal(mine, theirs)
    before = models["E"].get_weights()[0]
    copies.E.set_weights([weight + 1 for weight in copies.E.get_weights()])
    np.testing.assert_array_equal(models["E"].get_weights()[0], before)


def encoder(**options: str) -> tf.keras.Model:
    return tf.keras.Sequential([tf.keras.Input((5,)), tf.keras.layers.Dense(2, **options)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda: {"Dxx": None}, "Expected networks G, E, Dxz, Dxx and perhaps Dzz. Received: G, E, Dxz, Dzz."),
        (lambda: {"D": own()["Dxx"]}, "Received: G, E, Dxz, Dxx, Dzz, D."),
        (lambda: {"E": own(features=4)["E"]}, "Expected E from [(None, 5)] to [(None, 2)]. Received: from [(None, 4)]"),
        (lambda: {"G": own(features=4)["G"]}, "Expected G from [(None, 2)] to [(None, 5)]. Received: "),
        (lambda: {"Dxz": own(latent=3)["Dxz"]}, "Expected Dxz from [(None, 5), (None, 2)]"),
        (lambda: {"Dxx": own()["E"]}, "(logits, features). Received: from [(None, 5)]"),
        (lambda: {"E": encoder(kernel_regularizer="l2")}, "Expected E without regularizers and constraints"),
        (lambda: {"E": encoder(activity_regularizer="l2")}, "Received: a regularizer."),
        (lambda: {"E": encoder(kernel_constraint="non_neg")}, "would not apply. Received: a constraint."),
        (
            lambda: {"G": tf.keras.layers.Dense(5)},
            "Expected G as a functional or sequential tf.keras.Model. Received: Dense.",
        ),
    ],
)
def test_those_that_do_not_fit(changes: Callable[[], Options], message: str) -> None:
    models = {name: model for name, model in {**own(), **changes()}.items() if model is not None}
    with pytest.raises(SettingsError) as error:
        custom_networks.require(models, 5)
    assert message in str(error.value)


def test_features_beside_the_logits_are_refused() -> None:
    """No loss would train the layer of the features."""
    pair = [tf.keras.Input((5,)), tf.keras.Input((5,))]
    joined = tf.keras.layers.Concatenate()(pair)
    outputs = [tf.keras.layers.Dense(1)(joined), tf.keras.layers.Dense(4, name="beside")(joined)]
    models = {**own(), "Dxx": tf.keras.Model(pair, outputs)}
    detector = ALAD(networks=models, epochs=1, batch_size=8, jit=False)
    with pytest.raises(SettingsError, match="logits that depend on all trained weights. Received: .*beside"):
        detector.fit(draw(0, 40, 5))
