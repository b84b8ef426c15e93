"""Discriminators get the paper's pairs; losses are cross-entropies, with swapped labels for G and E."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
import tensorflow as tf
from reference import TINY, Reference, converge, draw, randomise, without_dropout
from tolerances import assert_close, assert_within, bound, of_logits

from alad_tf.model import losses, networks
from alad_tf.model.layers import PairDense

NAMES = ("Dxz", "Dxx", "Dzz")


def random_logits(seed: int) -> dict[str, np.ndarray]:
    return {name: 3 * draw(seed + i, 6, 1) for i, name in enumerate(NAMES)}


def as_floats(loss: dict[str, tf.Tensor]) -> dict[str, float]:
    assert all(part.shape == () for part in loss.values())
    return {name: float(part) for name, part in loss.items()}


def test_losses_of_logits_equal_the_reference() -> None:
    real, fake = random_logits(0), random_logits(10)
    d_loss = as_floats(losses.discriminator_loss(real, fake))
    ge_loss = as_floats(losses.generator_encoder_loss(real, fake))
    close = bound(6 + 6, 3 * max(np.abs(logits).max() for logits in (*real.values(), *fake.values())))
    assert d_loss == pytest.approx(reference.discriminator_loss(real, fake), rel=0.0, abs=close)
    assert ge_loss == pytest.approx(reference.generator_encoder_loss(real, fake), rel=0.0, abs=close)
    assert all(abs(d_loss[name] - ge_loss[name]) > 0.1 for name in NAMES)


def test_a_discriminator_that_cannot_tell_loses_log_4_and_a_good_one_nothing() -> None:
    blind, sure = {"Dxx": tf.zeros([4, 1])}, {"Dxx": tf.fill([4, 1], 20.0)}
    wrong = {"Dxx": tf.fill([4, 1], -20.0)}
    assert float(losses.discriminator_loss(blind, blind)["Dxx"]) == pytest.approx(
        2 * np.log(2), rel=0.0, abs=bound(8, 1.0)
    )
    assert float(losses.discriminator_loss(sure, wrong)["Dxx"]) < 1e-8
    assert float(losses.generator_encoder_loss(wrong, sure)["Dxx"]) < 1e-8
    assert float(losses.generator_encoder_loss(sure, wrong)["Dxx"]) == pytest.approx(40.0, rel=0.0, abs=bound(8, 40.0))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_large_logits_stay_finite(sign: float) -> None:
    real, fake = tf.fill([3, 1], sign * 1e4), tf.fill([3, 1], -sign * 1e4)
    with tf.GradientTape() as tape:
        tape.watch([real, fake])
        loss = losses.discriminator_loss({"Dzz": real}, {"Dzz": fake})["Dzz"]
    assert float(loss) == pytest.approx(0.0 if sign > 0 else 2e4, rel=0.0, abs=bound(6, 2e4) if sign < 0 else 0.0)
    expected = 0.0 if sign > 0 else 1 / 3
    for gradient, slope in zip(tape.gradient(loss, [real, fake]), (-expected, expected)):
        assert_close(gradient, np.full((3, 1), slope), 4)


@pytest.mark.parametrize("latent_discriminator", [True, False])
@pytest.mark.parametrize("kind", ["paper", None])
def test_losses_of_networks_equal_the_reference(kind: str | None, latent_discriminator: bool) -> None:
    table = without_dropout(TINY)
    built = networks.build(table, spectral_norm=kind, latent_discriminator=latent_discriminator)
    randomise(built, seed=1)
    converge(built)
    x, z = draw(2, 16, 5), draw(3, 16, 3)
    expected = reference.pair_logits(Reference(built, table, normalised=kind is not None), x, z)
    got = losses.pair_logits(built, tf.constant(x), tf.constant(z))
    work = of_logits(built, x, z)
    for got_logits, expected_logits in zip(got, expected):
        assert list(got_logits) == list(NAMES[: 2 + latent_discriminator])
        for name in expected_logits:
            assert got_logits[name].shape == (16, 1)
            assert_within(got_logits[name], expected_logits[name], work[name])
    for loss in ("discriminator_loss", "generator_encoder_loss"):
        expected_losses = getattr(reference, loss)(*expected)
        for name, part in as_floats(getattr(losses, loss)(*got)).items():  # whose slopes are at most 1 for a logit
            assert_within(part, expected_losses[name], work[name] * 2.0)


class Recorder:
    """Replaces a network: a function of each row that records its inputs.

    As in a discriminator of pairs, the first member may stand once for several second ones.
    """

    def __init__(self, answer: Any, layers: list[Any]) -> None:
        self.answer, self._layers, self.inputs = answer, layers, [None, None]
        self.calls: list[list[np.ndarray]] = []

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        assert training is True
        inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        inputs[0] = tf.tile(inputs[0], [len(inputs[-1]) // len(inputs[0]), 1])
        self.calls.append([member.numpy() for member in inputs])
        return self.answer(*inputs)

    def _flatten_layers(self, include_self: bool) -> list[Any]:
        return self._layers

    @property
    def rows(self) -> list[list[float]]:
        """All recorded rows, sorted, with the members of a pair side by side."""
        return sorted(np.concatenate([np.concatenate(call, axis=1) for call in self.calls]).tolist())


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("latent_discriminator", [True, False])
def test_each_discriminator_sees_its_pairs(latent_discriminator: bool, batch_norm: bool) -> None:
    """E and G are simple arithmetic here, so that all pairs differ."""

    def E(x: tf.Tensor) -> tf.Tensor:
        return 2.0 * x[:, :2] + 1.0

    def G(z: tf.Tensor) -> tf.Tensor:
        return tf.concat([3.0 * z, z[:, :1] - 5.0], axis=1)

    def D(a: tf.Tensor, b: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.sin(tf.reduce_sum(a, axis=1, keepdims=True)) - tf.reduce_sum(b, axis=1, keepdims=True), a

    x, z = tf.constant(draw(0, 4, 3)), tf.constant(draw(1, 4, 2))
    pairs = {
        "Dxz": ((x, E(x)), (G(z), z)),
        "Dxx": ((x, x), (x, G(E(x)))),
        "Dzz": ((z, z), (z, E(G(z)))),
    }
    if not latent_discriminator:
        del pairs["Dzz"]
    layers: list[Any] = [PairDense(1)] + [tf.keras.layers.BatchNormalization()] * batch_norm
    discriminators = {name: Recorder(D, layers) for name in pairs}
    built: Any = networks.Networks(
        Recorder(G, layers[:1]),
        Recorder(E, layers[:1]),
        discriminators["Dxz"],
        discriminators["Dxx"],
        discriminators.get("Dzz"),
    )
    real, fake = losses.pair_logits(built, x, z)
    assert list(real) == list(fake) == list(pairs)
    for name, both in pairs.items():
        for logits, pair in ((real[name], both[0]), (fake[name], both[1])):
            assert_close(logits, D(*pair)[0], 8, max(np.abs(member).sum(axis=1).max() for member in pair) + 1.0)
        assert discriminators[name].rows == sorted(np.concatenate([tf.concat(pair, 1) for pair in both]).tolist())
        if batch_norm:  # whose statistics are of real or of fake pairs, not of a mixture
            assert [len(call[0]) for call in discriminators[name].calls] == [4, 4]
