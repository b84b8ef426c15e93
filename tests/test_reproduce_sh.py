"""reproduce.sh on a PATH with nothing but the usual tools and Pythons, pips and uvs that only pretend."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable

import pytest
from conftest import CHECKOUT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

MINORS = (9, 10, 11)
TOOLS = "bash cat cksum cp dirname find grep ln mkdir mv readlink rm sed sleep touch".split()
LOCK = "# a comment\nnumpy==1.26.4\nMarkdown==3.9\nimportlib-resources==6.4.5\nsetuptools==80.9.0\nwheel==0.48.0\n"
TEST_LOCK = "# a comment\npytest==8.4.2\n"

# Every interpreter. The file $CALLS lists what was asked of it; a pip call with $PIP_FAILS in it fails; pip waits as
# long as there is a file $PIP_WAITS.
PYTHON = r"""#!/usr/bin/env bash
case "$1 $2" in
    "-c import ensurepip"*) exit {no_venv} ;;
    "-c "*) echo {version} ;;
    "-m venv")
        echo "venv {version}" >>"$CALLS"
        mkdir -p "$3/bin" "$3/lib/python{minor}/site-packages"
        cp "$0" "$3/bin/python"
        ;;
    "-m pip")
        echo "pip ${{*:7}}" >>"$CALLS"
        : >>"$5"
        echo "a progress bar"
        while [ -e "${{PIP_WAITS:-/no such file}}" ]; do sleep 0.05; done
        case " $* " in *"${{PIP_FAILS:-no such call}}"*) exit 1 ;; esac
        venv=$(dirname "$(dirname "$0")")
        packages=$venv/lib/python{minor}/site-packages
        while [ $# -gt 0 ]; do
            case $1 in
                -r) while IFS== read -r name _ version; do
                        case $name in "#"*) ;; *) mkdir -p "$packages/${{name//-/_}}-$version.dist-info" ;; esac
                    done <"$2" ;;
                -e) cp "$ALAD" "$venv/bin/alad" ;;
            esac
            shift
        done
        ;;
    "-m pytest") shift 2 && exec bash "$ALAD" "in $PWD" "$@" ;;
    *) exit 9 ;;
esac
"""
ALAD = """#!/usr/bin/env bash
printf '<%s>' "$@"
printf ' %s\\n' "PYTHONPATH ${PYTHONPATH-unset}"
"""
UV = r"""#!/usr/bin/env bash
case "$*" in
    --version) ;;
    "venv --seed --python 3.11 "*) exec "$UV_PYTHON" -m venv "$5" ;;
    *) exit 9 ;;
esac
"""


class Machine:
    """A checkout with reproduce.sh, a PATH of its own, and the list of what was asked of the Pythons on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in (*TOOLS, "flock"):
            found = shutil.which(tool)
            if found:
                (self.bin / tool).symlink_to(found)
        self.checkout = folder / "the checkout"
        (self.checkout / "requirements").mkdir(parents=True)
        shutil.copy(CHECKOUT / "reproduce.sh", self.checkout)
        for minor in MINORS:
            self.lock(minor).write_text(LOCK)
            self.lock(minor, "test-").write_text(TEST_LOCK)
        self.calls_file = folder / "calls"
        self.alad = self.write("alad.sh", ALAD)
        self.environment = {"PATH": str(self.bin), "CALLS": str(self.calls_file), "ALAD": str(self.alad)}

    @property
    def venv(self) -> Path:
        return self.checkout / ".venv"

    def lock(self, minor: int, kind: str = "") -> Path:
        return self.checkout / "requirements" / f"lock-{kind}py3{minor}.txt"

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def python(self, name: str, version: str, no_venv: bool = False) -> Path:
        minor = ".".join(version.split(".")[:2])
        return self.write(f"bin/{name}", PYTHON.format(version=version, minor=minor, no_venv=int(no_venv)))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Call reproduce.sh from outside the checkout."""
        return self.launch(self.checkout / "reproduce.sh", *arguments, **environment)

    def launch(self, command: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [command, *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Call reproduce.sh; its exit code, standard output and standard error."""
        return finish(self.start(*arguments, **environment))

    def good(self, *arguments: str, **environment: str) -> str:
        code, output, errors = self.run(*arguments, **environment)
        assert code == 0, errors
        return output

    def calls(self) -> list[str]:
        """What was asked of Pythons since the last question: environments made and pip calls."""
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        self.calls_file.unlink(missing_ok=True)
        return lines

    def environments(self) -> list[str]:
        return [call for call in self.calls() if call.startswith("venv")]


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def ready(machine: Machine) -> Machine:
    """A machine with Python 3.11.7 on which the first call has been made."""
    machine.python("python3.11", "3.11.7")
    machine.good("toy")
    machine.calls()
    return machine


