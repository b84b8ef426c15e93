"""Cleanup after processes that were killed just after completing a run: checkpoints, temporary files and a lock."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from alad_tf.errors import AladError
from alad_tf.experiments.settings import WRITTEN
from alad_tf.io import atomic, locks


def remove(run_dir: Path) -> None:
    """Remove leftovers from the folder of a complete run, unless another process uses it or it is read-only."""
    if not any(path.name in ("lock", "checkpoints") or path.name.startswith(".") for path in run_dir.iterdir()):
        return
    with suppress(AladError, OSError), locks.locked(run_dir):
        shutil.rmtree(run_dir / "checkpoints", ignore_errors=True)
        atomic.remove_leftovers(run_dir, WRITTEN)
