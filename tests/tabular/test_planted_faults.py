"""Explanations name faulted cells first, and categories not seen in training make rows more anomalous."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import planted_faults
import pytest

from alad_tf.options import ROW_SCORES
from alad_tf.tabular.model import Model


@cache
def model(score: str = "neighbours", epochs: int = 40) -> Model:
    """A fitted model; tests must not change it."""
    return planted_faults.train(0, score, epochs)


@pytest.mark.parametrize("fault", planted_faults.FAULTS)
def test_faults_are_named_first(fault: str) -> None:
    faulted, names = planted_faults.FAULTS[fault](1, 200)
    assert len(faulted) > 150
    shares = planted_faults.judged(model(), faulted, names)
    assert shares["rows"] == len(faulted)
    assert shares["first"] >= 0.95 and shares["among three"] >= 0.98
    scored, _ = model().scored(faulted, top=1)
    first = scored["feature_1"] == names
    assert first.mean() == shares["first"] and scored["is_anomaly"].mean() == shares["flagged"]
    cells = [str(faulted.loc[row, name]) for row, name in zip(faulted.index, names)]
    assert (scored["value_1"] == cells)[first & np.isin(names, list(planted_faults.CATEGORIES))].all()


def test_faults_are_one_cell_a_row() -> None:
    for make in planted_faults.FAULTS.values():
        faulted, names = make(1, 50)
        changed = planted_faults.rows(50, 1).loc[faulted.index] != faulted
        assert changed.sum(axis=1).eq(1).all()
        assert changed.columns[changed.to_numpy().argmax(axis=1)].tolist() == names.tolist()


def test_exchanges_that_are_as_likely() -> None:
    """Rows that `rows` never makes are not; of the others, the numbers decide."""
    near_mail = dict.fromkeys(planted_faults.NUMBERS, 6.5)
    faulted = pd.DataFrame([near_mail] * 6).assign(
        service=["mail", "web", "dns", "dns", "mail", "mail"], udp=["n", "n", "n", "y", "y", "n"]
    )
    names = np.array(["service", "service", "service", "service", "udp", "udp"])
    assert planted_faults.as_likely(faulted, names).tolist() == [True, False, False, True, False, True]
    rows, counted = planted_faults.categories_exchanged(1, 2000)
    possible = (rows["service"] == "dns") == (rows["udp"] == "y")
    found = planted_faults.as_likely(rows, counted)
    # web and mail are 4 standard deviations apart: 2.3 % of the third of exchanges of services between them
    assert not found[~possible].any() and 3 <= found.sum() <= 15


def test_table_of_shares() -> None:
    lines = [
        {"fault": "none", "rows": 9, "flagged": 0.125},
        {"fault": "category unseen", "rows": 9, "first": 0.5, "among three": 1.0, "flagged": 0.75},
        {"fault": "category unseen", "rows": 9, "first": 0.25, "among three": 1.0, "flagged": 1.0},
    ]
    printed = planted_faults.table(lines).splitlines()
    assert printed[0] == "| fault | rows | first | among three | flagged | as likely |"
    assert printed[2] == "| none | 9 |  |  | 12.5% |  |"
    assert printed[-1] == "| category unseen | 9 | 25.0% to 50.0% | 100.0% | 75.0% to 100.0% |  |"


@pytest.mark.parametrize("score", ROW_SCORES)
def test_unseen_categories_make_rows_more_anomalous(score: str) -> None:
    """With every score; scores of other rows are unchanged."""
    of_score, clean = model(score, epochs=1), planted_faults.rows(200, seed=3)
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
