"""Checkpoints of a run: what training needs to go on with the same bits, whole under its final name or not there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Callable

import tensorflow as tf

from alad_tf import files
from alad_tf.errors import AladError, DataError

KEEP = 2  # the second newest is there for the day when the newest is damaged
SUMS = "SHA256SUMS"  # as sha256sum writes it: `sha256sum -c SHA256SUMS` checks a checkpoint by hand


class Checkpoints:
    """The newest checkpoints of one run, a folder `step<n>` each.

    Variables are stored by `tf.train.Checkpoint`; `log.json` beside them holds what the run has gathered otherwise.
    TensorFlow's own checksums leave parts of its files unprotected, hence the list of SHA-256 sums.

    Args:
        folder: of the run's checkpoints.
        variables: what to store and to restore.
    """

    def __init__(self, folder: Path, variables: tf.train.Checkpoint) -> None:
        self.folder, self.variables = folder, variables

    def save(self, step: int, log: dict[str, Any]) -> None:
        """Store the variables and a JSON-able log as the checkpoint of a step; then drop all but the newest `KEEP`.

        Raises:
            OSError, AladError: it cannot be written. The earlier checkpoints are untouched.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".step", dir=self.folder))
        try:
            self._write(temporary, log)
            target = self.folder / f"step{step}"
            if target.exists():  # damaged: an intact one would have been restored
                self._remove(target)
            os.rename(temporary, target)
            files.sync(self.folder)
        except tf.errors.OpError as error:
            reason = error.message.splitlines()[0]
            raise AladError(f"Expected to write a checkpoint in {self.folder}. Received: {reason}") from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        kept = [path for path in self._newest_first() if _step(path) <= step][:KEEP]
        for path in set(self._newest_first()) - set(kept):
            self._remove(path)

    def restore(self, warn: Callable[[str], None]) -> dict[str, Any] | None:
        """Set the variables from the newest intact checkpoint; returns its log, or None where there is no checkpoint.

        Args:
            warn: told of each newer checkpoint that is damaged.

        Raises:
            DataError: there are checkpoints and all are damaged.
        """
        for left_over in self.folder.glob(".step*"):
            shutil.rmtree(left_over, ignore_errors=True)
        reasons = []
        for path in self._newest_first():
            try:
                _verify(path)
                self.variables.read(str(path / "variables")).assert_consumed()
                log = dict(json.loads((path / "log.json").read_text(encoding="utf-8")))
            except (OSError, ValueError, AssertionError, tf.errors.OpError) as error:
                reasons.append(f"{path.name}: {str(error).splitlines()[0]}")
                continue
            for reason in reasons:
                warn(f"damaged checkpoint in {self.folder}, {reason}; going on from {path.name}")
            return log
        if reasons:
            raise DataError(
                f"Expected an intact checkpoint in {self.folder}. Received: {'; '.join(reasons)}. "
                "To begin the run anew, remove that folder."
            )
        return None

    def remove(self) -> None:
        """Remove all checkpoints and their folder."""
        for path in self._newest_first():
            self._remove(path)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        found = [path for path in self.folder.glob("step*") if path.name[len("step") :].isdigit()]
        return sorted(found, key=_step, reverse=True)

    def _write(self, folder: Path, log: dict[str, Any]) -> None:
        self.variables.write(str(folder / "variables"))
        (folder / "log.json").write_text(json.dumps(log, allow_nan=False) + "\n", encoding="utf-8")
        sums = "".join(f"{_sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir()))
        (folder / SUMS).write_text(sums, encoding="utf-8")
        for path in (*folder.iterdir(), folder):
            files.sync(path)

    def _remove(self, path: Path) -> None:
        """Remove a checkpoint; its name goes first, so that no part of it is ever taken for the whole."""
        hidden = Path(tempfile.mkdtemp(prefix=".step", dir=self.folder))
        os.rename(path, hidden / path.name)
        shutil.rmtree(hidden)


def _step(path: Path) -> int:
    return int(path.name[len("step") :])


def _verify(path: Path) -> None:
    """Raise DataError or OSError unless a checkpoint's files are those that were written."""
    expected = dict(line.split("  ")[::-1] for line in (path / SUMS).read_text(encoding="utf-8").splitlines())
    if not {"log.json", "variables.index"} <= set(expected):
        raise DataError(f"Expected the sums of all files in {SUMS}. Received: those of {', '.join(expected) or 'none'}")
    for name, sha256 in expected.items():
        received = _sha256(path / name)
        if received != sha256:
            raise DataError(f"Expected SHA-256 {sha256[:12]}... of {name}. Received: {received[:12]}...")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
