"""reproduce.sh with the real uv, on a small checkout whose lock file names wheels built here, without a network."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import CHECKOUT
from machine import GOOD, Machine, finish, wait_until, write_wheel

from alad_tf import stack


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def ready(machine: Machine) -> Machine:
    """A machine after the first call."""
    assert machine.good("toy") == GOOD and machine.builds() == 1
    return machine


# ------------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_makes_nothing(machine: Machine, option: str) -> None:
    code, output, errors = machine.run(option)
    assert (code, errors) == (0, "") and output.startswith(
        "Usage: ./reproduce.sh [--stack paper|current] NAME [options]\n"
    )
    for name in ("kdd99", "arrhythmia", "svhn", "cifar10", "toy", "tables", "test", "ALAD_PYTHON"):
        assert name in output
    assert machine.run() == (2, "", output) and not machine.venv.exists()


def test_unknown_name_is_refused_before_anything_is_made(machine: Machine) -> None:
    expected = "reproduce.sh: Expected kdd99, arrhythmia, svhn, cifar10, toy, tables or test. Received: kdd98.\n"
    assert machine.run("kdd98", "toy") == (2, "", expected) and not machine.venv.exists()


# ------------------------------------------------------------------------------------------- passing on

ODD = ["--out", "two words", "", "*", "$HOME", 'a"b', "--epochs=1"]


def test_options_are_passed_on_as_they_are(ready: Machine) -> None:
    odd = "".join(f"<{argument}>" for argument in ODD)
    for name in ("kdd99", "arrhythmia", "svhn", "cifar10", "toy"):
        assert ready.good(name, *ODD) == f"<reproduce><{name}>{odd} PYTHONPATH None\n"
    assert ready.good("tables", *ODD, PYTHONPATH="/elsewhere") == f"<tables>{odd} PYTHONPATH None\n"
    assert ready.run("kdd99", EXIT="7")[0] == ready.run("tables", EXIT="7")[0] == 7


def test_second_call_goes_straight_to_work(ready: Machine) -> None:
    (ready.bin / "uv").unlink()
    shutil.copy(ready.script("nothing", "exit 0"), ready.venv / "bin/alad")
    times = []
    for _ in range(7):
        start = time.monotonic()
        assert ready.run("toy") == (0, "", "")
        times.append(time.monotonic() - start)
    assert min(times) < 0.3 and ready.builds() == 0


def test_calls_from_elsewhere_and_through_a_link(ready: Machine) -> None:
    elsewhere = ready.folder / "else where"
    elsewhere.mkdir()
    (elsewhere / "first").symlink_to("../the checkout/reproduce.sh")
    (elsewhere / "second").symlink_to("first")
    for command in ("first", "second"):
        assert finish(ready.launch(elsewhere / command, "toy")) == (0, GOOD, "")
    assert ready.builds() == 0 and not (elsewhere / ".venv").exists()


def test_test_tools_are_added_when_they_are_asked_for(ready: Machine) -> None:
    expected = f"{ready.checkout}\n<-n><auto><--dist><loadfile><--durations><20><-k><two words> PYTHONPATH None\n"
    assert not (ready.packages / "pytest.py").exists()
    made = (ready.venv / "pyvenv.cfg").stat().st_mtime_ns
    for _ in range(2):
        assert ready.good("test", "-k", "two words") == expected and ready.good("toy") == GOOD
    assert ready.builds() == 0 and (ready.venv / "pyvenv.cfg").stat().st_mtime_ns == made


def test_environment_survives_test_tools_that_cannot_be_had(ready: Machine) -> None:
    ready.wheels.rename(ready.folder / "gone")
    assert ready.run("test", UV_FIND_LINKS="")[:2] == (1, "")
    assert ready.good("toy", UV_FIND_LINKS="") == GOOD and ready.builds() == 0


def test_test_on_a_clean_checkout_is_one_installation(machine: Machine) -> None:
    machine.good("test")
    assert machine.good("toy") == GOOD and machine.builds() == 1


# ------------------------------------------------------------------------------------------- remaking


def spoil(machine: Machine, how: str) -> None:
    if how == "no folder":
        shutil.rmtree(machine.venv)
    elif how == "a file":
        shutil.rmtree(machine.venv)
        machine.venv.write_text("")
    elif how == "dangling link":
        shutil.rmtree(machine.venv)
        machine.venv.symlink_to("nowhere")
    elif how == "no environment":
        (machine.venv / "pyvenv.cfg").unlink()
        (machine.venv / "bin/python").unlink()
    elif how == "interpreter gone":
        (machine.venv / "bin/python").unlink()
        (machine.venv / "bin/python").symlink_to("/nowhere/python")
    elif how == "alad gone":
        (machine.venv / "bin/alad").unlink()
    elif how == "lock changed":
        machine.lock.write_text(machine.lock.read_text() + "# changed\n")
    elif how == "checkout moved":
        dollar = "" if sys.version_info < (3, 10) else "$HOME"  # distutils of Python 3.9 cannot read a path with one
        machine.checkout = machine.checkout.rename(machine.folder / f"moved to 'another' {dollar}\nof two lines")
    else:
        raise ValueError(how)


@pytest.mark.parametrize(
    "how",
    "no folder,a file,dangling link,no environment,interpreter gone,alad gone,lock changed,checkout moved".split(","),
)
def test_what_cannot_be_used_is_made_anew(ready: Machine, how: str) -> None:
    (ready.venv / "left over").touch()
    spoil(ready, how)
    for _ in range(2):
        assert ready.good("toy") == GOOD
    assert ready.builds() == 1 and not (ready.venv / "left over").exists()


def test_changed_lock_leaves_out_what_it_no_longer_names(ready: Machine) -> None:
    assert (ready.packages / "numpy.py").exists()
    lines = ready.lock.read_text().splitlines(keepends=True)
    ready.lock.write_text("".join(line for line in lines if not line.startswith("numpy")))
    assert ready.good("toy") == GOOD and not (ready.packages / "numpy.py").exists()


# ------------------------------------------------------------------------------------------- killed, and two at once


def start_and_wait(machine: Machine) -> tuple[subprocess.Popen[str], Path]:
    """Start a call whose build of alad_tf continues until the file is removed."""
    waits = machine.folder / "waits"
    waits.touch()
    process = machine.start("toy", BUILD_WAITS=str(waits))
    wait_until(machine.calls_file.exists)
    return process, waits


@pytest.fixture(params=["flock", "perl"])
def locking(request: pytest.FixtureRequest, machine: Machine) -> Machine:
    """A machine with only one of the two locking commands."""
    if not (machine.bin / request.param).exists():
        pytest.skip(f"there is no {request.param} on this machine")
    (machine.bin / {"flock": "perl", "perl": "flock"}[request.param]).unlink(missing_ok=True)
    return machine


def test_two_calls_at_once_make_one_venv(locking: Machine) -> None:
    first, waits = start_and_wait(locking)
    second = locking.start("toy")
    assert second.stderr is not None
    assert second.stderr.readline() == "reproduce.sh: waiting until no other call makes .venv\n"
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.5)
    waits.unlink()
    assert finish(first)[:2] == finish(second)[:2] == (0, GOOD)
    assert locking.builds() == 1


def test_no_lock_is_said(machine: Machine) -> None:
    for command in ("flock", "perl"):
        (machine.bin / command).unlink(missing_ok=True)
    expected = "reproduce.sh: Expected flock or perl, and a file system that can lock .venv.lock."
    code, output, errors = machine.run("toy")
    assert (code, output) == (1, "") and errors.splitlines()[-1] == expected and not machine.venv.exists()


NO_INTERRUPT = pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) == signal.SIG_IGN, reason="a job in the background ignores interrupts"
)


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=NO_INTERRUPT), signal.SIGTERM, signal.SIGKILL])
def test_killed_installation_is_begun_anew(machine: Machine, number: signal.Signals) -> None:
    process, waits = start_and_wait(machine)
    os.killpg(process.pid, number)
    assert finish(process)[0] != 0 and not list(machine.venv.glob("*.stamp"))
    waits.unlink()
    (machine.packages / "numpy.py").unlink()
    assert machine.good("toy") == GOOD and (machine.packages / "numpy.py").exists()


def test_lock_is_not_held_while_alad_runs(ready: Machine) -> None:
    started = ready.folder / "started"
    shutil.copy(ready.script("alad", f"echo >'{started}'; exec {shutil.which('sleep')} 300"), ready.venv / "bin/alad")
    process = ready.start("toy")
    try:
        wait_until(started.exists)
        spoil(ready, "lock changed")
        assert ready.good("toy") == GOOD
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        finish(process)


# ------------------------------------------------------------------------------------------- the caller's machine


def test_callers_variables_do_not_lead_elsewhere(machine: Machine) -> None:
    evil = machine.folder / "evil"
    evil.mkdir()
    (machine.folder / "uv.toml").write_text(f'[pip]\ntarget = "{evil}"\n')
    names = "PIP_TARGET PIP_PREFIX UV_TARGET UV_PREFIX UV_PROJECT_ENVIRONMENT VIRTUAL_ENV CONDA_PREFIX PYTHONPATH"
    constraints = machine.script("constraints", "numpy==2.0")
    other = {"UV_SYSTEM_PYTHON": "1", "UV_PYTHON": "2.7", "UV_CONSTRAINT": str(constraints), "UV_NO_BINARY": ":all:"}
    assert machine.good("toy", **{name: str(evil) for name in names.split()}, **other) == GOOD
    assert (machine.packages / "numpy.py").exists() and not list(evil.iterdir())


def test_planted_wheel_is_not_installed(machine: Machine) -> None:
    write_wheel(machine.wheels, "numpy", {"numpy.py": "here = 2"})
    code, output, errors = machine.run("toy")
    assert (code, output) == (1, "") and "Hash mismatch for `numpy==1.0`" in errors
    assert errors.endswith("uv could not install the packages and says why above. The same command starts anew.\n")
    assert not list(machine.venv.glob("*.stamp"))
    write_wheel(machine.wheels, "numpy", {"numpy.py": "here = 1"})
    assert machine.good("toy") == GOOD


def test_no_network_is_said_in_one_line(machine: Machine) -> None:
    nowhere = {"UV_NO_INDEX": "0", "UV_FIND_LINKS": "", "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple"}
    code, output, errors = machine.run("toy", **nowhere)
    assert (code, output) == (1, "") and "Traceback" not in errors
    version = ".".join(map(str, sys.version_info[:3]))
    first, second = errors.splitlines()
    installing = f"reproduce.sh: installing the locked packages into .venv with Python {version}"
    assert first == f"{installing}: {stack.name()} stack"
    expected = "reproduce.sh: Expected a network: the first call downloads about 600 MB of packages. Received: "
    assert second.startswith(expected) and "refused" in second
    assert machine.good("toy") == GOOD
    spoil(machine, "no folder")
    machine.wheels.rename(machine.folder / "gone")
    assert machine.run("toy", UV_FIND_LINKS="")[0] == 1


def test_uv_is_installed_where_there_is_none(machine: Machine) -> None:
    (machine.bin / "uv").unlink()
    (machine.folder / "evil").mkdir()
    assert machine.good("toy", PIP_TARGET=str(machine.folder / "evil")) == GOOD
    assert not list((machine.folder / "evil").iterdir())
    spoil(machine, "no folder")
    (machine.bin / "uv").symlink_to(machine.script("old uv", "exit 2"))
    assert machine.run("toy", PIP_FIND_LINKS="")[:2] == (0, GOOD)


def test_neither_uv_nor_python(machine: Machine) -> None:
    (machine.bin / "uv").unlink()
    (machine.bin / "python3").unlink()
    code, output, errors = machine.run("toy")
    assert (code, output) == (1, "") and errors.count("\n") == 2
    expected = "Expected uv, or Python 3.8 or newer with venv and a network to install uv. Received: "
    assert errors.splitlines()[1].startswith(f"reproduce.sh: {expected}") and "python3: command not found" in errors


def test_uv_finds_no_python(machine: Machine) -> None:
    (machine.bin / "python3").unlink()
    code, output, errors = machine.run("toy")
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert errors.startswith("reproduce.sh: Expected uv to find or download a Python 3.9 to 3.13. Received: ")


@pytest.mark.parametrize(
    ("version", "received"), [("3.14.0", "3.14.0"), ("2.7.18", "2.7.18"), (None, "No such file or directory")]
)
def test_alad_python_that_cannot_be_used_is_refused(ready: Machine, version: str | None, received: str) -> None:
    chosen = ready.script("python", f"echo {version}") if version else ready.folder / "nowhere"
    expected = f"Expected ALAD_PYTHON to be a Python 3.9 to 3.13. Received: {chosen} ({received})."
    assert ready.run("toy", ALAD_PYTHON=str(chosen), code="0") == (1, "", f"reproduce.sh: {expected}\n")
    assert ready.good("toy") == GOOD and ready.builds() == 0


@pytest.mark.parametrize(
    ("stack", "version", "allowed"), [("paper", "3.12.1", "3.9, 3.10 or 3.11"), ("current", "3.11.7", "3.12 or 3.13")]
)
def test_stack_and_alad_python_that_contradict(ready: Machine, stack: str, version: str, allowed: str) -> None:
    chosen = ready.script("python", f"echo {version}")
    ready.lock.write_text(ready.lock.read_text() + "# changed\n")
    expected = f"Expected ALAD_PYTHON to be a Python {allowed}. Received: {chosen} ({version})."
    assert ready.run("--stack", stack, "toy", ALAD_PYTHON=str(chosen)) == (1, "", f"reproduce.sh: {expected}\n")


def test_environment_of_the_other_stack_is_not_taken(ready: Machine) -> None:
    configuration = ready.venv / "pyvenv.cfg"
    configuration.write_text(re.sub(r"(version_info =).*", r"\1 3.13.1", configuration.read_text()))
    assert ready.good("toy") == GOOD and ready.builds() == 0
    code, output, errors = ready.run("--stack", "paper", "toy")
    if stack.name() == "paper":
        assert (code, output) == (0, GOOD) and ready.builds() == 1
    else:
        assert (code, output) == (1, "")
        assert "Expected uv to find or download a Python 3.9, 3.10 or 3.11. Received: " in errors


@pytest.mark.parametrize("received", ["--stack", "--stack newest toy"])
def test_unknown_stack(ready: Machine, received: str) -> None:
    expected = f"Expected --stack paper or --stack current. Received: {received}."
    assert ready.run(*received.split()) == (2, "", f"reproduce.sh: {expected}\n")


def test_alad_python_chooses(ready: Machine) -> None:
    (ready.bin / "python3").rename(ready.folder / "chosen")
    for _ in range(2):
        assert ready.good("toy", ALAD_PYTHON=str(ready.folder / "chosen")) == GOOD
    assert ready.good("toy") == GOOD and ready.builds() == 1


# ------------------------------------------------------------------------------------------- the files


@pytest.mark.parametrize("script", ["reproduce.sh", "requirements/lock.sh", ".ci/run", ".ci/current"])
def test_scripts_are_sound_bash(script: str) -> None:
    path = CHECKOUT / script
    assert os.access(path, os.X_OK)
    assert subprocess.run(["bash", "-n", path], capture_output=True, text=True).stderr == ""
    if shutil.which("shellcheck"):
        assert subprocess.run(["shellcheck", path], capture_output=True, text=True).stdout == ""


def test_reproduce_sh_is_read_at_a_glance() -> None:
    lines = (CHECKOUT / "reproduce.sh").read_text().splitlines()
    assert len(lines) <= 70 and max(map(len, lines)) <= 126
