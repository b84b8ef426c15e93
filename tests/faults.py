"""Faults, one function each: what is broken, the call of `alad` that meets it, and what it must say.

A case makes its fault in a `Scene` and returns the arguments of the call. `test_faults.py` makes the call and asserts
the message, the exit code, and that whatever was there before is unchanged; `docs/faults.md` is the table of what came
of it. To add a case, write one function with `fault` here, then `pytest tests/test_faults.py --write-table`.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable
from unittest.mock import patch

import numpy as np
import pytest
import small_run
import tensorflow as tf
from conftest import CHECKOUT
from fuzz_readers import Valid, sign

from alad_tf import checkpoints, experiment, files, runs, scores, training
from alad_tf.errors import Stopped
from alad_tf.settings import RUN_FILES, Settings, is_complete
from architectures import toy

EPOCHS = 6
RUN = ["reproduce", "toy", "--epochs", EPOCHS, "--out", "results"]
KDD99 = "kddcup.data_10_percent.gz"
Arguments = Sequence[object]


@dataclass(frozen=True)
class Said:
    """What came of a call."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Fault:
    """A case: the function that makes the fault, and what the call must say and end with."""

    group: str
    name: str
    make: Callable[[Scene], Arguments]
    says: str
    code: int


FAULTS: list[Fault] = []


def fault(group: str, says: str, code: int = 1, name: str = "") -> Callable[[Callable[[Scene], Arguments]], Any]:
    """Make a case of a function.

    Args:
        group: heading in the table.
        says: pattern of the line that the call prints.
        code: exit code: 0 where it goes on, 1 for a fault, 2 for a wrong call.
        name: of the case; the function's, in words, otherwise.
    """

    def register(make: Callable[[Scene], Arguments]) -> Callable[[Scene], Arguments]:
        FAULTS.append(Fault(group, name or make.__name__.strip("_").replace("_", " "), make, says, code))
        return make

    return register


# The scene --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Earlier:
    """What there is before a fault: files of a complete run, of one that was stopped, of a model, and rows."""

    results: Path
    model: Valid

    @classmethod
    def make(cls, folder: Path) -> Earlier:
        settings = Settings.of_protocol("toy", epochs=EPOCHS)
        with small_run.small(), eager():
            experiment.run(settings, 0, settings.folder(folder / "results", 0))
            answers = iter([False, False, True])
            with pytest.raises(Stopped):
                stopped = settings.folder(folder / "results", 1)
                experiment.run(settings, 1, stopped, stopping=lambda: next(answers))
        return cls(folder / "results", Valid(folder))


