"""Runs in other processes: complete, skipped, repeated, failed, killed and interrupted.

The workers are scripted: `sitecustomize`, which Python imports at start-up, replaces alad_tf.experiments.run by a
module that follows a plan.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import types
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import CHECKOUT
from stopped_runs import (
    PATIENCE,
    TOY,
    close_terminal,
    group_is_empty,
    obey_control_c,
    press_control_c,
    reproduce,
    state,
    stopped,
    terminate,
    wait_for,
)

from alad_tf.cli.arguments import GOES_ON
from alad_tf.data import loading
from alad_tf.errors import AladError, DataError, SettingsError
from alad_tf.experiments import scheduler
from alad_tf.experiments.process import THREAD_VARIABLES
from alad_tf.experiments.settings import Settings, is_complete
from alad_tf.typing import Options

pytestmark = pytest.mark.minutes(0.7)


SCRIPTED = """
import json, logging, os, signal, sys, time, types
from pathlib import Path

HERE = Path(__file__).parent

def run(settings, seed, run_dir, *, data_dir=None, report=None, stopping=None):
    from alad_tf.errors import AladError, Stopped
    from alad_tf.experiments.progress import Progress
    from alad_tf.experiments.settings import RUN_FILES
    plan = json.loads((HERE / "plan.json").read_text())
    action, *rest = plan.get(str(seed), "complete").split()
    facts = {"environment": dict(os.environ), "data_dir": str(data_dir), "pid": os.getpid(), "start": time.time()}
    (run_dir / "facts.json.part").write_text(json.dumps(facts))
    os.replace(run_dir / "facts.json.part", run_dir / "facts.json")
    if action == "early":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(600)
    report(Progress(step=1, steps=4, losses={"loss_d": 1.5, "loss_ge": 2.5}))
    print("noise of Python", file=sys.stderr, flush=True)
    os.write(2, b"noise of a library\\n")
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "crash":
        raise RuntimeError("boom")
    if action == "refuse":
        raise AladError("Expected this. Received: that.")
    if action == "disk":
        raise OSError(28, "No space left on device")
    if action == "memory":
        raise MemoryError
    if action == "hang":
        time.sleep(600)
    if action == "stop":
        os.kill(os.getpid(), signal.SIGTERM)
        action = "wait"
    if action == "late":
        os.kill(os.getpid(), signal.SIGTERM)
    if action == "warn":
        logging.getLogger("alad_tf.experiments.run").warning("not as it should %s", "be")
    if action == "wait":
        while not stopping():
            time.sleep(0.05)
        raise Stopped("stopped at step 1 of 4; the same command resumes there")
    while action == "report":
        if stopping():
            raise Stopped("stopped")
        report(Progress(step=2, steps=4, losses={"loss_d": 1.5, "loss_ge": 2.5}))
        time.sleep(0.05)
    if action == "meet":
        while not (run_dir.parent / f"seed{rest[0]}" / "facts.json").exists():
            time.sleep(0.05)
    for name in RUN_FILES[1:]:
        (run_dir / name).write_text("made")
    facts["end"] = time.time()
    (run_dir / "facts.json").write_text(json.dumps(facts))

sys.modules["alad_tf.experiments.run"] = types.ModuleType("alad_tf.experiments.run")
sys.modules["alad_tf.experiments.run"].run = run
if (HERE / "interrupt").exists() and os.environ["TF_NUM_INTRAOP_THREADS"] == "2":  # a worker of the toy data starts
    os.kill(os.getpid(), int((HERE / "interrupt").read_text()))
"""

Script = Callable[[dict[int, str]], Path]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """`script({seed: action})` sets what workers do that start from now on, and returns the script's folder."""
    folder = tmp_path / "script"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SCRIPTED)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))

    def plan(actions: dict[int, str]) -> Path:
        (folder / "plan.json").write_text(json.dumps(actions))
        return folder

    plan({})
    return plan


def facts(out: Path, seed: int) -> dict[str, Any]:
    return dict(json.loads((TOY.folder(out, seed) / "facts.json").read_text()))


