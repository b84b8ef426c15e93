"""Checkpoints of a run: the state needed to resume training with bit-identical results, written atomically."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from pathlib import Path

import tensorflow as tf

from alad_tf.errors import AladError, DataError, one_line
from alad_tf.io import atomic, manifest
from alad_tf.typing import Document

logger = logging.getLogger(__name__)

KEEP = 2  # the second newest is a fallback if the newest is damaged
_DAMAGE = (OSError, RecursionError, ValueError, AssertionError, IndexError, tf.errors.OpError)
SUMS = "SHA256SUMS"  # in sha256sum format: `sha256sum -c SHA256SUMS` verifies a checkpoint


class Checkpoints:
    """The newest checkpoints of a run in folders `step<n>`, and the best weights so far in `best<n>`.

    Variables are stored by `tf.train.Checkpoint`, and the rest of the state in `log.json`. TensorFlow's own checksums
    do not cover all of its files, hence the list of SHA-256 sums.

    Args:
        folder: folder for the checkpoints.
        variables: all state of training.
        weights: the weights that scores depend on, of which the best are kept; None: all variables.
    """

    def __init__(
        self, folder: Path, variables: tf.train.Checkpoint, weights: tf.train.Checkpoint | None = None
    ) -> None:
        self.folder, self.variables, self.weights = folder, variables, weights or variables

    def save(self, step: int, log: Document) -> None:
        """Store the variables and the log (JSON) as the checkpoint of a step, then remove all but the newest `KEEP`.

        Raises:
            OSError, AladError: the checkpoint cannot be written. Earlier checkpoints are unchanged.
        """
        self._store(f"step{step}", self.variables, log)
        kept = [path for path in self._newest_first("step") if _step(path) <= step][:KEEP]
        for path in set(self._newest_first("step")) - set(kept):
            self._remove(path)

    def save_best(self, step: int) -> None:
        """Store the weights of a step as the best so far, replacing the previous best.

        Raises:
            OSError, AladError: the weights cannot be written.
        """
        self._store(f"best{step}", self.weights, {})
        for path in self._newest_first("best"):
            if _step(path) != step:
                self._remove(path)

    def restore_best(self, step: int) -> None:
        """Restore the weights stored by `save_best`.

        Raises:
            DataError: they are missing or damaged.
        """
        path = self.folder / f"best{step}"
        try:
            self._read(path, self.weights)
        except _DAMAGE as error:
            raise DataError(
                f"Expected the best weights in {path}. Received: {_reason(error)}. "
                f"To start the run again, remove {self.folder}."
            ) from error

    def restore(self) -> Document | None:
        """Restore the variables from the newest intact checkpoint; return its log, or None if there is no checkpoint.

        Each damaged newer checkpoint is logged as a warning.

        Raises:
            DataError: all checkpoints are damaged.
        """
        for left_over in self.folder.glob(".step*"):
            shutil.rmtree(left_over, ignore_errors=True)
        reasons = []
        for path in self._newest_first("step"):
            try:
                log = self._read(path, self.variables)
            except _DAMAGE as error:
                reasons.append(f"{path.name}: {_reason(error)}")
                continue
            for reason in reasons:
                logger.warning("damaged checkpoint in %s, %s; resuming from %s", self.folder, reason, path.name)
            return log
        if reasons:
            raise DataError(
                f"Expected an intact checkpoint in {self.folder}. Received: {'; '.join(reasons)}. "
                "To start the run again, remove that folder."
            )
        return None

    def remove(self) -> None:
        """Remove all checkpoints and their folder."""
        for path in (*self._newest_first("step"), *self._newest_first("best")):
            self._remove(path)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _newest_first(self, kind: str) -> list[Path]:
        found = [path for path in self.folder.glob(f"{kind}*") if path.name[len(kind) :].isdigit()]
        return sorted(found, key=_step, reverse=True)

    def _store(self, name: str, variables: tf.train.Checkpoint, log: Document) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".step", dir=self.folder))
        try:
            self._write(temporary, variables, log)
            target = self.folder / name
            if target.exists():  # damaged, or left by a run that was killed after writing it
                self._remove(target)
            os.rename(temporary, target)
            atomic.sync(self.folder)
        except tf.errors.OpError as error:
            raise AladError(f"Expected to write a checkpoint in {self.folder}. Received: {one_line(error)}.") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    @staticmethod
    def _read(path: Path, variables: tf.train.Checkpoint) -> Document:
        verify(path)
        variables.read(str(path / "variables")).assert_consumed()
        return manifest.load_object(path / "log.json")

    @staticmethod
    def _write(folder: Path, variables: tf.train.Checkpoint, log: Document) -> None:
        variables.write(str(folder / "variables"))
        (folder / "log.json").write_text(json.dumps(log, allow_nan=False) + "\n", encoding="utf-8")
        (folder / SUMS).write_text(manifest.to_sums(manifest.entries(folder)), encoding="utf-8")
        for path in (*folder.iterdir(), folder):
            atomic.sync(path)

    def _remove(self, path: Path) -> None:
        """Remove a checkpoint. It is renamed first, so that a partly removed one is never read."""
        hidden = Path(tempfile.mkdtemp(prefix=".step", dir=self.folder))
        os.rename(path, hidden / path.name)
        shutil.rmtree(hidden)


def _reason(error: Exception) -> str:
    """First line of the message; the type if there is none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _step(path: Path) -> int:
    return int(path.name[len("step") :])  # "best" is as long


def verify(path: Path) -> None:
    """Compare a checkpoint with its SHA-256 sums.

    Raises:
        DataError, OSError, ValueError: a file or the list of sums is missing or damaged.
    """
    expected = manifest.from_sums(manifest.load_text(path / SUMS))
    if not {"log.json", "variables.index"} <= set(expected):
        raise DataError(f"Expected the sums of all files in {SUMS}. Received: those of {', '.join(expected) or 'none'}")
    faults = [f"{name} {fault}" for name, fault in manifest.faults(path, expected).items()]
    if faults:
        raise DataError(f"Expected the files of the SHA-256 sums in {SUMS}. Received: {'; '.join(faults)}")
