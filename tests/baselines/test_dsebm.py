"""DSEBM: energy, gradient and scores, compared with float64 and central differences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from reference import draw
from reference_baselines import DsebmReference
from small_baselines import DSEBM, DSEBM_OF_IMAGES, randomise
from tolerances import Work, assert_within, of_network

from alad_tf.baselines import dsebm
from alad_tf.model.batching import unwatched


def made(table: Any = DSEBM) -> tuple[dsebm.Networks, DsebmReference]:
    model = dsebm.Networks(table, 0)
    randomise(model, 3)
    return model, DsebmReference(model, table)


def works(model: dsebm.Networks, x: np.ndarray) -> Work:
    """Terms of E(x): 1/2 ||x - b'||^2 and the units of h; the gradient has as many again."""
    squares = ((np.abs(x) + np.abs(model.b)) ** 2).reshape(len(x), -1)
    units = np.abs(model.h(x)).reshape(len(x), -1)
    return of_network(model.h, x) + Work(
        squares.shape[1] + units.shape[1], float((squares.sum(1) + units.sum(1)).max())
    )


def test_gradient_of_the_layers_is_that_of_the_energy() -> None:
    _, reference = made()
    x = draw(1, 4, 5).astype(np.float64)
    np.testing.assert_allclose(reference.gradient(x), reference.numeric_gradient(x), atol=1e-8)


@pytest.mark.parametrize("table", [DSEBM, DSEBM_OF_IMAGES], ids=["rows", "images"])
def test_energy_and_reconstruction(table: Any) -> None:
    model, reference = made(table)
    x = draw(1, 3, *table.data_shape)
    exact = x.astype(np.float64)
    work = works(model, x)
    assert_within(model.energy(tf.constant(x)), reference.energy(exact), work)
    f = exact - reference.numeric_gradient(exact)
    assert_within(model.reconstruct(tf.constant(x)), f, work + work)
    scores = dsebm.scorer(model, 0)(x, unwatched)
    assert tuple(scores) == dsebm.SCORES == ("energy", "reconstruction")
    assert_within(scores["energy"], reference.energy(exact), work)
    errors = [np.sum((row - row_hat) ** 2) for row, row_hat in zip(exact, f)]
    assert_within(scores["reconstruction"], errors, (work + work) * (2.0 * np.sqrt(max(errors))))


def test_visible_bias_shifts_the_reconstruction() -> None:
    """f moves with b', and E grows by 1/2 ||x - b' - c||^2 - 1/2 ||x - b'||^2."""
    model, _ = made()
    x, c = tf.constant(draw(1, 4, 5)), draw(2, 5)
    b, f, energy = model.b.numpy(), model.reconstruct(x).numpy(), model.energy(x).numpy()
    model.b.assign(b + c)
    work = works(model, x.numpy())
    assert_within(model.reconstruct(x).numpy() - f, np.broadcast_to(c, [4, 5]), work + work)
    growth = 0.5 * (((x - b - c) ** 2).numpy().sum(1) - ((x - b) ** 2).numpy().sum(1))
    assert_within(model.energy(x).numpy() - energy, growth, work * 2.0)


def test_new_networks_have_one_visible_bias_of_zeros() -> None:
    model = dsebm.Networks(DSEBM_OF_IMAGES, 0)
    assert model.b.shape == (8, 8, 3) and not model.b.numpy().any()


def test_noise_is_the_tables() -> None:
    """The first loss is that of the reference with this noise, and without noise that of clean rows."""
    x = draw(7, 8, 5)
    for noise in (0.0, 0.5, 2.0):
        table = replace(DSEBM, noise=noise)
        model, reference = made(table)
        trainer = dsebm.Trainer(model, table, x, seed=4, jit=False)
        drawn = trainer._normal([8, 5], "noise", tf.constant(0)).numpy().astype(np.float64)
        expected = reference.loss(x.astype(np.float64), noise * drawn)
        work, noisy = works(model, x), x + noise * drawn.astype(np.float32)
        work = (work + works(model, noisy) + works(model, noisy)) * (2.0 * np.sqrt(expected))
        assert_within(trainer.update(tf.constant(x[None]), tf.constant(0)), [expected], work)


def test_images_are_scored_from_bytes() -> None:
    model, _ = made(DSEBM_OF_IMAGES)
    images = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3)).astype(np.uint8)
    pixels = (images / 127.5 - 1.0).astype(np.float32)
    told: list[tuple[int, int]] = []
    scores = dsebm.scorer(model, 0)(images, lambda *progress: told.append(progress))
    assert_within(scores["energy"], model.energy(tf.constant(pixels)), works(model, pixels))
    assert told == [(256, 300), (300, 300)]
