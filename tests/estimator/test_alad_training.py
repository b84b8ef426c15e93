"""ALAD.fit: callbacks, early stopping, TensorBoard, warm starts, messages of failed training."""

from __future__ import annotations

import dataclasses
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from reference import TINY, draw
from sklearn.exceptions import ConvergenceWarning
from small_estimators import NEW, X, make
from small_networks import own
from tolerances import of_estimator

from alad_tf.errors import AladError, DataError, SettingsError
from alad_tf.estimator import callbacks, tensorboard
from alad_tf.estimator.alad import ALAD
from alad_tf.typing import Options

pytestmark = pytest.mark.minutes(0.5)


# Training comforts ------------------------------------------------------------------------------------------------


class Watcher(tf.keras.callbacks.Callback):
    def __init__(self, stop_at: int) -> None:
        super().__init__()
        self.stop_at = stop_at
        self.logs: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.logs.append(dict(logs))
        self.model.stop_training = epoch + 1 == self.stop_at


def test_callbacks_get_losses_and_can_stop() -> None:
    watcher = Watcher(stop_at=2)
    model = make(epochs=4, score_name="l1").fit(X, validation=NEW, callbacks=[watcher])
    assert len(watcher.logs) == 2
    assert {"loss_d", "loss_ge", "Dxz", "Dxx", "Dzz", "val_score", "val_l2"} <= set(watcher.logs[0])
    assert model.history_ == {name: [logs[name] for logs in watcher.logs] for name in watcher.logs[0]}
    assert watcher.logs[-1]["val_score"] == pytest.approx(
        model.anomaly_score(NEW).mean(), rel=0.0, abs=of_estimator(model, NEW)["l1"]
    )
    stopped, two = make(epochs=4).fit(X, callbacks=[Watcher(2)]), make(epochs=2).fit(X)
    np.testing.assert_array_equal(stopped.anomaly_score(NEW), two.anomaly_score(NEW))


def test_early_stopping_restores_the_best_weights() -> None:
    model = make(epochs=6, learning_rate=0.3, patience=2).fit(X, validation=NEW)
    errors = model.history_["val_l2"]
    best = int(np.argmin(errors))
    assert len(errors) < 6 or best < 5
    x = model._scaled(NEW)
    assert model._scorer(x)["l2"].mean() == pytest.approx(errors[best], rel=0.0, abs=of_estimator(model, NEW)["l2"])
    with pytest.raises(SettingsError, match="Expected validation rows for patience=2. Received: none"):
        make(patience=2).fit(X)


def test_validation_as_a_share(eager: None) -> None:
    model = make(epochs=1).fit(X, validation=0.25)
    assert (model.n_samples_fit_, len(model.reference_scores_)) == (30, 10)
    with pytest.raises(SettingsError, match="share of X above 0 and below 1. Received: 1.5"):
        make().fit(X, validation=1.5)
    for rows, share in ((X, 0.98), (X[:2], 0.5)):
        message = rf"Expected at least 2 rows to train on .* Received: {len(rows)} rows, .* {share} "
        with pytest.raises(SettingsError, match=message):
            make(batch_size=1).fit(rows, validation=share)


