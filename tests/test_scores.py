"""The four scores equal the reference, without dropout, in chunks of any size; larger = more anomalous."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
import tensorflow as tf
from reference import TINY, Reference, draw, randomise

from alad_tf import networks, scores
from alad_tf.networks import Networks

NAMES = ["features", "l1", "l2", "logits"]


def moved(kind: str | None = "paper") -> Networks:
    """Networks with dropout, whose weights, batch-norm statistics and u all have values of their own."""
    built = networks.build(TINY, spectral_norm=kind)
    randomise(built, seed=1)
    return built


@pytest.mark.parametrize("kind", ["paper", None])
def test_scores_equal_the_reference_and_change_nothing(kind: str | None) -> None:
    built, x = moved(kind), draw(2, 30, 5)
    expected = reference.anomaly_scores(Reference(built, TINY, normalised=kind is not None), x)
    before = networks.get_arrays(built)
    for got in (scores.Scorer(built)(x), scores.anomaly_scores(built, tf.constant(x)), scores.Scorer(built)(x)):
        assert list(got) == NAMES
        for name in NAMES:
            assert (got[name].shape, got[name].dtype) == ((30,), np.float32)
            np.testing.assert_allclose(got[name], expected[name], rtol=1e-4, atol=1e-5)
    for name, array in networks.get_arrays(built).items():
        np.testing.assert_array_equal(array, before[name])


def by_hand() -> Any:
    """E keeps the first feature and G puts zeros behind it; Dxx measures how unlike its pair is."""

    def network(answer: Any) -> Any:
        def call(inputs: Any, training: bool | None = None) -> Any:
            assert training is False
            return answer(inputs)

        return call

    def Dxx(pair: Any) -> tuple[tf.Tensor, tf.Tensor]:
        difference = pair[0] - pair[1]
        unlike = tf.reduce_sum(tf.abs(difference), axis=1, keepdims=True)
        return 2.0 - unlike, tf.concat([2.0 * difference, 1.0 - unlike], axis=1)

    return Networks(
        network(lambda z: tf.pad(z, [[0, 0], [0, 2]])),
        network(lambda x: x[:, :1]),
        network(None),
        network(Dxx),
        None,
    )


def test_scores_by_hand_are_larger_for_worse_reconstructions() -> None:
    x = tf.constant([[9.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, -3.0, 4.0]])
    got = {name: score.numpy() for name, score in scores.anomaly_scores(by_hand(), x).items()}
    np.testing.assert_allclose(got["l1"], [0, 1, 7], atol=1e-6)
    np.testing.assert_allclose(got["l2"], [0, 1, 5], atol=1e-6)
    np.testing.assert_allclose(got["features"], [0, 2 + 1, 14 + 7], atol=1e-6)
    np.testing.assert_allclose(got["logits"], np.log1p(np.exp([-2.0, -1.0, 5.0])), rtol=1e-5)
    assert all((np.diff(score) > 0).all() for score in got.values())


def test_logits_score_of_a_certain_discriminator_is_finite() -> None:
    x = tf.constant([[0.0, 1e4, 0.0]])
    assert float(scores.anomaly_scores(by_hand(), x)["logits"][0]) == pytest.approx(9998.0)


@pytest.mark.parametrize("rows", [19, 21, 7, 1])
def test_chunks_give_the_scores_of_one_pass(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    built, x = moved(), draw(3, rows, 5)
    whole = scores.anomaly_scores(built, tf.constant(x))
    monkeypatch.setattr(scores, "CHUNK_ROWS", 7)
    for name, score in scores.Scorer(built)(x).items():
        np.testing.assert_allclose(score, whole[name], rtol=1e-5, atol=1e-6)


def test_no_rows_give_no_scores() -> None:
    got = scores.Scorer(moved())(np.zeros((0, 5), np.float32))
    assert {name: score.shape for name, score in got.items()} == {name: (0,) for name in NAMES}


@pytest.mark.parametrize("width", [4, 6])
def test_rows_of_another_width_are_refused(width: int) -> None:
    with pytest.raises((TypeError, ValueError)):
        scores.Scorer(moved())(np.zeros((3, width), np.float32))


def test_scorer_follows_the_weights() -> None:
    built, x = moved(), draw(4, 9, 5)
    scorer = scores.Scorer(built)
    before = scorer(x)
    randomise(built, seed=2)
    after, expected = scorer(x), scores.anomaly_scores(built, tf.constant(x))
    for name in NAMES:
        assert not np.isclose(before[name], after[name]).any()
        np.testing.assert_allclose(after[name], expected[name], rtol=1e-5, atol=1e-6)
