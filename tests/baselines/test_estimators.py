"""One contract for every detector: those of `alad_tf.baselines`, scikit-learn's as runs configure them, and ALAD."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Callable
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from reference import TINY
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_baselines import TABLES
from tolerances import assert_close

from alad_tf import baselines
from alad_tf.baselines import anogan, classical
from alad_tf.errors import AladError, DataError, SettingsError
from alad_tf.estimator.alad import ALAD
from alad_tf.typing import Options
from architectures.rows import Adam, of_width

pytestmark = pytest.mark.minutes(1.5)

WIDTH = 3
RANDOM = np.random.default_rng(0)
NORMAL = RANDOM.normal(0.0, 0.3, (400, WIDTH)) + [1.0, 2.0, 3.0]
NEW = np.concatenate([RANDOM.normal(0.0, 0.3, (60, WIDTH)) + [1.0, 2.0, 3.0], RANDOM.normal(-3.0, 0.3, (20, WIDTH))])
Y = np.repeat([0, 1], [60, 20])


def table(method: str) -> Any:
    return replace(of_width(TABLES[method], WIDTH), optimizer=Adam(3e-3, beta1=0.5), batch_size=100, epochs=5)


def deep(method: str, seed: int = 1, **options: Any) -> Any:
    made: dict[str, object] = {"architecture": table(method), "random_state": seed, "verbose": 0, **options}
    return getattr(baselines, method)(**made)


def of_sklearn(method: str) -> Callable[..., Any]:
    return lambda seed=1: classical.build(method, n_features=WIDTH, expected_anomalies=0.2, seed=seed)


def alad(seed: int = 1) -> Any:
    small = replace(of_width(TINY, WIDTH), optimizer=Adam(1e-3, beta1=0.5), batch_size=100)
    return ALAD(architecture=small, epochs=3, jit=False, ema_decay=None, random_state=seed, verbose=0)


MAKE: dict[str, Callable[..., Any]] = {
    "DSEBM": lambda seed=1: deep("DSEBM", seed),
    "DAGMM": lambda seed=1: deep("DAGMM", seed),
    "AnoGAN": lambda seed=1: deep("AnoGAN", seed),
    "MeanDistance": lambda seed=1: baselines.MeanDistance(),
    "NeighbourDistance": lambda seed=1: baselines.NeighbourDistance(),
    **{method: of_sklearn(method) for method in ("OC-SVM", "SGD-OC-SVM", "IF")},
    "ALAD": alad,
}
every_detector = pytest.mark.parametrize("name", MAKE)
SEEDED = ("DSEBM", "DAGMM", "AnoGAN", "SGD-OC-SVM", "IF", "ALAD")


@pytest.fixture(autouse=True, scope="module")
def few_steps() -> Iterator[None]:
    """Make searches short and steps eager, which is faster for a few steps."""
    tf.config.run_functions_eagerly(True)
    with patch.dict(anogan.Search.__init__.__kwdefaults__, steps=5):
        yield
    tf.config.run_functions_eagerly(False)


@cache
def fitted(name: str) -> Any:
    """A fitted detector; tests must not change it."""
    return MAKE[name]().fit(NORMAL)


@every_detector
def test_separates_two_blobs_by_scores_of_the_right_sign(name: str) -> None:
    scores = fitted(name).score_samples(NEW)
    assert scores.shape == (80,) and np.isfinite(scores).all()
    assert roc_auc_score(Y, -scores) > 0.95
    one = fitted(name).score_samples(NEW[:1])
    assert_close(one, scores[:1], 200, np.abs(scores).max())  # of a pass through its networks, and a search of 3 steps


@every_detector
def test_labels_agree_with_scores(name: str) -> None:
    detector = fitted(name)
    labels, distance = detector.predict(NEW), detector.decision_function(NEW)
    assert set(labels) == {-1, 1} and labels.shape == distance.shape == (80,)
    np.testing.assert_array_equal(labels, np.where(distance < 0.0, -1, 1))
    assert (labels[Y == 1] == -1).all() and (labels[Y == 0] == 1).mean() > 0.6


@every_detector
def test_clone_is_not_fitted_and_learns_the_same_also_after_other_rows(name: str) -> None:
    copy = clone(fitted(name))
    with pytest.raises(NotFittedError):
        copy.score_samples(NEW)
    copy.fit(NORMAL - 50.0).fit(NORMAL)
    np.testing.assert_array_equal(copy.score_samples(NEW), fitted(name).score_samples(NEW))


@every_detector
def test_kept_and_read_again(name: str, tmp_path: Path) -> None:
    """By pickle; ALAD by `save` and `load`."""
    if name == "ALAD":
        fitted(name).save(tmp_path / "model")
        again = ALAD.load(tmp_path / "model")
    else:
        again = pickle.loads(pickle.dumps(fitted(name)))
    np.testing.assert_array_equal(again.score_samples(NEW), fitted(name).score_samples(NEW))
    np.testing.assert_array_equal(again.predict(NEW), fitted(name).predict(NEW))


@pytest.mark.parametrize("name", SEEDED)
def test_another_seed_gives_other_scores(name: str) -> None:
    assert not np.array_equal(MAKE[name](2).fit(NORMAL).score_samples(NEW), fitted(name).score_samples(NEW))


@every_detector
def test_bad_rows_are_refused(name: str) -> None:
    detector, bad = fitted(name), NEW.copy()
    bad[3, 1] = np.nan
    if name != "IF":  # scikit-learn's own, which takes missing and infinite cells in its newer versions
        for rows, message in ((bad, "NaN"), (np.where(np.isnan(bad), np.inf, bad), "inf")):
            with pytest.raises(ValueError, match=message):
                detector.score_samples(rows)
        with pytest.raises(ValueError, match="NaN"):
            MAKE[name]().fit(bad)
    with pytest.raises(ValueError, match="2 features"):
        detector.score_samples(NEW[:, :2])


@pytest.mark.parametrize("method", TABLES)
@pytest.mark.parametrize("size", [1e19, 1e38, 1e300])
def test_huge_rows_are_outliers(method: str, size: float) -> None:
    """Whose scores overflow in the networks."""
    huge = np.full((2, WIDTH), size)
    assert np.isfinite(fitted(method).anomaly_score(huge)).all()
    assert (fitted(method).predict(huge) == -1).all()


def test_a_decision_that_is_no_number_is_an_outlier(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = baselines.MeanDistance().fit(NORMAL)
    monkeypatch.setattr(detector, "decision_function", lambda x: np.array([np.nan, 0.0, 1.0, -1.0]))
    assert detector.predict(NEW[:4]).tolist() == [-1, 1, 1, -1]


def test_the_package_has_its_detectors() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'LOF'"):
        _ = baselines.LOF


# Options of the three with networks


@pytest.mark.parametrize("method", TABLES)
def test_options_replace_the_tables(method: str) -> None:
    made = deep(method, epochs=1, batch_size=40, learning_rate=0.5).fit(NORMAL[:90])
    expected = replace(table(method), epochs=1, batch_size=40)
    assert made.table_ == replace(expected, optimizer=replace(expected.optimizer, learning_rate=0.5))
    assert (made.n_features_in_, made.offset_) == (WIDTH, -made.threshold_)
    few = deep(method, epochs=1).fit(NORMAL[:7])  # fewer rows than a batch has
    assert few.table_.batch_size == 7
    with pytest.raises(SettingsError, match="at most the 7 training rows. Received: 8"):
        deep(method, epochs=1, batch_size=8).fit(NORMAL[:7])


@pytest.mark.parametrize("method", TABLES)
@pytest.mark.parametrize("name", ["kdd99", "arrhythmia"])
def test_table_by_name(method: str, name: str) -> None:
    import architectures

    made = deep(method, architecture=name, epochs=1).fit(NORMAL[:20])
    printed = of_width(architectures.load(name, method), WIDTH)
    assert made.table_ == replace(printed, epochs=1, batch_size=20)


@pytest.mark.parametrize(
    ("method", "first", "other"), [("DSEBM", "energy", "reconstruction"), ("AnoGAN", "released", "schlegl")]
)
def test_score(method: str, first: str, other: str) -> None:
    own, usual = (deep(method, epochs=1, score_name=score).fit(NORMAL[:60]) for score in (other, None))
    named = deep(method, epochs=1, score_name=first).fit(NORMAL[:60])
    np.testing.assert_array_equal(named.anomaly_score(NEW), usual.anomaly_score(NEW))
    assert not np.allclose(own.anomaly_score(NEW), usual.anomaly_score(NEW))
    np.testing.assert_array_equal(usual.score_samples(NEW), -usual.anomaly_score(NEW))
    np.testing.assert_array_equal(usual.set_params(score_name=first).predict(NEW), named.predict(NEW))


@pytest.mark.parametrize("method", TABLES)
def test_contamination_and_scaling(method: str) -> None:
    for contamination in (0.1, 0.4):
        made = deep(method, epochs=1, contamination=contamination).fit(NORMAL[:100])
        assert (made.predict(NORMAL[:100]) == -1).mean() == pytest.approx(contamination, abs=0.02)
    made = {kind: deep(method, epochs=1, scaling=kind).fit(NORMAL) for kind in ("standard", "minmax", None)}
    assert_close(made["standard"]._scaled(NORMAL).std(0), 1.0, len(NORMAL), np.abs(NORMAL / NORMAL.std(0)).max() ** 2)
    assert_close(made["minmax"]._scaled(NORMAL).max(0), 1.0, 3)
    assert_close(made[None]._scaled(NORMAL), NORMAL, 1)


@pytest.mark.parametrize("method", TABLES)
@pytest.mark.parametrize(
    "options",
    [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"contamination": 0.6}, {"scaling": "log"}]
    + [{"architecture": "svhn"}, {"verbose": "no"}, {"random_state": "x"}],
    ids=lambda options: next(iter(options)),
)
def test_options_out_of_range(method: str, options: Options) -> None:
    with pytest.raises(ValueError, match=f"The '{next(iter(options))}' parameter of {method}"):
        deep(method, **options).fit(NORMAL)


@every_detector
def test_score_is_auroc_of_labels(name: str) -> None:
    """-1 marks anomalies, as in scikit-learn, whose own detectors have no such method."""
    if name in ("OC-SVM", "SGD-OC-SVM", "IF"):
        return
    detector, labels = fitted(name), np.where(Y == 1, -1, 1)
    assert detector.score(NEW, labels) == roc_auc_score(labels, detector.decision_function(NEW))
    with pytest.raises(DataError, match="80 rows of one kind"):
        detector.score(NEW, np.ones(80))
    with pytest.raises(DataError, match="labels 1 and -1"):
        detector.score(NEW, np.where(Y == 1, "bad", "good"))
    unlabelled = np.where(np.arange(80) == 7, np.nan, labels)
    for y in (unlabelled, pd.array(unlabelled, "Int64")):
        with pytest.raises(DataError, match="Expected labels 1 and -1. Received:"):
            detector.score(NEW, y)


def test_old_name_of_the_score() -> None:
    with pytest.warns(FutureWarning, match=r"DSEBM\(score=...\) is now DSEBM\(score_name=...\)"):
        assert baselines.DSEBM(score="energy").score_name == "energy"


def test_what_else_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"score of DSEBM. Received: 'l1'. Allowed: energy, reconstruction"):
        deep("DSEBM", score_name="l1").fit(NORMAL)
    with pytest.raises(SettingsError, match=r"a table of DSEBM. Received: a table of DAGMM"):
        deep("DSEBM", architecture=table("DAGMM")).fit(NORMAL)
    with pytest.raises(ValueError, match=r"Expected training rows \[at least 100, 3\]. Received: \[400, 2\]"):
        deep("AnoGAN").fit(NORMAL[:, :2])
    with pytest.raises(AladError, match="Expected finite losses. Received: .* at step"):
        deep("DSEBM", learning_rate=1e30).fit(NORMAL)


def test_a_fit_that_fails_leaves_the_model_of_the_last_one() -> None:
    detector = deep("DSEBM", epochs=1).fit(NORMAL)
    before, scores = detector.threshold_, detector.anomaly_score(NEW)
    with pytest.raises(AladError):
        detector.set_params(learning_rate=1e30).fit(NORMAL * 9.0)
    assert detector.threshold_ == before
    np.testing.assert_array_equal(detector.anomaly_score(NEW), scores)


def test_progress_bar(capfd: pytest.CaptureFixture[str]) -> None:
    deep("DSEBM", epochs=1, verbose=1).fit(NORMAL)
    assert "DSEBM: 100%" in capfd.readouterr().err
    deep("DSEBM", epochs=1).fit(NORMAL)
    assert capfd.readouterr().err == ""


# scikit-learn's own checks

QUICK = baselines.DSEBM(epochs=1, verbose=0)  # the three with networks are one class in this


@pytest.mark.filterwarnings("ignore::UserWarning")  # of constant columns, and what the checks provoke themselves
@parametrize_with_checks([QUICK, baselines.MeanDistance(), baselines.NeighbourDistance()])
def test_scikit_learn_conventions(estimator: Any, check: Any) -> None:
    check(estimator)
