"""The four scores equal the reference, without dropout, in chunks of any size; larger means more anomalous."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import reference
import tensorflow as tf
from reference import TINY, Reference, draw, randomise
from tolerances import assert_close, assert_scores, of_scores

from alad_tf.model import networks, scores, shared_graphs, weights
from alad_tf.model.networks import Networks
from architectures import Alad
from architectures.rows import Dense, Joint

NAMES = ["features", "l1", "l2", "logits"]
LOGITS = Dense(1, "Sigmoid")
PAIRS = {  # Dxx with and without what its two pairs can share
    "two rows": TINY.Dxx,
    "one row": Joint(joint=(Dense(4, "LReLU", dropout=0.2), LOGITS)),
    "batch norm": Joint(joint=(Dense(4, "ReLU", batch_norm=True), Dense(6, "None", batch_norm=True), LOGITS)),
    "branches": Joint(joint=(Dense(6, "LReLU"), LOGITS), only_x=(Dense(3, "LReLU"),), only_z=(Dense(2, "None"),)),
    "one branch": Joint(joint=(Dense(6, "LReLU"), LOGITS), only_z=(Dense(2, "LReLU", batch_norm=True),)),
}


def moved(kind: str | None = "paper", table: Alad = TINY) -> Networks:
    """Networks with dropout, and random weights, batch-norm statistics and u."""
    built = networks.build(table, spectral_norm=kind)
    randomise(built, seed=1)
    return built


@pytest.mark.parametrize("kind", ["paper", None])
def test_scores_equal_the_reference_and_change_nothing(kind: str | None) -> None:
    built, x = moved(kind), draw(2, 30, 5)
    expected = reference.anomaly_scores(Reference(built, TINY, normalised=kind is not None), x)
    before = weights.get_arrays(built)
    for got in (scores.Scorer(built)(x), scores.anomaly_scores(built, tf.constant(x)), scores.Scorer(built)(x)):
        assert list(got) == NAMES
        assert_scores(got, expected, of_scores(built, x))
        for name in NAMES:
            assert (got[name].shape, got[name].dtype) == ((30,), np.float32)
    for name, array in weights.get_arrays(built).items():
        np.testing.assert_array_equal(array, before[name])


def by_hand() -> Any:
    """E keeps the first feature, G appends zeros, and Dxx measures the difference of its pair."""

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
    assert_close(got["l1"], [0, 1, 7], 3)
    assert_close(got["l2"], [0, 1, 5], 3)
    assert_close(got["features"], [0, 2 + 1, 14 + 7], 4)
    assert_close(got["logits"], np.log1p(np.exp([-2.0, -1.0, 5.0])), 4)
    assert all((np.diff(score) > 0).all() for score in got.values())


def test_logits_score_of_a_certain_discriminator_is_finite() -> None:
    x = tf.constant([[0.0, 1e4, 0.0]])
    assert float(scores.anomaly_scores(by_hand(), x)["logits"][0]) == pytest.approx(9998.0)


@pytest.mark.parametrize("kind", ["paper", "tfa", None])
@pytest.mark.parametrize("pairs", PAIRS)
def test_scorer_gives_the_scores_of_every_kind_of_networks(pairs: str, kind: str | None) -> None:
    built, x = moved(kind, replace(TINY, Dxx=PAIRS[pairs])), draw(3, 30, 5)
    expected = scores.anomaly_scores(built, tf.constant(x))
    assert_scores(scores.Scorer(built)(x), expected, of_scores(built, x))


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(scores, "CHUNK_ROWS", 7)
    monkeypatch.setattr(scores, "BLOCK_ROWS", 17)
    yield


@pytest.mark.parametrize("rows", [0, 1, 6, 7, 8, 14, 16, 17, 18, 24, 25, 34, 52])
@pytest.mark.parametrize("pairs", ["two rows", "branches"])
def test_chunks_give_the_scores_of_one_pass(small_chunks: None, pairs: str, rows: int) -> None:
    built, x = moved(table=replace(TINY, Dxx=PAIRS[pairs])), draw(3, rows, 5)
    whole, got = scores.anomaly_scores(built, tf.constant(x)), scores.Scorer(built)(x)
    assert list(got) == NAMES
    assert_scores(got, whole, of_scores(built, x))
    for score in got.values():
        assert (score.shape, score.dtype) == ((rows,), np.float32)


@pytest.mark.parametrize(
    "same",
    [
        lambda x: x.astype(np.float64),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: np.pad(x, [(0, 0), (1, 1)])[:, 1:-1],
        lambda x: x[::-1].copy()[::-1],
    ],
    ids=["float64", "columns first", "every other row", "some columns", "backwards"],
)
def test_arrays_of_any_layout(small_chunks: None, same: Any) -> None:
    scorer, x = scores.Scorer(moved()), draw(4, 40, 5)
    other = same(x)
    assert other.dtype != x.dtype or not other.flags.c_contiguous
    for name, score in scorer(other).items():
        np.testing.assert_array_equal(score, scorer(x)[name])


def aligned(x: np.ndarray) -> np.ndarray:
    """A copy aligned to 64 bytes, like memory-mapped arrays."""
    memory = np.zeros(x.nbytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    copy = memory[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    copy[:] = x
    return copy


def test_rows_are_read_where_they_are_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, before = scores.Scorer(moved()), draw(5, 64, 5)
    x, score, seen = aligned(before), scorer._one_chunk, []
    x.flags.writeable = False

    def watched(rows: tf.Tensor) -> tf.Tensor:
        seen.append(np.asarray(memoryview(rows)))
        return score(rows)

    monkeypatch.setattr(scorer, "_one_chunk", watched)
    scorer(x)
    assert len(seen) == 1 and seen[0].ctypes.data == x.ctypes.data
    np.testing.assert_array_equal(x, before)


def test_rows_are_converted_a_block_at_a_time(small_chunks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, converted, convert = scores.Scorer(moved()), [], np.ascontiguousarray

    def watched(x: np.ndarray, dtype: type) -> np.ndarray:
        converted.append(len(x))
        return convert(x, dtype)

    monkeypatch.setattr(np, "ascontiguousarray", watched)
    scorer(draw(7, 40, 5).astype(np.float64))
    assert converted == [17, 17, 6]


def test_scorer_is_traced_at_its_first_calls_and_never_again(
    small_chunks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces, stack = [], tf.stack

    def counted(tensors: list[tf.Tensor]) -> tf.Tensor:
        traces.append(tensors)
        return stack(tensors)

    monkeypatch.setattr(tf, "stack", counted)
    shared_graphs.forget()
    scorer = scores.Scorer(moved())
    for rows in (1, 40):  # one chunk, several
        scorer(draw(6, rows, 5))
    first = len(traces)
    for rows in range(40):
        scorer(draw(6, rows, 5))
        scorer(draw(6, rows, 5).astype(np.float64))
    assert 0 < first == len(traces)


@pytest.mark.parametrize("width", [4, 6])
def test_rows_of_another_width_are_refused(width: int) -> None:
    with pytest.raises(ValueError, match=rf"Expected rows of shape \[n, 5\]. Received: float32 \[3, {width}\]"):
        scores.Scorer(moved())(np.zeros((3, width), np.float32))


@pytest.mark.parametrize("rows", [7, 9])
def test_scorer_follows_the_weights(small_chunks: None, rows: int) -> None:
    built, x = moved(), draw(4, rows, 5)
    scorer = scores.Scorer(built)
    before = scorer(x)
    randomise(built, seed=2)
    after, expected = scorer(x), scores.anomaly_scores(built, tf.constant(x))
    for name in NAMES:
        assert not np.isclose(before[name], after[name]).any()
    assert_scores(after, expected, of_scores(built, x))