def installation(machine: Machine, minor: int = 11) -> list[str]:
    return [
        "pip pip>=23 setuptools==80.9.0 wheel==0.48.0",
        f"pip --no-build-isolation --use-pep517 -r {machine.lock(minor)}",
        f"pip --no-build-isolation --use-pep517 --no-deps -e {machine.checkout}",
    ]


# ------------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_needs_no_python(machine: Machine, option: str) -> None:
    code, output, errors = machine.run(option)
    assert (code, errors) == (0, "")
    assert output.startswith("Usage: ./reproduce.sh NAME [options]")
    for name in ("kdd99", "arrhythmia", "svhn", "cifar10", "toy", "tables", "test", "ALAD_PYTHON"):
        assert name in output


def test_no_argument_prints_the_usage_as_an_error(machine: Machine) -> None:
    code, output, errors = machine.run()
    assert (code, output) == (2, "")
    assert errors == machine.good("--help")


def test_unknown_name_is_refused_before_anything_is_made(machine: Machine) -> None:
    machine.python("python3.11", "3.11.7")
    code, output, errors = machine.run("mnist", "--epochs", "1")
    assert (code, output) == (2, "")
    assert re.fullmatch(r"reproduce.sh: .*Received: mnist\. Allowed: kdd99, .*\n", errors)
    assert machine.calls() == [] and not machine.venv.exists()


# ------------------------------------------------------------------------------------------- which Python


@pytest.mark.parametrize(
    ("pythons", "expected"),
    [
        ({"python3.9": "3.9.18", "python3.10": "3.10.13", "python3.11": "3.11.7"}, "3.11.7"),
        ({"python3.9": "3.9.18", "python3.10": "3.10.13", "python3": "3.11.7"}, "3.10.13"),
        ({"python3.9": "3.9.18", "python3": "3.12.1"}, "3.9.18"),
        ({"python3": "3.12.1", "python": "3.10.13"}, "3.10.13"),
        ({"python3.11": "3.13.0", "python3": "3.9.18"}, "3.9.18"),
    ],
)
def test_first_supported_python_is_taken(machine: Machine, pythons: dict[str, str], expected: str) -> None:
    for name, version in pythons.items():
        machine.python(name, version)
    machine.good("kdd99")
    assert machine.calls() == [f"venv {expected}", *installation(machine, int(expected.split(".")[1]))]


def test_command_that_does_not_run_hides_no_later_python(machine: Machine) -> None:
    machine.write("bin/python3.11", "#!/usr/bin/env bash\necho 'pyenv: python3.11: command not found' >&2\nexit 127\n")
    (machine.folder / "later").mkdir()
    machine.write("later/python3.11", machine.python("python", "3.11.2").read_text())
    (machine.bin / "python").unlink()
    code, _, errors = machine.run("toy", PATH=f"{machine.bin}:{machine.folder / 'later'}")
    assert code == 0 and "pyenv" not in errors
    assert machine.environments() == ["venv 3.11.2"]


