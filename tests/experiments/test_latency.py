"""Table IV: the complete search is timed, and the file names the measured calls."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from reference import draw
from tolerances import assert_close, terms_of

from alad_tf.baselines.anogan import SEARCH_ADAM, Networks, Search
from alad_tf.data import base, loading
from alad_tf.errors import AladError
from alad_tf.experiments import latency, timing
from alad_tf.model.adam import Adam
from architectures.kdd99 import GAN


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Random rows with KDD99's number of features."""
    x = draw(0, 60, 121)
    split = base.Split(x, None, x, np.arange(60, dtype=np.uint8) % 2, stand_in="random rows")
    monkeypatch.setattr(loading, "load", lambda name, **options: split)
    return x


@pytest.mark.parametrize("jit", [False, True])
def test_search_takes_steps_of_adam_on_the_loss(jit: bool) -> None:
    model = Networks(GAN, seed=0)
    search = Search(model, seed=0, steps=3, jit=jit)
    x, start = tf.constant(draw(0, 5, 121)), tf.constant(draw(1, 5, 32))
    z = tf.Variable(start)
    optimizer = Adam(SEARCH_ADAM, [z])
    left = []
    for _ in range(4):
        with tf.GradientTape() as tape:
            x_hat = model.G(z)
            residual = tf.reduce_sum(tf.abs(x - x_hat), axis=1)
            distance = tf.reduce_sum(tf.abs(model.D(x)[1] - model.D(x_hat)[1]), axis=1)
            loss = 0.9 * residual + 0.1 * distance
        left.append(np.stack([residual, distance]))
        optimizer.apply([tape.gradient(loss, z)], [z])
    for found in (search.search(x, start), latency.in_calls(search, model, x, start, 3)()):
        assert_close(found, left[3], 3 * 2 * terms_of(model.G, model.D))  # three steps, forwards and backwards
    assert left[3].sum() < left[0].sum()


def test_medians_and_ratio_of_one_process(rows: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert latency.ALAD_CALLS == 100  # in one of the times below
    ticks = iter(np.cumsum([*(0, 0.1, 0, 4, 0, 1), *(0, 6, 0, 1, 0, 0.2)]))  # each round begins with another one
    monkeypatch.setattr(latency, "alternate", partial(timing.alternate, clock=lambda: next(ticks)))
    measured = latency.measure("kdd99", tmp_path, rounds=2, search_steps=2)
    assert json.loads((tmp_path / "latency" / "kdd99.json").read_text()) == measured
    expected: dict[str, object] = {"batch": 50, "alad_ms": 1.5, "anogan_ms": 5000.0, "anogan_one_call_ms": 1000.0}
    assert {name: pytest.approx(measured[name]) for name in expected} == expected
    assert measured["ratio"] == pytest.approx((4 / 0.001 + 6 / 0.002) / 2)
    assert measured["ratio_one_call"] == pytest.approx((1 / 0.001 + 1 / 0.002) / 2)
    assert (measured["rounds"], measured["search_steps"], measured["dataset"]) == (2, 2, "kdd99")
    assert measured["stand_in"] == "random rows"


def test_a_data_set_without_anogan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AladError, match="Expected a data set of Table IV. Received: 'toy'."):
        latency.measure("toy", tmp_path)


def test_a_place_for_the_times_is_needed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(loading, "load", None)  # not called
    with pytest.raises(NotADirectoryError):
        latency.measure("kdd99", tmp_path / "file")
