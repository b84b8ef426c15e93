"""Files are complete under their final name or absent; a failure keeps the earlier file."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from conftest import CHECKOUT

from alad_tf.io import atomic, locks


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "file.txt"
    path.write_text("old")
    return path


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_new_content_appears_at_the_end(old: Path) -> None:
    with atomic.replacing(old) as temporary:
        temporary.write_text("new")
        assert temporary.parent == old.parent and temporary != old
        assert old.read_text() == "old"
    assert old.read_text() == "new"
    assert names_in(old.parent) == ["file.txt"]


def test_parents_are_made(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "a" / "b" / "c.txt", "café\n")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "café\n".encode()


def test_temporary_file_keeps_the_suffix(tmp_path: Path) -> None:
    """NumPy appends .npz to other names, and matplotlib selects the format by suffix."""
    with atomic.replacing(tmp_path / "arrays.npz") as temporary:
        np.savez(temporary, x=np.arange(3))
    assert names_in(tmp_path) == ["arrays.npz"]
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert arrays["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), ValueError("bad"), KeyboardInterrupt()])
def test_fault_while_writing_leaves_the_old_file(old: Path, fault: BaseException) -> None:
    with pytest.raises(type(fault)), atomic.replacing(old) as temporary:
        temporary.write_text("half of the ne")
        raise fault
    assert old.read_text() == "old"
    assert names_in(old.parent) == ["file.txt"]


@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
def test_fault_while_finishing_leaves_the_old_file(old: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="Input/output error"):
        atomic.write_text(old, "new")
    assert old.read_text() == "old"
    assert names_in(old.parent) == ["file.txt"]


def test_content_is_on_the_disk_before_the_name(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor: int) -> None:
        calls.append(f"fsync {os.fstat(descriptor).st_size}")
        fsync(descriptor)

    def recorded_replace(source: Path, target: Path) -> None:
        calls.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    atomic.write_text(old, "newer")
    assert calls == ["fsync 5", "replace"]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("a", "b"):
        atomic.write_text(tmp_path / name / "name.txt", name)
    return tmp_path / "a", tmp_path / "b"


class OlderLibrary:
    """A C library without renameat2."""

    def __init__(self, name: None) -> None:
        pass


@pytest.mark.parametrize("steps", [1, 2])
def test_exchange(folders: tuple[Path, Path], steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if steps == 2:
        monkeypatch.setattr(ctypes, "CDLL", OlderLibrary)
    atomic.exchange(*folders)
    assert [(folder / "name.txt").read_text() for folder in folders] == ["b", "a"]
    assert names_in(folders[0].parent) == ["a", "b"]


@pytest.mark.parametrize("library", [ctypes.CDLL, OlderLibrary])
def test_exchange_that_fails(folders: tuple[Path, Path], library: type, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(folders[0])
    monkeypatch.setattr(ctypes, "CDLL", library)
    with pytest.raises(FileNotFoundError):
        atomic.exchange(*folders)
    assert names_in(folders[0].parent) == ["b"] and (folders[1] / "name.txt").read_text() == "b"


def test_exchange_whose_last_rename_fails(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    renames: list[str] = []

    def rename(source: Path, target: Path) -> None:
        renames.append(str(source))
        if len(renames) == 3:
            raise PermissionError(13, "Permission denied")
        os.replace(source, target)

    monkeypatch.setattr(ctypes, "CDLL", OlderLibrary)
    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(PermissionError):
        atomic.exchange(*folders)
    assert [(folder / "name.txt").read_text() for folder in folders] == ["a", "b"]
    assert names_in(folders[0].parent) == ["a", "b"] and len(renames) == 5


def test_full_disk(old: Path) -> None:
    """A limit on file sizes simulates a full disk: the operating system refuses to write more."""
    resource = pytest.importorskip("resource")
    code = (
        "import sys, pathlib; from alad_tf.io import atomic\n"
        "try: atomic.write_text(pathlib.Path(sys.argv[1]), 'x' * 100_000)\n"
        "except OSError as error: print(error.errno)"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    command = [sys.executable, "-B", "-c", code, str(old)]
    done = subprocess.run(command, cwd=CHECKOUT, preexec_fn=limit, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "27\n", "")
    assert old.read_text() == "old"
    assert names_in(old.parent) == ["file.txt"]


def test_killed_while_writing(old: Path) -> None:
    code = (
        "import os, sys, pathlib; from alad_tf.io import atomic\n"
        "with atomic.replacing(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half of the ne'); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(old)], cwd=CHECKOUT)
    assert done.returncode == -9
    assert old.read_text() == "old"


def test_permissions_of_an_existing_file_are_kept(tmp_path: Path, umask: None) -> None:
    """A private file of mode 0600 became readable by others."""
    path, other = tmp_path / "file.txt", tmp_path / "other.txt"
    for mode in (0o600, 0o666):
        path.write_text("mine")
        path.chmod(mode)
        atomic.write_text(path, "new")
        assert stat.S_IMODE(path.stat().st_mode) == mode
    other.symlink_to(path)
    atomic.write_text(other, "new")
    assert not other.is_symlink() and stat.S_IMODE(other.stat().st_mode) == 0o640


def test_permissions_are_those_of_any_new_file(tmp_path: Path, umask: None) -> None:
    atomic.write_text(tmp_path / "file.txt", "new")
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o640
    assert os.umask(0o027) == 0o027  # asking for the mask left it as it was


def test_under_a_file(old: Path) -> None:
    with pytest.raises(OSError, match=r"file\.txt"):
        atomic.write_text(old / "below.txt", "new")
    assert old.read_text() == "old"


def test_json(tmp_path: Path) -> None:
    atomic.write_json(tmp_path / "a.json", {"b": [1, None, 0.1], "a": "é"})
    assert (tmp_path / "a.json").read_text().endswith("}\n")
    assert (tmp_path / "a.json").read_text().startswith('{\n  "b": [\n')
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": [1, None, 0.1], "a": "é"}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_refuses_what_is_no_json(old: Path, number: float) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        atomic.write_json(old, {"loss": number})
    assert old.read_text() == "old"
    assert names_in(old.parent) == ["file.txt"]


# Leftovers --------------------------------------------------------------------------------------------------------

KILLED = (
    "import os, sys, pathlib; from alad_tf.io import atomic\n"
    "with atomic.replacing(pathlib.Path(sys.argv[1])) as temporary:\n"
    "    temporary.write_text('half of the ne'); os.kill(os.getpid(), 9)"
)


def test_leftovers_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    for name in ("config.json", "weights.npz", "notes"):
        assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)], cwd=CHECKOUT).returncode == -9
    assert len(names_in(tmp_path)) == 3
    ours = f".config.json.{atomic.MARK}abcdefgh"
    kept = [".config.json.mine", ".config.json.previous.json", f"{ours}.npz", "config.json"]
    kept += [f".other.json.{atomic.MARK}abcdefgh.json"]
    for name in kept:
        (tmp_path / name).write_text("kept")
    (tmp_path / f"{ours}.json").symlink_to(tmp_path / "config.json")
    atomic.remove_leftovers(tmp_path, ["config.json", "weights.npz", "notes"])
    assert names_in(tmp_path) == sorted([*kept, f"{ours}.json"])


def test_the_next_writer_of_a_file_removes_the_leftovers_of_the_last(tmp_path: Path) -> None:
    """As of summary.json and figures, where the call that was killed is repeated."""
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "roc.png")], cwd=CHECKOUT).returncode == -9
    other = f".other.png.{atomic.MARK}abcdefgh.png"
    (tmp_path / other).write_text("kept")
    assert len(names_in(tmp_path)) == 2
    with atomic.replacing(tmp_path / "roc.png") as temporary:
        temporary.write_text("new")
    assert names_in(tmp_path) == [other, "roc.png"]


def test_files_of_living_writers_are_no_leftovers(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from alad_tf.io import atomic\n"
        "with atomic.replacing(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('new'); print('writes', flush=True); sys.stdin.readline()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "config.json")]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdin and writer.stdout and writer.stdout.readline() == "writes\n"
        before = names_in(tmp_path)
        atomic.remove_leftovers(tmp_path, ["config.json"])
        assert names_in(tmp_path) == before and len(before) == 1
        writer.stdin.write("\n")
        writer.stdin.close()
        assert writer.wait() == 0
    assert names_in(tmp_path) == ["config.json"] and (tmp_path / "config.json").read_text() == "new"


FOLDER = (
    "import sys, pathlib; from alad_tf.io import atomic\n"
    "with atomic.temporary_folder(pathlib.Path(sys.argv[1])) as temporary:\n"
    "    (temporary / 'a.txt').write_text('new'); print('writes', flush=True); sys.stdin.readline()"
)


def test_folders_of_killed_writers_are_leftovers_and_those_of_living_ones_are_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FOLDER, str(tmp_path / "model.json")]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout and writer.stdout.readline() == "writes\n"
        before = names_in(tmp_path)
        atomic.remove_leftovers(tmp_path, ["model.json"])
        assert names_in(tmp_path) == before and len(before) == 1
        writer.kill()
    (tmp_path / ".model.json.previous").mkdir()
    atomic.remove_leftovers(tmp_path, ["model.json"])
    assert names_in(tmp_path) == [".model.json.previous"], "a folder of the user"


def test_temporary_folder_is_removed_with_what_is_left_in_it(tmp_path: Path) -> None:
    with pytest.raises(KeyError), atomic.temporary_folder(tmp_path / "model") as temporary:
        (temporary / "a.txt").write_text("new")
        raise KeyError
    assert names_in(tmp_path) == []


def test_temporary_file_that_is_taken_for_a_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process removes it before it is locked: a new one is created."""
    try_lock = locks.try_lock
    removed: list[str] = []

    def once(descriptor: int) -> bool:
        if not removed:
            removed.extend(names_in(tmp_path))
            (tmp_path / removed[0]).unlink()
        return try_lock(descriptor)

    monkeypatch.setattr(locks, "try_lock", once)
    atomic.write_text(tmp_path / "a.txt", "new")
    assert removed and names_in(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_text() == "new"


def test_file_systems_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lustre without its option flock, and NFS without a lock daemon: each try left a temporary file."""

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", flock)
    for _ in range(2):
        atomic.write_text(tmp_path / "a.txt", "new")
        with atomic.temporary_folder(tmp_path / "a") as temporary:
            temporary.rename(tmp_path / "a")
        atomic.remove_folder(tmp_path / "a")
    assert names_in(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EIO])
def test_file_systems_that_do_not_sync_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    (tmp_path / "a.txt").touch()
    with nullcontext() if number != errno.EIO else pytest.raises(OSError, match="Input/output error"):
        atomic.sync(tmp_path)
    with pytest.raises(OSError):
        atomic.sync(tmp_path / "a.txt")


def test_long_names(tmp_path: Path) -> None:
    """File systems have names of 255 bytes, also for the temporary file."""
    path = tmp_path / f"{'ü' * 120}.csv"
    with pytest.raises(KeyError), atomic.replacing(path) as temporary:
        shutil.copy(temporary, temporary.with_name(f"{temporary.name[: -len('12345678.csv')]}abcdefgh.csv"))
        raise KeyError
    atomic.write_text(path, "x")
    assert names_in(tmp_path) == [path.name]


def test_other_entries_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link to a folder of another user, or a dead mount, cannot be examined."""
    (tmp_path / "other").symlink_to(tmp_path / "secret")

    def forbidden(path: Path) -> bool:
        raise PermissionError(path)

    for name in ("is_dir", "is_symlink", "exists"):
        monkeypatch.setattr(Path, name, forbidden)
    atomic.remove_leftovers(tmp_path, ["model"])


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_read_only_folders_are_removed(tmp_path: Path) -> None:
    with atomic.temporary_folder(tmp_path / "model") as temporary:
        (temporary / "a").write_text("x")
        temporary.chmod(0o555)
    assert not names_in(tmp_path)
