"""Interrupted runs resume with bit-identical results; damaged checkpoints are named and never used."""

from __future__ import annotations

import contextlib
import json
import math
import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import kill_runs
import numpy as np
import pytest
import small_run
import tensorflow as tf
from conftest import CHECKOUT
from reference import eagerly

from alad_tf.errors import AladError, DataError, Stopped
from alad_tf.experiments import checkpoints
from alad_tf.experiments import run as experiment
from alad_tf.experiments.process import STOPPED
from alad_tf.experiments.progress import Progress
from alad_tf.io import locks, manifest
from alad_tf.model import alad_trainer, spectral_norm
from alad_tf.typing import Options

pytestmark = pytest.mark.minutes(3)


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    with small_run.small():
        yield


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Collect warnings, in tests that expect some; the others fail on a warning."""
    return caplog


@pytest.fixture(autouse=True)
def no_warnings(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    spectral_norm.wrapper("tfa")  # on the current stack, the first call logs that it has no tensorflow-addons
    yield
    if "warned" not in request.fixturenames:
        assert not [record for record in caplog.get_records("call") if record.name.startswith("alad_tf")]


def run(run_dir: Path, stopping: Callable[[], bool] = lambda: False, **options: Any) -> list[Progress]:
    """Start or resume the small run until it is complete or stopped, and return its reports."""
    reports: list[Progress] = []
    try:
        experiment.run(small_run.settings(**options), 3, run_dir, report=reports.append, stopping=stopping)
    except Stopped as error:
        steps = small_run.STEPS * options.get("epochs", 6)
        assert str(error) == f"stopped at step {reports[-1].step} of {steps}; the same command resumes there"
    return reports


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# The same bits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({}, [3, 6, 8, 11, 14, 16]),
        ({"spectral_norm": None, "ema_decay": None}, [3, 6, 8]),
        ({"spectral_norm": "tfa", "latent_discriminator": False}, [3, 6, 8]),
    ],
    ids=["all", "no SN, no average", "tfa SN, no Dzz"],
)
def test_stopped_after_every_chunk(tmp_path: Path, options: Options, steps: list[int]) -> None:
    """Epochs have 4 steps and records 8, in chunks of 3, 3 and 2. Only the whole graph is shared."""
    epochs = steps[-1] // 4
    with small_run.small(epochs=epochs), eagerly() if options else contextlib.nullcontext():
        whole = run(tmp_path / "whole", epochs=epochs, **options)
        parts = []
        while not (tmp_path / "parts" / "result.json").exists():
            parts.append(run(tmp_path / "parts", lambda: True, epochs=epochs, **options))
    assert [[report.step for report in part] for part in parts] == [[step] for step in steps]
    assert [report for part in parts for report in part] == whole
    assert small_run.outcome(tmp_path / "parts") == small_run.outcome(tmp_path / "whole")
    assert "checkpoints" not in names_in(tmp_path / "parts") and "lock" not in names_in(tmp_path / "parts")


@pytest.mark.parametrize("jit", [pytest.param(False, marks=pytest.mark.slow), True])
def test_compiled_run_goes_on_with_the_same_bits(tmp_path: Path, jit: bool) -> None:
    """The run stops after 14 steps, within an epoch and within a record."""
    run(tmp_path / "whole", jit=jit)
    answers = iter([False] * 4 + [True])
    assert run(tmp_path / "parts", lambda: next(answers), jit=jit)[-1].step == 14
    assert [report.step for report in run(tmp_path / "parts", jit=jit)] == [16, 19, 22, 24]
    assert small_run.outcome(tmp_path / "parts") == small_run.outcome(tmp_path / "whole")


def test_run_after_others_in_a_process_has_the_bits_of_a_run_in_a_fresh_one(tmp_path: Path) -> None:
    """Seed 3 comes after seed 4, with its compiled step, and is stopped once."""
    code = (
        "import contextlib, sys; from pathlib import Path; import small_run; from alad_tf.errors import Stopped; "
        "from alad_tf.experiments import run\n"
        "settings = small_run.settings(2, jit=True)\n"
        "for seed, stops in eval(sys.argv[2]):\n"
        "    with small_run.small(epochs=2), contextlib.suppress(Stopped):\n"
        "        run.run(settings, seed, Path(sys.argv[1], str(seed)), stopping=lambda: stops)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "tests")])}
    for folder, runs in (
        (tmp_path / "fresh", "[(3, False)]"),
        (tmp_path / "after", "[(4, False), (3, True), (3, False)]"),
    ):
        subprocess.run([sys.executable, "-c", code, str(folder), runs], env=environment, check=True)
    outcomes = [small_run.outcome(tmp_path / path) for path in ("fresh/3", "after/3", "after/4")]
    assert outcomes[0] == outcomes[1] != outcomes[2]


def test_every_variable_is_restored(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(2048, 2)).astype(np.float32)
    one, other = (small_run.trainer(seed, x) for seed in (3, 4))
    one.train(5)
    saved = checkpoints.Checkpoints(tmp_path, one.variables)
    saved.save(5, {"f1": 0.1, "none": None})
    assert checkpoints.Checkpoints(tmp_path, other.variables).restore() == {"f1": 0.1, "none": None}
    everything = [
        [
            trainer.step,
            *(w for built in (trainer.networks, trainer.average) if built for w in built.trained_weights + built.state),
            *trainer.optimizers["d"].variables,
            *trainer.optimizers["ge"].variables,
        ]
        for trainer in (one, other)
    ]
    assert len(everything[0]) > 100
    for a, b in zip(*everything):
        assert a.numpy().tobytes() == b.numpy().tobytes(), a.name


def test_seconds_add_up(tmp_path: Path) -> None:
    begin = time.monotonic()
    run(tmp_path, lambda: True)
    log = tmp_path / "checkpoints" / "step3" / "log.json"
    first = json.loads(log.read_text())["seconds"]
    run(tmp_path)
    total = json.loads((tmp_path / "result.json").read_text())["seconds"]
    assert 0 < first < total < time.monotonic() - begin


def test_checkpoints_are_as_often_as_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    monkeypatch.setattr(checkpoints.Checkpoints, "save", lambda self, step, log: saved.append(step))
    run(tmp_path / "often")
    assert saved == [3, 6, 8, 11, 14, 16, 19, 22, 24]
    saved.clear()
    with small_run.small(seconds=1000.0):
        run(tmp_path / "at ends of epochs")
    assert saved == [8, 16, 24]
    with small_run.small(seconds=1000.0, epoch_seconds=1000.0):
        run(tmp_path / "seldom")
    assert saved == [8, 16, 24]


# Damage -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def variables() -> tf.train.Checkpoint:
    return tf.train.Checkpoint(x=tf.Variable([0.0, 0.0]))


@pytest.fixture
def saved(tmp_path: Path, variables: tf.train.Checkpoint) -> checkpoints.Checkpoints:
    """Checkpoints of steps 7 to 11; the last two are kept."""
    kept = checkpoints.Checkpoints(tmp_path / "checkpoints", variables)
    for step in range(7, 12):
        variables.x.assign([step, -step])
        kept.save(step, {"step": step})
    variables.x.assign([0.0, 0.0])
    return kept


def test_the_last_two_are_kept(saved: checkpoints.Checkpoints, variables: tf.train.Checkpoint) -> None:
    assert names_in(saved.folder) == {"step10", "step11"}
    assert saved.restore() == {"step": 11}
    assert variables.x.numpy().tolist() == [11.0, -11.0]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "removed": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "flipped": flip,
}
PARTS = ("variables.index", "variables.data-00000-of-00001", "log.json", "SHA256SUMS")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", PARTS)
def test_damaged_newest(
    saved: checkpoints.Checkpoints,
    variables: tf.train.Checkpoint,
    name: str,
    damage: str,
    warned: pytest.LogCaptureFixture,
) -> None:
    DAMAGES[damage](saved.folder / "step11" / name)
    assert saved.restore() == {"step": 10}
    assert variables.x.numpy().tolist() == [10.0, -10.0]
    (line,) = warned.messages
    assert line.startswith(f"damaged checkpoint in {saved.folder}, step11: ") and "step10" in line
    variables.x.assign([1.0, 2.0])
    saved.save(11, {"step": 11})
    assert saved.restore() == {"step": 11} and names_in(saved.folder) == {"step10", "step11"}


def test_damaged_newest_does_not_push_out_an_intact_one(
    saved: checkpoints.Checkpoints, warned: pytest.LogCaptureFixture
) -> None:
    flip(saved.folder / "step11" / "log.json")
    assert saved.restore() == {"step": 10}
    saved.save(10, {"step": 10})
    assert names_in(saved.folder) == {"step10"}


def test_sums_that_are_no_plain_file(saved: checkpoints.Checkpoints, warned: pytest.LogCaptureFixture) -> None:
    """To read a pipe that nobody writes to would never end."""
    (saved.folder / "step11" / checkpoints.SUMS).unlink()
    os.mkfifo(saved.folder / "step11" / checkpoints.SUMS)
    assert saved.restore() == {"step": 10} and "a special file" in warned.text


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("variables.data-00000-of-00001", lambda content: content[:3]),
        ("log.json", lambda content: b"[1]"),
        ("log.json", lambda content: b"null"),
    ],
)
def test_damage_that_has_its_sum(
    saved: checkpoints.Checkpoints, name: str, change: Callable[[bytes], bytes], warned: pytest.LogCaptureFixture
) -> None:
    folder = saved.folder / "step11"
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    (folder / checkpoints.SUMS).unlink()
    (folder / checkpoints.SUMS).write_text(manifest.to_sums(manifest.entries(folder)))
    assert saved.restore() == {"step": 10} and "damaged checkpoint" in warned.text


def test_all_damaged(saved: checkpoints.Checkpoints) -> None:
    for step in (10, 11):
        flip(saved.folder / f"step{step}" / "variables.data-00000-of-00001")
    with pytest.raises(DataError) as caught:
        saved.restore()
    text = str(caught.value)
    assert text.startswith(f"Expected an intact checkpoint in {saved.folder}. Received: step11: ")
    assert "step10: " in text and text.endswith("To start the run again, remove that folder.") and "\n" not in text


def test_damage_without_a_message(saved: checkpoints.Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(checkpoints.Checkpoints, "_read", read)
    with pytest.raises(DataError, match=r"Received: step\d+: OSError; step\d+: OSError\. To start"):
        saved.restore()


def test_variables_of_another_kind(saved: checkpoints.Checkpoints, tmp_path: Path) -> None:
    for other in (tf.train.Checkpoint(x=tf.Variable([0.0])), tf.train.Checkpoint(y=tf.Variable([0.0, 0.0]))):
        with pytest.raises(DataError, match="Expected an intact checkpoint"):
            checkpoints.Checkpoints(saved.folder, other).restore()


def test_no_checkpoint(tmp_path: Path, variables: tf.train.Checkpoint) -> None:
    assert checkpoints.Checkpoints(tmp_path / "none", variables).restore() is None
    assert not (tmp_path / "none").exists()


def test_left_overs_of_a_killed_process_are_removed(saved: checkpoints.Checkpoints) -> None:
    (saved.folder / ".step_half").mkdir()
    (saved.folder / ".step_half" / "log.json").write_text("{")
    assert saved.restore() == {"step": 11}
    assert names_in(saved.folder) == {"step10", "step11"}


# Faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["rename", "fsync"])
def test_fault_while_saving_leaves_the_others(
    saved: checkpoints.Checkpoints, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(os, call, full)
        saved.save(12, {"step": 12})
    assert names_in(saved.folder) == {"step10", "step11"}
    assert saved.restore() == {"step": 11}


def test_full_disk(tmp_path: Path) -> None:
    """A limit on file sizes simulates it: TensorFlow cannot write."""
    resource = pytest.importorskip("resource")
    saved = checkpoints.Checkpoints(tmp_path, tf.train.Checkpoint(x=tf.Variable([1.0] * 10_000)))
    saved.save(1, {})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, before[1]))
    try:
        with pytest.raises(
            (AladError, OSError), match=f"^Expected to write a checkpoint in {re.escape(str(tmp_path))}. Received: "
        ):
            saved.save(2, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert saved.restore() == {} and names_in(tmp_path) == {"step1"}


def test_folder_that_may_not_be_written(saved: checkpoints.Checkpoints) -> None:
    if os.geteuid() == 0:
        os.seteuid(65534)
    else:
        saved.folder.chmod(0o555)
    try:
        with pytest.raises(PermissionError, match="checkpoints"):
            saved.save(12, {})
    finally:
        os.seteuid(os.getuid())
        saved.folder.chmod(0o755)
    assert saved.restore() == {"step": 11}


def test_losses_that_are_not_finite_leave_the_last_finite_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = alad_trainer.Trainer.train

    def spoiled(self: alad_trainer.Trainer, steps: int) -> dict[str, float]:
        losses = train(self, steps)
        return {**losses, "Dxx": math.nan} if self.step.numpy() == 8 else losses

    monkeypatch.setattr(alad_trainer.Trainer, "train", spoiled)
    with pytest.raises(AladError, match=r"Received: Dxx is nan at step 8\. Try "):
        run(tmp_path)
    assert names_in(tmp_path / "checkpoints") == {"step3", "step6"}
    monkeypatch.undo()
    with small_run.small():
        assert run(tmp_path)[0].step == 8


def test_collapse_is_warned_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: pytest.LogCaptureFixture
) -> None:
    losses = {"loss_d": 1e-5, "loss_ge": 9.0}
    monkeypatch.setattr(alad_trainer.Trainer, "train", lambda self, steps: losses)
    experiment.run(small_run.settings(), 3, tmp_path)
    assert [line.startswith("loss_d is 1e-05 at step 3: ") for line in warned.messages] == [True]


# Other processes --------------------------------------------------------------------------------------------------


def test_second_process_is_refused_by_number(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from alad_tf import errors; from alad_tf.io import locks\n"
        "try:\n    with locks.locked(pathlib.Path(sys.argv[1])): print('in')\n"
        "except errors.AladError as error: print(error)"
    )

    def other() -> str:
        command = [sys.executable, "-c", code, str(tmp_path)]
        return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True).stdout

    with locks.locked(tmp_path):
        assert other() == (
            f"Expected a folder that no other process is using. Received: {tmp_path}, used by process {os.getpid()}.\n"
        )
        with pytest.raises(AladError, match="used by process"):
            experiment.run(small_run.settings(), 3, tmp_path)
    assert other() == "in\n"
    (tmp_path / "lock").write_text("99")  # of a process that was killed
    assert other() == "in\n" and not (tmp_path / "lock").exists()


def test_terminated_process_saves_at_the_end_of_its_chunk(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=small_run.work, args=(tmp_path, writer), daemon=True)
    process.start()
    writer.close()
    while process.is_alive() and not (tmp_path / "checkpoints" / "step3").exists():
        reader.poll(0.05)
    process.terminate()
    process.join(60)
    assert process.exitcode == STOPPED
    messages = []
    with contextlib.suppress(EOFError):
        while True:
            messages.append(reader.recv())
    newest = max(int(path.name[4:]) for path in (tmp_path / "checkpoints").iterdir())
    assert messages[-1] == f"stopped at step {newest} of 4000; the same command resumes there"
    assert messages[-2].step == newest


@pytest.mark.slow
def test_killed_processes_go_on_with_the_same_bits(tmp_path: Path) -> None:
    """Kill real processes five times; the script can do more."""
    outcome = kill_runs.Outcome.of_kills(tmp_path, kills=5, seed=1)
    assert outcome.problems == [] and sum(outcome.kills.values()) == 5
    assert set(outcome.kills) & {"training", "checkpoint"} and "results" in outcome.kills
