"""Folders: the checkout, raw data, results."""

from __future__ import annotations

import os
from pathlib import Path

from alad_tf.errors import SettingsError

_ROOT = Path(__file__).resolve().parents[1]
CHECKOUT = _ROOT if (_ROOT / "reproduce.sh").exists() else None  # None: installed among other packages


def data_directory(data_dir: Path | str | None = None) -> Path:
    """Where raw files are looked for first.

    The first of: the argument, $ALAD_DATA_DIR, data/ in the checkout, ../shared/data beside the checkout (these two
    only if they exist), the user's cache folder. It need not exist yet. Raises SettingsError where it is a file.
    """
    named = data_dir or os.environ.get("ALAD_DATA_DIR")
    if named:
        folder = Path(named).expanduser()
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise SettingsError(f"Expected a data directory. Received: the file {folder}. Name the directory it is in.")
        return folder
    if CHECKOUT:
        for folder in (CHECKOUT / "data", CHECKOUT.parent / "shared" / "data"):
            if folder.is_dir():
                return folder
    return user_cache()


def data_folders(data_dir: Path | str | None) -> list[Path]:
    """Folders that are searched for raw files, in order."""
    return unique_folders(data_directory(data_dir), user_cache())


def user_cache() -> Path:
    """The user's cache folder for this package."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "alad_tf"


def unique_folders(*folders: Path) -> list[Path]:
    """Folders without repetitions, in order."""
    return list(dict.fromkeys(folders))


def default_out() -> Path:
    """The results folder of the checkout, or of the current directory where the package is installed without one."""
    return (CHECKOUT or Path.cwd()) / "results"


def published_results() -> Path:
    """The folder of published results: results/published of the checkout, or the copy in the installed package."""
    return CHECKOUT / "results" / "published" if CHECKOUT else Path(__file__).with_name("published")