def test_tensorboard(tmp_path: Path) -> None:
    make(epochs=2, log_dir=tmp_path).fit(X)
    tags = {
        value.tag
        for path in tmp_path.iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {"loss_d", "loss_ge", "Dxx"} <= tags
    assert {tag.split("/")[0] for tag in tags if "kernel" in tag} == {"G", "E", "Dxz", "Dxx", "Dzz"}


def images_of(folder: Path) -> list[np.ndarray]:
    """Images written for TensorBoard, [height, width, channels] each."""
    return [
        tf.io.decode_png(picture).numpy()
        for path in folder.iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "images"
        for picture in value.tensor.string_val[2:]
    ]


@pytest.mark.parametrize("shape", [(2, 3), [1, 2, 3]])
def test_images_for_tensorboard(tmp_path: Path, eager: None, shape: Any) -> None:
    """Held-out rows above their reconstructions, in the value range of the rows."""
    table = dataclasses.replace(TINY, data_dim=6, G=(*TINY.G[:-1], dataclasses.replace(TINY.G[-1], units=6)))
    x, held_out = draw(0, 40, 6) * 10.0, draw(1, 12, 6) * 10.0
    model = make(architecture=table, epochs=1, log_dir=tmp_path, image_shape=shape).fit(x, validation=held_out)
    pictures = images_of(tmp_path)
    assert len(pictures) == tensorboard.PICTURES
    height, width, channels = (*shape, 1)[:3]
    low, high = held_out.min(), held_out.max()
    for row, x_hat, picture in zip(held_out, model.reconstruct(held_out), pictures):
        assert picture.shape == (2 * height, width, channels)
        both = np.concatenate([row, x_hat]).reshape(picture.shape)
        expected = np.clip((both - low) / (high - low), 0.0, 1.0) * 255.0
        np.testing.assert_allclose(picture, expected, atol=1.0)


@pytest.mark.parametrize("shape", [(5,), (2, 2), (1, 5, 2), (5, 1, 1, 1), (5.0, 1.0), (-5, -1)])
def test_image_shapes_that_do_not_fit(shape: tuple[int, ...]) -> None:
    message = rf"Expected image_shape as .* of 5 features. Received: {re.escape(str(shape))}"
    with pytest.raises(SettingsError, match=message):
        make(image_shape=shape).fit(X)


def test_log_dir_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="Expected a folder for TensorBoard that can be written. Received: .*file"):
        make(log_dir=tmp_path / "file").fit(X)


# Training on ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_warm_start_goes_on_with_the_same_bits(ema_decay: float | None) -> None:
    """Also if another estimator trains with the shared graph in between."""
    at_once = make(epochs=3, ema_decay=ema_decay).fit(X, validation=NEW)
    model = make(epochs=1, ema_decay=ema_decay, warm_start=True, random_state=3).fit(X, validation=NEW)
    make(epochs=1, ema_decay=ema_decay, random_state=6).fit(X)
    model.set_params(epochs=2, random_state=99).fit(X, validation=NEW)
    np.testing.assert_array_equal(model.anomaly_score(NEW), at_once.anomaly_score(NEW))
    assert model.history_ == at_once.history_ and model.seed_ == 3
    anew = model.set_params(warm_start=False, epochs=3, random_state=3).fit(X, validation=NEW)
    np.testing.assert_array_equal(anew.anomaly_score(NEW), at_once.anomaly_score(NEW))
    assert anew.history_ == at_once.history_


def test_warm_start_from_disk_and_on_other_rows(tmp_path: Path) -> None:
    model = make(epochs=2, warm_start=True).fit(X)
    model.save(tmp_path / "model")
    loaded, copy = ALAD.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))
    center = model.center_.copy()
    scores = [other.fit(NEW).anomaly_score(X) for other in (model, loaded.set_params(verbose=0), copy)]
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])
    np.testing.assert_array_equal(model.center_, center)  # the weights are of that scale
    assert model.n_samples_fit_ == 30 and len(model.training_scores_) == 30
    with pytest.raises(ValueError, match="X has 4 features, but ALAD is expecting 5"):
        model.fit(NEW[:, :4])
    with pytest.raises(ValueError, match="Expected an average of the weights on both sides"):
        model.set_params(ema_decay=None).fit(NEW)


def test_a_state_of_an_earlier_fit_is_not_resumed() -> None:
    model = make(epochs=1, warm_start=True).fit(X)
    model.set_params(warm_start=False).fit(NEW)
    assert not hasattr(model, "training_state_")
    anew = model.set_params(warm_start=True).fit(X)
    assert len(anew.history_["loss_d"]) == 1


