"""A training of the user's own: epoch by epoch, watched by Keras callbacks, stopped early on rows held out."""

from __future__ import annotations

import math
import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Callable

import numpy as np
import tensorflow as tf

from alad_tf.estimator.tensorboard import BOARD_RECORDS, TensorBoardWriter
from alad_tf.model.alad_trainer import Trainer
from alad_tf.model.networks import Networks
from alad_tf.model.scores import Scorer
from alad_tf.model.training_loop import EarlyStopping, chunks, with_progress_bar

REMEDY = "Scale the features (scaling='standard'), or take a smaller learning rate or another seed."
COLLAPSED_LOSS = 0.01  # of one discriminator, whose loss at a draw is 2 log 2

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
) -> History:
    """Train for a number of epochs, or until a callback asks for a stop.

    Callbacks get the losses of an epoch (loss_d, loss_ge, Dxz, Dxx, Dzz) and, with rows held out, their mean scores
    (val_features, val_l1, val_l2, val_logits, and val_score for the one that is asked for). Their `model` is a
    tf.keras.Model of the networks that score: `stop_training`, `get_weights` and `set_weights` do what they say.

    Args:
        trainer: holds the networks and the rows.
        epochs: at most.
        scorer: of the trainer's scoring networks.
        score: name of the score in val_score.
        validation: [n, d] float32 normal rows held out.
        patience: epochs without a smaller val_l2 before training stops; the weights of the best epoch are restored.
            The error of reconstruction has one unit throughout; scores by Dxx change their unit as Dxx is trained.
        callbacks: Keras callbacks; only epochs are reported.
        log_dir: where scalars and histograms for TensorBoard are written.
        pictures: draws [k, height, width, channels] in [0, 1], at most PICTURES of them, to be written there as well.
        verbose: draw a progress bar.

    Returns:
        What callbacks got, a list over the epochs for each name.

    Raises:
        AladError: a loss is not finite.
        SettingsError: log_dir cannot be written.
    """
    model, early = _Watched(trainer.scoring_networks), EarlyStopping(patience)
    watchers = [*callbacks]
    if log_dir is not None:
        every = math.ceil(epochs / BOARD_RECORDS)
        watchers.append(TensorBoardWriter(trainer.scoring_networks, log_dir, every, pictures))
    watch = tf.keras.callbacks.CallbackList(watchers, model=model, epochs=epochs, verbose=0)
    history: defaultdict[str, list[float]] = defaultdict(list)
    best_weights: list[np.ndarray] | None = None
    steps, epoch = epochs * trainer.steps_per_epoch, 0
    model.stop_training = False
    watch.on_train_begin()
    watch.on_epoch_begin(epoch)
    taken = chunks(trainer, steps, period=trainer.steps_per_epoch, early=early, remedy=REMEDY)
    for chunk in with_progress_bar(taken, steps, "ALAD", verbose):
        if chunk.means is None:
            continue
        logs = dict(chunk.means)
        if validation is not None:
            means = {f"val_{name}": float(np.mean(values)) for name, values in scorer(validation).items()}
            logs.update(means, val_score=means[f"val_{score}"])
            if patience is not None and early.update(epoch, chunk.step, means["val_l2"]):
                best_weights = model.get_weights()
        for name, value in logs.items():
            history[name].append(value)
        watch.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
        epoch += 1
        if epoch < epochs and not early.ended:
            watch.on_epoch_begin(epoch)
    if best_weights is not None:
        model.set_weights(best_weights)
    watch.on_train_end()
    return dict(history)


def silence_xla() -> None:
    """Have XLA say, unheard, what it says once in the life of a process: that it has compiled something.

    No level of logging leaves that line out; it goes past Python to the file descriptor of standard error.
    """
    sys.stderr.flush()
    heard = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        tf.function(lambda: tf.constant(1) + 1, jit_compile=True)()
    finally:
        os.dup2(heard, 2)
        os.close(heard)


def collapse(history: History, scores: np.ndarray) -> str | None:
    """In words, why a training has failed without an error; None where there is no sign of it.

    Args:
        history: of the training.
        scores: [n] of the training rows.
    """
    last = {name: values[-1] for name, values in history.items() if name in ("Dxz", "Dxx", "Dzz")}
    won = [name for name, loss in last.items() if loss < COLLAPSED_LOSS]
    if np.ptp(scores) <= 1e-6 * np.max(np.abs(scores)):
        return f"all training rows have the same score, {scores[0]:.6g}: it tells no row from another"
    if won:
        losses = ", ".join(f"{name} {last[name]:.2g}" for name in won)
        return f"the loss of the discriminators fell to 0 ({losses}): G and E no longer learn from them"
    return None


class _Watched(tf.keras.Model):
    """The networks as one model, for callbacks."""

    def __init__(self, networks: Networks) -> None:
        super().__init__(name="ALAD")
        self.networks = list(networks.models.values())
