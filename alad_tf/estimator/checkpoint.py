"""Checkpoints of `ALAD.fit`, from which interrupted training resumes with bit-identical results.

A checkpoint is a folder in the format of a model folder, replaced atomically: the arrays of the trainer, the weights of
the best epoch, and the log of training.
"""

from __future__ import annotations

import hashlib
import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from alad_tf._version import __version__
from alad_tf.errors import DataError, SettingsError, one_line
from alad_tf.estimator import custom_networks
from alad_tf.estimator.persistence import plain
from alad_tf.io import atomic, model_folder
from alad_tf.model.alad_trainer import Trainer
from alad_tf.model.weights import require_arrays

if TYPE_CHECKING:
    from alad_tf.estimator.alad import ALAD

logger = logging.getLogger(__name__)

SECONDS = 60.0  # between checkpoints
STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
Arrays = dict[str, np.ndarray]


@dataclass
class Log:
    """Training state besides the weights, stored as JSON.

    Args:
        step: number of steps taken.
        epoch: number of complete epochs.
        sums: sums of the losses over the epoch so far.
        history: name -> values, one for each complete epoch.
        best: epoch, step and validation score of the best epoch.
        complete: whether training has ended, by epochs, patience or a callback.
    """

    step: int = 0
    epoch: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: dict[str, list[float]] = field(default_factory=dict)
    best: dict[str, float] | None = None
    complete: bool = False

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> Log:
        """The log that a checkpoint stores. Raises TypeError or ValueError for anything else."""
        log = cls(**document)
        losses = [*log.sums.values(), *chain.from_iterable(log.history.values())]
        best = log.best or dict.fromkeys(("epoch", "step", "validation"), 0.0)
        if not all(type(count) is int and 0 <= count < 2**31 for count in (log.step, log.epoch)):
            raise ValueError("no counts of steps and epochs")
        if type(log.complete) is not bool:
            raise TypeError("it is not recorded whether training has ended")
        if best.keys() != {"epoch", "step", "validation"} or any(len(x) != log.epoch for x in log.history.values()):
            raise ValueError("no history of each epoch")
        if not np.isfinite(np.array([*losses, *best.values()], np.float64)).all():
            raise ValueError("no finite losses")
        return log


def settings_of(model: ALAD, X: np.ndarray, held_out: np.ndarray | None) -> dict[str, Any]:
    """Everything that the results of training depend on, as JSON."""
    names = ("spectral_norm", "latent_discriminator", "ema_decay", "scaling", "patience", "jit", "score_name")
    return {
        **{name: plain(getattr(model, name)) for name in names},
        "networks": {name: custom_networks.digest(network) for name, network in (model.networks or {}).items()},
        "architecture, epochs, batch size or learning rate": repr(model.table_),
        "seed": model.seed_,
        "rows": [hashlib.sha256(x.tobytes()).hexdigest() for x in (X, held_out) if x is not None],
        "versions": [__version__, tf.__version__, np.__version__],
    }


class Checkpoint:
    """The checkpoint of a training run.

    Args:
        folder: folder of the checkpoint, until `remove` is called.

    Raises:
        SettingsError: the folder holds something else, or is in a model folder.
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        model_folder.require_outside(folder.parent)
        atomic.require_writable(folder.parent)
        self._settings: dict[str, Any] = {}
        self._saved = time.monotonic()
        self.asked = False
        self._documents, self._arrays = self._read()

    @property
    def seed(self) -> int | None:
        """Seed of the training run to resume; None if there is none."""
        return self._documents["settings"]["seed"] if self._documents else None

    def restore(self, trainer: Trainer, settings: dict[str, Any]) -> tuple[Log, Arrays | None]:
        """Restore the state of a trainer; return the log and the weights of the best epoch.

        Args:
            trainer: trainer with the same settings and rows.
            settings: JSON object of all settings, stored with the checkpoint.

        Raises:
            SettingsError: the checkpoint has other settings.
        """
        self._settings = settings
        if not self._documents:
            return Log(), None
        before = self._documents["settings"]
        other = sorted(name for name in {*before, *settings} if before.get(name) != settings.get(name))
        if other:
            raise SettingsError(
                f"Expected the call of the interrupted training, whose checkpoint is in {self.folder}. Received: "
                f"other {', '.join(other)}. Repeat that call, or remove the folder to start again."
            )
        log, best = Log.of_document(self._documents["log"]), self._arrays.get("best")
        try:
            if log.epoch != log.step // trainer.steps_per_epoch:
                raise ValueError(f"{log.epoch} epochs in {log.step} steps")
            if best is not None:
                require_arrays(trainer.scoring_networks, best)
            trainer.set_arrays(self._arrays["state"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"Expected the state of this training in {self.folder}. Received: {one_line(error)}. Remove the folder "
                "to start again."
            ) from error
        trainer.step.assign(log.step)
        logger.info("resuming training after %d epochs, at step %d", log.epoch, log.step)
        return log, best

    def save_if_due(self, trainer: Trainer, log: Log, best: Arrays | None) -> None:
        """Store the state once a minute, at the end of training, and when the process should stop.

        Raises:
            KeyboardInterrupt: the process should stop; the state has been stored.
        """
        if not self.asked and not log.complete and time.monotonic() - self._saved < SECONDS:
            return
        arrays = {"state": trainer.get_arrays(), **({} if best is None else {"best": best})}
        model_folder.write(self.folder, {"settings": self._settings, "log": asdict(log)}, arrays)
        self._saved = time.monotonic()
        if self.asked:
            raise KeyboardInterrupt

    def remove(self) -> None:
        """Remove the folder, if it exists."""
        if model_folder.is_model_folder(self.folder):
            atomic.remove_folder(self.folder)

    @contextmanager
    def interrupted_between_chunks(self) -> Iterator[None]:
        """Make Ctrl-C, SIGTERM and SIGHUP stop training after a chunk of steps; a second signal stops it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [number for number in STOPPING if signal.getsignal(number) is signal.default_int_handler]

        def ask(number: int, frame: Any) -> None:
            if self.asked:
                signal.default_int_handler(number, frame)
            self.asked = True

        for number in numbers:
            signal.signal(number, ask)
        try:
            yield
        finally:
            for number in numbers:
                signal.signal(number, signal.default_int_handler)

    def _read(self) -> tuple[dict[str, Any], dict[str, Arrays]]:
        is_empty = self.folder.is_dir() and not self.folder.is_symlink() and not any(self.folder.iterdir())
        if is_empty or not self.folder.exists():
            return {}, {}
        try:
            if self.folder.is_symlink():
                raise ValueError("a link")
            documents, arrays = model_folder.read(self.folder)
            Log.of_document(documents["log"])
            int(documents["settings"]["seed"])
            return documents, {"state": arrays["state"], **arrays}
        except (AttributeError, DataError, KeyError, OverflowError, TypeError, ValueError) as error:
            if self.folder.is_symlink() or not _is_checkpoint(self.folder):
                raise SettingsError(
                    f"Expected a checkpoint of a training in {self.folder}. Received: something else. Move it away."
                ) from error
            logger.warning("damaged checkpoint in %s: training starts again", self.folder)
            return {}, {}


def _is_checkpoint(folder: Path) -> bool:
    """Whether a folder, perhaps damaged, is a checkpoint: a model has no log, and must not be replaced."""
    return model_folder.is_model_folder(folder) and (folder / "log.json").exists()
