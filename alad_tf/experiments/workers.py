"""Multi-worker training (`--strategy multi-worker`): the role of this process according to TF_CONFIG."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from alad_tf.errors import SettingsError

_WANTED = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'


class Worker(NamedTuple):
    """One of the worker processes; only the chief writes results."""

    name: str  # such as "worker 1"; "" for a single process
    chief: bool
    together: int  # number of processes

    @contextmanager
    def home(self, run_dir: Path) -> Iterator[Path]:
        """Folder to write a run to: the run's own for the chief, a temporary one for the others."""
        if self.chief:
            yield run_dir
            return
        if not (run_dir / "config.json").exists():
            raise SettingsError(
                "Expected --out to be a folder that all processes share, and the same options in each. Received: "
                f"{run_dir}, which the chief has not created."
            )
        with TemporaryDirectory() as folder:
            yield Path(folder)

    def log(self, run_dir: Path) -> Path:
        """Log file for the output of libraries in this process."""
        return run_dir / ("log.txt" if self.chief else f"log.{self.name.replace(' ', '')}.txt")


def this(strategy: str | None) -> Worker:
    """The role of this process in a run with a strategy.

    Raises:
        SettingsError: the strategy is multi-worker, and TF_CONFIG is missing or not in the form TensorFlow expects.
    """
    if strategy != "multi-worker":
        return Worker("", chief=True, together=1)
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        jobs, kind, index = config["cluster"], config["task"]["type"], int(config["task"]["index"])
        fits = _is_cluster(jobs) and kind in jobs and 0 <= index < len(jobs[kind])
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise SettingsError(
            f"Expected TF_CONFIG with strategy 'multi-worker', in every process with an index of its own: {_WANTED}. "
            f"Received: {text or 'none'}."
        )
    chief = kind == "chief" or ("chief" not in jobs and index == 0)
    return Worker(f"{kind} {index}", chief, sum(map(len, jobs.values())))


def _is_cluster(jobs: object) -> bool:
    if not isinstance(jobs, dict):
        return False
    addresses = [address for places in jobs.values() for address in places]
    return set(jobs) <= {"chief", "worker"} and all(re.fullmatch(r".+:\d+", address) for address in addresses)
