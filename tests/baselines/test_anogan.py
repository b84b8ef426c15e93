"""AnoGAN: the search for z equals a loop in NumPy; a row's score is independent of the other rows."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import tensorflow as tf
from reference import draw
from reference_baselines import GanReference
from small_baselines import GAN, STEADY, randomise
from tolerances import assert_close, assert_within, of_network, terms_of

from alad_tf.baselines import anogan
from alad_tf.model.batching import unwatched
from architectures.rows import Conv2D, Dense, Flatten, Gan, TransConv2D, Xavier

X = draw(1, 11, 5)
# fmt: off
IMAGES = Gan(
    name="Tiny", source="none", data_dim=(4, 4, 3),
    G=(TransConv2D(4, 2, "valid", 3, False, "Tanh"),),
    D=(Conv2D(4, 2, "same", 2, False, "LReLU"), Flatten(), Dense(1, "None")),
    optimizer=STEADY, batch_size=4, latent_dim=3, epochs=1, lrelu_slope=0.3, initializer=Xavier(),
)
# fmt: on


@pytest.fixture(scope="module")
def model() -> anogan.Networks:
    made = anogan.Networks(GAN, 0)
    randomise(made, 3)
    return made


def search(model: anogan.Networks, *, rows: int = 4, seed: int = 5, steps: int = 30, jit: bool = False) -> Any:
    with patch.object(anogan, "SEARCH_ROWS", rows):
        return anogan.Search(model, seed=seed, steps=steps, jit=jit)


def test_search_is_that_of_the_paper() -> None:
    assert anogan.FEATURE_WEIGHT == 0.1
    assert (anogan.SEARCH_ADAM.learning_rate, anogan.SEARCH_ADAM.beta1, anogan.SEARCH_ADAM.beta2) == (1e-3, 0.9, 0.999)
    assert anogan.Search(anogan.Networks(GAN, 0), seed=0)._steps == 500


def test_gradient_by_the_chain_rule_is_that_of_the_loss(model: anogan.Networks) -> None:
    from reference_baselines import differences

    reference, z = GanReference(model, GAN), draw(2, 3).astype(np.float64)

    def loss() -> float:
        residual, distance = reference.distances(X[0].astype(np.float64), z)
        return 0.9 * residual + 0.1 * distance

    expected = differences(loss, z)
    np.testing.assert_allclose(reference.search_gradient(X[0].astype(np.float64), z), expected, atol=1e-7)
    assert np.abs(expected).min() > 0.01


def work_of_search(model: anogan.Networks, steps: int) -> tuple[int, float]:
    """Terms and magnitude of the distances after a search: each step adds a forward and a backward pass to z.

    No start is further from 0 than 4, and no gradient vanishes: Adam with its small epsilon has smooth steps.
    """
    z = tf.constant(4.0 * np.sign(draw(3, 8, 3)))
    magnitude = (
        of_network(model.G, z) + of_network(model.D, model.G(z)) + of_network(model.D, tf.constant(X))
    ).magnitude
    return (2 * steps + 1) * terms_of(model.G, model.D), 5 * magnitude  # distances are sums of 5 cells or 4 features


@pytest.mark.parametrize("steps", [1, 30])
def test_search_equals_a_loop_in_numpy(model: anogan.Networks, steps: int) -> None:
    reference, own = GanReference(model, GAN), search(model, steps=steps)
    starts = own._starts(X)
    got = own(X)
    exact = X.astype(np.float64)
    terms, size = work_of_search(model, steps)
    for row, z, found in zip(exact, starts, got.T):
        assert_close(found, reference.distances(row, reference.search(row, z, steps)), terms, size)
    beginnings = [reference.distances(row, z) for row, z in zip(exact, starts)]
    shares = [(0.9 * f[0] + 0.1 * f[1]) / (0.9 * b[0] + 0.1 * b[1]) for f, b in zip(got.T, beginnings)]
    assert max(shares) < 1.0  # less is left of every row
    assert {"schlegl", "released"} == set(own.scores(X)) == set(anogan.SCORES)


def test_both_weightings_by_hand(model: anogan.Networks) -> None:
    class Found(anogan.Search):
        def __call__(self, x: np.ndarray, watch: object = unwatched, parts: object = None) -> np.ndarray:
            return np.array([[1.0, 2.0], [10.0, 30.0]])  # residuals, distances of features

    scores = Found(model, seed=0).scores(X[:2])
    np.testing.assert_allclose(scores["schlegl"], [0.9 * 1 + 0.1 * 10, 0.9 * 2 + 0.1 * 30])
    np.testing.assert_allclose(scores["released"], [0.1 * 1 + 0.9 * 10, 0.1 * 2 + 0.9 * 30])
    assert anogan.SCORES[0] == "released"


def test_no_row_depends_on_another(model: anogan.Networks) -> None:
    """A row has the same bits alone, in another order, in a subset, repeated, and in a short last block."""
    own = search(model)
    whole = own(X)
    order = np.random.default_rng(0).permutation(len(X))
    assert own(X[order]).tobytes() == whole[:, order].copy().tobytes()
    for rows in ([3], [0, 7], [2, 2, 5, 2, 2], list(range(9))):
        assert own(X[rows]).tobytes() == whole[:, rows].copy().tobytes()
    assert own.search.tracings() <= 1  # 0 where an equal search was traced before
    assert np.unique(whole, axis=1).shape == whole.shape


def test_starts_are_drawn_for_each_row(model: anogan.Networks) -> None:
    own = search(model)
    starts = own._starts(draw(0, 2000, 5))
    assert len(np.unique(starts)) == starts.size
    assert np.abs(starts.mean(0)).max() < 0.1 and np.abs(starts.std(0) - 1.0).max() < 0.1


def test_parts_that_are_there_are_not_searched_again(model: anogan.Networks) -> None:
    """Eleven rows in blocks of four: the search ends after the second block, and another goes on with the third."""
    whole, parts = search(model)(X), dict[str, np.ndarray]()

    def end(done: int, of: int) -> None:
        if done == 8:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        search(model)(X, end, parts)
    assert {block: part.shape for block, part in parts.items()} == {"0-4": (2, 4), "4-8": (2, 4)}
    other = search(model, seed=6)  # whose starts are others
    gone_on = other(X, unwatched, parts)
    distinct = np.unique(X, axis=0, return_inverse=True)[1].ravel()
    assert np.array_equal(gone_on[:, distinct < 8], whole[:, distinct < 8])
    assert np.array_equal(gone_on[:, distinct >= 8], other(X)[:, distinct >= 8])
    assert not np.array_equal(gone_on, whole)


def test_no_rows_have_no_scores(model: anogan.Networks) -> None:
    assert {name: score.shape for name, score in search(model).scores(X[:0]).items()} == {
        "released": (0,),
        "schlegl": (0,),
    }


def test_seed(model: anogan.Networks) -> None:
    assert np.array_equal(search(model)(X), search(model)(X))
    assert not np.array_equal(search(model)(X), search(model, seed=6)(X))


def test_compiled_equals_graph(model: anogan.Networks) -> None:
    assert_close(search(model, jit=True)(X), search(model)(X), *work_of_search(model, 30))


def test_watch_is_told_and_may_end_the_search(model: anogan.Networks) -> None:
    told: list[tuple[int, int]] = []
    search(model, steps=1)(X, lambda *progress: told.append(progress))
    assert told == [(4, 11), (8, 11), (11, 11)]

    def ended(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(model, steps=1)(X, ended)


def test_discriminator_gives_logits_and_the_features_before_them(model: anogan.Networks) -> None:
    reference = GanReference(model, GAN)
    logits, features = model.D(tf.constant(X), training=False)
    f = reference.f(X.astype(np.float64))
    work = of_network(model.D, tf.constant(X))
    assert_within(features, f, work)
    assert_within(logits, reference.logits(f), work)
    assert_within(model.G(draw(2, 3, 3)), reference.G(draw(2, 3, 3)), of_network(model.G, draw(2, 3, 3)))


def test_images_of_bytes() -> None:
    model = anogan.Networks(IMAGES, 0)
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)
    with patch.object(anogan, "SEARCH_IMAGES", 3):
        own = anogan.Search(model, seed=1, steps=3, jit=False)
    found = own(images)
    assert found.shape == (2, 5)
    x_hat = tf.constant((images / 127.5 - 1.0).astype(np.float32))
    f = model.D(x_hat, training=False)[1]
    z = own._starts(images)
    assert_close(own._search(x_hat, tf.constant(z)), found, 4 * terms_of(model.G, model.D), found.max())
    trainer = anogan.Trainer(model, IMAGES, images, seed=0, jit=False)
    assert np.isfinite(list(trainer.train(1).values())).all() and f.shape == (5, 8)
