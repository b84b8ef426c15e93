"""Fits in one process share graphs and nothing else: results are bit-identical to those of separate processes."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from reference import TINY, draw
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from alad_tf.estimator.alad import ALAD
from alad_tf.model import shared_graphs
from alad_tf.model.weights import get_arrays
from alad_tf.typing import Options

X = draw(0, 40, 5).astype(np.float64) * [1.0, 10.0, 100.0, 0.1, 1.0] + 5.0
NEW = draw(1, 30, 5).astype(np.float64) * [1.0, 10.0, 100.0, 0.1, 1.0] + 5.0
OPTIONS: list[dict[str, Any]] = [
    {"spectral_norm": None, "ema_decay": None},
    {"spectral_norm": None, "batch_size": 10, "latent_discriminator": False, "learning_rate": 1e-3, "epochs": 3},
]


def make(seed: int, **options: Any) -> ALAD:
    return ALAD(
        **{"architecture": TINY, "score_name": "features", "jit": False, "random_state": seed, "verbose": 0, **options}
    )


def bits(model: ALAD) -> dict[str, np.ndarray]:
    return {**get_arrays(model.networks_), "scores": model.anomaly_score(NEW), "training": model.training_scores_}


def bits_of(seed: int) -> dict[str, np.ndarray]:
    """Bits of a fit; also called in a separate process."""
    return bits(make(seed).fit(X))


def require_equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for name, values in a.items():
        np.testing.assert_array_equal(values, b[name], err_msg=name)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Shared functions that are traced in addition to those of the default options."""
    functions, trace = [], shared_graphs._traced
    make(0).fit(X).anomaly_score(NEW)

    def counted(function: Any, variables: Any) -> Any:
        functions.append(function)
        return trace(function, variables)

    monkeypatch.setattr(shared_graphs, "_traced", counted)
    return functions


def test_a_later_fit_has_the_bits_of_a_first_one(traced: list[Any]) -> None:
    shared_graphs.forget()
    bits_of(1)
    assert len(traced) == 2  # the training step, the scores
    later = bits_of(2)
    assert len(traced) == 2
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        require_equal(later, fresh.submit(bits_of, 2).result())
    assert not np.array_equal(later["scores"], bits_of(1)["scores"])


def test_later_fits_leave_a_fitted_estimator_alone(traced: list[Any]) -> None:
    model = make(1).fit(X)
    before = bits(model)
    for seed in (2, 3):
        make(seed).fit(X[::-1])
    require_equal(bits(model), before)
    assert not traced


def test_fits_of_several_threads(traced: list[Any]) -> None:
    shared_graphs.forget()
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(bits_of, range(4)))
    assert len(traced) == 2
    for seed, of_thread in enumerate(found):
        require_equal(of_thread, bits_of(seed))


def test_tables_options_and_rows_take_turns(traced: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if more graphs are needed than are kept."""
    monkeypatch.setattr(shared_graphs, "LIMIT", 3)

    def fits(options: Options) -> list[dict[str, np.ndarray]]:
        return [bits(make(1, **options).fit(rows)) for rows in (X, X[:33])]

    alone = []
    for options in OPTIONS:
        shared_graphs.forget()
        alone.append(fits(options))
    for place in (1, 0):
        for got, wanted in zip(fits(OPTIONS[place]), alone[place]):
            require_equal(got, wanted)
    assert len(shared_graphs._graphs) == 3


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # scikit-learn casts an np.empty
def test_a_search_over_rates_and_epochs_traces_once(traced: list[Any]) -> None:
    def mean_score(model: ALAD, x: np.ndarray, y: object = None) -> float:
        return float(model.score_samples(x).mean())

    grid = {"learning_rate": [1e-2, 1e-3], "epochs": [1, 2]}
    search = GridSearchCV(make(3), grid, scoring=mean_score, cv=2, error_score="raise").fit(X)
    assert not traced
    alone = make(3, **search.best_params_).fit(X)
    require_equal(bits(search.best_estimator_), bits(alone))


def test_copies_score_alike(traced: list[Any]) -> None:
    model = make(4).fit(X)
    require_equal(bits(pickle.loads(pickle.dumps(model))), bits(model))
    require_equal(bits(clone(model).fit(X)), bits(model))
    assert not traced
