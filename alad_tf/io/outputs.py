"""Checks of the path of an output file before any work is done, and its lock against other processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alad_tf.errors import SettingsError
from alad_tf.io import locks, model_folder


@contextmanager
def claimed(output: Path, overwrite: bool, *inputs: Path | None) -> Iterator[None]:
    """Check an output file as `require_new` does, and keep other processes from it until it is written.

    Raises:
        SettingsError: see `require_new`.
        AladError: another process writes the output.
    """
    require_new(output, overwrite, *inputs)
    output.parent.mkdir(parents=True, exist_ok=True)
    with locks.claimed(output, "an output"):
        require_new(output, overwrite, *inputs)  # another process may have written it just now
        yield


def require_new(output: Path, overwrite: bool, *inputs: Path | None) -> None:
    """Check that an output file can be written without damage to the inputs, a model folder or an existing file.

    Args:
        output: the file to write.
        overwrite: whether an existing file may be replaced.
        inputs: files and folders that are read; None is passed over.

    Raises:
        SettingsError: the output is an input or is inside one, is in a model folder, is a folder, a pipe or a
            device, or exists already.
    """
    model_folder.require_outside(output)
    for path in filter(None, inputs):
        if _is_same(output, path):
            raise SettingsError(f"Expected an output other than the input. Received: {output}.")
        if is_within(output, path):
            raise SettingsError(f"Expected an output outside the input folder {path}. Received: {output}.")
    if output.is_dir():
        raise SettingsError(f"Expected a file to write. Received: the folder {output}.")
    if output.exists() and not output.is_file():
        raise SettingsError(f"Expected a file to write. Received: {output}, a pipe or a device.")
    if (output.exists() or output.is_symlink()) and not overwrite:
        raise SettingsError(f"Expected a new output. Received: {output}, which exists. Pass --overwrite to replace it.")


def is_within(path: Path | str, folder: Path | str) -> bool:
    """Whether a path is a folder or in it, also through symbolic links."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths name one file, also through symbolic or hard links."""
    same = os.path.realpath(one) == os.path.realpath(other)
    return same or (one.exists() and other.exists() and one.samefile(other))