@dataclass
class Scene:
    """A folder with results of earlier calls, in which a fault is made and `alad` is called."""

    folder: Path
    earlier: Earlier
    stack: ExitStack
    call: Callable[[Arguments], Said]
    after: list[Callable[[], None]] = field(default_factory=list)
    changes: tuple[str, ...] = ()  # folders that the call may change, for it goes on in them

    def run_dir(self, seed: int) -> Path:
        return Settings.of_protocol("toy", epochs=EPOCHS).folder(self.folder / "results", seed)

    def results(self) -> Path:
        """The results of a complete run, seed 0, and of one with checkpoints of steps 6 and 8, seed 1; small ones."""
        self.stack.enter_context(small_run.small())
        return Path(shutil.copytree(self.earlier.results, self.folder / "results"))

    def inline(self, **replaced: Any) -> list[object]:
        """Runs in this process, small ones; arguments of a call that makes the missing ones of seeds 0 and 1.

        Args:
            replaced: methods of `Trainer` to replace.
        """
        self.results()
        self.changes = (str(self.run_dir(1)), str(self.run_dir(1).parent / "summary.json"))
        for context in (eager(), patch.object(runs, "_Run", Inline), patch.object(runs, "wait")):
            self.stack.enter_context(context)
        if replaced:
            self.stack.enter_context(patch.multiple(training.Trainer, **replaced))
        self.after.append(self.first_run_is_complete)
        return [*RUN, "--runs", 2]

    def checkpoint(self, newest: int = 0) -> Path:
        """A checkpoint of the run that was stopped."""
        found = sorted(self.run_dir(1).glob("checkpoints/step*"), key=lambda path: int(path.name[4:]))
        return found[-1 - newest]

    def first_run_is_complete(self) -> None:
        assert is_complete(self.run_dir(0))

    def processes(self, actions: str) -> list[object]:
        """Real processes of small runs that do as said, in Python; arguments for seeds 0, 1 and 2."""
        self.results()
        self.changes = (str(self.run_dir(1).parent),)
        script = self.folder / "script"
        script.mkdir()
        stand_in = STAND_IN.format(tests=str(CHECKOUT / "tests"), actions=actions)
        (script / "sitecustomize.py").write_text(stand_in)
        path = os.pathsep.join([str(script), str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
        self.stack.enter_context(patch.dict(os.environ, {"PYTHONPATH": path}))
        self.after.append(lambda: self.same_bits(0))
        return [*RUN, "--runs", 3, "--jobs", 2]

    def same_bits(self, seed: int) -> None:
        """A run's results are those of before."""
        for name in RUN_FILES:
            there = self.earlier.results / self.run_dir(seed).relative_to(self.folder / "results") / name
            assert (self.run_dir(seed) / name).read_bytes() == there.read_bytes()

    def others_went_on(self) -> None:
        assert [is_complete(self.run_dir(seed)) for seed in (0, 1, 2)] == [True, False, True]

    def model(self, changes: dict[str, Callable[[bytes], bytes]] | None = None, signed: bool = False) -> Path:
        """A model folder, and rows to score beside it.

        Args:
            changes: of files, by name.
            signed: the manifest is of the changed files, as a stranger would make it.
        """
        folder = self.folder / "model"
        folder.mkdir()
        for name, content in self.earlier.model.files.items():
            (folder / name).write_bytes((changes or {}).get(name, bytes)(content))
        if signed:
            sign(folder)
        self.rows()
        return folder

    def rows(self, text: str | bytes = "a,b,c\n1,0.5,x\n2,1.5,y\n", name: str = "new.csv") -> Path:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def full_disk(self, room: int) -> None:
        """The call finds `results` on a disk of its own with this many bytes of room."""
        there = (self.folder / "results").rglob("*")
        size = sum(math.ceil(path.stat().st_size / 4096) + 1 for path in there) * 4096 + room
        self._mounted(f"mount -t tmpfs -o size={size} tmpfs results && cp -a before/. results")

    def read_only(self) -> None:
        """The call finds `results` on a disk that is mounted to be read."""
        self._mounted("mount --bind results results && mount -o remount,ro,bind results")

    def _mounted(self, mount: str) -> None:
        if (
            shutil.which("unshare") is None
            or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode
        ):
            pytest.skip("this system lets no one mount a disk for a test")

        def call(arguments: Arguments) -> Said:
            shutil.copytree(self.folder / "results", self.folder / "before")
            script = f'{mount} || exit 99; "$@"; code=$?; cp -a results after; exit $code'
            said = process(arguments, self.folder, ["unshare", "-rm", "sh", "-c", script, "sh"])
            shutil.rmtree(self.folder / "results")
            os.rename(self.folder / "after", self.folder / "results")
            shutil.rmtree(self.folder / "before")
            return said

        self.call = call


def eager() -> Any:
    """Nothing is traced, which is quicker for a few steps."""
    stack = ExitStack()
    tf.config.run_functions_eagerly(True)
    stack.callback(tf.config.run_functions_eagerly, False)
    return stack


class Inline:
    """A run in this process in place of one of its own."""

    def __init__(self, settings: Settings, seed: int, run_dir: Path, data_dir: Path | None) -> None:
        self.said: list[Any] = []
        code = 0
        handler = signal.getsignal(signal.SIGTERM)
        parent = SimpleNamespace(is_alive=lambda: True)
        with patch.object(os, "dup2"), patch.object(multiprocessing, "parent_process", lambda: parent):
            try:
                runs._work(settings, seed, run_dir, data_dir, SimpleNamespace(send=self.said.append))
            except SystemExit as end:
                code = int(end.code or 0)
        signal.signal(signal.SIGTERM, handler)
        self.process = SimpleNamespace(exitcode=code, sentinel=0, is_alive=lambda: False)

    def messages(self) -> list[Any]:
        said, self.said = self.said, []
        return said


# Stands in for alad_tf.experiment in a run's process until it is called, for it must know nothing of TensorFlow before.
STAND_IN = """
import os, signal, sys, types

def run(settings, seed, run_dir, **options):
    del sys.modules["alad_tf.experiment"]
    sys.path.append({tests!r})
    import small_run
    from alad_tf import checkpoints, experiment, files
    if seed == 1:
        {actions}
    with small_run.small():
        experiment.run(settings, seed, run_dir, **options)

stand_in = sys.modules["alad_tf.experiment"] = types.ModuleType("alad_tf.experiment")
stand_in.run = run
"""


def process(arguments: Arguments, folder: Path, prefix: Sequence[str] = (), **options: Any) -> Said:
    """`alad` in a process of its own."""
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(CHECKOUT)]).strip(os.pathsep)
    command = [*prefix, sys.executable, "-m", "alad_tf", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, **options)
    return Said(done.returncode, done.stdout, done.stderr)


