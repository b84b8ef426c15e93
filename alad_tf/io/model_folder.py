"""Model folders: JSON documents and arrays with a manifest. Reading a folder executes no code from it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from alad_tf.errors import DataError, SettingsError, listed
from alad_tf.io import archives, atomic, manifest
from alad_tf.typing import Document

KIND = "alad_tf model folder"
FORMAT = 2  # of new folders; raise it when older versions could misread a folder
READ = (1, FORMAT)
MANIFEST = "manifest.json"
EXPORTED = "assets.extra/alad.json"  # description of a version written by `alad export`


def write(folder: Path, documents: Document, arrays: dict[str, dict[str, np.ndarray]]) -> None:
    """Write a model folder: each document as `<name>.json`, each dict of arrays as `<name>.npz`, and the manifest.

    The folder is written under a temporary name and renamed when it is complete: a killed process leaves no
    incomplete folder under the final name. An existing model folder is replaced in one step and keeps its permissions.

    Raises:
        SettingsError: `folder` exists and is not a model folder, or a document cannot be written as JSON.
        OSError: the disk is full or the path is not writable.
    """
    folder = Path(folder)
    require_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    atomic.remove_leftovers(folder.parent, [folder.name])
    with atomic.temporary_folder(folder) as temporary:
        for name, document in documents.items():
            _write_document(temporary / f"{name}.json", document)
        for name, members in arrays.items():
            with atomic.replacing(temporary / f"{name}.npz") as path:
                np.savez_compressed(path, **members)
        content = {"kind": KIND, "format": FORMAT, "files": manifest.entries(temporary)}
        atomic.write_json(temporary / MANIFEST, content)
        os.chmod(temporary, atomic.permissions(folder, 0o777))
        atomic.sync(temporary)
        _put_in_place(temporary, folder)


def read(folder: Path) -> tuple[Document, dict[str, dict[str, np.ndarray]]]:
    """Read the documents and the arrays of a model folder, by name.

    Raises:
        DataError: not a model folder, a newer format, or a file that is missing, damaged, a link, too large or not in
            the manifest; the message names it.
    """
    folder = Path(folder)
    entries = _entries(folder)
    found = {path.name for path in folder.iterdir()} - {MANIFEST}
    faults = {**manifest.faults(folder, entries), **dict.fromkeys(found - set(entries), "is not in the manifest")}
    if faults:
        received = listed(f"{name} {fault}" for name, fault in sorted(faults.items()))
        raise DataError(
            f"Expected the model folder {folder} as it was written. Received: {received}. Copy the whole folder again, "
            "or fit the model again."
        )
    documents, arrays = {}, {}
    for path in (folder / name for name in entries):
        if path.suffix == ".json":
            documents[path.stem] = manifest.read_json(path)
            continue
        try:
            arrays[path.stem] = archives.arrays(path)
        except DataError:
            raise
        except (OSError, *archives.DAMAGE) as error:
            raise DataError(f"Expected arrays in {path}. Received: {error!s:.200}.") from error
    return documents, arrays


def is_model_folder(folder: Path) -> bool:
    """Whether a folder has the manifest of a model folder of any format. Reads no other file."""
    try:
        content = manifest.read_object(Path(folder) / MANIFEST)
    except (OSError, DataError):
        return False
    return content.get("kind") == KIND


def require_outside(output: Path) -> None:
    """Check that an output is neither a model folder nor in one, which any further file would make unreadable.

    The same holds of a version written by `alad export`, which never changes.

    Raises:
        SettingsError: it is.
    """
    path = Path(os.path.realpath(output))  # unlike resolve(), for loops of links too
    for folder in (path, *path.parents):
        if is_model_folder(folder):
            raise SettingsError(
                f"Expected an output outside the model folder {folder}, where it would damage the model. "
                f"Received: {output}."
            )
        if os.path.isfile(folder / EXPORTED):
            raise SettingsError(
                f"Expected an output outside the exported version {folder}, which never changes. Received: {output}."
            )


def require_replaceable(folder: Path) -> None:
    """Check that a model folder can be written: the path is free, an empty folder or a model folder, outside others.

    Raises:
        SettingsError: it is not, or it is the current folder, which would be renamed under the process and its shell.
    """
    if folder.exists() and folder.samefile("."):
        raise SettingsError(
            f"Expected a new folder or a model folder to replace. Received: {folder}, the current one. Name one in it."
        )
    require_outside(folder.parent)
    if folder.is_symlink() or (folder.exists() and not is_model_folder(folder) and not _is_empty(folder)):
        raise SettingsError(
            f"Expected a new folder or a model folder to replace. Received: {folder}, which is neither. Choose another."
        )


def _entries(folder: Path) -> manifest.Entries:
    if not is_model_folder(folder):
        received = f"a folder without its {MANIFEST}" if folder.is_dir() else "a file" if folder.exists() else "nothing"
        raise DataError(f"Expected a model folder in {folder}. Received: {received}. Allowed: what `alad fit` writes.")
    content = manifest.read_object(folder / MANIFEST)
    if content.get("format") not in READ:
        raise DataError(
            f"Expected a model folder of format {' or '.join(map(str, READ))} in {folder}. "
            f"Received: format {content.get('format')!r:.80}. Read it with the version of alad_tf that "
            "wrote it, or a newer one."
        )
    entries = manifest.require_entries(content.get("files"), folder / MANIFEST)
    if not all(map(_is_name, entries)):
        raise DataError(f"Expected the list of the files in {folder / MANIFEST}. Received: names of other files.")
    return entries


def _is_name(name: str) -> bool:
    return Path(name).name == name and Path(name).suffix in (".json", ".npz")


def _write_document(path: Path, document: object) -> None:
    try:
        atomic.write_json(path, document)
        manifest.read_json(path)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"Expected a document that JSON can hold for {path.name}. Received: {error}.") from error


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _put_in_place(temporary: Path, folder: Path) -> None:
    """Rename the complete folder; an existing folder gets the temporary name in the same step."""
    if not folder.exists() or _is_empty(folder):
        os.rename(temporary, folder)  # replaces an empty folder
    else:
        atomic.exchange(temporary, folder)
    atomic.sync(folder.parent)
