"""Find, verify and download raw files."""

from __future__ import annotations

import errno
import hashlib
import os
import urllib.request
from collections.abc import Iterable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Callable

from alad_tf.data.base import RawFile
from alad_tf.data.raw_files import RAW_FILES
from alad_tf.errors import DataError, one_line
from alad_tf.io.atomic import replacing, require_writable
from alad_tf.paths import data_folders, download_folders

TIMEOUT = 30.0  # seconds without data before a download fails


def raw_file(name: str, data_dir: Path | str | None) -> tuple[RawFile, Path, bytes]:
    """Find or download the raw file of a data set.

    Args:
        name: a key of RAW_FILES. The first of its files in the first folder that has one is used.
        data_dir: as in `paths.data_folders`.

    Returns:
        (description, path, content); the content has the known SHA-256.

    Raises:
        DataError: the file is damaged (it is then set aside), or is missing and cannot be downloaded or stored.
    """
    folders, writable = data_folders(data_dir), download_folders(data_dir)
    for folder in folders:
        for raw in RAW_FILES[name]:
            path = folder / raw.name
            if os.path.isfile(path):
                return raw, path, _verified(raw, path, folder in writable)
    return _download(name, folders, writable)


def _verified(raw: RawFile, path: Path, writable: bool) -> bytes:
    """Read a file and verify its checksum. A damaged file is renamed to `<name>.bad`, unless git tracks it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"Expected to read {path}. Received: {one_line(error)}. Make it readable or remove it."
        ) from error
    if _sha256(content) == raw.sha256:
        return content
    bad = path.with_name(f"{path.name}.bad")
    try:
        if writable:
            respect_read_only(path.parent)
            path.replace(bad)
            remedy = f"It has been set aside as {bad}; the next call downloads the right file if it finds none"
        else:
            remedy = f"Restore it with git checkout -- {path}, or remove it if it did not come with the checkout"
    except OSError:
        remedy = f"It could not be set aside: put the right file in its place ({raw.urls[0]})"
    raise DataError(f"Expected {path} to have sha256 {raw.sha256}. Received: {_describe(raw, content)}. {remedy}.")


def _download(name: str, folders: list[Path], writable: list[Path]) -> tuple[RawFile, Path, bytes]:
    """Download the first file that has the right checksum into the first writable folder."""
    failures = []
    for raw in RAW_FILES[name]:
        for url in raw.urls:
            try:
                content = _fetch(url, raw)
            except (OSError, HTTPException, ValueError) as error:
                failures.append(f"{url}: {one_line(error)}")
                continue
            if _sha256(content) == raw.sha256:
                return raw, _store(raw, content, writable), content
            failures.append(f"{url}: {_describe(raw, content)}")
    files = " or ".join(f"{raw.name} (sha256 {raw.sha256}, from {raw.urls[0]})" for raw in RAW_FILES[name])
    raise DataError(
        f"Expected {files} in {_either(folders)}. Received: no such file, and no download succeeded "
        f"({'; '.join(failures)}). Put the file there by hand, or name the directory that has it with --data-dir or "
        "ALAD_DATA_DIR; './reproduce.sh toy' needs no download."
    )


def _fetch(url: str, raw: RawFile) -> bytes:
    """Download at most one block more than the file's size, with a progress bar on a terminal.

    pooch's downloader has no limit on the size, and decompresses a .gz file that the server labels as encoded.
    """
    from tqdm import tqdm

    content = bytearray()
    with (
        urllib.request.urlopen(url, timeout=TIMEOUT) as response,
        tqdm(total=raw.size, desc=raw.name, unit="B", unit_scale=True, disable=None) as progress,
    ):
        while len(content) <= raw.size:
            block = response.read(1 << 16)
            if not block:
                break
            content += block
            progress.update(len(block))
    return bytes(content)


def _store(raw: RawFile, content: bytes, folders: list[Path]) -> Path:
    def write(folder: Path) -> None:
        with replacing(folder / raw.name) as temporary:
            temporary.write_bytes(content)

    return first_writable(folders, raw.name, write) / raw.name


def first_writable(folders: Sequence[Path], name: str, write: Callable[[Path], None] = require_writable) -> Path:
    """Return the first folder that is not marked read-only and into which a file or folder can be written.

    Raises:
        DataError: there is none.
    """
    failures = []
    for folder in folders:
        try:
            respect_read_only(folder)
            write(folder)
            return folder
        except OSError as error:
            failures.append(one_line(error))
    raise DataError(
        f"Expected to write {name} to {_either(folders)}. Received: {'; '.join(failures) or 'none'}. Name a "
        "writable directory with --data-dir or ALAD_DATA_DIR."
    )


def respect_read_only(folder: Path) -> None:
    """Raise PermissionError if the folder or its nearest existing parent is marked read-only, also for root."""
    existing = next(place for place in (folder, *folder.parents) if os.path.isdir(place))
    if not existing.stat().st_mode & 0o222:
        raise PermissionError(errno.EACCES, "Marked as read-only", str(existing))


def _describe(raw: RawFile, content: bytes) -> str:
    page = ", a web page" if content[:256].lstrip().lower().startswith((b"<!doctype", b"<html")) else ""
    return f"sha256 {_sha256(content)} ({len(content)} bytes of {raw.size}{page})"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _either(folders: Iterable[Path]) -> str:
    return " or ".join(map(str, folders)) or "a data directory"
