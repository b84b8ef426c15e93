"""Interrupted training resumes with bit-identical results; a checkpoint of another training is refused."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from reference import TINY, draw
from small_networks import own

from alad_tf.errors import DataError, DivergedError, SettingsError
from alad_tf.estimator import checkpoint as checkpoint_module
from alad_tf.estimator.alad import ALAD
from alad_tf.estimator.checkpoint import Checkpoint
from alad_tf.io import atomic, model_folder
from alad_tf.model import training_loop
from alad_tf.tabular.fit import fit_file
from alad_tf.tabular.model import Model
from alad_tf.typing import Options

X, NEW = draw(0, 40, 5).astype(np.float64), draw(1, 30, 5).astype(np.float64)


@pytest.fixture(autouse=True, scope="module")
def control_c() -> Iterator[None]:
    """Let Ctrl-C interrupt: in the background, it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def make(**options: Any) -> ALAD:
    return ALAD(**{"architecture": TINY, "jit": False, "epochs": 4, "random_state": 3, "verbose": 0, **options})


def interrupted_at(monkeypatch: pytest.MonkeyPatch, step: int, number: int = signal.SIGINT) -> None:
    """Send a signal after a step, as Ctrl-C does."""
    chunks = training_loop.chunks

    def with_signal(*arguments: Any, **options: Any) -> Iterator[training_loop.Chunk]:
        for chunk in chunks(*arguments, **options):
            if chunk.step == step:
                os.kill(os.getpid(), number)
            yield chunk

    monkeypatch.setattr("alad_tf.estimator.callbacks.chunks", with_signal)


EPOCHS_ALONE: Options = {}
STOPPED_EARLY: Options = {"patience": 2, "learning_rate": 0.3}


@cache
def whole(patience: int | None) -> ALAD:
    """Uninterrupted, in calls of one step, on which the rounding of losses depends. Tests must not change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_loop, "CHUNK_STEPS", 1)
        return make(**(STOPPED_EARLY if patience else EPOCHS_ALONE)).fit(X, validation=NEW)


@pytest.mark.parametrize(("patience", "step"), [(None, 1), (None, 4), (2, 3), (2, 8)])
def test_same_bits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: int, patience: int | None) -> None:
    """Interrupted within an epoch and at its end, while the weights of the best epoch are kept."""
    options = STOPPED_EARLY if patience else EPOCHS_ALONE
    expected = whole(patience)
    monkeypatch.setattr(training_loop, "CHUNK_STEPS", 1)
    with monkeypatch.context() as patch:
        interrupted_at(patch, step)
        with pytest.raises(KeyboardInterrupt):
            make(**options).fit(X, validation=NEW, checkpoint=tmp_path / "state")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert model_folder.is_model_folder(tmp_path / "state")
    resumed = make(**{**options, "random_state": None}).fit(X, validation=NEW, checkpoint=tmp_path / "state")
    assert not list(tmp_path.iterdir())
    assert resumed.history_ == expected.history_ and resumed.seed_ == 3
    np.testing.assert_array_equal(resumed.anomaly_score(NEW), expected.anomaly_score(NEW))


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a training that was interrupted."""
    state = tmp_path_factory.mktemp("interrupted") / "state"
    with pytest.MonkeyPatch.context() as patch:
        interrupted_at(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            make().fit(X, checkpoint=state)
    return state


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_store_a_checkpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals) -> None:
    before = signal.signal(number, signal.default_int_handler)  # as the command line does
    interrupted_at(monkeypatch, 5, number)
    try:
        with pytest.raises(KeyboardInterrupt):
            make().fit(X, checkpoint=tmp_path / "state")
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert model_folder.read(tmp_path / "state")[0]["log"]["step"] >= 5


