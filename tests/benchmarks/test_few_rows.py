"""The defaults for few rows are those that the criterion selects."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import few_rows
import numpy as np
import pytest

from alad_tf import metrics
from alad_tf.model import alad_trainer, networks, scores
from architectures.tabular import LARGEST_RATE, LEAST_STEPS, tabular


def test_sets() -> None:
    assert len(few_rows.names()) == 12 and not any("cancer" in name for name in few_rows.names())
    for name, width in (
        ("iris: 1", 4),
        ("wine: 2", 13),
        ("digits: 8", 64),
        ("made: 30 columns", 30),
        ("made: blobs", 8),
    ):
        x, anomaly = few_rows.load(name)
        assert x.shape == (len(anomaly), width) and 40 <= (~anomaly).sum() < len(x)


def test_a_training_is_that_of_its_learning_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even though trainings share the start state and the compiled step."""
    monkeypatch.setattr(alad_trainer, "Trainer", partial(alad_trainer.Trainer, jit=False))
    monkeypatch.setattr(few_rows, "STEPS", (3, 60))
    monkeypatch.setattr(few_rows, "RATES", (1e-2, 1e-3))
    found = few_rows.trainings("made: 30 columns", 3, ["standard"])
    monkeypatch.setattr(few_rows, "RATES", (1e-3,))
    alone = few_rows.trainings("made: 30 columns", 3, ["standard"])
    assert found["standard", 1e-3, 60] == alone["standard", 1e-3, 60] != found["standard", 1e-2, 60]
    x, anomaly = few_rows.load("made: 30 columns")
    chosen = np.random.default_rng(3).permutation(np.flatnonzero(~anomaly))[:98]
    others = np.setdiff1d(np.arange(400), chosen)
    scaled = ((x - x[chosen].mean(axis=0)) / x[chosen].std(axis=0)).astype(np.float32)
    table = tabular(30, n_rows=98)
    table = replace(table, optimizer=replace(table.optimizer, learning_rate=1e-3))
    trained, average = (networks.build(table, seed=3) for _ in range(2))
    trainer = alad_trainer.Trainer(trained, table, scaled[chosen], seed=3, average=average)
    trainer.train(60)
    a = scores.Scorer(average)(scaled[others])["features"]
    expected = metrics.evaluate(anomaly[others].astype(np.uint8), a, 0.5)["auroc"]
    assert len(found) == 4 and found["standard", 1e-3, 60] == pytest.approx(expected, abs=5e-3)


def test_the_criterion() -> None:
    """The largest mean over families; each data set of a family has the same weight."""
    small, large = ("standard", 0.1, 1), ("standard", 0.1, 2)
    found = {
        "a: 0": [{small: 0.80, large: 0.9}, {small: 0.86, large: 0.9}],
        "a: 1": [{small: 0.84, large: 1.0}],
        "b": [{small: 0.9, large: 0.85}],
    }
    rows, chosen = few_rows.sum_up(found)
    assert rows[small] == {"a": pytest.approx(2.5 / 3), "b": 0.9, "mean": pytest.approx((2.5 / 3 + 0.9) / 2)}
    assert rows[large]["mean"] == pytest.approx((2.8 / 3 + 0.85) / 2) and chosen == large
    found["b"] = [{small: 0.9, large: 0.7}]
    assert few_rows.sum_up(found)[1] == small


def test_the_defaults_are_those_that_it_takes() -> None:
    assert (LARGEST_RATE, LEAST_STEPS) == (5e-4, 1000)
    assert LARGEST_RATE in few_rows.RATES and LEAST_STEPS in few_rows.STEPS
