"""Locks of folders and outputs, each held by one process and released by the system when that process ends."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from alad_tf.errors import AladError, SettingsError, one_line

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SUPPORTED = fcntl is not None
_NAME_BYTES = 249  # of an output in the name of its lock


@contextmanager
def locked(path: Path, file: Path | None = None, what: str = "a folder") -> Iterator[None]:
    """Lock a folder or an output against other processes.

    Args:
        path: the folder or the output.
        file: the file to lock, which is removed at the end; None: `lock` in the folder.
        what: name of `path` in the message.

    Raises:
        AladError: another process holds the lock, its file is a link or no file, or the system or the file system has
            no flock.
    """
    if not SUPPORTED:
        raise AladError(
            f"Expected Linux or macOS, whose file locks keep two processes out of one folder. Received: {sys.platform}."
        )
    file = file or path / "lock"
    descriptor = _open_locked(file, path, what)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def claimed(path: Path, what: str = "a folder") -> Iterator[None]:
    """Lock a path that may not exist yet, by a file beside it, where the system has file locks. See `locked`.

    Raises:
        SettingsError: the path is the root of the file system, which has nothing beside it.
        AladError: as `locked`.
    """
    named = path if path.name not in ("", "..") else path.resolve()
    if not named.name:
        raise SettingsError(f"Expected {what} below the root of the file system. Received: {path}. Name one in it.")
    with locked(path, named.with_name(f".{cut(named.name, _NAME_BYTES)}.lock"), what) if SUPPORTED else nullcontext():
        yield


def cut(name: str, n_bytes: int) -> str:
    """The first bytes of a name, for names that are made from it: file systems allow 255."""
    return os.fsencode(name)[:n_bytes].decode(errors="ignore")


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; return False if another process holds the lock. Needs `SUPPORTED`.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_locked(file: Path, path: Path, what: str) -> int:
    while True:
        _require_plain(file)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            if not _try_lock(descriptor, file):
                number = os.read(descriptor, 20)
                owner = number.decode() if number.isdigit() else "unknown"
                raise AladError(
                    f"Expected {what} that no other process is using. Received: {path}, used by process {owner}."
                )
            if (content := os.pread(descriptor, 21, 0)) and not content.isdigit():
                raise AladError(_no_lock(file, "a file with other content"))
            if file.exists() and os.path.samestat(os.fstat(descriptor), os.stat(file)):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the owner removed the file between the two calls, so this lock protects nothing


def _try_lock(descriptor: int, file: Path) -> bool:
    """Lock the open lock file as `try_lock` does; AladError, and no new file left, on a file system without locks."""
    try:
        return try_lock(descriptor)
    except OSError as error:
        if not os.fstat(descriptor).st_size:  # made just now
            file.unlink(missing_ok=True)
        raise AladError(
            f"Expected a file system with file locks in {file.parent}. Received: {one_line(error)}. Choose a folder on "
            "another one."
        ) from error


def _require_plain(file: Path) -> None:
    """Refuse a lock file that is a link, through which a file elsewhere would be overwritten, or not a regular file."""
    try:
        found = file.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise AladError(_no_lock(file, "a link, a folder or a special file"))


def _no_lock(file: Path, received: str) -> str:
    return f"Expected a lock file of alad_tf in {file}. Received: {received}. Move it away."