@pytest.fixture
def state(interrupted: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint."""
    return Path(shutil.copytree(interrupted, tmp_path / "state"))


@pytest.mark.parametrize(
    ("options", "rows", "words"),
    [
        ({"epochs": 5}, X, "other architecture, epochs"),
        ({"random_state": 4}, X, "other seed"),
        ({"scaling": None}, X, "other scaling"),
        ({"score_name": "l1"}, X, "other score_name"),
        ({}, X + 1.0, "other rows"),
    ],
)
def test_another_training_is_refused(state: Path, options: Options, rows: np.ndarray, words: str) -> None:
    with pytest.raises(SettingsError, match=f"{words}.*remove the folder to start again"):
        make(**options).fit(rows, checkpoint=state)
    assert state.exists()


def test_a_damaged_checkpoint_is_not_used(state: Path, caplog: pytest.LogCaptureFixture) -> None:
    (state / "state.npz").write_bytes(b"")
    again = make().fit(X, checkpoint=state)
    assert "damaged checkpoint" in caplog.text
    np.testing.assert_array_equal(again.anomaly_score(NEW), make().fit(X).anomaly_score(NEW))


@pytest.mark.parametrize(
    "changes",
    [
        {"step": 10**400},
        {"step": "x"},
        {"step": 1.5},
        {"epoch": -3},
        {"epoch": True},
        {"sums": None},
        {"sums": {"loss_d": "x"}},
        {"sums": {"loss_d": 10**400}},
        {"history": None},
        {"history": {"loss_d": "x"}},
        {"history": {"loss_d": [1.0] * 50}},
        {"best": 1},
        {"best": {"epoch": 1}},
        {"more": 1},
    ],
    ids=str,
)
def test_a_log_of_another_form_is_a_damaged_checkpoint(
    state: Path, caplog: pytest.LogCaptureFixture, changes: Options
) -> None:
    documents, arrays = model_folder.read(state)
    documents["log"].update(changes)
    rewritten(state, documents, arrays)
    assert checkpoint_module.Checkpoint(state).seed is None
    assert "damaged checkpoint" in caplog.text


def without(arrays: dict[str, np.ndarray]) -> None:
    del arrays[min(arrays)]


def of_another_shape(arrays: dict[str, np.ndarray]) -> None:
    arrays[min(arrays)] = np.ones((1, 1), np.float32)


@pytest.mark.parametrize("change", [without, of_another_shape, dict.clear, None])
def test_a_state_that_does_not_fit_is_refused(
    state: Path, change: Callable[[dict[str, np.ndarray]], None] | None
) -> None:
    documents, arrays = model_folder.read(state)
    if change is None:
        documents["log"].update(step=10**6)
    else:
        change(arrays["state"])
    rewritten(state, documents, arrays)
    with pytest.raises(DataError, match="Expected the state of this training in .* Remove the folder to start again"):
        make().fit(X, checkpoint=state)


def rewritten(folder: Path, documents: Any, arrays: Any) -> None:
    """Replace a checkpoint, with a manifest that fits it."""
    shutil.rmtree(folder)
    model_folder.write(folder, documents, arrays)


def test_a_link_is_no_checkpoint(state: Path, tmp_path: Path) -> None:
    """The training would end, and fail to remove the link."""
    (tmp_path / "link").symlink_to(state)
    with pytest.raises(SettingsError, match="Expected a checkpoint .* Received: something else"):
        make().fit(X, checkpoint=tmp_path / "link")


def test_a_folder_that_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(SettingsError, match="something else"):
        make().fit(X, checkpoint=tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_a_model_is_no_checkpoint(tmp_path: Path) -> None:
    """The training replaced the model, and removed it in the end."""
    model_folder.write(tmp_path / "model", {"model": {}}, {"weights": {"w": np.zeros(1)}})
    before = (tmp_path / "model" / "manifest.json").read_bytes()
    for damage in ("", "{"):
        (tmp_path / "model" / "model.json").write_text(damage or "{}\n")
        with pytest.raises(SettingsError, match="something else. Move it away"):
            make().fit(X, checkpoint=tmp_path / "model")
    assert (tmp_path / "model" / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    "options",
    [
        {"patience": np.int64(5)},
        {"ema_decay": np.float32(0.9)},
        {"jit": np.bool_(False)},
        {"latent_discriminator": np.bool_(False)},
        {"image_shape": tuple(np.array([1, 5]))},
    ],
    ids=lambda options: next(iter(options)),
)
def test_numbers_of_numpy_as_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: Options) -> None:
    """In checkpoints, from which the same call resumes, and in model folders."""
    model = make(**options)
    with monkeypatch.context() as patch:
        interrupted_at(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, validation=NEW, checkpoint=tmp_path / "state")
    assert model_folder.read(tmp_path / "state")[0]["log"]["step"] >= 5
    model.fit(X, validation=NEW, checkpoint=tmp_path / "state").save(tmp_path / "model")
    np.testing.assert_array_equal(ALAD.load(tmp_path / "model").anomaly_score(NEW), model.anomaly_score(NEW))


def test_an_empty_folder_holds_no_checkpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    interrupted_at(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, checkpoint=tmp_path)
    assert model_folder.is_model_folder(tmp_path)


def test_one_is_stored_once_in_a_while(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A killed process loses no more than that interval; a diverged training leaves no checkpoint."""
    monkeypatch.setattr(checkpoint_module, "SECONDS", 0.0)
    seen: list[bool] = []

    def chunks(*arguments: Any, **options: Any) -> Iterator[training_loop.Chunk]:
        for chunk in training_loop.chunks(*arguments, **options):
            yield chunk
            seen.append(model_folder.is_model_folder(tmp_path / "state"))
        raise DivergedError("it diverged")

    monkeypatch.setattr("alad_tf.estimator.callbacks.chunks", chunks)
    with pytest.raises(DivergedError, match="diverged"):
        make().fit(X, checkpoint=tmp_path / "state")
    assert seen and all(seen) and not (tmp_path / "state").exists()


def test_a_refused_call_keeps_the_checkpoint(interrupted: Path, tmp_path: Path) -> None:
    state = Path(shutil.copytree(interrupted, tmp_path / "state"))
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(SettingsError, match="log_dir|logs"):
        make(log_dir=tmp_path / "logs").fit(X, checkpoint=state)
    assert make().fit(X, checkpoint=state).history_ == make().fit(X).history_
    with pytest.raises(SettingsError, match="no checkpoint with warm_start"):
        make(warm_start=True).fit(X, checkpoint=state)


def test_training_is_kept_until_its_scores_are_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ctrl-C after the last step: the same call takes no step again."""
    with monkeypatch.context() as patch:
        patch.setattr(ALAD, "_choose_references", lambda *_: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            make().fit(X, validation=NEW, checkpoint=tmp_path / "state")
    assert model_folder.read(tmp_path / "state")[0]["log"]["complete"] is True
    monkeypatch.setattr("alad_tf.estimator.callbacks._take_steps", None)  # not called
    resumed, expected = make().fit(X, validation=NEW, checkpoint=tmp_path / "state"), make().fit
    monkeypatch.undo()
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(resumed.anomaly_score(NEW), expected(X, validation=NEW).anomaly_score(NEW))


def test_a_full_disk_at_the_end_loses_no_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pd.DataFrame(X).to_csv(tmp_path / "rows.csv", index=False)
    options: Options = {"epochs": 1, "random_state": 0}

    def full(model: Model, folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(Model, "save", full)
        fit_file(tmp_path / "rows.csv", tmp_path / "model", options=options)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["model.training"]
    monkeypatch.setattr("alad_tf.estimator.callbacks._take_steps", None)
    fit_file(tmp_path / "rows.csv", tmp_path / "model", options=options)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["model"]


class Stops(tf.keras.callbacks.Callback):
    """Stops training after two epochs, with a Ctrl-C at the same time if asked."""

    def __init__(self, interrupt: bool) -> None:
        super().__init__()
        self._interrupt = interrupt

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        if epoch == 1:
            self.model.stop_training = True
            if self._interrupt:
                signal.raise_signal(signal.SIGINT)


def test_ctrl_c_when_training_ends(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make().fit(X, checkpoint=tmp_path / "state", callbacks=[Stops(interrupt=True)])
    resumed = make().fit(X, checkpoint=tmp_path / "state", callbacks=[Stops(interrupt=False)])
    assert len(resumed.history_["loss_d"]) == 2
    whole_training = make().fit(X, callbacks=[Stops(interrupt=False)])
    np.testing.assert_array_equal(resumed.anomaly_score(NEW), whole_training.anomaly_score(NEW))


def test_other_custom_networks_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options: Options = {"networks": own(), "architecture": None}
    with monkeypatch.context() as patch:
        interrupted_at(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            make(**options).fit(X, checkpoint=tmp_path / "state")
    with pytest.raises(SettingsError, match="other networks"):
        make(networks=own(), architecture=None).fit(X, checkpoint=tmp_path / "state")  # other initial weights
    copied = {name: tf.keras.models.clone_model(model) for name, model in options["networks"].items()}
    for name, model in copied.items():
        model.set_weights(options["networks"][name].get_weights())
    make(networks=copied, architecture=None).fit(X, checkpoint=tmp_path / "state")


def test_places_without_a_checkpoint_are_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        make().fit(X, checkpoint=tmp_path / "file" / "state")
    with pytest.raises(SettingsError, match="Expected log_dir outside the checkpoint"):
        make(log_dir=tmp_path / "state" / "log").fit(X, checkpoint=tmp_path / "state")


def test_a_checkpoint_that_is_being_removed_is_not_read(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic, "_remove_folder", killed)
    with pytest.raises(KeyboardInterrupt):
        Checkpoint(state).remove()
    monkeypatch.undo()
    assert not state.exists()
    make().fit(X, checkpoint=state)
    assert not list(state.parent.iterdir())
