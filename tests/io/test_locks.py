"""One process at a time uses a folder; the package can be imported without file locks."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT

from alad_tf.errors import AladError, SettingsError
from alad_tf.io import locks

HOLDER = (
    "import sys, pathlib; from alad_tf.io import locks\n"
    "with locks.locked(pathlib.Path(sys.argv[1])): print('in', flush=True); sys.stdin.readline()"
)


def test_lock_names_its_owner_and_dies_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "in\n"
        for _ in range(2):  # asking for it does not take the name away
            with pytest.raises(AladError, match=f"{tmp_path}, used by process {holder.pid}\\."), locks.locked(tmp_path):
                pass
        holder.kill()
    assert (tmp_path / "lock").exists()
    with locks.locked(tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["symbolic link", "hard link", "dangling link", "folder", "FIFO"])
def test_lock_file_that_is_none(tmp_path: Path, kind: str) -> None:
    """The number of the process was written to the file that a link led to."""
    file, other = tmp_path / "lock", tmp_path / "letter.txt"
    other.write_text("mine")
    if kind == "symbolic link":
        file.symlink_to(other)
    elif kind == "hard link":
        os.link(other, file)
    elif kind == "dangling link":
        file.symlink_to("new.txt")
    elif kind == "folder":
        file.mkdir()
    else:
        os.mkfifo(file)
    says = f"Expected a lock file of alad_tf in {file}. Received: a link"
    with pytest.raises(AladError, match=says), locks.locked(tmp_path):
        pass
    assert other.read_text() == "mine" and {path.name for path in tmp_path.iterdir()} == {"lock", "letter.txt"}


def test_file_with_other_content_is_no_lock(tmp_path: Path) -> None:
    """It was emptied and removed. The number that a killed process left is replaced."""
    file = tmp_path / ".scored.csv.lock"
    file.write_text("mine")
    with pytest.raises(AladError, match="Received: a file with other content"), locks.claimed(tmp_path / "scored.csv"):
        pass
    assert file.read_text() == "mine"
    file.write_text("12345678901")
    with locks.claimed(tmp_path / "scored.csv"):
        assert file.read_text() == str(os.getpid())


def test_file_systems_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", flock)
    says = f"Expected a file system with file locks in {tmp_path}. Received: OSError: .*No locks available"
    with pytest.raises(AladError, match=says), locks.claimed(tmp_path / "scored.csv"):
        pass
    assert not list(tmp_path.iterdir())
    (tmp_path / "lock").write_text("12345")  # of a process that has locked it
    with pytest.raises(AladError, match=says), locks.locked(tmp_path):
        pass
    assert (tmp_path / "lock").exists()


@pytest.mark.parametrize("name", ["x" * 251 + ".csv", "\u00fc" * 127])
def test_locks_of_long_names(tmp_path: Path, name: str) -> None:
    with locks.claimed(tmp_path / name):
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


def test_paths_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They ended in a traceback of pathlib."""
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    for place, path in ((folder, Path(".")), (folder / "inner", Path(".."))):
        monkeypatch.chdir(place)
        with locks.claimed(path):
            assert (tmp_path / ".folder.lock").read_text() == str(os.getpid())
    with pytest.raises(SettingsError, match=r"Expected a folder below the root .* Received: /\."):
        locks.claimed(Path("/")).__enter__()


def test_lock_on_a_removed_file_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner removes the file after we open it and before we lock it."""
    try_lock, calls = locks.try_lock, []

    def locking(descriptor: int) -> bool:
        calls.append(descriptor)
        if len(calls) == 1:
            (tmp_path / "lock").unlink()
        return try_lock(descriptor)

    monkeypatch.setattr(locks, "try_lock", locking)
    with locks.locked(tmp_path):
        assert len(calls) == 2 and (tmp_path / "lock").exists()


def test_without_fcntl(tmp_path: Path) -> None:
    """As on Windows: all imports work, files are written, and only the lock of a run's folder is refused."""
    code = (
        "import importlib, pathlib, pkgutil, sys; sys.modules['fcntl'] = None\n"
        "import alad_tf, alad_tf.cli, alad_tf.data, alad_tf.io, alad_tf.tabular\n"
        "for package in (alad_tf.cli, alad_tf.data, alad_tf.io, alad_tf.tabular):\n"
        "    for module in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "from alad_tf.errors import AladError; from alad_tf.io import atomic, locks\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "atomic.write_text(folder / 'a.txt', 'a'); atomic.remove_leftovers(folder, ['a.txt'])\n"
        "try:\n    with locks.locked(folder): print('in')\n"
        "except AladError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Expected Linux or macOS") and sys.platform in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"] and (tmp_path / "a.txt").read_text() == "a"


def test_the_lock_file_of_a_dead_process_of_another_machine_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("1")
    with locks.locked(tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())
    assert not (tmp_path / "lock").exists()
