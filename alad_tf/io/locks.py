"""Folder locks, held by one process at a time and released by the system when that process ends, however it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alad_tf.errors import AladError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SUPPORTED = fcntl is not None


@contextmanager
def locked(folder: Path, file: Path | None = None) -> Iterator[None]:
    """Lock a folder against other processes.

    Args:
        folder: the folder.
        file: the file to lock, which is removed at the end; None: `lock` in the folder.

    Raises:
        AladError: another process holds the lock, or the system has no flock.
    """
    if not SUPPORTED:
        raise AladError(
            f"Expected Linux or macOS, whose file locks keep two processes out of one folder. Received: {sys.platform}."
        )
    path = file or folder / "lock"
    descriptor = _open_locked(path, folder)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; return False if another process holds the lock. Needs `SUPPORTED`."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_locked(path: Path, folder: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not try_lock(descriptor):
                owner = f"used by process {os.read(descriptor, 20).decode() or 'unknown'}"
                raise AladError(f"Expected a folder that no other process is using. Received: {folder}, {owner}.")
            if path.exists() and os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the owner removed the file between the two calls, so this lock protects nothing
