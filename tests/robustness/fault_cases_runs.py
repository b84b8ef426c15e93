"""Cases of runs: folders, checkpoints, training, processes and results."""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable
from unittest.mock import patch

import numpy as np
import small_run
from faults import RUN, Arguments, Said, Scene, Trap, change, cut, fault, flipped, sprung

from alad_tf.experiments import checkpoints
from alad_tf.io import atomic, locks
from alad_tf.model import alad_trainer, keras_versions, scores
from architectures import toy

# Run folders ------------------------------------------------------------------------------------------------------

FOLDER = "Run folders"


@fault(FOLDER, "where patience is 'no' there and None here")
def config_json_has_other_settings(scene: Scene) -> Arguments:
    scene.results()
    path = scene.run_dir(0) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "patience": "no"}))
    return RUN


@fault(FOLDER, r"where table\.latent_dim is 2 there and 3 here\. Choose another --out")
def run_of_another_version_of_the_table(scene: Scene) -> Arguments:
    arguments = scene.inline()
    scene.stack.enter_context(patch.object(toy, "ALAD", replace(small_run.TABLE, latent_dim=3)))
    return arguments


@fault(FOLDER, "Expected the settings of a run as JSON in results/toy/ALAD-6epochs/seed1/config.json")
def config_json_is_cut(scene: Scene) -> Arguments:
    arguments = scene.inline()
    change(scene.run_dir(1) / "config.json", cut)
    return arguments


@fault(FOLDER, "Expected the settings of a run as JSON")
def config_json_is_nested_without_end(scene: Scene) -> Arguments:
    arguments = scene.inline()
    (scene.run_dir(1) / "config.json").write_text("[" * 100_000)
    return arguments


@fault(FOLDER, r"seed 1: Expected a folder that no other process is using. Received: .*, used by process \d+")
def another_process_works_in_the_folder(scene: Scene) -> Arguments:
    arguments = scene.inline()
    scene.stack.enter_context(locks.locked(scene.run_dir(1)))
    return arguments


@fault(FOLDER, r"seed 1: Expected a lock file of alad_tf in .*/seed1/lock. Received: a link")
def lock_of_a_run_is_a_link_to_a_file_elsewhere(scene: Scene) -> Arguments:
    arguments = scene.inline()
    linked(scene, "lock")
    return arguments


@fault(FOLDER, r"seed 1: .*Too many levels of symbolic links: '.*/seed1/log.txt'")
def log_of_a_run_is_a_link_to_a_file_elsewhere(scene: Scene) -> Arguments:
    arguments = scene.inline()
    linked(scene, "log.txt")
    return arguments


@fault(FOLDER, r"seed 1: .*No such device or address: '.*/seed1/log.txt'")
def log_of_a_run_is_a_pipe(scene: Scene) -> Arguments:
    arguments = scene.inline()
    os.mkfifo(scene.run_dir(1) / "log.txt")
    return arguments


def linked(scene: Scene, name: str) -> None:
    """Put a link to a file outside in a run's folder."""
    (scene.folder / "letter.txt").write_text("mine")
    (scene.run_dir(1) / name).symlink_to(scene.folder / "letter.txt")


@fault(FOLDER, "Not a directory: '?results")
def results_folder_is_a_file(scene: Scene) -> Arguments:
    (scene.folder / "results").write_text("mine")
    return RUN


@fault(FOLDER, "Read-only file system: 'results/toy/ALAD-6epochs/seed2")
def results_folder_is_on_a_read_only_disk(scene: Scene) -> Arguments:
    scene.results()
    scene.read_only()
    return [*RUN, "--seed", 2]


@fault(FOLDER, "Permission denied: 'results/toy/ALAD-6epochs/seed2")
def results_folder_may_not_be_written(scene: Scene) -> Arguments:
    scene.results()
    scene.call = by_a_user_without_permission(scene, scene.call)
    return [*RUN, "--seed", 2]


def by_a_user_without_permission(scene: Scene, call: Callable[[Arguments], Said]) -> Callable[[Arguments], Said]:
    """A call by a user who may read the scene but not write to it."""

    def without(arguments: Arguments) -> Said:
        folders = [path for path in (scene.folder, *scene.folder.rglob("*")) if path.is_dir()]
        for folder in folders:
            folder.chmod(0o555)
        root = os.geteuid() == 0  # who may write everywhere
        if root:
            os.seteuid(65534)
        try:
            return call(arguments)
        finally:
            if root:
                os.seteuid(0)
            for folder in folders:
                folder.chmod(0o755)

    return without


@fault(FOLDER, "No space left on device")
def disk_is_full_when_a_run_begins(scene: Scene) -> Arguments:
    scene.results()
    scene.full_disk()
    return [*RUN, "--seed", 2]


# Checkpoints ------------------------------------------------------------------------------------------------------

