"""Manifests: sizes and SHA-256 sums of the files in a folder, as JSON or in `sha256sum` format; size-limited JSON."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from alad_tf.errors import DataError
from alad_tf.typing import Document

MOST_JSON_BYTES = 1 << 23  # size limit of a document; parsing it takes up to 20 times as much memory

Entries = dict[str, Document]  # path below the folder -> size in bytes and SHA-256


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits, read in blocks."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def entry(path: Path) -> Document:
    """Size in bytes and SHA-256 of a file; empty for a folder, a link or a special file."""
    if path.is_symlink() or not path.is_file():
        return {}
    return {"size": path.stat().st_size, "sha256": sha256(path)}


def entries(folder: Path) -> Entries:
    """Entries of all files in a folder and its subfolders, by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): entry(path) for path in files}


def require_entries(document: object, path: Path, required: Collection[str] = ()) -> Entries:
    """Check that a document has the form of `entries`: paths inside the folder, each with a size and a SHA-256 sum.

    Args:
        document: the parsed manifest.
        path: of the manifest, for the error message.
        required: paths that must be listed.

    Raises:
        DataError: the document has another form or lacks a required path.
    """
    entries = document if isinstance(document, dict) else {"": None}
    if not set(required) <= set(entries) or not all(_is_entry(name, values) for name, values in entries.items()):
        raise DataError(
            f"Expected the list of the files in {path}, each with its size and SHA-256 sum. Received: a damaged list."
        )
    return dict(entries)


def faults(folder: Path, expected: Mapping[str, Document]) -> dict[str, str]:
    """Compare a folder with its manifest: path -> "is missing" or "is damaged", for each file that differs.

    A link or special file where a file is expected counts as damage. A file whose size differs is not read.
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
    """Entries in the format of `sha256sum`, so that `sha256sum -c` can check the files."""
    return "".join(f"{values['sha256']}  {name}\n" for name, values in listed.items())


def from_sums(text: str) -> Entries:
    """Parse the output of `to_sums`; the entries have no sizes.

    Raises:
        ValueError: the text has another form.
    """
    pairs = [line.split("  ", 1) for line in text.splitlines()]
    return {name: {"sha256": digest} for digest, name in pairs}


def load_json(path: Path, *, links: bool = False) -> object:
    """Parse a JSON document of at most `MOST_JSON_BYTES`.

    Args:
        path: a plain file.
        links: allow a link to a plain file.

    Raises:
        ValueError: not such a file, too large, or not JSON; the message does not name the file.
        OSError: the file cannot be read.
    """
    try:
        return json.loads(load_text(path, links=links))
    except RecursionError as error:
        raise ValueError(str(error)) from error


def load_text(path: Path, *, links: bool = False) -> str:
    """Read text of at most `MOST_JSON_BYTES`; arguments and errors as of `load_json`."""
    if (path.is_symlink() and not links) or not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("a link, a folder or a special file")
    with open(path, "rb") as file:
        content = file.read(MOST_JSON_BYTES + 1)
    if len(content) > MOST_JSON_BYTES:
        raise ValueError(f"more than {MOST_JSON_BYTES >> 20} MiB")
    return content.decode("utf-8")


def load_object(path: Path, *, links: bool = False) -> Document:
    """Parse a JSON object as `load_json` does; another JSON value is a ValueError too."""
    content = load_json(path, links=links)
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content


def read_json(path: Path) -> object:
    """Read a JSON document with `load_json`.

    Raises:
        DataError: in place of the ValueError; it names the file.
        OSError: the file cannot be read.
    """
    try:
        return load_json(path)
    except ValueError as error:
        raise DataError(f"Expected JSON in {path}. Received: {error!s:.200}.") from error


def read_object(path: Path) -> Document:
    """Read a JSON object with `read_json`.

    Raises:
        DataError: as `read_json`, or another JSON value.
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
    """Whether none of the folders above a file is a link."""
    return not any((folder / parent).is_symlink() for parent in PurePosixPath(name).parents if parent.name)


def _matches(path: Path, wanted: Document) -> bool:
    if path.is_symlink() or not path.is_file() or wanted.get("size", path.stat().st_size) != path.stat().st_size:
        return False
    return sha256(path) == wanted["sha256"]
