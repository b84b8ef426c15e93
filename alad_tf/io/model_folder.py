"""A folder of JSON documents and arrays with a manifest: complete and unchanged, or refused. Nothing in it is run."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from alad_tf.errors import DataError, SettingsError
from alad_tf.io import archives, atomic
from alad_tf.io.manifest import entry

KIND = "alad_tf model folder"
FORMAT = 1  # raise it when what an older version reads would no longer be all that there is
MANIFEST = "manifest.json"


def write(folder: Path, documents: dict[str, Any], arrays: dict[str, dict[str, np.ndarray]]) -> None:
    """Write a model folder: each document as `<name>.json`, each dict of arrays as `<name>.npz`, and the manifest.

    The folder is made under a temporary name beside it and renamed once it is complete, so that a process that is
    killed leaves no part of one under the final name. A model folder that is there already is replaced, and whenever
    the process is killed one of the two is there.

    Raises:
        SettingsError: `folder` is there and is no model folder, or a document cannot be written as JSON.
        OSError: the disk is full, the place is not writable.
    """
    folder = Path(folder)
    _require_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, document in documents.items():
            _write_document(temporary / f"{name}.json", document)
        for name, members in arrays.items():
            with atomic.replacing(temporary / f"{name}.npz") as path:
                np.savez_compressed(path, **members)
        entries = {path.name: entry(path) for path in sorted(temporary.iterdir())}
        atomic.write_json(temporary / MANIFEST, {"kind": KIND, "format": FORMAT, "files": entries})
        os.chmod(temporary, 0o777 & ~atomic.umask())
        atomic.sync(temporary)
        _put_in_place(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def read(folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """The documents and the arrays of a model folder, by name.

    Raises:
        DataError: it is no model folder or one of a newer format, or a file in it is missing, damaged or left over; the
            message names it.
    """
    folder = Path(folder)
    entries = _manifest(folder)["files"]
    found = {path.name for path in folder.iterdir()} - {MANIFEST}
    faults = [f"{name} is missing" for name in sorted(set(entries) - found)]
    faults += [f"{name} does not belong to it" for name in sorted(found - set(entries))]
    faults += [f"{name} is damaged" for name in sorted(found & set(entries)) if entry(folder / name) != entries[name]]
    if faults:
        raise DataError(
            f"Expected the model folder {folder} as it was written. Received: {'; '.join(faults)}. Copy it again, "
            "whole, or fit the model anew."
        )
    documents, arrays = {}, {}
    for path in (folder / name for name in entries):
        try:
            if path.suffix == ".json":
                documents[path.stem] = json.loads(path.read_text(encoding="utf-8"))
            else:
                arrays[path.stem] = archives.arrays(path)
        except DataError:
            raise
        except archives.DAMAGE as error:
            raise DataError(f"Expected JSON or arrays in {path}. Received: {error!s:.200}.") from None
    return documents, arrays


def is_model_folder(folder: Path) -> bool:
    """Whether the manifest of a model folder is there, of any format, whatever state the rest is in."""
    try:
        manifest = json.loads((Path(folder) / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and manifest.get("kind") == KIND


def _manifest(folder: Path) -> dict[str, Any]:
    if not is_model_folder(folder):
        received = f"a folder without its {MANIFEST}" if folder.is_dir() else "a file" if folder.exists() else "nothing"
        raise DataError(f"Expected a model folder in {folder}. Received: {received}. Allowed: what `alad fit` writes.")
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if manifest.get("format") != FORMAT:
        raise DataError(
            f"Expected a model folder of format {FORMAT} in {folder}. Received: format {manifest.get('format')!r:.80}. "
            "Read it with the version of alad_tf that wrote it, or a newer one."
        )
    entries = manifest.get("files")
    if not isinstance(entries, dict) or not all(map(_is_name, entries)) or None in entries.values():
        raise DataError(f"Expected the list of the files in {folder / MANIFEST}. Received: a damaged one.")
    return manifest


def _is_name(name: str) -> bool:
    return Path(name).name == name and Path(name).suffix in (".json", ".npz")


def _write_document(path: Path, document: Any) -> None:
    try:
        atomic.write_json(path, document)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"Expected a document that JSON can hold for {path.name}. Received: {error}.") from None


def _require_replaceable(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not is_model_folder(folder) and not _is_empty(folder)):
        raise SettingsError(
            f"Expected a new folder or a model folder to replace. Received: {folder}, which is neither. Choose another."
        )


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _put_in_place(temporary: Path, folder: Path) -> None:
    """Rename the complete folder. One that it replaces leaves its name in the same moment, and is removed last."""
    if not folder.exists() or _is_empty(folder):
        os.rename(temporary, folder)  # takes the place of an empty folder
    else:
        atomic.exchange(temporary, folder)
    atomic.sync(folder.parent)
    shutil.rmtree(temporary, ignore_errors=True)
