"""A cell far outside is named first, and a category that training did not have does not make a row more normal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alad_tf.columns import preprocessing
from alad_tf.columns.schema import Columns
from alad_tf.estimator.alad import ALAD
from alad_tf.tabular.model import Model

NUMBERS = ["a", "b", "c", "d"]


def rows(count: int, seed: int) -> pd.DataFrame:
    """Four numbers and two categories that go together."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, count)
    numbers = {name: random.normal(5.0 + 2.0 * kind, 1.0) for name in NUMBERS}
    return pd.DataFrame(
        {**numbers, "service": np.array(["web", "mail", "dns"])[kind], "udp": np.where(kind > 1, "y", "n")}
    )


@pytest.fixture(scope="module")
def model() -> Model:
    train = rows(300, seed=0)
    columns = Columns.infer(train)
    transformer = preprocessing.of_columns(columns).fit(columns.training_rows(train))
    x = transformer.transform(columns.training_rows(train)).astype(np.float32)
    estimator = ALAD(scaling=None, epochs=40, random_state=0, verbose=0)
    return Model(estimator.fit(x, validation=0.1), columns, transformer)


def test_a_cell_times_40_is_named_first(model: Model) -> None:
    faulted, places = rows(200, seed=1), np.random.default_rng(2).integers(0, len(NUMBERS), 200)
    for row, place in enumerate(places):
        faulted.loc[row, NUMBERS[place]] *= 40.0
    spread = rows(300, seed=0)[NUMBERS].std().max()
    far = np.abs(faulted[NUMBERS].to_numpy()[range(200), places]) > 10.0 * spread + 15.0
    assert far.sum() > 150
    scored = model.scored(faulted, top=3)[0][far]
    named = np.array(NUMBERS)[places][far]
    assert (scored["feature_1"] == named).mean() >= 0.9
    found = scored[["feature_1", "feature_2", "feature_3"]].to_numpy() == named[:, None]
    assert found.any(axis=1).mean() >= 0.98


def test_unseen_categories_are_flagged_at_least_as_often(model: Model) -> None:
    clean = rows(200, seed=3)
    unseen = clean.assign(service="gopher")
    scored, counts = model.scored(unseen)
    assert counts == {"service": 200}
    assert scored["is_anomaly"].mean() >= model.scored(clean)[0]["is_anomaly"].mean()
