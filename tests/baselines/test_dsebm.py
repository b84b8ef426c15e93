"""DSEBM: energy, its gradient and what follows, against float64 and central differences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from reference import DsebmReference, draw
from small_baselines import DSEBM, DSEBM_OF_IMAGES, randomise

from alad_tf.baselines import dsebm
from alad_tf.model.batching import unwatched


def made(table: Any = DSEBM) -> tuple[dsebm.Networks, DsebmReference]:
    model = dsebm.Networks(table, 0)
    randomise(model, 3)
    return model, DsebmReference(model, table)


def test_gradient_of_the_layers_is_that_of_the_energy() -> None:
    _, reference = made()
    x = draw(1, 4, 5).astype(np.float64)
    np.testing.assert_allclose(reference.gradient(x), reference.numeric_gradient(x), atol=1e-8)


@pytest.mark.parametrize("table", [DSEBM, DSEBM_OF_IMAGES], ids=["rows", "images"])
def test_energy_and_reconstruction(table: Any) -> None:
    model, reference = made(table)
    x = draw(1, 3, *table.data_shape)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(model.energy(tf.constant(x)), reference.energy(exact), rtol=1e-5)
    f = exact - reference.numeric_gradient(exact)
    np.testing.assert_allclose(model.reconstruct(tf.constant(x)), f, atol=2e-5)
    scores = dsebm.scorer(model, 0)(x, unwatched)
    assert tuple(scores) == dsebm.SCORES == ("energy", "reconstruction")
    np.testing.assert_allclose(scores["energy"], reference.energy(exact), rtol=1e-5)
    errors = [np.sum((row - row_hat) ** 2) for row, row_hat in zip(exact, f)]
    np.testing.assert_allclose(scores["reconstruction"], errors, rtol=1e-4)


def test_visible_bias_shifts_the_reconstruction() -> None:
    """f moves with b', and E grows by 1/2 ||x - b' - c||^2 - 1/2 ||x - b'||^2."""
    model, _ = made()
    x, c = tf.constant(draw(1, 4, 5)), draw(2, 5)
    b, f, energy = model.b.numpy(), model.reconstruct(x).numpy(), model.energy(x).numpy()
    model.b.assign(b + c)
    np.testing.assert_allclose(model.reconstruct(x).numpy() - f, np.broadcast_to(c, [4, 5]), atol=1e-5)
    growth = 0.5 * (((x - b - c) ** 2).numpy().sum(1) - ((x - b) ** 2).numpy().sum(1))
    np.testing.assert_allclose(model.energy(x).numpy() - energy, growth, atol=1e-4)


def test_new_networks_have_one_visible_bias_of_zeros() -> None:
    model = dsebm.Networks(DSEBM_OF_IMAGES, 0)
    assert model.b.shape == (8, 8, 3) and not model.b.numpy().any()


def test_noise_is_the_tables() -> None:
    """The first loss is the reference's for noise of this size, and without noise that of clean rows."""
    x = draw(7, 8, 5)
    for noise in (0.0, 0.5, 2.0):
        table = replace(DSEBM, noise=noise)
        model, reference = made(table)
        trainer = dsebm.Trainer(model, table, x, seed=4, jit=False)
        drawn = trainer._normal([8, 5], "noise", tf.constant(0)).numpy().astype(np.float64)
        expected = reference.loss(x.astype(np.float64), noise * drawn)
        assert trainer.update(tf.constant(x[None]), tf.constant(0)).numpy() == pytest.approx([expected], rel=1e-4)


def test_images_are_scored_from_bytes() -> None:
    model, _ = made(DSEBM_OF_IMAGES)
    images = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3)).astype(np.uint8)
    pixels = (images / 127.5 - 1.0).astype(np.float32)
    told: list[tuple[int, int]] = []
    scores = dsebm.scorer(model, 0)(images, lambda *progress: told.append(progress))
    np.testing.assert_allclose(scores["energy"], model.energy(tf.constant(pixels)), rtol=1e-4)
    assert told == [(256, 300), (300, 300)]
