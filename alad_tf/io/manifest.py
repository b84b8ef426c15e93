"""Manifests: sizes and SHA-256 sums of the files of a folder, as JSON or as `sha256sum` writes them; bounded JSON."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from alad_tf.errors import DataError
from alad_tf.typing import Document

MOST_JSON_BYTES = 1 << 23  # of one document: parsed, it takes up to twenty times as much memory

Entries = dict[str, Document]  # path below the folder -> size in bytes and SHA-256


def sha256(path: Path) -> str:
    """SHA-256 of a file of any size, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def entry(path: Path) -> Document:
    """Size in bytes and SHA-256 of a file; nothing for a folder, a link or another special file."""
    if path.is_symlink() or not path.is_file():
        return {}
    return {"size": path.stat().st_size, "sha256": sha256(path)}


def entries(folder: Path) -> Entries:
    """The entries of all files in a folder and in the folders below it, by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): entry(path) for path in files}


def require_entries(document: object, path: Path, required: Collection[str] = ()) -> Entries:
    """Check that a document has the form of `entries`: paths that stay in the folder, each with a size and a sum.

    Args:
        document: JSON of the manifest.
        path: the manifest, for the message.
        required: paths that must be among them.

    Raises:
        DataError: it has another form, or lacks a required path.
    """
    entries = document if isinstance(document, dict) else {"": None}
    if not set(required) <= set(entries) or not all(_is_entry(name, values) for name, values in entries.items()):
        raise DataError(
            f"Expected the list of the files in {path}, each with its size and SHA-256 sum. Received: a damaged one."
        )
    return dict(entries)


def faults(folder: Path, expected: Mapping[str, Document]) -> dict[str, str]:
    """Compare a folder with its manifest: path -> "is missing" or "is damaged", for each file that differs.

    A link or another special file in the place of a file is damage. A file of another size is not read.
    """
    found = {}
    for name, wanted in sorted(expected.items()):
        path = folder / name
        if not os.path.lexists(path):
            found[name] = "is missing"
        elif not _is_below(folder, name) or not _matches(path, wanted):
            found[name] = "is damaged"
    return found


def to_sums(listed: Entries) -> str:
    """Entries as `sha256sum` writes them: `sha256sum -c` checks the files by hand."""
    return "".join(f"{values['sha256']}  {name}\n" for name, values in listed.items())


def from_sums(text: str) -> Entries:
    """Entries of `to_sums`, which have no sizes.

    Raises:
        ValueError: the text has another form.
    """
    pairs = [line.split("  ", 1) for line in text.splitlines()]
    return {name: {"sha256": digest} for digest, name in pairs}


def read_json(path: Path) -> object:
    """Read a JSON document of at most `MOST_JSON_BYTES`.

    Raises:
        DataError: it is no plain file, too large, or no JSON.
        OSError: it cannot be read.
    """
    if path.is_symlink() or not stat.S_ISREG(path.stat().st_mode):
        raise DataError(f"Expected a plain file. Received: {path}, a link, a folder or another special file.")
    with open(path, "rb") as file:
        content = file.read(MOST_JSON_BYTES + 1)
    if len(content) > MOST_JSON_BYTES:
        raise DataError(f"Expected JSON of at most {MOST_JSON_BYTES >> 20} MiB. Received: {path}, which is larger.")
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"Expected JSON in {path}. Received: {error!s:.200}.") from error


def read_object(path: Path) -> Document:
    """Read a JSON object as `read_json` does.

    Raises:
        DataError: also for another JSON value.
        OSError: the file cannot be read.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"Expected a JSON object in {path}. Received: {content!r:.80}.")
    return content


def _is_entry(name: str, values: object) -> bool:
    path = PurePosixPath(name)
    return (
        bool(path.parts)
        and not path.is_absolute()
        and ".." not in path.parts
        and isinstance(values, dict)
        and type(values.get("size")) is int
        and isinstance(values.get("sha256"), str)
    )


def _is_below(folder: Path, name: str) -> bool:
    """Whether no folder on the way to a file is a link."""
    return not any((folder / parent).is_symlink() for parent in PurePosixPath(name).parents if parent.name)


def _matches(path: Path, wanted: Document) -> bool:
    if path.is_symlink() or not path.is_file() or wanted.get("size", path.stat().st_size) != path.stat().st_size:
        return False
    return sha256(path) == wanted["sha256"]
