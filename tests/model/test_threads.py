"""Eight threads at once get the same scores as one."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pandas as pd
import pytest
from reference import TINY, draw, randomise

from alad_tf.estimator.alad import ALAD
from alad_tf.model import networks, scores
from alad_tf.tabular import fit
from alad_tf.tabular.model import Model

THREADS = 8


def at_once(call: Callable[[Any], Any], batches: Sequence[Any]) -> list[Any]:
    """Results for all batches, from threads that start together."""
    together = threading.Barrier(THREADS)

    def work(mine: Iterable[int]) -> list[tuple[int, Any]]:
        together.wait()
        return [(number, call(batches[number])) for number in mine]

    with ThreadPoolExecutor(THREADS) as pool:
        parts = pool.map(work, [range(first, len(batches), THREADS) for first in range(THREADS)])
        answers = dict(pair for part in parts for pair in part)
    return [answers[number] for number in range(len(batches))]


def test_one_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of one chunk and of several."""
    monkeypatch.setattr(scores, "CHUNK_ROWS", 100)
    built = networks.build(TINY)
    randomise(built, seed=1)
    scorer = scores.Scorer(built)
    batches = [draw(number, 1 + 37 * number % 350, 5) for number in range(10 * THREADS)]
    for answer, batch in zip(at_once(scorer, batches), batches):
        for name, expected in scorer(batch).items():
            assert answer[name].tobytes() == expected.tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of `alad fit`."""
    place = tmp_path_factory.mktemp("model")
    rows = draw(0, 80, 3)
    np.save(place / "train.npy", rows)
    fit.fit_file(place / "train.npy", place / "model", options={"epochs": 1, "random_state": 0})
    return place / "model"


@pytest.mark.parametrize("method", ["anomaly_score", "predict", "p_value", "explain"])
def test_one_loaded_estimator(folder: Path, method: str) -> None:
    call = getattr(ALAD.load(folder), method)
    batches = [draw(number, 1 + 37 * number % 350, 3) for number in range(5 * THREADS)]
    answers = at_once(call, batches)  # before any call by one thread has warmed it up
    for answer, batch in zip(answers, batches):
        expected = call(batch)
        assert np.asarray(answer).tolist() == np.asarray(expected).tolist()


def test_one_loaded_model_of_a_table(folder: Path) -> None:
    """As in `alad score`, with explanations."""
    model = Model.load(folder)
    batches = [pd.DataFrame(draw(n, 30, 3), columns=["x0", "x1", "x2"]) for n in range(2 * THREADS)]
    for (answer, _), batch in zip(at_once(lambda frame: model.scored(frame, top=2), batches), batches):
        pd.testing.assert_frame_equal(answer, model.scored(batch, top=2)[0])