def test_python_without_venv_is_named_and_the_next_one_taken(machine: Machine) -> None:
    machine.python("python3.11", "3.11.2", no_venv=True)
    machine.python("python3.9", "3.9.18")
    code, _, errors = machine.run("toy")
    assert code == 0
    assert "cannot make virtual environments (Debian, Ubuntu: apt install python3.11-venv); trying the next" in errors
    assert machine.environments() == ["venv 3.9.18"]


def test_no_supported_python_is_one_line(machine: Machine) -> None:
    machine.write("bin/python3.10", "#!/usr/bin/env bash\nexit 127\n")
    machine.python("python3", "3.12.1")
    machine.python("python", "2.7.18")
    code, output, errors = machine.run("kdd99")
    assert (code, output) == (1, "")
    assert re.fullmatch(r"reproduce.sh: Expected a Python 3\.9, 3\.10 or 3\.11, or uv, .*\n", errors)
    for found in ("python3.10 (does not run)", "python3 (3.12.1)", "python (2.7.18)"):
        assert found in errors
    assert machine.calls() == [] and not machine.venv.exists()


def test_uv_is_the_last_resort(machine: Machine) -> None:
    machine.write("bin/uv", UV)
    machine.python("python3", "3.13.0")
    hidden = machine.python("../managed", "3.11.9")
    machine.good("toy", UV_PYTHON=str(hidden))
    assert machine.calls() == ["venv 3.11.9", *installation(machine)]


def test_uv_that_does_not_run_does_not_count(machine: Machine) -> None:
    machine.write("bin/uv", "#!/usr/bin/env bash\nexit 127\n")
    code, _, errors = machine.run("toy")
    assert code == 1 and errors.count("\n") == 1 and "Received: no Python at all." in errors


def test_alad_python_chooses(machine: Machine) -> None:
    machine.python("python3.11", "3.11.7")
    chosen = machine.python("../chosen", "3.10.13")
    machine.good("toy", ALAD_PYTHON=str(chosen))
    machine.good("toy", ALAD_PYTHON=str(chosen))
    machine.good("toy")
    assert machine.environments() == ["venv 3.10.13"]


@pytest.mark.parametrize(("version", "received"), [("3.12.1", "3.12.1"), (None, "it does not run")])
def test_alad_python_that_cannot_be_used_is_refused(ready: Machine, version: str | None, received: str) -> None:
    chosen = ready.python("../chosen", version) if version else ready.folder / "nowhere"
    code, _, errors = ready.run("toy", ALAD_PYTHON=str(chosen))
    assert code == 1
    expected = f"Expected ALAD_PYTHON to be a Python 3.9, 3.10 or 3.11. Received: {chosen} ({received})."
    assert errors == f"reproduce.sh: {expected}\n"
    assert ready.good("toy") and ready.calls() == []


def test_alad_python_of_another_version_remakes(ready: Machine) -> None:
    ready.good("toy", ALAD_PYTHON=str(ready.python("../chosen", "3.9.18")))
    assert ready.environments() == ["venv 3.9.18"]


# ------------------------------------------------------------------------------------------- passing on


ODD = ["--out", "two words", "", "*", "$HOME", 'a"b', "--epochs=1"]


@pytest.mark.parametrize("name", ["kdd99", "arrhythmia", "svhn", "cifar10", "toy"])
def test_options_are_passed_on_as_they_are(ready: Machine, name: str) -> None:
    arguments = "".join(f"<{argument}>" for argument in ["reproduce", name, *ODD])
    assert ready.good(name, *ODD) == f"{arguments} PYTHONPATH unset\n"


def test_tables_is_one_command(ready: Machine) -> None:
    arguments = "".join(f"<{argument}>" for argument in ["tables", *ODD])
    assert ready.good("tables", *ODD) == f"{arguments} PYTHONPATH unset\n"


def test_exit_code_is_that_of_alad(ready: Machine) -> None:
    (ready.venv / "bin/alad").write_text("#!/usr/bin/env bash\nexit 7\n")
    assert ready.run("kdd99")[0] == 7
    assert ready.run("tables")[0] == 7