# Scripted workers -------------------------------------------------------------------------------------------------


def test_failures_are_named_by_seed_and_the_others_go_on(
    script: Script, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script({1: "kill", 2: "refuse", 3: "crash", 4: "disk", 5: "memory"})
    with pytest.raises(AladError) as caught:
        scheduler.run_all(TOY, range(7), tmp_path / "out", jobs=3)
    folders = [TOY.folder(tmp_path / "out", seed) for seed in range(7)]
    reasons = [
        f"seed 1: its process ended with exit code -9, see {folders[1] / 'log.txt'}",
        "seed 2: Expected this. Received: that.",
        f"seed 3: its process ended with exit code 1, see {folders[3] / 'log.txt'}",
        "seed 4: [Errno 28] No space left on device",
        "seed 5: MemoryError",
    ]
    assert str(caught.value) == "; ".join(reasons)
    assert [is_complete(folder) for folder in folders] == [True, False, False, False, False, False, True]
    captured = capfd.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines[0] == "toy ALAD-1epochs: seed 0, seed 1, seed 2, seed 3, seed 4, seed 5, seed 6: 1 epoch each"
    ends = [f"toy ALAD-1epochs {reason}" for reason in reasons] + [
        f"toy ALAD-1epochs seed {seed}: complete" for seed in (0, 6)
    ]
    assert sorted(lines[1:]) == sorted(ends)
    assert "RuntimeError: boom" in (folders[3] / "log.txt").read_text()
    assert (folders[0] / "log.txt").read_text() == "noise of Python\nnoise of a library\n"


def test_next_call_makes_what_is_missing_and_nothing_else(
    script: Script, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script({1: "kill"})
    with pytest.raises(AladError):
        scheduler.run_all(TOY, range(3), tmp_path, jobs=3)
    before = [state(TOY.folder(tmp_path, seed)) for seed in range(3)]
    capfd.readouterr()
    script({0: "kill", 2: "kill"})
    scheduler.run_all(TOY, range(3), tmp_path, jobs=3)
    assert is_complete(TOY.folder(tmp_path, 1))
    assert [state(TOY.folder(tmp_path, seed)) == before[seed] for seed in range(3)] == [True, False, True]
    assert capfd.readouterr().err.splitlines() == [
        "toy ALAD-1epochs: complete already: seed 0, seed 2",
        "toy ALAD-1epochs: seed 1: 1 epoch",
        "toy ALAD-1epochs seed 1: complete",
    ]


def test_a_process_does_runs_until_one_fails(script: Script, tmp_path: Path) -> None:
    script({2: "crash"})
    with pytest.raises(AladError, match="^seed 2: its process ended with exit code 1, see [^;]*$"):
        scheduler.run_all(TOY, range(5), tmp_path, jobs=1)
    pids = [facts(tmp_path, seed)["pid"] for seed in range(5)]
    assert pids == [pids[0]] * 3 + [pids[3]] * 2 and pids[3] != pids[0]
    logs = [(TOY.folder(tmp_path, seed) / "log.txt").read_text() for seed in range(5)]
    assert "Process seed 2:" in logs.pop(2)
    assert logs == ["noise of Python\nnoise of a library\n"] * 4


def test_runs_with_a_strategy_have_processes_of_their_own(script: Script, tmp_path: Path) -> None:
    settings = Settings.of_protocol("toy", epochs=1, jit=False, strategy="mirrored")
    scheduler.run_all(settings, range(3), tmp_path, jobs=1)
    paths = [settings.folder(tmp_path, seed) / "facts.json" for seed in range(3)]
    assert len({json.loads(path.read_text())["pid"] for path in paths}) == 3


def test_process_that_is_asked_to_end_begins_no_other_run(script: Script, tmp_path: Path) -> None:
    """Seed 1 is complete although it was asked, after its last report; seed 3 has not made a report yet."""
    script({1: "late", 3: "early"})
    with pytest.raises(AladError, match="^seed 3: its process ended with exit code -15, see [^;]*$"):
        scheduler.run_all(TOY, range(5), tmp_path, jobs=1)
    pids = [facts(tmp_path, seed)["pid"] for seed in range(5)]
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]
    assert [is_complete(TOY.folder(tmp_path, seed)) for seed in range(5)] == [True, True, True, False, True]


def test_jobs_at_a_time(script: Script, tmp_path: Path) -> None:
    """Seeds 0 and 1 can only end if both run at once; a third run waits."""
    script({0: "meet 1", 1: "meet 0"})
    scheduler.run_all(TOY, range(4), tmp_path / "two", jobs=2)
    scheduler.run_all(TOY, [2, 3], tmp_path / "one", jobs=1)
    for out, seeds, jobs in ((tmp_path / "two", [0, 1, 2, 3], 2), (tmp_path / "one", [2, 3], 1)):
        spans = [(facts(out, seed)["start"], facts(out, seed)["end"]) for seed in seeds]
        assert max(sum(start <= moment < end for start, end in spans) for moment, _ in spans) == jobs


@pytest.mark.parametrize(("dataset", "threads"), [("toy", "2"), ("kdd99", "1")])
def test_workers_have_the_protocols_threads(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str, threads: str
) -> None:
    monkeypatch.setattr(loading, "load", lambda *_, **__: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("TF_NUM_INTEROP_THREADS")
    settings = Settings.of_protocol(dataset)
    scheduler.run_all(settings, [0], tmp_path, jobs=1, data_dir=tmp_path / "data")
    received = json.loads((settings.folder(tmp_path, 0) / "facts.json").read_text())
    assert received["data_dir"] == str(tmp_path / "data")
    assert {received["environment"][name] for name in THREAD_VARIABLES} == {threads}
    assert os.environ["OMP_NUM_THREADS"] == "7" and "TF_NUM_INTEROP_THREADS" not in os.environ


def test_modules_of_the_current_folder_are_not_imported(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -c`, which starts a worker, imports from there first. A relative folder of results is still there."""
    strange = tmp_path / "strange"
    for name in ("multiprocessing/__init__", "random", "pickle", "socket"):
        (strange / f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (strange / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    monkeypatch.chdir(strange)
    monkeypatch.setattr(resource_tracker, "ensure_running", resource_tracker.ResourceTracker().ensure_running)
    scheduler.run_all(TOY, [0], Path("out"), jobs=1)
    assert is_complete(TOY.folder(strange / "out", 0))
    assert not (tmp_path / "executed").exists() and Path.cwd() == strange


def test_data_are_looked_at_once_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def load(name: str, **options: Any) -> None:
        calls.append((name, options))
        raise DataError("Expected a file. Received: none.")

    monkeypatch.setattr(loading, "load", load)
    settings = Settings.of_protocol("arrhythmia", scaling="minmax", training_half="released")
    with pytest.raises(DataError):
        scheduler.run_all(settings, range(3), tmp_path / "out", jobs=3, data_dir=tmp_path)
    assert calls == [("arrhythmia", {"data_dir": tmp_path, "scaling": "minmax", "training_half": "released"})]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [{"training_half": "released"}, {"scaling": "minmax"}])
def test_options_of_images_are_refused_once_before_anything_is_written(tmp_path: Path, options: Options) -> None:
    settings = Settings.of_protocol("cifar10", **options)
    with pytest.raises(SettingsError, match="cifar10"):
        scheduler.run_all(settings, [0], tmp_path / "out", jobs=2, classes=[0, 1])
    assert not (tmp_path / "out").exists()


def test_one_folder_of_other_settings_stops_all(script: Script, tmp_path: Path) -> None:
    Settings.of_protocol("toy", epochs=2, jit=False).claim(TOY.folder(tmp_path, 2), 3)
    content = (TOY.folder(tmp_path, 2) / "config.json").read_bytes()
    with pytest.raises(SettingsError, match="seed is 3 there and 2 here; epochs is 2 there and 1 here"):
        scheduler.run_all(TOY, range(3), tmp_path, jobs=3)
    assert not list(tmp_path.rglob("facts.json"))
    assert (TOY.folder(tmp_path, 2) / "config.json").read_bytes() == content


def test_log_that_cannot_be_written(script: Script, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = TOY.folder(tmp_path, 0) / "log.txt"
    log.mkdir(parents=True)
    with pytest.raises(AladError) as caught:
        scheduler.run_all(TOY, range(2), tmp_path, jobs=2)
    assert str(caught.value).startswith("seed 0: ") and str(log) in str(caught.value)
    assert is_complete(TOY.folder(tmp_path, 1))
    assert all(line.startswith("toy ALAD") for line in capfd.readouterr().err.splitlines())


def test_parent_does_not_import_tensorflow(script: Script, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from alad_tf.experiments import scheduler; "
        "from alad_tf.experiments.settings import Settings\n"
        "scheduler.run_all(Settings.of_protocol('toy', epochs=1, jit=False), [0], Path(sys.argv[1]), jobs=1)\n"
        "print(sorted({'tensorflow', 'tensorflow_addons', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n")
    assert is_complete(TOY.folder(tmp_path, 0))


@pytest.mark.parametrize("stop", [press_control_c, terminate, close_terminal])
def test_stopped_in_the_middle(script: Script, tmp_path: Path, stop: Callable[[int], None]) -> None:
    out, folders = tmp_path / "out", [TOY.folder(tmp_path / "out", seed) for seed in range(4)]
    script({1: "wait", 2: "wait"})
    ready = [folder / name for folder, name in zip(folders, ("result.json", "facts.json", "facts.json"))]
    code, error = stopped(reproduce(out, seeds=4, jobs=2), lambda: all(path.exists() for path in ready), stop)
    assert code == 130, error
    assert error.splitlines() == [
        "toy ALAD-1epochs: seed 0, seed 1, seed 2, seed 3: 1 epoch each",
        "toy ALAD-1epochs seed 0: complete",
        "toy ALAD-1epochs seed 1: stopped at step 1 of 4; the same command resumes there",
        "toy ALAD-1epochs seed 2: stopped at step 1 of 4; the same command resumes there",
        f"alad: interrupted; {GOES_ON}",
    ]
    assert [is_complete(folder) for folder in folders] == [True, False, False, False]
    assert not (folders[3] / "facts.json").exists()
    before = state(folders[0])
    script({0: "kill"})
    scheduler.run_all(TOY, range(4), out, jobs=2)
    assert all(map(is_complete, folders))
    assert state(folders[0]) == before


def test_workers_end_when_the_command_is_killed(script: Script, tmp_path: Path) -> None:
    script({0: "report", 1: "report"})
    started = [TOY.folder(tmp_path / "out", seed) / "facts.json" for seed in (0, 1)]
    code, _ = stopped(
        reproduce(tmp_path / "out", seeds=2, jobs=2),
        lambda: all(path.exists() for path in started),
        lambda process: os.kill(process, signal.SIGKILL),
    )
    assert code == -signal.SIGKILL
    assert not list(tmp_path.rglob("result.json"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_signals_of_a_terminal_are_left_to_the_parent_from_a_workers_start(
    number: signal.Signals, script: Script, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A worker that the signal kills before it has its task would print a traceback over the parent's line."""
    (script({}) / "interrupt").write_text(str(int(number)))
    before = signal.getsignal(signal.SIGINT)
    obey_control_c()
    try:
        scheduler.run_all(TOY, [0], tmp_path / "out", jobs=1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert is_complete(TOY.folder(tmp_path / "out", 0))
    assert capfd.readouterr().err.splitlines() == [
        "toy ALAD-1epochs: seed 0: 1 epoch",
        "toy ALAD-1epochs seed 0: complete",
    ]


@pytest.mark.parametrize("stop", [press_control_c, terminate])
def test_the_same_signal_again_ends_it_at_once(script: Script, tmp_path: Path, stop: Callable[[int], None]) -> None:
    script({0: "hang"})
    started = TOY.folder(tmp_path, 0) / "facts.json"
    begin: list[float] = []

    def twice(process: int) -> None:
        stop(process)
        time.sleep(1.0)  # the run does not do as it is asked
        assert not group_is_empty(process)
        begin.append(time.monotonic())
        stop(process)

    code, error = stopped(reproduce(tmp_path, seeds=1, jobs=1), started.exists, twice)
    assert time.monotonic() - begin[0] < scheduler.GRACE_SECONDS / 2
    assert code == 130 and error.splitlines()[1:] == [f"alad: interrupted; {GOES_ON}"]


def test_the_grace_ends(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that does not stop in time is killed."""
    script({0: "hang"})
    monkeypatch.setattr(scheduler, "GRACE_SECONDS", 0.5)
    started = TOY.folder(tmp_path, 0) / "facts.json"

    def wait(*_: object, **__: object) -> None:
        wait_for(started.exists)
        time.sleep(0.5)
        raise KeyboardInterrupt

    monkeypatch.setattr(scheduler, "wait", wait)
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        scheduler.run_all(TOY, [0], tmp_path, jobs=1)
    assert time.monotonic() - begin < 100  # it would sleep for 600


def test_warning_of_a_run_is_no_failure(script: Script, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script({0: "warn"})
    scheduler.run_all(TOY, [0], tmp_path, jobs=1)
    assert capfd.readouterr().err.splitlines()[1:] == [
        "toy ALAD-1epochs seed 0: warning: not as it should be",
        "toy ALAD-1epochs seed 0: complete",
    ]


def test_run_stopped_alone_says_how_to_go_on(script: Script, tmp_path: Path) -> None:
    script({0: "stop"})
    with pytest.raises(AladError, match="^seed 0: stopped at step 1 of 4; the same command resumes there$"):
        scheduler.run_all(TOY, [0], tmp_path, jobs=1)


def test_budget_counts_from_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "time", types.SimpleNamespace(monotonic=lambda: 100.0))
    assert [scheduler.Budget(130.0, seconds).fits() for seconds in (30.0, 31.0)] == [True, False]
    assert [scheduler.Budget(deadline, 0.0).is_spent() for deadline in (100.5, 100.0)] == [False, True]


def test_runs_go_on_until_the_budget_ends(script: Script, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """At the end of the budget the current run is interrupted, which is no failure, and no other run starts."""
    script({1: "wait"})

    class Budget(scheduler.Budget):
        def is_spent(self) -> bool:
            return (TOY.folder(tmp_path, 1) / "facts.json").exists()

    scheduler.run_all(TOY, range(3), tmp_path, jobs=1, budget=Budget(time.monotonic() + PATIENCE, 0.0))
    assert [is_complete(TOY.folder(tmp_path, seed)) for seed in range(3)] == [True, False, False]
    assert not (TOY.folder(tmp_path, 2) / "facts.json").exists()
    assert capfd.readouterr().err.splitlines()[1:] == [
        "toy ALAD-1epochs seed 0: complete",
        "toy ALAD-1epochs seed 1: stopped at step 1 of 4; the same command resumes there",
    ]
    script({})
    scheduler.run_all(TOY, range(3), tmp_path, jobs=3, budget=scheduler.Budget(time.monotonic() + PATIENCE, 0.0))
    assert all(is_complete(TOY.folder(tmp_path, seed)) for seed in range(3))


def test_run_that_does_not_fit_the_budget_is_not_started(script: Script, tmp_path: Path) -> None:
    class Budget(scheduler.Budget):
        def fits(self) -> bool:
            return not (TOY.folder(tmp_path, 0) / "facts.json").exists()

    scheduler.run_all(TOY, range(3), tmp_path, jobs=1, budget=Budget(time.monotonic() + PATIENCE, 0.0))
    assert [is_complete(TOY.folder(tmp_path, seed)) for seed in range(3)] == [True, False, False]
