"""Fault cases, one function each: what is broken, the call of `alad`, and the expected message.

A case breaks something in a `Scene` and returns the arguments of the call. `test_faults.py` makes the call and asserts
the message, the exit code, and that whatever was there before is unchanged; `docs/faults.md` is the table of what came
of it. To add a case, write one function with `fault` in a file `fault_cases_*.py`, then call `pytest
tests/robustness/test_faults.py --write-table`.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, cast
from unittest.mock import patch

import numpy as np
import pytest
import small_run
from conftest import CHECKOUT
from fuzz_readers import Valid, sign
from reference import eagerly

from alad_tf.errors import Stopped
from alad_tf.experiments import run, scheduler
from alad_tf.experiments.process import _work
from alad_tf.experiments.settings import RUN_FILES, Settings, is_complete
from alad_tf.model import alad_trainer

EPOCHS = 6
RUN = ["reproduce", "toy", "--epochs", EPOCHS, "--out", "results"]
Arguments = Sequence[object]


@dataclass(frozen=True)
class Said:
    """Outcome of a call."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Fault:
    """A case: the function that makes the fault, the expected message and the expected exit code."""

    group: str
    name: str
    make: Callable[[Scene], Arguments]
    says: str
    code: int


FAULTS: list[Fault] = []


def fault(group: str, says: str, code: int = 1, name: str = "") -> Callable[[Callable[[Scene], Arguments]], Any]:
    """Register a function as a case.

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
    """Files written before a fault: a complete run, a stopped run, a model folder, and rows."""

    results: Path
    model: Valid

    @classmethod
    def make(cls, folder: Path) -> Earlier:
        settings = Settings.of_protocol("toy", epochs=EPOCHS)
        with small_run.small(), eagerly():
            run.run(settings, 0, settings.folder(folder / "results", 0))
            answers = iter([False, False, True])
            with pytest.raises(Stopped):
                stopped = settings.folder(folder / "results", 1)
                run.run(settings, 1, stopped, stopping=lambda: next(answers))
        return cls(folder / "results", Valid(folder))


@dataclass
class Scene:
    """A folder with results of earlier calls, in which a case breaks something and calls `alad`."""

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
        """Do small runs in this process; return arguments of a call for the missing runs of seeds 0 and 1.

        Args:
            replaced: methods of `Trainer` to replace.
        """
        self.results()
        self.changes = (str(self.run_dir(1)), str(self.run_dir(1).parent / "summary.json"))
        for context in (eagerly(), patch.object(scheduler, "RunProcess", Inline), patch.object(scheduler, "wait")):
            self.stack.enter_context(context)
        if replaced:
            self.stack.enter_context(patch.multiple(alad_trainer.Trainer, **replaced))
        self.after.append(self.first_run_is_complete)
        return [*RUN, "--runs", 2]

    def checkpoint(self, newest: int = 0) -> Path:
        """A checkpoint of the stopped run."""
        found = sorted(self.run_dir(1).glob("checkpoints/step*"), key=lambda path: int(path.name[4:]))
        return found[-1 - newest]

    def first_run_is_complete(self) -> None:
        assert is_complete(self.run_dir(0))

    def processes(self, actions: str) -> list[object]:
        """Small runs in real processes with changed code; return arguments for seeds 0, 1 and 2."""
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
        """Assert that a run's results are unchanged."""
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

    def full_disk(self) -> None:
        """Put `results` on a separate, full disk."""
        fill = "cat /dev/zero > results/.filler 2> /dev/null"
        self._mounted(f"mount -t tmpfs -o size=4m tmpfs results && cp -a before/. results && ! {fill}")

    def read_only(self) -> None:
        """Put `results` on a disk mounted read-only."""
        self._mounted("mount --bind results results && mount -o remount,ro,bind results")

    def _mounted(self, mount: str) -> None:
        if (
            shutil.which("unshare") is None
            or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode
        ):
            pytest.skip("this system lets no one mount a disk for a test")

        def call(arguments: Arguments) -> Said:
            shutil.copytree(self.folder / "results", self.folder / "before")
            script = f'{mount} || exit 99; "$@"; code=$?; rm -f results/.filler; cp -a results after; exit $code'
            said = process(arguments, self.folder, ["unshare", "-rm", "sh", "-c", script, "sh"])
            shutil.rmtree(self.folder / "results")
            os.rename(self.folder / "after", self.folder / "results")
            shutil.rmtree(self.folder / "before")
            return said

        self.call = call


class Inline:
    """Does a run in this process instead of a separate one."""

    def __init__(self, dataset: str, data_dir: Path | None) -> None:
        self.data_dir = data_dir
        self.said: list[Any] = []

    def begin(self, name: str, settings: Settings, seed: int, run_dir: Path) -> None:
        code = 0
        handler = signal.getsignal(signal.SIGTERM)
        parent = SimpleNamespace(is_alive=lambda: True)
        with patch.object(os, "dup2"), patch.object(multiprocessing, "parent_process", lambda: parent):
            try:
                _work(settings, seed, run_dir, self.data_dir, cast(Connection, SimpleNamespace(send=self.said.append)))
            except SystemExit as end:
                code = int(end.code or 0)
        signal.signal(signal.SIGTERM, handler)
        self.process = SimpleNamespace(exitcode=code, sentinel=0, is_alive=lambda: False)

    def messages(self) -> list[Any]:
        said, self.said = self.said, []
        return said


# Replaces alad_tf.experiments.run in a run's process until it is called: nothing imports TensorFlow before.
STAND_IN = """
import os, signal, sys, types

def run(settings, seed, run_dir, **options):
    del sys.modules["alad_tf.experiments.run"]
    sys.path.append({tests!r})
    import small_run
    from alad_tf.experiments import checkpoints
    from alad_tf.experiments import run as experiment
    from alad_tf.io import atomic
    if seed == 1:
        {actions}
    with small_run.small():
        experiment.run(settings, seed, run_dir, **options)

stand_in = sys.modules["alad_tf.experiments.run"] = types.ModuleType("alad_tf.experiments.run")
stand_in.run = run
"""


def process(arguments: Arguments, folder: Path, prefix: Sequence[str] = (), **options: Any) -> Said:
    """Run `alad` in a separate process."""
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(CHECKOUT)]).strip(os.pathsep)
    command = [*prefix, sys.executable, "-m", "alad_tf", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, **options)
    return Said(done.returncode, done.stdout, done.stderr)


def flipped(content: bytes) -> bytes:
    """Flip one bit in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def cut(content: bytes) -> bytes:
    """Keep only the beginning, the same in every run."""
    return content[:20]


def change(path: Path, how: Callable[[bytes], bytes]) -> None:
    path.write_bytes(how(path.read_bytes()))


class Trap:
    """Leaves a trace when it is loaded from a pickle."""

    def __init__(self, folder: Path) -> None:
        self.trace = folder / "trace"

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def sprung(scene: Scene) -> None:
    assert not (scene.folder / "trace").exists(), "a pickle was executed"


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
