"""HTML pages on disk."""

from __future__ import annotations

from pathlib import Path

from alad_tf.errors import SettingsError
from alad_tf.io import atomic


def require(output: Path, *inputs: Path | None, overwrite: bool) -> None:
    """Refuse a name that is no new page, or under which an input would be lost.

    Raises:
        SettingsError: another suffix than .html, a folder, a file that is there, a place inside an input folder.
    """
    if output.suffix.lower() not in (".html", ".htm"):
        raise SettingsError(f"Expected an output in .html. Received: {output}.")
    for path in filter(None, inputs):
        if path.resolve() == output.resolve() or path.resolve() in output.resolve().parents:
            raise SettingsError(f"Expected an output outside {path}. Received: {output}.")
    if output.is_dir():
        raise SettingsError(f"Expected a file to write. Received: the folder {output}.")
    atomic.require_new(output, overwrite)
