"""Exported models on disk in the layout of TensorFlow Serving: BASE/NAME/VERSION; the largest number is the newest."""

from __future__ import annotations

import os
import re
from pathlib import Path

from alad_tf.errors import DataError, SettingsError, listed
from alad_tf.io import atomic, manifest, model_folder
from alad_tf.typing import Document

KIND = "alad_tf export"
FORMAT = 1  # raise it when older versions could misread an export
LARGEST_VERSION = 2**63 - 1  # TensorFlow Serving reads versions as int64
EXTRA = "assets.extra"  # folder ignored by TensorFlow
DESCRIPTION = model_folder.EXPORTED
WARM_UP = f"{EXTRA}/tf_serving_warmup_requests"
MANIFEST = f"{EXTRA}/manifest.json"


def versions(base: Path) -> list[int]:
    """List the version numbers in BASE/NAME in ascending order: names of folders, without leading zeros."""
    if not base.is_dir():
        return []
    return sorted(int(path.name) for path in base.iterdir() if _is_version(path.name) and path.is_dir())


def _is_version(name: str) -> bool:
    return re.fullmatch("0|[1-9][0-9]{,18}", name) is not None and int(name) <= LARGEST_VERSION


def resolve(path: Path | str) -> Path:
    """Return the folder of a version: the path itself, or the newest version in BASE/NAME.

    Raises:
        DataError: the path is neither.
    """
    path = Path(path)
    if (path / "saved_model.pb").is_file():
        return path
    numbers = versions(path)
    if not numbers:
        raise DataError(
            f"Expected an exported model in {path}: a version's folder, or BASE/NAME with such folders. Received: "
            f"{'a folder without any' if path.is_dir() else 'nothing'}. `alad export` writes one."
        )
    return path / str(numbers[-1])


def vacant(base: Path, version: int | None) -> int:
    """Return the number of the version to write: the given one, or the next one.

    Raises:
        SettingsError: the version exists already, or is not from 1 to 2**63 - 1, or there is no next one.
    """
    if version is not None and not 0 < version <= LARGEST_VERSION:
        raise SettingsError(f"Expected a version from 1 to 2**63 - 1. Received: {version}.")
    entries = os.listdir(base) if base.is_dir() else []
    found = {int(name) for name in entries if _is_version(name)}  # also files and links, which are in the way
    if version is None and LARGEST_VERSION in found:
        raise SettingsError(f"Expected a version below 2**63 - 1 in {base}. Received: that one, which has no next one.")
    if version in found:
        raise SettingsError(
            f"Expected a new version. Received: {version}, which is in {base}. A version never changes: leave the "
            "number out for the next one."
        )
    return version if version is not None else max(found, default=0) + 1


def describe(version: Path) -> Document:
    """Read the description of a version after verifying its files.

    Raises:
        DataError: not an export of alad_tf, a newer format, or a file that is missing or damaged; the message names it.
    """
    description = _read(version / DESCRIPTION)
    entries = manifest.require_entries(_read(version / MANIFEST), version / MANIFEST, ("saved_model.pb", DESCRIPTION))
    if description.get("kind") != KIND or description.get("format") != FORMAT:
        raise DataError(
            f"Expected an export of format {FORMAT} in {version}. Received: {description.get('kind')!r}, format "
            f"{description.get('format')!r}."
        )
    damaged = manifest.faults(version, entries)
    if damaged:
        raise DataError(
            f"Expected the export {version} as it was written. Received: {listed(damaged)} missing or damaged. Copy "
            "the whole folder again, or export again."
        )
    return description


def write_manifest(version: Path) -> None:
    """Write the size and SHA-256 of each file, which marks the version as complete."""
    (version / MANIFEST).unlink(missing_ok=True)  # a manifest does not list itself
    atomic.write_json(version / MANIFEST, manifest.entries(version))
    os.chmod(version, 0o777 & ~atomic.umask())
    for path in (*version.rglob("*"), version):
        atomic.sync(path)


def _read(path: Path) -> Document:
    try:
        return manifest.read_object(path)
    except (OSError, DataError) as error:
        raise DataError(f"Expected an export of alad_tf, with {path}. Received: {error}.") from error
