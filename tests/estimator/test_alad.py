"""ALAD as a scikit-learn estimator: fit, scores, thresholds, explanations, model folders."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from reference import TINY
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_estimators import NAMES, NEW, NEW_FRAME, SMALL, X, fitted, frame, make
from small_networks import own
from tolerances import Work, assert_close, assert_within, largest, of_adam, of_estimator, of_network, terms_of

import alad_tf
from alad_tf.errors import DataError, SettingsError
from alad_tf.estimator.alad import ALAD
from alad_tf.io import model_folder
from alad_tf.model import networks, weights
from alad_tf.typing import Options
from architectures.rows import Adam

pytestmark = [pytest.mark.minutes(1), pytest.mark.usefixtures("eager")]


QUICK = ALAD(epochs=1, jit=False, verbose=0, spectral_norm=None, latent_discriminator=False, ema_decay=None)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of constant columns, and what the checks provoke themselves
@parametrize_with_checks([QUICK])
def test_scikit_learn_conventions(estimator: ALAD, check: Any) -> None:
    check(estimator)


# Scores -----------------------------------------------------------------------------------------------------------


def test_the_package_has_it() -> None:
    assert alad_tf.ALAD is ALAD
    with pytest.raises(AttributeError, match="no attribute 'ALAT'"):
        _ = alad_tf.ALAT


def test_scores_and_their_signs() -> None:
    model = fitted()
    a = model.anomaly_score(NEW_FRAME)
    assert a.shape == (30,) and a.dtype == np.float32 and np.ptp(a) > 0
    np.testing.assert_array_equal(model.score_samples(NEW_FRAME), -a.astype(np.float64))
    assert_close(model.decision_function(NEW_FRAME), model.threshold_ - a, 1, largest(a) + model.threshold_)
    np.testing.assert_array_equal(model.predict(NEW_FRAME) == -1, a > model.threshold_)
    assert model.offset_ == -model.threshold_
    far = frame(NEW[:1] + 1000.0)
    assert model.anomaly_score(far) > a.max() and model.predict(far) == -1


@pytest.mark.parametrize("score", ["features", "l1", "l2", "logits"])
def test_score_is_the_one_asked_for(score: str) -> None:
    model = make(score_name=score, epochs=1).fit(X)
    expected = model._scorer(((X - model.center_) / model.scale_).astype(np.float32))[score]
    np.testing.assert_array_equal(np.sort(expected), model.training_scores_)


def test_default_score_is_the_distance_to_the_nearest_training_rows() -> None:
    """The nearest row is skipped: for a training row, it is the row itself."""
    model = make(epochs=1).fit(X)
    points = np.hstack([(X - model.center_) / model.scale_, (X - model.reconstruct(X)) / model.scale_])
    distances, close = np.sort(np.linalg.norm(points[:, None] - points, axis=2), axis=1), 1e-4 * largest(points)
    np.testing.assert_allclose(model.anomaly_score(X), distances[:, 1:6].mean(axis=1), rtol=0.0, atol=close)
    np.testing.assert_array_equal(np.sort(model.anomaly_score(X)), model.training_scores_)
    assert close < 0.01 * model.training_scores_[0]


@pytest.mark.parametrize(
    "option",
    [
        {"epochs": 3},
        {"batch_size": 10},
        {"learning_rate": 1e-3},
        {"spectral_norm": "tfa"},
        {"spectral_norm": None},
        {"latent_discriminator": False},
        {"ema_decay": None},
        {"ema_decay": 0.5},
        {"scaling": "minmax"},
        {"scaling": None},
        {"random_state": 4},
        {"architecture": None, "epochs": 1},
    ],
    ids=str,
)
def test_every_option_changes_the_scores(option: dict[str, object]) -> None:
    model = make(**option).fit(X)
    assert not np.array_equal(model.anomaly_score(NEW), fitted().anomaly_score(NEW_FRAME))
    for name in ("epochs", "batch_size"):
        if name in option:
            assert getattr(model.table_, name) == option[name]


def test_scaling() -> None:
    np.testing.assert_allclose(fitted().center_, X.mean(axis=0))
    np.testing.assert_allclose(fitted().scale_, X.std(axis=0))
    model = make(scaling="minmax", epochs=1).fit(X)
    np.testing.assert_allclose(model.center_, X.min(axis=0))
    np.testing.assert_allclose(model.scale_, np.ptp(X, axis=0))


def test_seeds() -> None:
    assert fitted().seed_ == 3
    first = make(random_state=None, epochs=1).fit(X)
    second = make(random_state=first.seed_, epochs=1).fit(X)
    np.testing.assert_array_equal(first.anomaly_score(NEW), second.anomaly_score(NEW))


def test_networks_are_keras_models_in_scaled_units() -> None:
    model = fitted()
    x = tf.constant(model._scaled(NEW))  # Keras 3 takes no pair of an array and a tensor
    assert model.encoder(x).shape == (30, 3)
    assert model.generator(model.encoder(x)).shape == (30, 5)
    assert model.discriminator_xx([x, x])[0].shape == (30, 1)
    assert model.discriminator_xz([x, model.encoder(x)])[0].shape == (30, 1)
    assert model.discriminator_zz([model.encoder(x)] * 2)[0].shape == (30, 1)
    with pytest.raises(NotFittedError):
        _ = make().generator
    with pytest.raises(NotFittedError):
        make().contributions(NEW)
    with pytest.raises(NotFittedError):
        _ = make().usual


# Parameters set after a fit -----------------------------------------------------------------------------------------


def changed(**options: Any) -> ALAD:
    return pickle.loads(pickle.dumps(fitted())).set_params(**options)


@pytest.mark.parametrize("method", ["predict", "decision_function", "p_value", "calibrate", "plot_scores"])
def test_another_score_has_no_threshold(method: str) -> None:
    model = changed(score_name="l1")
    assert not np.array_equal(model.anomaly_score(NEW_FRAME), fitted().anomaly_score(NEW_FRAME))
    np.testing.assert_array_equal(model.score_samples(NEW_FRAME), -model.anomaly_score(NEW_FRAME).astype(np.float64))
    assert 0.0 <= model.score(NEW_FRAME, np.arange(30) % 2) <= 1.0
    message = "to which the threshold belongs, 'neighbours'. Received: score_name='l1'"
    with pytest.raises(SettingsError, match=message):
        getattr(model, method)(NEW_FRAME)
    with pytest.raises(SettingsError, match=message):
        model.set_threshold(contamination=0.1)
    with pytest.raises(SettingsError, match=message):
        pickle.loads(pickle.dumps(model)).predict(NEW_FRAME)
    assert (model.fit(NEW_FRAME).predict(NEW_FRAME) == -1).sum() == 3


def test_the_default_score_needs_its_references() -> None:
    model = make(epochs=1).fit(X).set_params(score_name="l1").fit(X).set_params(score_name="neighbours")
    with pytest.raises(SettingsError, match="after a fit with score_name='l1'"):
        model.anomaly_score(NEW)


@pytest.mark.parametrize("name", ["spectral_norm", "latent_discriminator", "networks", "warm_start"])
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # how Keras 3 pickles
def test_the_networks_of_the_fit_are_kept(name: str, tmp_path: Path) -> None:
    values = {"spectral_norm": None, "latent_discriminator": False, "networks": own(), "warm_start": True}
    model, expected = changed(**{name: values[name]}), fitted().anomaly_score(NEW_FRAME)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).anomaly_score(NEW_FRAME), expected)
    model.save(tmp_path / "model")
    loaded = ALAD.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.anomaly_score(NEW_FRAME), expected)
    loaded.save(tmp_path / "model", overwrite=True)


def test_parameters_outside_their_range_and_other_scores_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'epochs' parameter"):
        changed(epochs=-3).save(tmp_path / "model")
    with pytest.raises(SettingsError, match="score_name='l2'"):
        changed(score_name="l2").save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.fixture
def default_of_keras(request: pytest.FixtureRequest) -> Iterator[None]:
    """Another precision of layers that name none."""
    fitted()
    if request.param == "float64":
        tf.keras.backend.set_floatx("float64")
        yield
        tf.keras.backend.set_floatx("float32")
    else:
        tf.keras.mixed_precision.set_global_policy("mixed_float16")
        yield
        tf.keras.mixed_precision.set_global_policy("float32")  # from here on, floatx has no effect


@pytest.mark.filterwarnings("ignore:.*mixed_float16")
@pytest.mark.parametrize(
    ("default_of_keras", "kind"),
    [("float64", "paper"), ("float64", "tfa"), ("mixed_float16", "paper"), ("mixed_float16", "tfa")],
    indirect=["default_of_keras"],
)
def test_networks_are_float32_whatever_keras_is_told(default_of_keras: None, kind: str, tmp_path: Path) -> None:
    model = make(spectral_norm=kind).fit(frame(X))
    assert {weight.dtype for weight in model.networks_.trained_weights} == {tf.float32}
    if kind == "paper":
        np.testing.assert_array_equal(model.anomaly_score(NEW_FRAME), fitted().anomaly_score(NEW_FRAME))
    model.save(tmp_path / "model")
    loaded = ALAD.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.anomaly_score(NEW_FRAME), model.anomaly_score(NEW_FRAME))
    model.save_keras(tmp_path / "networks")


# Thresholds -------------------------------------------------------------------------------------------------------


def test_contamination_is_the_share_of_training_rows_flagged() -> None:
    model = clone(fitted()).set_params(contamination=0.25).fit(X)
    assert (model.predict(X) == -1).sum() == 10
    assert model.threshold_rule_ == {"rule": "contamination", "value": 0.25, "scores": "training rows"}
    assert (model.set_threshold(contamination=0.1).predict(X) == -1).sum() == 4


def test_false_positive_rate_on_held_out_rows() -> None:
    model = pickle.loads(pickle.dumps(fitted()))
    assert (model.set_threshold(false_positive_rate=0.1).predict(NEW_FRAME) == -1).sum() == 3
    assert model.threshold_rule_["scores"] == "validation rows"
    model.set_threshold(false_positive_rate=0.2, X=NEW_FRAME[:10])
    assert (model.predict(NEW_FRAME[:10]) == -1).sum() == 2
    assert model.threshold_rule_ == {"rule": "false_positive_rate", "value": 0.2, "scores": "held-out rows"}
    model.set_threshold(value=1.5)
    assert (model.threshold_, model.offset_) == (1.5, -1.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Received: none"),
        ({"value": 1.0, "contamination": 0.1}, "Received: contamination, value"),
        ({"contamination": 0.6}, "contamination above 0 and at most 0.5. Received: 0.6"),
        ({"false_positive_rate": 0.0}, "false_positive_rate above 0"),
        ({"value": np.nan}, "Received: nan"),
        ({"value": 1.0, "X": X}, "X with value"),
    ],
)
def test_thresholds_that_make_no_sense(options: Options, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        fitted().set_threshold(**options)


def test_p_values() -> None:
    model = fitted()
    assert model.reference_ == "validation rows"
    a = model.anomaly_score(NEW_FRAME)
    expected = [(1 + np.sum(a >= score)) / 31 for score in a]
    np.testing.assert_allclose(model.p_value(NEW_FRAME), expected)
    plain = make(epochs=1).fit(X)
    assert plain.reference_ == "training rows" and len(plain.reference_scores_) == 40
    with pytest.raises(SettingsError, match="not trained on, for a false-positive rate. Received: none"):
        plain.set_threshold(false_positive_rate=0.1)
    assert plain.calibrate(NEW).reference_ == "held-out rows"


# Explanations -----------------------------------------------------------------------------------------------------


def test_explanations_name_the_features_that_differ_most_from_what_is_expected() -> None:
    model = fitted()
    rows = frame(NEW).set_index(np.arange(100, 130))
    rows.loc[101, "share"] += 50.0
    told = model.explain(rows, top=2)
    assert list(told.columns) == ["row", "feature", "value", "expected", "difference", "contribution", "share"]
    assert told["row"].tolist() == [row for row in rows.index for _ in range(2)]
    worst = told[told["row"] == 101].iloc[0]
    assert worst["feature"] == "share" and worst["share"] > 0.5
    assert worst["value"] == pytest.approx(rows.loc[101, "share"])
    whole = model.explain(rows, top=9)
    assert len(whole) == 30 * 5
    assert_close(whole.groupby("row")["share"].sum(), 1.0, 5 + 5)
    difference = whole["value"] - whole["expected"]
    assert_close(difference, whole["difference"], 2, largest(whole["value"]))
    x = np.clip(model._scaled(rows.to_numpy()), model.usual_.low, model.usual_.high)
    x_hat = model.generator(model.encoder(x)).numpy() * model.scale_ + model.center_
    wide = whole.pivot(index="row", columns="feature", values="expected")[NAMES]
    work = of_network(model.encoder, x) + of_network(model.generator, model.encoder(x))
    assert_within(wide / model.scale_, x_hat / model.scale_, work + Work(1, largest(x_hat / model.scale_)))
    assert (whole.groupby("row")["share"].diff().dropna() <= 1e-7).all()


def test_explanations_of_arrays() -> None:
    told = make(epochs=1).fit(X).explain(NEW, top=1)
    assert told["row"].tolist() == list(range(30)) and set(told["feature"]) <= {f"x{k}" for k in range(5)}
    with pytest.raises(SettingsError, match="at least 1. Received: 0"):
        fitted().explain(NEW_FRAME, top=0)


# scikit-learn's company -------------------------------------------------------------------------------------------


def test_pipeline_and_set_output() -> None:
    """Scaled rows may differ in their last digits; a larger epsilon of Adam keeps training from amplifying this."""
    steady = Adam(1e-3, beta1=0.5, epsilon=1e-2)
    model = make(architecture=dataclasses.replace(SMALL, optimizer=steady)).fit(frame(X))
    scaled = clone(model).set_params(scaling=None)
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), scaled).fit(frame(X))
    assert pipeline[-1].feature_names_in_.tolist() == NAMES
    terms = 2 * terms_of(*model.networks_.models.values()) + 20
    weight = of_adam(steady, 2 * 2, Work(terms, 1.0))  # no gradient is above 1
    close = 2.0 * of_estimator(model, NEW)["l2"] + weight * terms * largest((NEW - model.center_) / model.scale_)
    np.testing.assert_allclose(pipeline.score_samples(NEW_FRAME), model.score_samples(NEW_FRAME), rtol=0.0, atol=close)
    assert close < 0.05 * np.ptp(model.score_samples(NEW_FRAME))


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # scikit-learn casts an np.empty
def test_grid_search() -> None:
    y = np.where(np.arange(40) % 4 < 3, 1, -1)  # both in each fold
    x = X + 1000.0 * (y == -1)[:, None]
    halves = [(np.arange(20), np.arange(20, 40))]
    grid = {"score_name": ["l1", "logits"], "epochs": [1]}
    search = GridSearchCV(make(), grid, scoring="roc_auc", cv=halves, refit=False).fit(x, y)
    assert len(search.cv_results_["params"]) == 2 and np.isfinite(search.best_score_)


def test_clone_and_pickle() -> None:
    copy = clone(fitted())
    assert not hasattr(copy, "networks_") and copy.get_params()["architecture"] == SMALL
    again = pickle.loads(pickle.dumps(fitted()))
    np.testing.assert_array_equal(again.anomaly_score(NEW_FRAME), fitted().anomaly_score(NEW_FRAME))


# Custom networks --------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # how Keras 3 pickles
def test_own_networks() -> None:
    models = own()
    before = {name: model.get_weights() for name, model in models.items()}
    model = make(architecture=None, networks=models, epochs=2).fit(X)
    assert model.encoder.output_shape == (None, 2)
    assert not np.array_equal(model.encoder.get_weights()[0], before["E"][0])
    assert all(np.array_equal(a, b) for name in before for a, b in zip(models[name].get_weights(), before[name]))
    again = make(architecture=None, networks=models, epochs=2).fit(X)
    np.testing.assert_array_equal(model.anomaly_score(NEW), again.anomaly_score(NEW))
    with pytest.raises(SettingsError, match="Received: custom networks"):
        model.save("nowhere")
    unpickled = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(unpickled.anomaly_score(NEW), model.anomaly_score(NEW))
    assert all(np.array_equal(a, b) for a, b in zip(unpickled.networks["E"].get_weights(), before["E"]))


def test_own_networks_that_do_not_fit() -> None:
    for models, options, message in (
        (own(), {"architecture": TINY}, "Expected an architecture or networks. Received: both."),
        (own(features=4), {}, "Expected E from .* Received: from"),
        (own(), {"latent_discriminator": False}, "Received: networks with Dzz and latent_discriminator=False"),
    ):
        with pytest.raises(SettingsError, match=message):
            make(**{"architecture": None, "networks": models, **options}).fit(X)


# On disk ----------------------------------------------------------------------------------------------------------


def test_save_and_load(tmp_path: Path) -> None:
    model = pickle.loads(pickle.dumps(fitted())).set_threshold(false_positive_rate=0.1)
    model.save(tmp_path / "model", {"columns": NAMES})
    loaded = ALAD.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.anomaly_score(NEW_FRAME), model.anomaly_score(NEW_FRAME))
    np.testing.assert_array_equal(loaded.p_value(NEW_FRAME), model.p_value(NEW_FRAME))
    for name in ("threshold_", "threshold_rule_", "reference_", "table_", "seed_", "n_samples_fit_"):
        assert getattr(loaded, name) == getattr(model, name)
    assert loaded.feature_names_in_.tolist() == NAMES
    documents, _ = model_folder.read(tmp_path / "model")
    assert documents["columns"] == NAMES
    assert documents["model"]["versions"]["alad_tf"] == alad_tf.__version__
    loaded.set_threshold(contamination=0.25)
    assert loaded.threshold_ == fitted().set_threshold(contamination=0.25).threshold_
    fitted().set_threshold(contamination=0.1)


@pytest.mark.parametrize("name", ["../escaped", "a/b", "", "model", "manifest"])
def test_documents_stay_in_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=f"names of documents that are file names.* Received: '{name}'."):
        fitted().save(tmp_path / "model", {name: {}})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["table", "seed", "settings", "threshold", "data"])
def test_a_model_that_does_not_fit_together_is_refused(tmp_path: Path, part: str) -> None:
    fitted().save(tmp_path / "model")
    documents, arrays = model_folder.read(tmp_path / "model")
    del documents["model"][part]
    model_folder.write(tmp_path / "model", documents, arrays)
    with pytest.raises(DataError, match=f"Expected a model of ALAD in .*{part}"):
        ALAD.load(tmp_path / "model")


def test_weights_of_another_table_are_refused(tmp_path: Path) -> None:
    fitted().save(tmp_path / "model")
    documents, arrays = model_folder.read(tmp_path / "model")
    arrays["weights"] = weights.get_arrays(networks.build(TINY, latent_discriminator=False))
    model_folder.write(tmp_path / "model", documents, arrays)
    with pytest.raises(DataError, match="Expected the weight Dzz/0"):
        ALAD.load(tmp_path / "model")
    json.loads((tmp_path / "model" / "model.json").read_text())
