"""Training of the estimator by epochs: Keras callbacks, validation, early stopping."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Callable

import numpy as np
import tensorflow as tf

from alad_tf.estimator.checkpoint import Checkpoint, Log
from alad_tf.estimator.tensorboard import BOARD_RECORDS, TensorBoardWriter
from alad_tf.model.alad_trainer import Trainer
from alad_tf.model.networks import Networks
from alad_tf.model.scores import Scorer
from alad_tf.model.training_loop import EarlyStopping, chunks, with_progress_bar
from alad_tf.model.weights import get_arrays, set_arrays

REMEDY = "Scale the features (scaling='standard'), or take a smaller learning rate or another seed."
COLLAPSED_LOSS = 0.01  # of one discriminator; its loss is 2 log 2 if it cannot tell pairs apart

History = dict[str, list[float]]


def train(
    trainer: Trainer,
    epochs: int,
    scorer: Scorer,
    *,
    score: str = "features",
    validation: np.ndarray | None = None,
    patience: int | None = None,
    callbacks: Iterable[tf.keras.callbacks.Callback] = (),
    log_dir: Path | str | None = None,
    pictures: Callable[[], np.ndarray] | None = None,
    verbose: bool = False,
    resumed: Resumed | None = None,
) -> History:
    """Train for a number of epochs, or until patience ends or a callback stops the training.

    Callbacks receive the mean losses of an epoch (loss_d, loss_ge, Dxz, Dxx, Dzz) and, with validation rows, their mean
    scores (val_features, val_l1, val_l2, val_logits; val_score for `score`, or l2 for "neighbours"). Their `model` is a
    tf.keras.Model of the networks used for scoring, with `stop_training`, `get_weights` and `set_weights`.

    Args:
        trainer: holds the networks and the rows.
        epochs: maximum number of epochs.
        scorer: scorer with the trainer's scoring networks.
        score: name of the score in val_score.
        validation: [n, d] float32 normal rows held out; required by patience.
        patience: epochs without a smaller val_l2, the mean reconstruction error, before training stops with the weights
            of the best epoch. (The unit of scores by Dxx changes as Dxx is trained.)
        callbacks: Keras callbacks; their hooks of epochs, and of the begin and end of training, are called.
        log_dir: folder for TensorBoard.
        pictures: returns images [k, height, width, channels] in [0, 1] for TensorBoard.
        verbose: draw a progress bar.
        resumed: the checkpoint to update, and the log and best weights to resume from.

    Returns:
        name -> values passed to callbacks, one per epoch.

    Raises:
        DivergedError: a loss or a weight is not finite.
        SettingsError: log_dir cannot be written.
    """
    watchers = [*callbacks]
    if log_dir is not None:
        every = math.ceil(epochs / BOARD_RECORDS)
        watchers.append(TensorBoardWriter(trainer.scoring_networks, log_dir, every, pictures))
    resumed = resumed or Resumed()
    log = resumed.log
    watched = _Watched(trainer.scoring_networks, watchers, epochs, log.history)
    early = EarlyStopping(patience, log.best, max(log.epoch - 1, 0))
    means = partial(_mean_scores, scorer, validation, score)
    try:
        if not log.complete:
            _take_steps(trainer, epochs, resumed, watched, early, patience, means, verbose)
        log.complete = True
        resumed.keep(trainer)
        if resumed.best is not None:
            set_arrays(trainer.scoring_networks, resumed.best)
    finally:
        history = watched.end_training()
    return history


def _take_steps(
    trainer: Trainer,
    epochs: int,
    resumed: Resumed,
    watched: _Watched,
    early: EarlyStopping,
    patience: int | None,
    mean_scores: Callable[[], dict[str, float]],
    verbose: bool,
) -> None:
    """Take the remaining steps, and end each epoch with its mean losses and scores."""
    log = resumed.log
    steps = epochs * trainer.steps_per_epoch
    if log.epoch < epochs and not early.ended:
        watched.begin_epoch(log.epoch)
    period = trainer.steps_per_epoch
    taken = chunks(trainer, steps, first=log.step, period=period, sums=log.sums, early=early, remedy=REMEDY)
    for chunk in with_progress_bar(taken, steps, "ALAD", verbose, log.step):
        log.step = chunk.step
        if chunk.means is not None:
            logs = {**chunk.means, **mean_scores()}
            if patience is not None and early.update(log.epoch, chunk.step, logs["val_l2"]):
                log.best, resumed.best = early.best, get_arrays(trainer.scoring_networks)
            stops = watched.end_epoch(log.epoch, logs)
            log.epoch += 1
            if stops:
                break
            if log.epoch < epochs and not early.ended:
                watched.begin_epoch(log.epoch)
        resumed.keep(trainer)


@dataclass
class Resumed:
    """State from which training starts or resumes.

    Args:
        log: log of training so far.
        best: weights of the best epoch so far.
        checkpoint: checkpoint to update; None: none.
    """

    log: Log = field(default_factory=Log)
    best: dict[str, np.ndarray] | None = None
    checkpoint: Checkpoint | None = None

    def keep(self, trainer: Trainer) -> None:
        """Store a checkpoint if it is due."""
        if self.checkpoint is not None:
            self.checkpoint.save_if_due(trainer, self.log, self.best)


def _mean_scores(scorer: Scorer, validation: np.ndarray | None, score: str) -> dict[str, float]:
    """Mean scores of the validation rows; empty without such rows."""
    if validation is None:
        return {}
    means = {f"val_{name}": float(np.mean(values)) for name, values in scorer(validation).items()}
    return {**means, "val_score": means.get(f"val_{score}", means["val_l2"])}


def collapse(history: History, scores: np.ndarray) -> str | None:
    """Describe why training has collapsed; None if it has not.

    Args:
        history: history of training.
        scores: [n] scores of the training rows.
    """
    last = {name: values[-1] for name, values in history.items() if name in ("Dxz", "Dxx", "Dzz")}
    won = [name for name, loss in last.items() if loss < COLLAPSED_LOSS]
    if np.ptp(scores) <= 1e-6 * np.max(np.abs(scores)):
        return f"all training rows have the same score, {scores[0]:.6g}: the score does not distinguish rows"
    if won:
        losses = ", ".join(f"{name} {last[name]:.2g}" for name in won)
        return f"the loss of the discriminators fell to 0 ({losses}): G and E no longer learn from them"
    return None


class _WatchedModel(tf.keras.Model):
    """The scoring networks as one Keras model, for callbacks."""

    def __init__(self, networks: Networks) -> None:
        super().__init__(name="ALAD")
        self.networks = list(networks.models.values())


class _Watched:
    """Keras callbacks and the history passed to them."""

    def __init__(
        self, networks: Networks, callbacks: list[tf.keras.callbacks.Callback], epochs: int, history: History
    ) -> None:
        self.model = _WatchedModel(networks)
        self.model.stop_training = False
        self._history = history
        self._callbacks = tf.keras.callbacks.CallbackList(callbacks, model=self.model, epochs=epochs, verbose=0)
        self._callbacks.on_train_begin()

    def begin_epoch(self, epoch: int) -> None:
        """Notify the callbacks that an epoch begins."""
        self._callbacks.on_epoch_begin(epoch)

    def end_epoch(self, epoch: int, logs: dict[str, float]) -> bool:
        """Record the logs of an epoch and pass them on; return whether a callback stops training."""
        for name, value in logs.items():
            self._history.setdefault(name, []).append(value)
        self._callbacks.on_epoch_end(epoch, logs)
        return bool(self.model.stop_training)

    def end_training(self) -> History:
        """Notify the callbacks and return the history."""
        self._callbacks.on_train_end()
        return dict(self._history)
