"""A faulted cell is named first, and a category that training did not have makes a row more anomalous."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from alad_tf.columns.encoder import Encoder, TrainingCells
from alad_tf.estimator.alad import ALAD
from alad_tf.options import ROW_SCORES
from alad_tf.tabular.model import Model

NUMBERS = ["a", "b", "c", "d"]
CATEGORIES = {"service": ["web", "mail", "dns"], "udp": ["n", "y"]}


def rows(count: int, seed: int) -> pd.DataFrame:
    """Four numbers and two categories that go together."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, count)
    numbers = {name: random.normal(5.0 + 2.0 * kind, 1.0) for name in NUMBERS}
    return pd.DataFrame(
        {**numbers, "service": np.array(["web", "mail", "dns"])[kind], "udp": np.where(kind > 1, "y", "n")}
    )


@cache
def model(seed: int = 0, score: str = "neighbours", epochs: int = 40) -> Model:
    """Not to be changed."""
    cells = TrainingCells(*Encoder.fit(rows(300, seed)))
    estimator = ALAD(scaling=None, score_name=score, epochs=epochs, random_state=seed, verbose=0)
    return Model(estimator.fit(cells, validation=0.1))


def with_numbers_far_out(seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows with a number multiplied by 40, where it is then far from all others, and the names of their columns."""
    faulted, places = rows(200, seed), np.random.default_rng(seed).integers(0, len(NUMBERS), 200)
    for row, place in enumerate(places):
        faulted.loc[row, NUMBERS[place]] *= 40.0
    spread = rows(300, seed=0)[NUMBERS].std().max()
    far = np.abs(faulted[NUMBERS].to_numpy()[range(200), places]) > 10.0 * spread + 15.0
    assert far.sum() > 150
    return faulted[far], np.array(NUMBERS)[places][far]


def with_categories_swapped(seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows with a category exchanged for another, and the names of their columns."""
    random, faulted = np.random.default_rng(seed), rows(200, seed)
    names = random.choice(list(CATEGORIES), 200)
    for row, name in enumerate(names):
        others = [category for category in CATEGORIES[name] if category != faulted.loc[row, name]]
        faulted.loc[row, name] = random.choice(others)
    return faulted, names


def with_categories_unseen(seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows with a category that training did not have, and the names of their columns."""
    faulted, names = rows(200, seed), np.random.default_rng(seed).choice(list(CATEGORIES), 200)
    for row, name in enumerate(names):
        faulted.loc[row, name] = "gopher"
    return faulted, names


@pytest.mark.parametrize("make", [with_numbers_far_out, with_categories_swapped, with_categories_unseen])
def test_faults_are_named_first(make: object) -> None:
    assert callable(make)
    faulted, names = make(seed=1)
    scored, _ = model().scored(faulted, top=3)
    assert (scored["feature_1"] == names).mean() >= 0.9
    found = scored[["feature_1", "feature_2", "feature_3"]].to_numpy() == names[:, None]
    assert found.any(axis=1).mean() >= 0.98
    first = scored["feature_1"] == names
    cells = [str(faulted.loc[row, name]) for row, name in zip(faulted.index, names)]
    assert (scored["value_1"] == cells)[first & ~np.isin(names, NUMBERS)].all()


@pytest.mark.parametrize("score", ROW_SCORES)
def test_unseen_categories_make_rows_more_anomalous(score: str) -> None:
    """With every score; the scores of other rows stay as they are."""
    of_score, clean = model(score=score, epochs=1), rows(200, seed=3)
    one = clean.assign(service=np.where(clean.index % 2, "gopher", clean["service"]))
    two = one.assign(udp=np.where(clean.index % 4 == 1, "?", one["udp"]))
    before, _ = of_score.scored(clean)
    after, counts = of_score.scored(two)
    assert counts == {"service": 100, "udp": 50}
    assert after["unseen"].tolist() == [None, "service; udp", None, "service"] * 50
    assert before["unseen"].isna().all()
    np.testing.assert_array_equal(after["score"][::2], before["score"][::2])
    largest = of_score.estimator.training_scores_[-1]
    assert (after["score"][1::2] > largest).all() and after["is_anomaly"][1::2].all()
    assert (after["score"][1::4] > 2.0 * largest).all()
