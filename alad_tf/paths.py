"""Paths of the checkout, raw data and results."""

from __future__ import annotations

import os
from pathlib import Path

from alad_tf.errors import SettingsError

ROOT = Path(__file__).resolve().parents[1]  # holds the packages alad_tf and architectures
CHECKOUT = ROOT if (ROOT / "reproduce.sh").exists() else None  # None: installed in site-packages


def data_folders(data_dir: Path | str | None = None) -> list[Path]:
    """Return the folders that are searched for raw files, in order.

    They are: the argument or else $ALAD_DATA_DIR, data/ of the checkout, ../shared/data beside the checkout, the user's
    cache folder. They need not exist. Raises SettingsError if the first is a file, or below an unknown user's home.
    """
    folder_name = data_dir or os.environ.get("ALAD_DATA_DIR")
    try:
        named = [Path(folder_name).expanduser()] if folder_name else []
    except RuntimeError as error:
        raise SettingsError(f"Expected a data directory. Received: {folder_name}, of an unknown user.") from error
    for folder in named:
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise SettingsError(f"Expected a data directory. Received: the file {folder}. Name the directory it is in.")
    return unique_folders(*named, *checkout_data(), *user_cache())


def download_folders(data_dir: Path | str | None = None) -> list[Path]:
    """Return the folders for downloads and cached arrays: `data_folders` without the data/ that git tracks."""
    tracked = [folder.resolve() for folder in checkout_data()[:1]]
    return [folder for folder in data_folders(data_dir) if folder.resolve() not in tracked]


def find_data(name: str, data_dir: Path | str | None = None) -> Path | None:
    """Return the first file or folder with this name in the data folders, or None."""
    places = (folder / name for folder in data_folders(data_dir))
    return next((place for place in places if os.path.exists(place)), None)


def checkout_data() -> list[Path]:
    """Return data/ of the checkout, which git tracks, and ../shared/data beside it if that exists.

    If the package is installed elsewhere, the current directory counts as the checkout if it is one.
    """
    here = Path.cwd() if (Path("reproduce.sh").exists() and Path("alad_tf", "paths.py").exists()) else None
    checkout = CHECKOUT or here
    if checkout is None:
        return []
    shared = checkout.parent / "shared" / "data"
    return [checkout / "data", *([shared] if shared.is_dir() else [])]


def user_cache() -> list[Path]:
    """Return the user's cache folder for this package; none for a user without a home, as in some containers."""
    try:
        return [Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "alad_tf"]
    except RuntimeError:
        return []


def unique_folders(*folders: Path) -> list[Path]:
    """Return the folders without duplicates, in order."""
    return list(dict.fromkeys(folders))


def default_out() -> Path:
    """Return results/ in the checkout, or in the current directory if there is no checkout."""
    return (CHECKOUT or Path.cwd()) / "results"


def published_results() -> Path:
    """Return the folder of published results, in the checkout or else in the installed package."""
    return CHECKOUT / "results" / "published" if CHECKOUT else Path(__file__).with_name("published")