def test_users_pythonpath_does_not_reach_the_locked_packages(ready: Machine) -> None:
    assert ready.good("toy", PYTHONPATH="/elsewhere").endswith("PYTHONPATH unset\n")


def test_first_call_writes_only_the_results_to_standard_output(machine: Machine) -> None:
    machine.python("python3.11", "3.11.7")
    code, output, errors = machine.run("toy")
    assert (code, output) == (0, "<reproduce><toy> PYTHONPATH unset\n")
    assert "about 600 MB to download" in errors


@pytest.mark.parametrize("link", ["relative", "absolute", "chain"])
def test_works_from_another_directory_and_through_a_link(ready: Machine, link: str) -> None:
    elsewhere = ready.folder / "else where"
    elsewhere.mkdir()
    command = elsewhere / "reproduce"
    if link == "absolute":
        command.symlink_to(ready.checkout / "reproduce.sh")
    elif link == "relative":
        command.symlink_to("../the checkout/reproduce.sh")
    else:
        (elsewhere / "first").symlink_to("../the checkout/reproduce.sh")
        command.symlink_to("first")
    assert finish(ready.launch(command, "toy")) == (0, "<reproduce><toy> PYTHONPATH unset\n", "")
    assert ready.calls() == [] and not (elsewhere / ".venv").exists()


# ------------------------------------------------------------------------------------------- tests


def test_test_tools_are_installed_once_beside_the_rest(ready: Machine) -> None:
    expected = f"<in {ready.checkout}><-k><two words> PYTHONPATH unset\n"
    assert ready.good("test", "-k", "two words") == expected
    assert ready.calls() == [f"pip -r {ready.lock(11, 'test-')}"]
    assert ready.good("test", "-k", "two words") == expected
    assert ready.good("toy")
    assert ready.calls() == []


def test_test_on_a_clean_checkout(machine: Machine) -> None:
    machine.python("python3.9", "3.9.18")
    machine.good("test")
    assert machine.calls() == ["venv 3.9.18", *installation(machine, 9), f"pip -r {machine.lock(9, 'test-')}"]


def test_changed_test_lock_leaves_the_rest(ready: Machine) -> None:
    ready.good("test")
    ready.calls()
    ready.lock(11, "test-").write_text("pytest==8.4.3\n")
    ready.good("toy")
    assert ready.calls() == []
    ready.good("test")
    assert ready.calls() == [f"pip -r {ready.lock(11, 'test-')}"]


# ------------------------------------------------------------------------------------------- remaking


def test_second_call_goes_straight_to_work(ready: Machine) -> None:
    code, output, errors = ready.run("toy")
    assert (code, output, errors) == (0, "<reproduce><toy> PYTHONPATH unset\n", "")
    assert ready.calls() == []


