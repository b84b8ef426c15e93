"""The image data sets of Table I through tensorflow-datasets, split as the released code splits them.

x is uint8 [n, 32, 32, 3], as it comes: the networks map pixels to [-1, 1]. y is uint8, 1 = anomaly.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from alad_tf.data.download import first_writable
from alad_tf.errors import DataError, SettingsError, one_line
from alad_tf.options import CLASSES

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

logger = logging.getLogger(__name__)

SHAPE = (32, 32, 3)


class Source(NamedTuple):
    """A data set of tensorflow-datasets and the number of images in its two parts."""

    builder: str
    train: int
    test: int


SOURCES = {  # Table I: 99,289 and 60,000 images
    "svhn": Source("svhn_cropped", 73_257, 26_032),
    "cifar10": Source("cifar10", 50_000, 10_000),
}


class Images(NamedTuple):
    """All images of a data set, the training part first, each part in the order of its original file."""

    x: np.ndarray  # [n, 32, 32, 3] uint8
    label: np.ndarray  # [n] uint8, 0 to 9
    stand_in: str | None  # how they differ from the data set of Table I; None: no difference


class Parts(NamedTuple):
    """One task of an image data set: one class is normal, the others are anomalies."""

    x_train: np.ndarray
    x_valid: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    stand_in: str | None


def load(name: str, normal_class: int | None, folders: list[Path], targets: list[Path] | None = None) -> Parts:
    """Load one of the ten tasks of an image data set (Section V-A).

    A fifth of all images is for testing, a quarter of the rest for validation; only normal images are kept in the
    training and validation parts.

    Args:
        name: "svhn" or "cifar10".
        normal_class: 0 to 9.
        folders: data folders; the first that holds the prepared data set in tensorflow_datasets/ is used.
        targets: if none of them does, the data set is downloaded into the first of these that is writable; by default,
            the folders.

    Raises:
        SettingsError: unknown class.
        DataError: the data are missing and cannot be downloaded or stored, are damaged, or hold other images than
            [32, 32, 3] of ten classes.
    """
    from sklearn.model_selection import train_test_split

    if normal_class not in range(CLASSES):
        raise SettingsError(f"Expected a normal class from 0 to {CLASSES - 1}. Received: {normal_class!r}.")
    images = read(name, folders, targets)
    rows = np.arange(len(images.x))
    rows, test = train_test_split(rows, test_size=0.2, random_state=42)
    train, valid = train_test_split(rows, test_size=0.25, random_state=42)
    train, valid = (part[images.label[part] == normal_class] for part in (train, valid))
    y_test = (images.label[test] != normal_class).astype(np.uint8)
    for part, count in (("training", len(train)), ("validation", len(valid)), ("test", len(test) - int(y_test.sum()))):
        if not count:
            raise DataError(f"Expected images of class {normal_class} in the {part} part of {name}. Received: none.")
    return Parts(images.x[train], images.x[valid], images.x[test], y_test, images.stand_in)


def read(name: str, folders: list[Path], targets: list[Path] | None = None) -> Images:
    """Read all images of a data set in the original order.

    Raises:
        DataError: as `load`.
    """
    source = SOURCES[name]
    builder = prepared(name, folders, targets)
    try:
        parts = [_part(builder, split) for split in ("train", "test")]
    except Exception as error:  # readers raise many types for damaged files
        raise DataError(
            f"Expected a prepared {source.builder} in {builder.data_dir}. Received: {one_line(error)}. Remove that "
            "folder to prepare it again."
        ) from error
    x, label = (np.concatenate(arrays) for arrays in zip(*parts))
    if x.dtype != np.uint8 or x.shape[1:] != SHAPE or label.max(initial=0) >= CLASSES or label.min(initial=0) < 0:
        raise DataError(
            f"Expected uint8 images {list(SHAPE)} of classes 0 to {CLASSES - 1} in {builder.data_dir}. Received: "
            f"{x.dtype} {list(x.shape[1:])}, classes {label.min(initial=0)} to {label.max(initial=0)}."
        )
    counts = tuple(len(part[1]) for part in parts)
    expected = (source.train, source.test)
    stand_in = (
        None
        if counts == expected
        else (
            f"stand-in data: {counts[0]:,} + {counts[1]:,} images, not the {expected[0]:,} + {expected[1]:,} of Table I"
        )
    )
    return Images(x, label.astype(np.uint8), stand_in)


def prepared(name: str, folders: list[Path], targets: list[Path] | None = None) -> tfds.core.DatasetBuilder:
    """Return the builder of the first folder that holds the prepared data set, or download it (see `load`).

    Raises:
        DataError: there is none and no download succeeded, none of the targets is writable, or its description is
            damaged.
    """
    source = SOURCES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # raised by its own imports
        import tensorflow_datasets as tfds

    places = [folder / "tensorflow_datasets" for folder in folders]
    for place in places:
        found = os.listdir(place / source.builder) if (place / source.builder).is_dir() else []
        versions = sorted(found, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
        for version in reversed(versions):
            if (place / source.builder / version / "dataset_info.json").is_file():
                try:
                    return tfds.builder_from_directory(place / source.builder / version)
                except Exception as error:  # many types for damaged descriptions
                    raise DataError(
                        f"Expected a prepared {source.builder} in {place / source.builder / version}. Received: "
                        f"{one_line(error)}. Remove that folder to prepare it again."
                    ) from error
    into = first_writable(folders if targets is None else targets, source.builder) / "tensorflow_datasets"
    logger.info("downloading %s into %s; without a network, this fails after several minutes", source.builder, into)
    try:
        builder = tfds.builder(source.builder, data_dir=into)
        with _quiet_retries():
            builder.download_and_prepare()
    except Exception as error:  # of the network, the disk or a mirror
        looked = " or ".join(map(str, places))
        raise DataError(
            f"Expected {source.builder}, prepared by tensorflow-datasets, in {looked}. Received: no such folder, and "
            f"the download failed ({one_line(error)}). Name the directory that has it with --data-dir or "
            "ALAD_DATA_DIR."
        ) from error
    return builder


@contextmanager
def _quiet_retries() -> Iterator[None]:
    """Leave out urllib3's warning for each retry of a request; the error of the last one is raised."""
    urllib3 = logging.getLogger("urllib3")
    level = urllib3.level
    urllib3.setLevel(logging.ERROR)
    try:
        yield
    finally:
        urllib3.setLevel(level)


def _part(builder: tfds.core.DatasetBuilder, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of an official part, sorted by `id`: the order of the original file."""
    examples = builder.as_dataset(split=split, batch_size=-1)
    order = np.argsort(examples["id"].numpy())
    return examples["image"].numpy()[order], examples["label"].numpy()[order]