class Interrupted(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_fit_that_fails_leaves_the_model_of_the_last_one(eager: None, warm_start: bool) -> None:
    model = make(epochs=1, warm_start=warm_start).fit(X)
    before, scores = dict(vars(model)), model.anomaly_score(NEW)
    for rows, callback in ((X * 100.0 + 3.0, [Interrupted()]), (np.full((9, 3), np.nan), []), (X[:1], [])):
        with pytest.raises((KeyboardInterrupt, ValueError)):
            model.fit(rows, callbacks=callback)
        assert vars(model) == before
        np.testing.assert_array_equal(model.anomaly_score(NEW), scores)
    unfitted = make()
    with pytest.raises(KeyboardInterrupt):
        unfitted.fit(X, callbacks=[Interrupted()])
    assert not hasattr(unfitted, "networks_")


def test_collapse_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    history = {"loss_d": [3.0, 1.0], "Dxz": [1.0, 0.5], "Dxx": [1.0, 0.001]}
    assert callbacks.collapse(history, np.array([1.0, 2.0])) == (
        "the loss of the discriminators fell to 0 (Dxx 0.001): G and E no longer learn from them"
    )
    assert "the same score, 2" in str(callbacks.collapse({"Dxx": [1.0]}, np.array([2.0, 2.0])))
    assert callbacks.collapse({"Dxx": [1.0]}, np.array([1.0, 2.0])) is None
    monkeypatch.setattr(callbacks, "COLLAPSED_LOSS", 100.0)
    with pytest.warns(ConvergenceWarning, match=r"Training has collapsed: the loss of the discriminators fell to 0"):
        make(epochs=1).fit(X)


def test_divergence_is_refused() -> None:
    with pytest.raises(AladError, match="Expected finite losses. Received: .* at step .* Scale the features"):
        make(learning_rate=1e30, epochs=3).fit(X)


def test_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    make(verbose=1, epochs=1).fit(X)
    assert "2/2" in capsys.readouterr().err
    make(epochs=1).fit(X)
    assert capsys.readouterr().err == ""


def test_warm_start_with_unseen_categories() -> None:
    """Scores of training rows do not grow with each fit."""
    frame = pd.DataFrame(X[:, :2]).rename(columns=str).assign(kind=["u", "v"] * (len(X) // 2))
    model = ALAD(epochs=1, batch_size=10, jit=False, warm_start=True, random_state=0, verbose=0).fit(frame)
    frame.loc[:7, "kind"] = "new"
    largest = []
    for _ in range(3):
        model.fit(frame)
        assert model.encoder_ is not None
        known = model._scored(model.encoder_.features(frame)[0])
        assert model.training_scores_[-1] <= 2.001 * known.max()
        largest.append(model.training_scores_[-1] / known.max())
    assert max(largest) <= 2.001


def test_histories_of_several_fits_are_by_epoch(tmp_path: Path) -> None:
    model = make(epochs=1, warm_start=True).fit(X).fit(X, validation=NEW).fit(X)
    assert {len(values) for values in model.history_.values()} == {3}
    assert np.isfinite(model.history_["val_l2"]).tolist() == [False, True, False]
    model.plot_history()
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(ALAD.load(tmp_path / "model").history_["val_l2"], model.history_["val_l2"])


@pytest.mark.parametrize("changed", [{"ema_decay": None}, {"latent_discriminator": False}])
def test_warm_start_with_other_networks(changed: Options) -> None:
    model = make(epochs=1, warm_start=True).fit(X)
    with pytest.raises(SettingsError, match="Expected the networks and averages of the last fit"):
        model.set_params(**changed).fit(X)


def test_rows_beyond_float32_are_refused() -> None:
    far = NEW.copy()
    far[3, 1] = 1e300
    with pytest.raises(DataError, match="to validate on that float32 holds .* in column 'x1'"):
        make(patience=2).fit(X, validation=far)
    with pytest.raises(DataError, match="to train on that float32 holds .* in column 'x2'"):
        make().fit(X * [1.0, 1.0, 1e200, *[1.0] * (X.shape[1] - 3)])


def test_networks_without_dzz() -> None:
    networks = own()
    del networks["Dzz"]
    with pytest.raises(SettingsError, match="Received: networks without Dzz and latent_discriminator=True"):
        make(architecture=None, networks=networks).fit(X)