def spoil(machine: Machine, how: str) -> None:
    packages = machine.venv / "lib/python3.11/site-packages"
    if how == "only the interpreter":
        shutil.rmtree(machine.venv)
        (machine.venv / "bin").mkdir(parents=True)
        shutil.copy(machine.bin / "python3.11", machine.venv / "bin/python")
    elif how == "no directory":
        shutil.rmtree(machine.venv)
        machine.venv.write_text("")
    elif how == "dangling link":
        shutil.rmtree(machine.venv)
        machine.venv.symlink_to("nowhere")
    elif how == "interpreter gone":
        (machine.venv / "bin/python").unlink()
    elif how == "interpreter fails":
        (machine.venv / "bin/python").write_text("#!/usr/bin/env bash\nexit 1\n")
    elif how == "interpreter replaced":
        shutil.copy(machine.python("../other", "3.11.8"), machine.venv / "bin/python")
    elif how == "lock changed":
        machine.lock(11).write_text(LOCK.replace("1.26.4", "1.26.3"))
    elif how == "checkout moved":
        machine.checkout = machine.checkout.rename(machine.folder / "moved")
    elif how == "packages gone":
        shutil.rmtree(packages)
    elif how == "package gone":
        (packages / "importlib_resources-6.4.5.dist-info").rmdir()
    elif how == "package upgraded":
        (packages / "numpy-1.26.4.dist-info").rename(packages / "numpy-2.0.0.dist-info")
    elif how == "alad gone":
        (machine.venv / "bin/alad").unlink()
    else:
        raise ValueError(how)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("only the interpreter", "its installation did not finish"),
        ("no directory", "its installation did not finish"),
        ("dangling link", "its installation did not finish"),
        ("interpreter gone", "its Python does not run"),
        ("interpreter fails", "its Python does not run"),
        ("interpreter replaced", "the lock file, the Python or the place of the checkout has changed"),
        ("lock changed", "the lock file, the Python or the place of the checkout has changed"),
        ("checkout moved", "the lock file, the Python or the place of the checkout has changed"),
        ("packages gone", "packages are missing from it or have other versions"),
        ("package gone", "packages are missing from it or have other versions"),
        ("package upgraded", "packages are missing from it or have other versions"),
        ("alad gone", "packages are missing from it or have other versions"),
    ],
)
def test_broken_venv_is_noticed_and_remade(ready: Machine, how: str, reason: str) -> None:
    spoil(ready, how)
    code, output, errors = ready.run("toy")
    assert (code, output) == (0, "<reproduce><toy> PYTHONPATH unset\n")
    assert reason in errors.splitlines()[0]
    assert ready.calls() == ["venv 3.11.7", *installation(ready)]
    ready.good("toy")
    assert ready.calls() == []


def test_remaking_needs_a_python_before_it_deletes(ready: Machine) -> None:
    spoil(ready, "package gone")
    (ready.bin / "python3.11").unlink()
    assert ready.run("toy")[0] == 1
    assert (ready.venv / "bin/alad").exists()


def stamps(machine: Machine) -> list[Path]:
    return list(machine.venv.glob("*.stamp"))


@pytest.mark.parametrize("part", ["setuptools", " -r ", " -e "])
def test_failed_installation_is_one_line_and_begun_anew(machine: Machine, part: str) -> None:
    machine.python("python3.11", "3.11.7")
    code, output, errors = machine.run("toy", PIP_FAILS=part)
    assert code == 1 and output == ""
    log = machine.venv / "pip.log"
    assert errors.splitlines()[-1].endswith(f"pip's log: {log}") and log.exists()
    assert part in machine.calls()[-1] and not stamps(machine)
    assert machine.good("toy")
    assert machine.calls() == ["venv 3.11.7", *installation(machine)]


def test_failed_test_tools_leave_the_rest(ready: Machine) -> None:
    code, output, _ = ready.run("test", PIP_FAILS="lock-test")
    assert (code, output) == (1, "")
    assert [stamp.name for stamp in stamps(ready)] == ["reproduce-base.stamp"]
    ready.calls()
    ready.good("toy")
    assert ready.calls() == []
    ready.good("test")
    assert ready.calls() == [f"pip -r {ready.lock(11, 'test-')}"]


# ------------------------------------------------------------------------------------------- two calls, and killed ones


@pytest.fixture(params=["flock", "link"])
def locking(request: pytest.FixtureRequest, machine: Machine) -> Machine:
    """A machine with Python 3.11.7, with and without the command flock."""
    machine.python("python3.11", "3.11.7")
    if request.param == "link":
        (machine.bin / "flock").unlink(missing_ok=True)
    elif not (machine.bin / "flock").exists():
        pytest.skip("there is no flock on this machine")
    return machine


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start_and_wait(machine: Machine) -> tuple[subprocess.Popen[str], Path]:
    """A call of which pip is at work until the file is removed."""
    waits = machine.write("waits", "")
    process = machine.start("toy", PIP_WAITS=str(waits))
    wait_until(lambda: machine.calls_file.exists() and "pip" in machine.calls_file.read_text())
    return process, waits


