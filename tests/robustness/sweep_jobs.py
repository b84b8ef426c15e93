"""The commands that `sweep_calls.py` interrupts, with their needs and their final files."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable
from unittest.mock import patch

import matplotlib.backends.backend_agg  # imported before the processes are forked
import matplotlib.pyplot  # noqa: F401
import numpy as np
import small_run
from faults import Inline
from kill_runs import unreadable
from reference import eagerly

from alad_tf.cli import main as command_line
from alad_tf.experiments import scheduler
from alad_tf.experiments.settings import Settings
from alad_tf.io import model_folder
from alad_tf.serving import export, versions

EPOCHS = 2
ROWS = "a,b,c\n" + "".join(f"{k % 7},{k % 5}.5,{'xyz'[k % 3]}\n" for k in range(60))
EARLIER = "of an earlier call\n"
Bits = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A command.

    Args:
        prepare: writes what the command needs to an empty folder; the second folder has the files of earlier jobs.
        work: makes the call in the current folder and returns its exit code.
        bits: reads the final files of a complete command, which are equal in every run; raises for partial files.
        needs: jobs whose files it uses.
    """

    name: str
    prepare: Callable[[Path, Path], object]
    work: Callable[[], int]
    bits: Callable[[Path], Bits]
    needs: tuple[str, ...] = ()


def alad(*arguments: object) -> int:
    return command_line.main([str(argument) for argument in arguments])


# A run of the experiments -----------------------------------------------------------------------------------------


def _reproduce() -> int:
    """One short run, in this process, with blank figures."""
    with ExitStack() as stack:
        for context in (
            small_run.small(epochs=EPOCHS),
            eagerly(),
            patch.object(scheduler, "RunProcess", Inline),
            patch.object(scheduler, "wait"),
        ):
            stack.enter_context(context)
        return alad("reproduce", "toy", "--epochs", EPOCHS, "--runs", 1, "--out", "results")


def _run_bits(folder: Path) -> Bits:
    run_dir = Settings.of_protocol("toy", epochs=EPOCHS).folder(folder / "results", 0)
    problems = unreadable(run_dir)
    if problems:
        raise AssertionError("; ".join(problems))
    return small_run.outcome(run_dir) if (run_dir / "result.json").exists() else {}


# Your own data ----------------------------------------------------------------------------------------------------


def _rows(folder: Path, _: Path) -> None:
    (folder / "rows.csv").write_text(ROWS)


def _rows_and_model(folder: Path, earlier: Path) -> None:
    _rows(folder, earlier)
    shutil.copytree(earlier / "fit" / "model", folder / "model")


def _rows_model_and_scores(folder: Path, earlier: Path) -> None:
    _rows_and_model(folder, earlier)
    (folder / "scored.csv").write_text(EARLIER)


def _fit() -> int:
    with eagerly():
        return alad("fit", "rows.csv", "--model", "model", "--epochs", 1, "--seed", 0, "--overwrite")


def _score() -> int:
    return alad("score", "rows.csv", "--model", "model", "--output", "scored.csv", "--explain", 2, "--overwrite")


def _export() -> int:
    """Without the check of a version, in a process that only reads, which takes long."""
    with patch.object(export, "check"):
        return alad("export", "model", "served/name")


def _rows_model_and_page(folder: Path, earlier: Path) -> None:
    _rows_and_model(folder, earlier)
    (folder / "page.html").write_text(EARLIER)


def _report() -> int:
    return alad("report", "model", "rows.csv", "--output", "page.html", "--overwrite")


def _report_bits(folder: Path) -> Bits:
    content = (folder / "page.html").read_text()
    if content == EARLIER:
        return {}
    if not content.rstrip().endswith("</html>"):
        raise AssertionError("a page without its end")
    return {"page.html": content, **_model_bits(folder)}


def _model_bits(folder: Path) -> Bits:
    if not (folder / "model").exists():
        return {}
    documents, arrays = model_folder.read(folder / "model")
    del documents["data"]["seconds"]
    return {"documents": documents, **_bytes(arrays)}


def _score_bits(folder: Path) -> Bits:
    content = (folder / "scored.csv").read_text()
    if content == EARLIER:
        return {}
    lines = content.splitlines()
    if len(lines) != len(ROWS.splitlines()) or content[-1] != "\n":
        raise AssertionError(f"{len(lines)} lines of scores")
    return {"scored.csv": content, **_model_bits(folder)}


def _export_bits(folder: Path) -> Bits:
    """The newest version, after a check of all; TensorFlow's own files differ in each export."""
    found = versions.versions(folder / "served" / "name")
    described = [versions.describe(folder / "served" / "name" / str(number)) for number in found]
    if not found:
        return {}
    newest = folder / "served" / "name" / str(found[-1])
    files = sorted(path.relative_to(newest).as_posix() for path in newest.rglob("*") if path.is_file())
    description = {name: value for name, value in described[-1].items() if name != "version"}
    weights = {path.name: path.read_bytes() for path in newest.glob("variables/*")}
    return {"files": files, "description": description, **weights}


def _bytes(arrays: dict[str, dict[str, np.ndarray]]) -> Bits:
    return {f"{name}/{key}": value.tobytes() for name, members in arrays.items() for key, value in members.items()}


JOBS = {
    job.name: job
    for job in (
        Job("training run", lambda folder, earlier: None, _reproduce, _run_bits),
        Job("fit", _rows, _fit, _model_bits),
        Job("fit that replaces a model", _rows_and_model, _fit, _model_bits, ("fit",)),
        Job("score", _rows_model_and_scores, _score, _score_bits, ("fit",)),
        Job("report", _rows_model_and_page, _report, _report_bits, ("fit",)),
        Job("export", _rows_and_model, _export, _export_bits, ("fit",)),
    )
}


def leftovers(folder: Path) -> list[str]:
    """Temporary files, temporary folders and locks that remain after a complete command."""
    left = [path for path in folder.rglob("*") if path.name.startswith(".") or path.name == "lock"]
    return sorted(path.relative_to(folder).as_posix() for path in left)
