"""The data sets of Table I, split as the released code splits them, and the toy data of Figure 2.

Image data sets are in `alad_tf.data.images`; the following describes the tabular ones.

Raw files are found in the folders of `paths.data_folders` or downloaded, and verified by their SHA-256. Parsed arrays
are cached with their checksums; processes memory-map the same cached files.

x is float32, one row per sample; y is uint8, 1 = anomaly. Arrays may be read-only. Only images have a validation part.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from alad_tf.data import images
from alad_tf.data.arrhythmia import ARRHYTHMIA_FEATURES
from alad_tf.data.base import Counts, Halves, Split
from alad_tf.data.download import raw_file, respect_read_only
from alad_tf.data.kdd99 import KDD99_FEATURES
from alad_tf.data.raw_files import COUNTS
from alad_tf.data.toy import toy_halves
from alad_tf.errors import DataError, SettingsError
from alad_tf.io.atomic import replacing, write_json
from alad_tf.io.manifest import entry
from alad_tf.options import PROTOCOL_SCALINGS
from alad_tf.paths import data_folders, download_folders, unique_folders, user_cache

DATA_SETS = ("kdd99", "arrhythmia", *images.SOURCES, "toy")
FEATURES = {"kdd99": KDD99_FEATURES, "arrhythmia": ARRHYTHMIA_FEATURES, "toy": ("x1", "x2")}
TRAINING_HALVES = ("clean", "released")
CACHE_VERSION = 1  # raise it when parsing or splitting changes


def load(
    name: str,
    *,
    data_dir: Path | str | None = None,
    scaling: str | None = None,
    training_half: str = "clean",
    normal_class: int | None = None,
) -> Split:
    """Load a data set with the paper's protocol (Section V-A) and the split of the released code.

    kdd99: 198,361 training rows, 247,011 test rows, 121 features; attacks are the normal class.
    arrhythmia: 192 training rows (226 with training_half="released", which leaves its 34 anomalies in), 226 test
    rows, 274 features. toy: 2,048 training rows, 2,148 test rows, 2 features. svhn, cifar10: see `images.load`.

    Values are raw; scaling="minmax" maps each feature of the training rows to [0, 1], and test rows by the same map.

    Raises SettingsError for an unknown name or option; DataError for a file that is missing and cannot be downloaded,
    has the wrong checksum (it is then set aside as `<name>.bad`), or does not hold the rows of Table I.
    """
    _require_options(name, scaling, training_half)
    if normal_class is not None and name not in images.SOURCES:
        raise SettingsError(f"Expected no normal class for {name}, which has none. Received: {normal_class!r}.")
    if name in images.SOURCES:
        return Split(*images.load(name, normal_class, data_folders(data_dir), download_folders(data_dir)))
    halves = toy_halves() if name == "toy" else _tabular(name, data_dir)
    x_train, x_test = halves.x_train, halves.x_test
    if training_half == "clean" and halves.y_train.any():
        x_train = x_train[halves.y_train == 0]
    if scaling == "minmax":
        from sklearn.preprocessing import MinMaxScaler

        scaler = MinMaxScaler().fit(x_train)
        x_train, x_test = scaler.transform(x_train), scaler.transform(x_test)
    return Split(x_train, None, x_test, halves.y_test)


def prepare(
    name: str, *, data_dir: Path | str | None = None, scaling: str | None = None, training_half: str = "clean"
) -> None:
    """Download and cache a data set before several processes load it. Raises as `load`, except for damaged images."""
    _require_options(name, scaling, training_half)
    if name in images.SOURCES:
        images.prepared(name, data_folders(data_dir), download_folders(data_dir))
    else:
        load(name, data_dir=data_dir, scaling=scaling, training_half=training_half)


def _require_options(name: str, scaling: str | None, training_half: str) -> None:
    _require("data set", name, DATA_SETS)
    _require("scaling", scaling, PROTOCOL_SCALINGS)
    _require("training half", training_half, TRAINING_HALVES)
    if scaling is not None and name in images.SOURCES:
        raise SettingsError(f"Expected no scaling for {name}: its pixels are mapped to [-1, 1]. Received: {scaling!r}.")
    if training_half == "released" and name != "arrhythmia":
        raise SettingsError(
            f"Expected training half 'clean' for {name}: its training half is already normals only (the released KDD99 "
            "half is attacks only). Received: 'released'. Only arrhythmia has both."
        )


def feature_names(name: str) -> list[str]:
    """Names of the columns of x, 121, 274 or 2 of them. One-hot columns are named like `service=http`."""
    _require("tabular data set", name, tuple(FEATURES))
    return list(FEATURES[name])


def _require(what: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise SettingsError(f"Expected a known {what}. Received: {value!r}. Allowed: {', '.join(map(repr, allowed))}.")


def _tabular(name: str, data_dir: Path | str | None) -> Halves:
    """Read the halves from the cache beside the raw file or in the user's cache folder, or else parse and cache them.

    If neither folder is writable, the arrays are not cached. Nothing is cached in the checkout's data folder.
    """
    raw, path, content = raw_file(name, data_dir)
    writable = download_folders(data_dir)
    folders = [folder for folder in unique_folders(path.parent, *user_cache()) if folder in writable]
    stem = f"{raw.name}.{raw.sha256[:12]}.v{CACHE_VERSION}"
    for folder in folders:
        try:
            return _read_cache(folder, stem, name)
        except (OSError, ValueError, EOFError):  # absent or damaged
            continue
    halves = raw.parse(content)
    _check_counts(name, halves)
    for folder in folders:
        try:
            _write_cache(folder, stem, halves)
            return _read_cache(folder, stem, name)
        except OSError:
            continue
    return halves


def _read_cache(folder: Path, stem: str, name: str) -> Halves:
    """Memory-map the cached arrays after verifying the sizes and checksums stored with them.

    Raises:
        OSError, ValueError, EOFError: an array or the checksums are missing, damaged or changed.
    """
    paths = [folder / f"{stem}.{field}.npy" for field in Halves._fields]
    sums = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
    if {path.name: entry(path) for path in paths} != sums:
        raise ValueError("cached arrays that differ from what was cached")
    halves = Halves(*(np.load(path, mmap_mode="r") for path in paths))
    _check_counts(name, halves)
    return halves


def _write_cache(folder: Path, stem: str, halves: Halves) -> None:
    """Store the arrays, then their sizes and checksums."""
    respect_read_only(folder)
    sums = {}
    for field, array in zip(Halves._fields, halves):
        with replacing(folder / f"{stem}.{field}.npy") as temporary:
            np.save(temporary, array)
            sums[f"{stem}.{field}.npy"] = entry(temporary)
    write_json(folder / f"{stem}.json", sums)


def _check_counts(name: str, halves: Halves) -> None:
    received = Counts(halves.x_train.shape, int(halves.y_train.sum()), halves.x_test.shape, int(halves.y_test.sum()))
    if received != COUNTS[name]:
        raise DataError(
            f"Expected {name} to hold {COUNTS[name]} (Table I). Received: {received}. Install the versions of pandas, "
            "scikit-learn and numpy that setup.cfg names."
        )