def flipped(content: bytes) -> bytes:
    """One bit in the middle is another."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def cut(content: bytes) -> bytes:
    """The second half is missing."""
    return content[: len(content) // 2]


def change(path: Path, how: Callable[[bytes], bytes]) -> None:
    path.write_bytes(how(path.read_bytes()))


# Folders of runs --------------------------------------------------------------------------------------------------

FOLDER = "Folders of runs"


@fault(FOLDER, "where epochs is 6 there and 7 here")
def run_of_other_settings(scene: Scene) -> Arguments:
    scene.results()
    return ["reproduce", "toy", "--epochs", 7, "--out", "results"]


@fault(FOLDER, r"where table\.latent_dim is 2 there and 3 here\. Choose another --out")
def run_of_another_version_of_the_table(scene: Scene) -> Arguments:
    arguments = scene.inline()
    scene.stack.enter_context(patch.object(toy, "ALAD", replace(small_run.TABLE, latent_dim=3)))
    return arguments


@fault(FOLDER, "Expected the settings of a run as JSON in results/toy/ALAD/seed1/config.json")
def config_json_is_cut(scene: Scene) -> Arguments:
    arguments = scene.inline()
    change(scene.run_dir(1) / "config.json", cut)
    return arguments


@fault(FOLDER, "Expected the settings of a run as JSON")
def config_json_is_nested_without_end(scene: Scene) -> Arguments:
    arguments = scene.inline()
    (scene.run_dir(1) / "config.json").write_text("[" * 100_000)
    return arguments


@fault(FOLDER, r"seed 1: Expected a folder that no other process works in. Received: .*, used by process \d+")
def another_process_works_in_the_folder(scene: Scene) -> Arguments:
    arguments = scene.inline()
    scene.stack.enter_context(files.locked(scene.run_dir(1)))
    return arguments


@fault(FOLDER, "Not a directory: '?results")
def results_folder_is_a_file(scene: Scene) -> Arguments:
    (scene.folder / "results").write_text("mine")
    return RUN


@fault(FOLDER, "Read-only file system: 'results/toy/ALAD/seed2")
def results_folder_is_on_a_read_only_disk(scene: Scene) -> Arguments:
    scene.results()
    scene.read_only()
    return [*RUN, "--seed", 2]


@fault(FOLDER, "Permission denied: 'results/toy/ALAD/seed2")
def results_folder_may_not_be_written(scene: Scene) -> Arguments:
    scene.results()
    scene.call = by_a_user_without_permission(scene, scene.call)
    return [*RUN, "--seed", 2]


def by_a_user_without_permission(scene: Scene, call: Callable[[Arguments], Said]) -> Callable[[Arguments], Said]:
    """A call whose user may read the scene and not write there."""

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
    scene.full_disk(room=0)
    return [*RUN, "--seed", 2]


# Checkpoints ------------------------------------------------------------------------------------------------------

CHECKPOINTS = "Checkpoints"


@fault(CHECKPOINTS, "seed 1: warning: damaged checkpoint in .*, step8: .*SHA-256.*; going on from step6", code=0)
def newest_checkpoint_is_damaged(scene: Scene) -> Arguments:
    arguments = scene.inline()
    change(scene.checkpoint() / "variables.data-00000-of-00001", flipped)
    return arguments


@fault(CHECKPOINTS, "seed 1: warning: damaged checkpoint in .*, step8: .*No such file.*; going on from step6", code=0)
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
    """It is not asked: a run that relied on it would begin anew in silence."""
    arguments = scene.inline()
    (scene.run_dir(1) / "checkpoints" / "checkpoint").write_bytes(b"\0garbage")
    scene.after.append(lambda: begins_at(scene, 8))
    return arguments


def begins_at(scene: Scene, step: int) -> None:
    """The history of the run that was stopped has the records of before."""
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
TRAIN = training.Trainer.train


def spoiled(name: str, loss: float, step: int = 11) -> Callable[[Any, int], dict[str, float]]:
    """Training in which a loss is not finite at a step."""

    def train(self: training.Trainer, steps: int) -> dict[str, float]:
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
    def train(self: training.Trainer, steps: int) -> dict[str, float]:
        losses = TRAIN(self, steps)
        if int(self.step) == 11:
            weight = self.networks.G.trainable_variables[0]
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


# Processes of runs ------------------------------------------------------------------------------------------------

PROCESSES = "Processes of runs"


@fault(PROCESSES, "seed 1: its process ended with exit code -9, see results/toy/ALAD/seed1/log.txt")
def process_is_killed_while_it_writes_a_checkpoint(scene: Scene) -> Arguments:
    arguments = scene.processes(
        "checkpoints._sha256 = lambda path: os.kill(os.getpid(), signal.SIGKILL) if '/.step' in str(path) else '';"
        "checkpoints._verify = lambda path: None"
    )
    scene.after.append(scene.others_went_on)
    return arguments


@fault(PROCESSES, "seed 1: its process ended with exit code -9, see results/toy/ALAD/seed1/log.txt")
def process_is_killed_while_it_writes_its_results(scene: Scene) -> Arguments:
    arguments = scene.processes(
        "sync = files.sync;"
        "files.sync = lambda path: os.kill(os.getpid(), signal.SIGKILL) if '.weights' in path.name else sync(path)"
    )
    scene.after.append(scene.others_went_on)
    return arguments


@fault(PROCESSES, "seed 1: Unable to allocate .* for an array")
def process_has_no_memory_left(scene: Scene) -> Arguments:
    arguments = scene.processes("experiment._trainer = lambda *_: experiment.np.ones(1 << 50)")
    scene.after.append(scene.others_went_on)
    return arguments


@fault(PROCESSES, "seed 1: its process ended with exit code 1, see results/toy/ALAD/seed1/log.txt")
def process_ends_with_a_traceback(scene: Scene) -> Arguments:
    arguments = scene.processes("raise RuntimeError('boom')")
    scene.after.append(scene.others_went_on)
    return arguments


@fault(PROCESSES, "seed 2: .*No space left on device")
def disk_is_full_when_results_are_written(scene: Scene) -> Arguments:
    scene.results()
    scene.full_disk(room=40_000)
    return [*RUN, "--seed", 2]


# Files of results -------------------------------------------------------------------------------------------------

RESULTS = "Files of results"


@fault(RESULTS, "Expected the complete result of a run. Received: results/toy/ALAD/seed0/result.json: .*Remove it")
def result_json_is_cut(scene: Scene) -> Arguments:
    scene.results()
    change(scene.run_dir(0) / "result.json", cut)
    return RUN


@fault(RESULTS, "Expected the complete result of a run. Received: results/toy/ALAD/seed0/result.json: .*Remove it")
def result_json_is_of_another_run(scene: Scene) -> Arguments:
    scene.results()
    path = scene.run_dir(0) / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seed": 5}))
    return RUN


@fault(RESULTS, "Expected a complete file of a run. Received: results/toy/ALAD/seed0/scores.npz: .*Remove it")
def scores_npz_is_cut(scene: Scene) -> Arguments:
    scene.results()
    change(scene.run_dir(0) / "scores.npz", cut)
    scene.changes = ("summary.json",)
    return RUN


@fault(RESULTS, "Expected a complete file of a run. Received: results/toy/ALAD/seed0/scores.npz: .*[Pp]ickle")
def scores_npz_holds_pickled_objects(scene: Scene) -> Arguments:
    scene.results()
    np.savez(scene.run_dir(0) / "scores.npz", y_test=np.array([Trap(scene.folder)], object))
    scene.after.append(lambda: sprung(scene))
    return RUN


@fault(RESULTS, "Expected a complete file of a run. Received: results/toy/ALAD/seed0/history.jsonl: .*Remove it")
def history_jsonl_is_cut(scene: Scene) -> Arguments:
    scene.results()
    change(scene.run_dir(0) / "history.jsonl", lambda content: content[:-20])
    return RUN


@fault(RESULTS, "complete already: seed 0", code=0)
def summary_json_is_cut(scene: Scene) -> Arguments:
    """It is only ever written, anew at every call."""
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


class Trap:
    """Leaves a trace when it is loaded from a pickle."""

    def __init__(self, folder: Path) -> None:
        self.trace = folder / "trace"

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def sprung(scene: Scene) -> None:
    assert not (scene.folder / "trace").exists(), "a pickle was executed"


# Files of the paper's data ----------------------------------------------------------------------------------------

DATA = "Files of the paper's data"


def raw(scene: Scene, content: bytes | None, name: str = KDD99) -> Arguments:
    """Arguments of a call with this file in the data directory, where nothing can be downloaded."""
    (scene.folder / "data").mkdir()
    if content is not None:
        (scene.folder / "data" / name).write_bytes(content)
    closed = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    own = {**closed, "no_proxy": "", "NO_PROXY": "", "XDG_CACHE_HOME": str(scene.folder / "cache")}
    scene.stack.enter_context(patch.dict(os.environ, own))
    scene.changes = (name,)
    if content is not None:
        scene.after.append(lambda: set_aside(scene, name, content))
    return ["reproduce", "kdd99" if name == KDD99 else "arrhythmia", "--data-dir", "data", "--out", "results"]


def set_aside(scene: Scene, name: str, content: bytes) -> None:
    assert [path.name for path in (scene.folder / "data").iterdir()] == [f"{name}.bad"]
    assert (scene.folder / "data" / f"{name}.bad").read_bytes() == content
    assert not (scene.folder / "results").exists()


@fault(DATA, "to have sha256 8045aca0.*Received: sha256 .*set aside as data/kddcup.data_10_percent.gz.bad")
def checksum_is_wrong(scene: Scene) -> Arguments:
    return raw(scene, gzip.compress(b"0,tcp,http,SF,normal.\n" * 1000, mtime=0))


@fault(DATA, "bytes of 2144903.*set aside")
def gzip_file_is_cut(scene: Scene) -> Arguments:
    return raw(scene, gzip.compress(b"0,tcp,http,SF,normal.\n" * 1000, mtime=0)[:-12])


@fault(DATA, "a web page.*set aside")
def web_page_in_place_of_data(scene: Scene) -> Arguments:
    return raw(scene, b"<!DOCTYPE html><title>Sign in</title>", "arrhythmia.mat")


@fault(DATA, "0 bytes of 402355.*set aside")
def data_file_is_empty(scene: Scene) -> Arguments:
    return raw(scene, b"", "arrhythmia.data")


@fault(DATA, r"Received: no such file, and no download succeeded \(https.*; './reproduce.sh toy' needs no download")
def data_are_missing_and_there_is_no_network(scene: Scene) -> Arguments:
    return raw(scene, None)


@fault(DATA, "Expected a data directory. Received: the file data")
def data_directory_is_a_file(scene: Scene) -> Arguments:
    (scene.folder / "data").write_text("mine")
    return ["reproduce", "kdd99", "--data-dir", "data", "--out", "results"]


@fault(DATA, "Expected to read data/kddcup.data_10_percent.gz. Received: .*Permission denied")
def data_may_not_be_read(scene: Scene) -> Arguments:
    arguments = raw(scene, b"mine")
    scene.after.clear()

    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    scene.stack.enter_context(patch.object(Path, "read_bytes", denied))
    return arguments


# Files of one's own rows ------------------------------------------------------------------------------------------

ROWS = "Files of one's own rows"
FIT = ["fit", "train.csv", "--model", "new-model", "--epochs", 1]
SCORE = ["score", "new.csv", "--model", "model", "--output", "scored.csv"]


def fit_of(name: str, content: str | bytes, says: str, title: str) -> None:
    """A case of `alad fit` with a file of this content."""

    @fault(ROWS, says, name=title)
    def fit(scene: Scene) -> Arguments:
        scene.rows(content, name)
        scene.after.append(lambda: nothing_made(scene, "new-model"))
        return ["fit", name, *FIT[2:]]


def nothing_made(scene: Scene, name: str) -> None:
    assert not (scene.folder / name).exists()


def packed_array(array: np.ndarray, name: str = "x", header: tuple[bytes, bytes] | None = None) -> bytes:
    """An .npz file of one array."""
    member = io.BytesIO()
    np.lib.format.write_array(member, array, allow_pickle=True)
    content = member.getvalue() if header is None else member.getvalue().replace(*header)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def plain_array(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


fit_of("train.csv", "", "Expected a header and rows in train.csv. Received: an empty file", "file is empty")
fit_of("train.csv", "a,b\n", "Expected rows of data in train.csv. Received: the columns a, b, and no row", "no rows")
fit_of("train.csv", "<html>\n", "Expected rows in train.csv. Received: a page of HTML", "web page in place of rows")
fit_of("train.csv", b"a\0,b\n1,2\n", "Expected text in train.csv. Received: binary data", "binary data named .csv")
fit_of(
    "train.csv",
    b"a,b\n1,\xff\n",
    "in column 'b' of train.csv. Received: bytes that are no UTF-8 text",
    "text in another encoding",
)
fit_of(
    "train.csv",
    "a,b\n1,2\n3\n",
    "Expected 2 columns in line 3 of train.csv, .*Received: 1",
    "line with a column too few",
)
fit_of(
    "train.csv",
    "a,b\n1,2\n3,4\n5,6,7\n",
    "Expected 2 columns in line 4 of train.csv, .*Received: 3",
    "line with a column too many",
)
fit_of(
    "train.csv",
    "a,b,a\n1,2,3\n",
    "a name of its own for each column of train.csv. Received: a more than once",
    "column named twice",
)
fit_of(
    "train.csv",
    "a,b\n1,2\n3,\n4,5\n",
    "Expected a value in column 'b', row 2. Received: a missing cell",
    "cell is missing",
)
fit_of(
    "train.csv",
    "a,b\n1,2\n3,inf\n4,5\n",
    "Expected a finite number in column 'b', row 2. Received: inf",
    "number is infinite",
)
fit_of(
    "train.csv.gz",
    gzip.compress(b"a,b\n" + b"1,2\n" * 999, mtime=0)[:-9],
    "Expected a complete file. Received: train.csv.gz, cut or damaged",
    "packed text is cut",
)
fit_of(
    "train.csv.gz",
    gzip.compress(b"a,b\n" + b"1,2\n" * 20_000_000, mtime=0),
    "Expected a file that unpacks to at most 200 times its size. Received: train.csv.gz",
    "packed text is a bomb",
)
fit_of(
    "train.npz",
    packed_array(np.zeros((1 << 22, 3))),
    "Expected a file that unpacks to at most 200 times its size. Received: train.npz",
    "packed array is a bomb",
)
fit_of(
    "train.npz",
    packed_array(np.zeros((5, 3)), header=(b"(5, 3)", b"(5, 9999999999)")),
    "an array said to be",
    "array is said to be larger than it is",
)
fit_of(
    "train.npy",
    plain_array(np.array([[object]], object)),
    "Received: pickled objects, never loaded",
    "pickled objects in an array",
)
fit_of(
    "train.npy",
    pickle.dumps([1, 2]),
    "Received: a damaged file or another format|pickled objects, never loaded",
    "pickle named .npy",
)
fit_of(
    "train.npz",
    packed_array(np.array([[object]], object)),
    "Received: pickled objects, never loaded",
    "pickled objects in a packed array",
)
fit_of("train.parquet", b"PAR1" + bytes(50), "Expected .*train.parquet", "Parquet file is damaged")
fit_of(
    "train.xls",
    b"",
    r"Expected a file of rows. Received: train.xls. Allowed: names that end in .csv",
    "format is unknown",
)


@fault(ROWS, "Expected a file of rows. Received: train.csv, which does not exist")
def file_of_rows_is_missing(scene: Scene) -> Arguments:
    return FIT


@fault(ROWS, "Expected a new folder for the model. Received: new-model, which holds something else")
def place_of_the_model_is_taken(scene: Scene) -> Arguments:
    scene.rows("a,b\n1,2\n2,3\n", "train.csv")
    (scene.folder / "new-model").mkdir()
    (scene.folder / "new-model" / "letter.txt").write_text("mine")
    return FIT


@fault(ROWS, "[Ee]rror 28|No space left on device")
def disk_is_full_when_a_model_is_written(scene: Scene) -> Arguments:
    scene.model()
    scene.rows("a,b\n" + "1,2\n2,3\n3,5\n" * 20, "train.csv")
    (scene.folder / "results").mkdir()
    shutil.move(scene.folder / "model", scene.folder / "results" / "model")
    scene.full_disk(room=8000)
    return ["fit", "train.csv", "--model", "results/model", "--overwrite", "--epochs", 1]


@fault(ROWS, "Expected the model's columns in new.csv. Received: no b; its columns are a, c")
def column_is_missing_when_scoring(scene: Scene) -> Arguments:
    scene.model()
    scene.rows("a,c\n1,x\n")
    scene.after.append(lambda: nothing_made(scene, "scored.csv"))
    return SCORE


@fault(ROWS, "Expected a number in column 'a'.* of new.csv. Received: 'seven'")
def text_in_a_column_of_numbers_when_scoring(scene: Scene) -> Arguments:
    scene.model()
    scene.rows("a,b,c\n1,2,x\nseven,2,y\n")
    scene.after.append(lambda: nothing_made(scene, "scored.csv"))
    return SCORE


@fault(ROWS, "Expected a new output. Received: scored.csv, which is there")
def output_is_there(scene: Scene) -> Arguments:
    scene.model()
    (scene.folder / "scored.csv").write_text("mine")
    return SCORE


@fault(ROWS, "Expected 3 columns in line 4 of new.csv|Expected 3 columns")
def damage_far_down_when_an_output_is_replaced(scene: Scene) -> Arguments:
    scene.model()
    scene.rows("a,b,c\n1,2,x\n1,2,x\n1,2\n")
    (scene.folder / "scored.csv").write_text("mine")
    return [*SCORE, "--overwrite", "--chunk-rows", 1]


@fault(ROWS, "No space left on device")
def disk_is_full_when_scores_are_written(scene: Scene) -> Arguments:
    scene.model()
    scene.rows("a,b,c\n" + "1,0.5,x\n" * 5000)
    (scene.folder / "results").mkdir()
    (scene.folder / "results" / "scored.csv").write_text("mine")
    scene.full_disk(room=0)
    return ["score", "new.csv", "--model", "model", "--output", "results/scored.csv", "--overwrite"]


# Model folders ----------------------------------------------------------------------------------------------------

MODEL = "Model folders"
INSPECT = ["inspect", "model"]
MODEL_FILES = (
    "columns.json",
    "data.json",
    "model.json",
    "preprocessing.json",
    "scaling.npz",
    "scores.npz",
    "weights.npz",
)

for _name in MODEL_FILES:

    @fault(MODEL, f"Received: {_name} is damaged. Copy it again", name=f"bit of {_name} is another")
    def _flip(scene: Scene, name: str = _name) -> Arguments:
        scene.model({name: flipped})
        return SCORE


@fault(MODEL, "a folder without its manifest.json|list of the files|is damaged")
def bit_of_the_manifest_is_another(scene: Scene) -> Arguments:
    scene.model({"manifest.json": flipped})
    return SCORE


@fault(MODEL, "Expected a model folder in model. Received: nothing. Allowed: what `alad fit` writes")
def model_folder_is_missing(scene: Scene) -> Arguments:
    return INSPECT


@fault(MODEL, "Received: weights.npz is missing. Copy it again, whole")
def file_of_a_model_is_missing(scene: Scene) -> Arguments:
    (scene.model() / "weights.npz").unlink()
    return SCORE


@fault(MODEL, "Received: startup.py does not belong to it")
def file_that_does_not_belong_to_a_model(scene: Scene) -> Arguments:
    (scene.model() / "startup.py").write_text("raise SystemExit")
    return SCORE


@fault(MODEL, "Received: model.json is damaged")
def link_in_place_of_a_file_of_a_model(scene: Scene) -> Arguments:
    path = scene.model() / "model.json"
    shutil.move(path, scene.folder / "elsewhere.json")
    path.symlink_to(scene.folder / "elsewhere.json")
    return SCORE


@fault(MODEL, "Received: a folder without its manifest.json")
def manifest_is_JSON_of_something_else(scene: Scene) -> Arguments:
    (scene.model() / "manifest.json").write_text('{"name": "an app", "icons": []}')
    return INSPECT


@fault(MODEL, "Expected a model folder of format 1 in model. Received: format 9. Read it with the version")
def model_is_of_a_newer_format(scene: Scene) -> Arguments:
    path = scene.model() / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 9}))
    return INSPECT


@fault(MODEL, "Expected the list of the files in model/manifest.json. Received: a damaged one")
def manifest_names_a_file_outside(scene: Scene) -> Arguments:
    folder = scene.model()
    shutil.copy(folder / "model.json", scene.folder / "outside.json")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../outside.json"] = files.entry(scene.folder / "outside.json")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return INSPECT


@fault(MODEL, "Expected JSON or arrays in model/weights.npz. Received: pickled objects, which are never loaded")
def pickled_objects_in_a_model(scene: Scene) -> Arguments:
    trap = np.array([Trap(scene.folder)], object)
    scene.model({"weights.npz": lambda _: packed_array(trap, "E/0")}, signed=True)
    scene.after.append(lambda: sprung(scene))
    return SCORE


@fault(MODEL, "Expected JSON or arrays in model/weights.npz")
def pickle_in_place_of_the_weights(scene: Scene) -> Arguments:
    scene.model({"weights.npz": lambda _: pickle.dumps(Trap(scene.folder))}, signed=True)
    scene.after.append(lambda: sprung(scene))
    return SCORE


@fault(MODEL, "Expected a file that unpacks to at most 200 times its size. Received: model/weights.npz")
def weights_are_a_bomb(scene: Scene) -> Arguments:
    scene.model({"weights.npz": lambda _: packed_array(np.zeros(1 << 24, np.float32), "E/0")}, signed=True)
    return SCORE


def document(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    """A file of JSON with a change."""

    def changed(content: bytes) -> bytes:
        read = json.loads(content)
        change(read)
        return json.dumps(read).encode()

    return changed


@fault(MODEL, r"Expected a model of ALAD in model. Received: .*a table of \d+ weights, of which \d+ are there")
def table_of_a_model_is_huge(scene: Scene) -> Arguments:
    scene.model({"model.json": document(lambda model: model["table"]["E"][0].update(units=10**9))}, signed=True)
    return SCORE


@fault(MODEL, "Expected a model of ALAD in model. Received: .*not finite")
def threshold_of_a_model_is_not_a_number(scene: Scene) -> Arguments:
    scene.model({"model.json": document(lambda model: model["threshold"].update(value=math.nan))}, signed=True)
    return SCORE


@fault(MODEL, "documents that do not fit together|damaged document")
def preprocessing_of_a_model_is_of_something_else(scene: Scene) -> Arguments:
    scene.model({"preprocessing.json": lambda _: b'{"__reduce__": "os.system"}'}, signed=True)
    return SCORE


@fault(MODEL, "Expected JSON or arrays in model/model.json")
def JSON_of_a_model_is_nested_without_end(scene: Scene) -> Arguments:
    scene.model({"model.json": lambda _: b"[" * 100_000}, signed=True)
    return INSPECT


# Calls ------------------------------------------------------------------------------------------------------------

CALLS = "Calls of the command line"


def wrong_call(arguments: str, says: str, title: str, code: int = 2) -> None:
    @fault(CALLS, says, code, name=title)
    def call(scene: Scene) -> Arguments:
        return arguments.split()


wrong_call("", "the following arguments are required: COMMAND", "no command")
wrong_call("trian kdd99", "invalid choice: 'trian'", "unknown command")
wrong_call("reproduce mnist", "invalid choice: 'mnist'", "unknown data set")
wrong_call("reproduce kdd99 --method GAN", "invalid choice: 'GAN'", "unknown method")
wrong_call(
    "reproduce toy --epochs 1.5",
    "--epochs: expected a whole number of at least 1, received '1.5'",
    "epochs that are no whole number",
)
wrong_call("reproduce toy --seed -1", "--seed: expected a whole number of at least 0, received '-1'", "negative seed")
wrong_call(
    "fit train.csv --model m --learning-rate nan",
    "expected a number above 0, received 'nan'",
    "learning rate that is no number",
)
wrong_call(
    "fit train.csv --model m --contamination 0.9",
    "expected a share above 0 and at most 0.5, received '0.9'",
    "contamination over one half",
)
wrong_call("fit train.csv", "required: --model", "no place for the model")
wrong_call("score new.csv --model m --output s.csv --fast", "unrecognized arguments: --fast", "unknown option")
wrong_call(
    "reproduce kdd99 --training-half released",
    "Received: 'released'. Only arrhythmia has both",
    "option of another data set",
    1,
)
wrong_call("table 3", "Received: 3", "table that the paper has elsewhere", 1)
wrong_call(
    "fit train.csv --model m --label kind",
    "Expected both --label COL and --normal VALUE",
    "option without its other half",
    1,
)
