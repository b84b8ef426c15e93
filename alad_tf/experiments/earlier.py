"""Migration of runs from earlier versions, whose folder names did not include epochs and XLA."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from alad_tf.errors import DataError
from alad_tf.experiments.baseline_settings import AnySettings, of_run
from alad_tf.io import locks
from alad_tf.report.results import earlier_name

logger = logging.getLogger(__name__)


def move_departures(settings: AnySettings, seed: int, out: Path) -> None:
    """Move a run with other settings out of a folder that is named as if it had the usual ones.

    A run with other settings is moved out of this run's folder, so that it does not block it. A run with the same
    settings is moved into this run's folder, where it counts and can resume. Each move is logged as a warning.

    Args:
        settings: of the run about to start.
        seed: its seed.
        out: results folder.

    Raises:
        AladError: another process works in a folder that would be moved.
    """
    folder = settings.folder(out, seed)
    task = folder.relative_to(out / settings.dataset / settings.method)
    earlier = out / settings.dataset / earlier_name(settings.method) / task
    for place in dict.fromkeys((folder, earlier)):
        target = _named_folder(place, settings, out, seed)
        if target == place or target is None or folder not in (place, target):
            continue
        if target.exists() and place == earlier != folder:
            continue  # there are two such runs; the one in this folder counts
        with locks.locked(place):
            pass
        target = _vacant(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(place, target)
        logger.warning("%s holds a run that departs from the protocol: moved to %s", place, target)


def _named_folder(place: Path, settings: AnySettings, out: Path, seed: int) -> Path | None:
    """The folder that a run belongs in by its own settings; None if there is no readable run of this task."""
    if not (place / "config.json").exists():
        return None
    try:
        there, seed_there = of_run(place)
    except DataError:
        return None  # the command for that run reports the damage
    same_task = (there.dataset, there.normal_class, seed_there) == (settings.dataset, settings.normal_class, seed)
    return there.folder(out, seed) if same_task else None


def _vacant(folder: Path) -> Path:
    """The folder, or if it exists the same with a suffix that is ignored when results are loaded."""
    found, number = folder, 1
    while found.exists():
        found, number = folder.with_name(f"{folder.name}.earlier{number}"), number + 1
    return found
