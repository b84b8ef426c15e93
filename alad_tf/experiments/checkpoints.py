"""Checkpoints of a run: what training needs to go on with the same bits, whole under its final name or not there."""

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

KEEP = 2  # the second newest is there for the day when the newest is damaged
_DAMAGE = (OSError, RecursionError, ValueError, AssertionError, tf.errors.OpError)
SUMS = "SHA256SUMS"  # as sha256sum writes it: `sha256sum -c SHA256SUMS` checks a checkpoint by hand


class Checkpoints:
    """The newest checkpoints of one run, a folder `step<n>` each, and the best weights so far in `best<n>`.

    Variables are stored by `tf.train.Checkpoint`; `log.json` beside them holds what the run has gathered otherwise.
    TensorFlow's own checksums leave parts of its files unprotected, hence the list of SHA-256 sums.

    Args:
        folder: of the run's checkpoints.
        variables: what to store and to restore.
        weights: the part of them that scores, of which the best are kept; None: all.
    """

    def __init__(
        self, folder: Path, variables: tf.train.Checkpoint, weights: tf.train.Checkpoint | None = None
    ) -> None:
        self.folder, self.variables, self.weights = folder, variables, weights or variables

    def save(self, step: int, log: Document) -> None:
        """Store the variables and a JSON-able log as the checkpoint of a step; then drop all but the newest `KEEP`.

        Raises:
            OSError, AladError: it cannot be written. The earlier checkpoints are untouched.
        """
        self._store(f"step{step}", self.variables, log)
        kept = [path for path in self._newest_first("step") if _step(path) <= step][:KEEP]
        for path in set(self._newest_first("step")) - set(kept):
            self._remove(path)

    def save_best(self, step: int) -> None:
        """Store the weights of a step as the best so far, in place of the last ones.

        Raises:
            OSError, AladError: they cannot be written.
        """
        self._store(f"best{step}", self.weights, {})
        for path in self._newest_first("best"):
            if _step(path) != step:
                self._remove(path)

    def restore_best(self, step: int) -> None:
        """Set the weights to those of `save_best`.

        Raises:
            DataError: they are not there or damaged.
        """
        path = self.folder / f"best{step}"
        try:
            self._read(path, self.weights)
        except _DAMAGE as error:
            raise DataError(
                f"Expected the best weights in {path}. Received: {str(error).splitlines()[0]}. "
                f"To begin the run anew, remove {self.folder}."
            ) from error

    def restore(self) -> Document | None:
        """Set the variables from the newest intact checkpoint; returns its log, or None where there is no checkpoint.

        Each newer checkpoint that is damaged is logged as a warning.

        Raises:
            DataError: there are checkpoints and all are damaged.
        """
        for left_over in self.folder.glob(".step*"):
            shutil.rmtree(left_over, ignore_errors=True)
        reasons = []
        for path in self._newest_first("step"):
            try:
                log = self._read(path, self.variables)
            except _DAMAGE as error:
                reasons.append(f"{path.name}: {str(error).splitlines()[0]}")
                continue
            for reason in reasons:
                logger.warning("damaged checkpoint in %s, %s; going on from %s", self.folder, reason, path.name)
            return log
        if reasons:
            raise DataError(
                f"Expected an intact checkpoint in {self.folder}. Received: {'; '.join(reasons)}. "
                "To begin the run anew, remove that folder."
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
            if target.exists():  # damaged, or of a run that was killed behind it
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
        return dict(json.loads((path / "log.json").read_text(encoding="utf-8")))

    @staticmethod
    def _write(folder: Path, variables: tf.train.Checkpoint, log: Document) -> None:
        variables.write(str(folder / "variables"))
        (folder / "log.json").write_text(json.dumps(log, allow_nan=False) + "\n", encoding="utf-8")
        (folder / SUMS).write_text(manifest.to_sums(manifest.entries(folder)), encoding="utf-8")
        for path in (*folder.iterdir(), folder):
            atomic.sync(path)

    def _remove(self, path: Path) -> None:
        """Remove a checkpoint; its name goes first, so that no part of it is ever taken for the whole."""
        hidden = Path(tempfile.mkdtemp(prefix=".step", dir=self.folder))
        os.rename(path, hidden / path.name)
        shutil.rmtree(hidden)


def _step(path: Path) -> int:
    return int(path.name[len("step") :])  # "best" is as long


def verify(path: Path) -> None:
    """Compare a checkpoint with its sums.

    Raises:
        DataError, OSError, ValueError: a file or the list of sums is missing or damaged.
    """
    expected = manifest.from_sums((path / SUMS).read_text(encoding="utf-8"))
    if not {"log.json", "variables.index"} <= set(expected):
        raise DataError(f"Expected the sums of all files in {SUMS}. Received: those of {', '.join(expected) or 'none'}")
    faults = [f"{name} {fault}" for name, fault in manifest.faults(path, expected).items()]
    if faults:
        raise DataError(f"Expected the files of the SHA-256 sums in {SUMS}. Received: {'; '.join(faults)}")