CHECKPOINTS = "Checkpoints"


@fault(CHECKPOINTS, "seed 1: warning: damaged checkpoint in .*, step8: .*SHA-256.*; resuming from step6", code=0)
def newest_checkpoint_is_damaged(scene: Scene) -> Arguments:
    arguments = scene.inline()
    change(scene.checkpoint() / "variables.data-00000-of-00001", flipped)
    return arguments


@fault(CHECKPOINTS, "seed 1: warning: damaged checkpoint in .*, step8: .*index is missing; resuming from step6", code=0)
def newest_checkpoint_lacks_a_file(scene: Scene) -> Arguments:
    arguments = scene.inline()
    (scene.checkpoint() / "variables.index").unlink()
    return arguments


@fault(CHECKPOINTS, "seed 1: Expected an intact checkpoint in .*step8: .*; step6: .*remove that folder")
def all_checkpoints_are_damaged(scene: Scene) -> Arguments:
    arguments = scene.inline()
    for newest in (0, 1):
        change(scene.checkpoint(newest) / "log.json", cut)
    return arguments


@fault(CHECKPOINTS, "seed 1: complete", code=0)
def state_file_of_TensorFlow_is_garbage(scene: Scene) -> Arguments:
    """The file is not used: a run that relied on it would silently start again."""
    arguments = scene.inline()
    (scene.run_dir(1) / "checkpoints" / "checkpoint").write_bytes(b"\0garbage")
    scene.after.append(lambda: begins_at(scene, 8))
    return arguments


def begins_at(scene: Scene, step: int) -> None:
    """The history of the stopped run begins with the earlier records."""
    assert json.loads((scene.run_dir(1) / "history.jsonl").read_text().splitlines()[0])["step"] == step


@fault(CHECKPOINTS, "seed 1: complete", code=0)
def half_a_checkpoint_is_left_by_a_process_that_was_killed(scene: Scene) -> Arguments:
    arguments = scene.inline()
    left = scene.run_dir(1) / "checkpoints" / ".step_left"
    shutil.copytree(scene.checkpoint(), left)
    (left / "SHA256SUMS").unlink()
    scene.after.append(lambda: begins_at(scene, 8))
    return arguments


@fault(CHECKPOINTS, "seed 1: Expected to write a checkpoint in .*|seed 1: .*No space left on device")
def disk_is_full_when_a_checkpoint_is_written(scene: Scene) -> Arguments:
    arguments = scene.inline()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    scene.stack.enter_context(patch.object(checkpoints.Checkpoints, "_write", full))
    scene.changes = ()
    return arguments


# Training ---------------------------------------------------------------------------------------------------------

TRAINING = "Training"
TRAIN = alad_trainer.Trainer.train


def spoiled(name: str, loss: float, step: int = 11) -> Callable[[Any, int], dict[str, float]]:
    """Training with a non-finite loss at a step."""

    def train(self: alad_trainer.Trainer, steps: int) -> dict[str, float]:
        losses = TRAIN(self, steps)
        return {**losses, name: loss} if int(self.step) == step else losses

    return train


@fault(TRAINING, "seed 1: Expected finite losses. Received: Dxx is nan at step 11. Try --scaling minmax or another")
def loss_is_not_a_number(scene: Scene) -> Arguments:
    arguments = scene.inline(train=spoiled("Dxx", math.nan))
    scene.changes = ()
    return arguments


@fault(TRAINING, "seed 1: Expected finite losses. Received: loss_ge is inf at step 11. Try")
def loss_is_infinite(scene: Scene) -> Arguments:
    arguments = scene.inline(train=spoiled("loss_ge", math.inf))
    scene.changes = ()
    return arguments


@fault(TRAINING, "seed 1: Expected finite losses. Received: a weight of G is not finite at step 11")
def weight_is_infinite(scene: Scene) -> Arguments:
    def train(self: alad_trainer.Trainer, steps: int) -> dict[str, float]:
        losses = TRAIN(self, steps)
        if int(self.step) == 11:
            weight = keras_versions.trained(self.networks.G)[0]
            weight.assign(weight + math.inf)
        return losses

    arguments = scene.inline(train=train)
    scene.changes = ()
    return arguments


@fault(TRAINING, "seed 1: warning: loss_d is 1e-05 at step 11: the discriminators tell all pairs apart", code=0)
def discriminators_have_won(scene: Scene) -> Arguments:
    return scene.inline(train=lambda self, steps: {**TRAIN(self, steps), "loss_d": 1e-5})


@fault(TRAINING, "seed 1: warning: all test rows have the same score 'l1'", code=0)
def scores_are_constant(scene: Scene) -> Arguments:
    arguments = scene.inline()
    real = scores.Scorer.__call__
    constant = lambda self, x: {**real(self, x), "l1": np.zeros(len(x), np.float32)}  # noqa: E731
    scene.stack.enter_context(patch.object(scores.Scorer, "__call__", constant))
    return arguments


