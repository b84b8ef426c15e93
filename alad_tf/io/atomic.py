"""Atomic writes: a file gets its final name once it is complete and synced to disk; two folders can swap names."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alad_tf.io import locks

MARK = "alad_tf-"  # in all names of temporary files and folders, so that nothing else is taken for a leftover
_NAME_BYTES = 200  # of a name in that of its temporary file
_CURRENT, _RENAME_EXCHANGE = -100, 2  # AT_FDCWD of <fcntl.h> and RENAME_EXCHANGE of <linux/fs.h>


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed to `path`.

    The permissions of an existing file are kept. On any error the temporary file is removed and `path` keeps its
    content. Temporary files of killed processes for the same path are removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # a folder that may not be listed
        remove_leftovers(path.parent, [path.name])
    handle, temporary = _open_temporary(path)
    try:
        yield temporary
        sync(temporary)
        os.chmod(temporary, permissions(path, 0o666))
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def require_writable(folder: Path) -> None:
    """Make a folder, if it is not there, and check that files can be written in it (OSError)."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def permissions(path: Path, new: int) -> int:
    """Permissions of an existing file or folder, or those of a new one under the mask of the process."""
    with suppress(FileNotFoundError):
        found = path.lstat().st_mode
        if stat.S_ISREG(found) or stat.S_ISDIR(found):
            return found & 0o777
    return new & ~umask()


def _open_temporary(path: Path) -> tuple[int, Path]:
    """Create and lock a temporary file; the lock tells other processes that its writer is alive."""
    while True:
        handle, name = tempfile.mkstemp(prefix=_prefix(path.name), suffix=path.suffix, dir=path.parent)
        if _is_kept(handle, Path(name)):
            return handle, Path(name)
        os.close(handle)


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yield a new temporary folder beside `path`; it is removed at the end unless it was renamed.

    The folder is locked meanwhile. `remove_leftovers` cleans up after killed processes.
    """
    handle, temporary = _open_temporary_folder(path)
    try:
        yield temporary
    finally:
        os.close(handle)
        _remove_folder(temporary)


def _open_temporary_folder(path: Path) -> tuple[int, Path]:
    while True:
        temporary = Path(tempfile.mkdtemp(prefix=_prefix(path.name), dir=path.parent))
        try:
            handle = os.open(temporary, os.O_RDONLY)
        except FileNotFoundError:  # removed as a leftover before it was opened
            continue
        if _is_kept(handle, temporary):
            return handle, temporary
        os.close(handle)


def _is_kept(handle: int, temporary: Path) -> bool:
    """Lock a temporary file or folder; return False if it was removed as a leftover before that."""
    try:
        return not locks.SUPPORTED or (locks.try_lock(handle) and temporary.exists())
    except OSError:  # the file system has no locks, so nobody removes it as a leftover either
        return True


def remove_folder(path: Path) -> None:
    """Remove a folder. It is renamed first, so that a partly removed one is never read."""
    remove_leftovers(path.parent, [path.name])
    with temporary_folder(path) as temporary:
        os.rename(path, temporary / path.name)


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Remove temporary files and folders that killed processes left behind.

    Args:
        folder: where the processes wrote.
        names: final names that `replacing` and `temporary_folder` were given; other temporary files are left alone.
    """
    if not locks.SUPPORTED:
        return
    for name in names:
        beginning, end = re.escape(_prefix(name)), re.escape(Path(name).suffix)
        for path in folder.iterdir():
            if re.fullmatch(rf"{beginning}[a-z0-9_]{{8}}(?:{end})?", path.name) and not path.is_symlink():
                _remove_if_dead(path)


def _prefix(name: str) -> str:
    """The beginning of temporary names for a file or folder."""
    return f".{locks.cut(name, _NAME_BYTES)}.{MARK}"


def _remove_folder(path: Path) -> None:
    """Remove a folder, also a read-only one, if it is there."""
    with suppress(OSError):
        os.chmod(path, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def _remove_if_dead(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except OSError:  # renamed by its writer, or owned by another user
        return
    try:
        if locks.try_lock(handle):
            _remove_folder(path) if path.is_dir() else path.unlink(missing_ok=True)
    except OSError:  # a file system without locks, or a folder of another user
        return
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    """Write `content` as indented JSON to `path` atomically. Raises ValueError for NaN."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder where its file system can do so, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise
    finally:
        os.close(descriptor)


def exchange(one: Path, other: Path) -> None:
    """Swap the names of two folders, in one step on Linux and in several elsewhere.

    Raises:
        OSError: the swap failed; both folders keep their names.
    """
    swap = getattr(ctypes.CDLL(None), "renameat2", None)
    if swap and swap(_CURRENT, os.fsencode(one), _CURRENT, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return
    aside = Path(
        tempfile.mkdtemp(prefix=f".{other.name}.aside.", dir=other.parent)
    )  # not matched by remove_leftovers: it may hold the only copy
    os.rename(other, aside)
    try:
        os.rename(one, other)
        try:
            os.rename(aside, one)
        except BaseException:
            os.rename(other, one)
            raise
    except BaseException:
        os.rename(aside, other)
        raise


def umask() -> int:
    """Return the permission mask of the process."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
