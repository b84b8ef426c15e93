"""DAGMM: features, mixture, energy and objective, against loops with an explicit inverse and determinant."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from reference import draw
from reference_baselines import DagmmReference, mixture_energy, mixture_of
from small_baselines import DAGMM, randomise, without_dropout
from tolerances import assert_close, assert_within, bound, of_network, sensitivity, terms_of

from alad_tf.baselines import dagmm
from alad_tf.model import keras_versions
from alad_tf.model.batching import unwatched


def made() -> tuple[dagmm.Networks, DagmmReference]:
    model = dagmm.Networks(DAGMM, 0)
    randomise(model, 3)
    return model, DagmmReference(model, without_dropout(DAGMM))


def memberships(n: int, gaussians: int) -> np.ndarray:
    gamma = np.random.default_rng(2).random((n, gaussians))
    return gamma / gamma.sum(1, keepdims=True)


def double(array: np.ndarray) -> tf.Tensor:
    return tf.constant(array, tf.float64)


def doubles(*arrays: np.ndarray) -> list[tf.Tensor]:
    return list(map(double, arrays))


def test_features() -> None:
    """The code, ||x - x'|| / ||x|| and the cosine of the angle between x and x'."""
    model, reference = made()
    x = draw(1, 6, 5)
    z, x_hat = reference.features(x.astype(np.float64))
    got, got_hat = model.compress(tf.constant(x))
    assert got.shape == (6, 4)
    work = of_network(model.encoder, tf.constant(x)) + of_network(model.decoder, model.encoder(x))
    assert_within(got_hat, x_hat, work)
    assert_within(
        got, z, work * (len(z) / min(1.0, np.linalg.norm(x, axis=1).min(), np.linalg.norm(x_hat, axis=1).min()))
    )


def test_features_of_a_row_of_zeros_are_finite() -> None:
    model, _ = made()
    x = tf.constant(np.zeros([1, 5], np.float32))
    with tf.GradientTape() as tape:
        z, _ = model.compress(x)
    gradients = tape.gradient(z, keras_versions.trained(model.encoder))
    assert np.isfinite(z).all() and all(np.isfinite(gradient).all() for gradient in gradients)


def test_mixture_and_energy() -> None:
    z, gamma = draw(1, 12, 3).astype(np.float64), memberships(12, 2)
    gaussians = dagmm.mixture(*doubles(z, gamma))
    for got, expected in zip(gaussians, mixture_of(z, gamma)):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dagmm.energy(double(z), gaussians), mixture_energy(z, *mixture_of(z, gamma)), rtol=1e-9)


def test_energy_of_one_standard_gaussian() -> None:
    """By hand: D / 2 log 2 pi at the mean, and 1/2 r^2 more at a distance r, also at 10,000 standard deviations."""
    one = dagmm.Mixture(*doubles(np.ones(1), np.zeros([1, 2]), np.eye(2)[None]))
    z = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 1e4]])
    energies = dagmm.energy(double(z), one).numpy()
    np.testing.assert_allclose(energies, math.log(2 * math.pi) + np.array([0.0, 4.5, 5e7]), rtol=1e-12)


def test_weights_of_the_gaussians_count() -> None:
    """Far apart, a row belongs to one Gaussian, of weight phi: -log phi more than alone."""
    two = dagmm.Mixture(*doubles(np.array([0.9, 0.1]), np.array([[0.0, 0.0], [50.0, 0.0]]), np.stack([np.eye(2)] * 2)))
    energies = dagmm.energy(double(np.array([[0.0, 0.0], [50.0, 0.0]])), two).numpy()
    np.testing.assert_allclose(energies, math.log(2 * math.pi) - np.log([0.9, 0.1]), rtol=1e-12)


def test_gaussian_on_one_point_has_a_density() -> None:
    """With equal rows the variances are the floor, 1e-6, and the energy of the point is 1/2 log det(2 pi Sigma)."""
    z, gamma = np.ones([5, 3]), memberships(5, 2)
    gaussians = dagmm.mixture(*doubles(z, gamma))
    expected = 1.5 * math.log(2 * math.pi * 1e-6)
    np.testing.assert_allclose(dagmm.energy(double(z), gaussians), expected, rtol=1e-9)


def test_objective_and_its_parts() -> None:
    table = without_dropout(DAGMM)
    model = dagmm.Networks(table, 0)
    randomise(model, 3)
    reference, x = DagmmReference(model, table), draw(1, 8, 5)
    trainer = dagmm.Trainer(model, table, x, seed=0, jit=False)
    got = dict(zip(trainer.names, trainer.update(tf.constant(x[None]), tf.constant(0)).numpy()))
    expected = reference.parts(x.astype(np.float64))
    terms = terms_of(model.encoder, model.decoder, model.estimation) + 8
    exact = sensitivity(lambda rows: [*reference.parts(rows).values()], x.astype(np.float64), terms)
    assert got == pytest.approx(expected, rel=bound(terms, 1.0), abs=exact)
    assert tuple(got) == ("loss", "reconstruction", "energy", "singularity")
    assert got["loss"] == pytest.approx(
        got["reconstruction"] + 0.2 * got["energy"] + 0.003 * got["singularity"], rel=bound(6, 1.0)
    )


def test_scores_are_of_the_mixture_of_all_training_rows() -> None:
    model, reference = made()
    x_train, x = draw(1, 29, 5), draw(2, 7, 5)
    trainer = dagmm.Trainer(model, DAGMM, x_train, seed=0)
    trainer.before_scoring()
    scores = dagmm.scorer(model, 0)(x, unwatched)
    assert tuple(scores) == dagmm.SCORES == ("energy",)
    terms = terms_of(model.encoder, model.decoder, model.estimation) + 29
    expected = reference.scores(x.astype(np.float64), x_train.astype(np.float64))
    exact = sensitivity(
        lambda rows: reference.scores(rows[:7], rows[7:]), np.vstack([x, x_train]).astype(np.float64), terms
    )
    np.testing.assert_allclose(scores["energy"], expected, rtol=bound(terms, 1.0), atol=exact)
    assert model.mixture.phi.numpy().sum() == pytest.approx(1.0)


def test_scores_follow_the_mixture() -> None:
    """The scoring graph is built once and reads the current mixture."""
    model, _ = made()
    score, x = dagmm.scorer(model, 0), draw(2, 7, 5)
    before = score(x, unwatched)["energy"]
    model.take_mixture_of(tf.constant(draw(1, 29, 5)))
    assert not np.allclose(before, score(x, unwatched)["energy"])


def test_dropout_of_the_estimation_network_is_of_training_alone() -> None:
    model, _ = made()
    z = tf.constant(draw(1, 6, 4))
    one, two = (model.estimation(z, training=True).numpy() for _ in range(2))
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(model.estimation(z, training=False), model.estimation(z))
    assert_close(one.sum(1), 1.0, 3 + 3)