# Run processes ----------------------------------------------------------------------------------------------------

PROCESSES = "Run processes"


@fault(PROCESSES, "seed 1: its process ended with exit code -9, see results/toy/ALAD-6epochs/seed1/log.txt")
def process_is_killed_while_it_writes_a_checkpoint(scene: Scene) -> Arguments:
    arguments = scene.processes(
        "checkpoints.manifest.sha256 = "
        "lambda path: os.kill(os.getpid(), signal.SIGKILL) if '/.step' in str(path) else '';"
        "checkpoints.verify = lambda path: None"
    )
    scene.after.append(scene.others_went_on)
    return arguments


@fault(PROCESSES, "seed 1: its process ended with exit code -9, see results/toy/ALAD-6epochs/seed1/log.txt")
def process_is_killed_while_it_writes_its_results(scene: Scene) -> Arguments:
    arguments = scene.processes(
        "sync = atomic.sync;"
        "atomic.sync = lambda path: os.kill(os.getpid(), signal.SIGKILL) if '.weights' in path.name else sync(path)"
    )
    scene.after.append(scene.others_went_on)
    return arguments


@fault(PROCESSES, "seed 1: Unable to allocate .* for an array")
def process_has_no_memory_left(scene: Scene) -> Arguments:
    arguments = scene.processes("experiment.models.build = lambda *_: experiment.np.ones(1 << 50)")
    scene.after.append(scene.others_went_on)
    return arguments


@fault(PROCESSES, "seed 1: .*No space left on device")
def disk_is_full_when_results_are_written(scene: Scene) -> Arguments:
    arguments, sync = scene.inline(), atomic.sync
    scene.changes = (str(scene.run_dir(1)),)

    def full(path: Path) -> None:
        if ".weights" in path.name:
            raise OSError(28, "No space left on device")
        sync(path)

    scene.stack.enter_context(patch.object(atomic, "sync", full))
    scene.after.append(lambda: not_complete(scene, 1))
    return arguments


def not_complete(scene: Scene, seed: int) -> None:
    assert not (scene.run_dir(seed) / "weights.npz").exists() and not (scene.run_dir(seed) / "result.json").exists()


# Result files -----------------------------------------------------------------------------------------------------

RESULTS = "Result files"


@fault(RESULTS, "complete result of a run. Received: results/toy/ALAD-6epochs/seed0/result.json: .*Remove it")
def result_json_is_cut(scene: Scene) -> Arguments:
    scene.results()
    change(scene.run_dir(0) / "result.json", cut)
    return RUN


@fault(RESULTS, "complete result of a run. Received: results/toy/ALAD-6epochs/seed0/result.json: .*Remove it")
def result_json_is_of_another_run(scene: Scene) -> Arguments:
    scene.results()
    path = scene.run_dir(0) / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seed": 5}))
    return RUN


@fault(RESULTS, "complete file of a run. Received: results/toy/ALAD-6epochs/seed0/scores.npz: .*Remove it")
def scores_npz_is_cut(scene: Scene) -> Arguments:
    scene.results()
    change(scene.run_dir(0) / "scores.npz", cut)
    scene.changes = ("summary.json",)
    return RUN


@fault(RESULTS, "complete file of a run. Received: results/toy/ALAD-6epochs/seed0/scores.npz: .*[Pp]ickle")
def scores_npz_holds_pickled_objects(scene: Scene) -> Arguments:
    scene.results()
    np.savez(scene.run_dir(0) / "scores.npz", y_test=np.array([Trap(scene.folder)], object))
    scene.after.append(lambda: sprung(scene))
    return RUN


@fault(RESULTS, "complete file of a run. Received: results/toy/ALAD-6epochs/seed0/history.jsonl: .*Remove it")
def history_jsonl_is_cut(scene: Scene) -> Arguments:
    scene.results()
    change(scene.run_dir(0) / "history.jsonl", cut)
    return RUN


@fault(RESULTS, "complete already: seed 0", code=0)
def summary_json_is_cut(scene: Scene) -> Arguments:
    """The file is never read, and written again by every call."""
    scene.results()
    summary = scene.run_dir(0).parent / "summary.json"
    summary.write_text('{"dataset": "to')
    scene.changes = (str(summary),)
    scene.after.append(lambda: json.loads(summary.read_text()))
    return RUN


@fault(RESULTS, "Expected the complete result of a run. Received: results/kdd99/ALAD/seed0/result.json")
def result_of_a_table_is_cut(scene: Scene) -> Arguments:
    path = scene.folder / "results" / "kdd99" / "ALAD" / "seed0" / "result.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"dataset": "kdd')
    return ["table", 5, "--out", "results"]