def test_two_calls_at_once_make_one_venv(locking: Machine) -> None:
    first, waits = start_and_wait(locking)
    second = locking.start("toy")
    assert second.stderr is not None
    assert second.stderr.readline() == "reproduce.sh: another call is making .venv: waiting for it\n"
    waits.unlink()
    assert finish(first)[:2] == (0, "<reproduce><toy> PYTHONPATH unset\n")
    assert finish(second) == (0, "<reproduce><toy> PYTHONPATH unset\n", "")
    assert locking.calls() == ["venv 3.11.7", *installation(locking)]


NO_INTERRUPT = pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) == signal.SIG_IGN, reason="a job in the background ignores interrupts"
)


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=NO_INTERRUPT), signal.SIGTERM, signal.SIGKILL])
def test_killed_installation_is_begun_anew(locking: Machine, number: signal.Signals) -> None:
    process, _ = start_and_wait(locking)
    os.killpg(process.pid, number)
    assert finish(process)[0] != 0 and not stamps(locking)
    locking.calls()
    assert locking.good("toy") == "<reproduce><toy> PYTHONPATH unset\n"
    assert locking.calls() == ["venv 3.11.7", *installation(locking)]


def test_lock_is_not_held_while_alad_runs(locking: Machine) -> None:
    started = locking.folder / "started"
    locking.write("alad.sh", f"#!/usr/bin/env bash\ntouch '{started}'\nsleep 30\n")
    process = locking.start("toy")
    try:
        wait_until(started.exists)
        locking.write("alad.sh", ALAD)
        locking.lock(11).write_text(LOCK + "# changed\n")
        assert locking.good("toy") == "<reproduce><toy> PYTHONPATH unset\n"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        finish(process)


# ------------------------------------------------------------------------------------------- the files themselves


@pytest.mark.parametrize("script", ["reproduce.sh", ".ci/run"])
def test_scripts_are_sound_bash(script: str) -> None:
    path = CHECKOUT / script
    assert os.access(path, os.X_OK)
    assert subprocess.run(["bash", "-n", path], capture_output=True, text=True).stderr == ""
    if shutil.which("shellcheck"):
        assert subprocess.run(["shellcheck", path], capture_output=True, text=True).stdout == ""


def locked(path: Path) -> dict[str, str]:
    """Name and version of each line of a lock file; a line of any other form is an error."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    matches = [re.fullmatch(r"([a-z0-9.-]+)==([a-z0-9.]+)", line) for line in lines]
    assert all(matches), [line for line, match in zip(lines, matches) if not match]
    return {canonicalize_name(match[1]): match[2] for match in matches if match}


@pytest.mark.parametrize("minor", MINORS)
def test_lock_files_hold_what_setup_cfg_asks_for(minor: int) -> None:
    settings = configparser.ConfigParser()
    settings.read(CHECKOUT / "setup.cfg")
    extras = {name: lines.strip().splitlines() for name, lines in settings["options.extras_require"].items()}
    base = locked(CHECKOUT / f"requirements/lock-py3{minor}.txt")
    tools = locked(CHECKOUT / f"requirements/lock-test-py3{minor}.txt")
    of_base, of_test = settings["options"]["install_requires"].strip().splitlines(), extras["test"]
    (of_extras,) = [Requirement(line) for line in of_test if line.startswith("alad_tf[")]
    assert of_extras.extras == {"onnx", "grpc", "ray"}
    of_test = [line for line in of_test if not line.startswith("alad_tf[")]
    of_test += [line for name in of_extras.extras for line in extras[name]]
    for asked, present in ((of_base, base), (of_test, {**base, **tools})):
        for line in asked:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"python_version": f"3.{minor}"}):
                assert str(requirement.specifier) == f"=={present[canonicalize_name(requirement.name)]}", line
    assert not base.keys() & tools.keys()
