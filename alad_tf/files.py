"""Files that appear under their final name complete or not at all, and folders that one process works in at a time."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alad_tf.errors import AladError

_CURRENT, _RENAME_EXCHANGE = -100, 2  # of <fcntl.h> and <linux/fs.h>: paths from the current folder; swap them


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed to `path`.

    On any error the temporary file is removed and whatever stood at `path` is left untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        sync(temporary)
        os.chmod(temporary, 0o666 & ~umask())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON to `path` atomically; NaN is refused (ValueError)."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def sync(path: Path) -> None:
    """Have what was written to a file, or the names in a folder, on the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exchange(one: Path, other: Path) -> None:
    """Let two folders swap their names in one step, where the system can (Linux); else in two.

    Raises:
        OSError: it could not be done; both have their own names.
    """
    swap = getattr(ctypes.CDLL(None), "renameat2", None)
    if swap and swap(_CURRENT, os.fsencode(one), _CURRENT, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{other.name}.", dir=other.parent))
    os.rename(other, aside)
    try:
        os.rename(one, other)
    except BaseException:
        os.rename(aside, other)
        raise
    os.rename(aside, one)


def entry(path: Path) -> dict[str, Any]:
    """Size in bytes and SHA-256 of a file, for a manifest; nothing for what is no plain file."""
    if path.is_symlink() or not path.is_file():
        return {}
    return {"size": path.stat().st_size, "sha256": sha256(path)}


def sha256(path: Path) -> str:
    """SHA-256 of a file of any size, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; the system lets go of the lock when this process dies, however it does.

    Raises:
        AladError: another process holds the lock.
    """
    path = folder / "lock"
    descriptor = _open_locked(path)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _open_locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except BlockingIOError:
            owner = os.read(descriptor, 20).decode() or "unknown"
            os.close(descriptor)
            raise AladError(
                f"Expected a folder that no other process works in. Received: {path.parent}, used by process {owner}."
            ) from None
        os.close(descriptor)  # its owner removed the file between the two calls: a lock on it keeps nobody out


def umask() -> int:
    """Return the mask of permissions of the process."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
