"""A small image data set in the form of tensorflow-datasets, and a small table for runs on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from reference import narrow_images

from alad_tf.experiments import run
from alad_tf.experiments.settings import Settings
from alad_tf.typing import Arrays, Options
from architectures import svhn


def images(n: int, seed: int = 0, size: int = 32) -> np.ndarray:
    """Images [n, size, size, 3] uint8: noise over one colour per image."""
    random = np.random.default_rng(seed)
    colours = random.integers(0, 200, (n, 1, 1, 3))
    return (colours + random.integers(0, 56, (n, size, size, 3))).astype(np.uint8)


def prepare(folder: Path, train: int = 90, test: int = 30, size: int = 32, classes: int = 5) -> Arrays:
    """Write svhn_cropped with few images into `folder`/tensorflow_datasets, shuffled as tensorflow-datasets does.

    The classes take turns. Returns the arrays of both parts by the order of the original file.
    """
    import tensorflow_datasets as tfds

    features = tfds.features.FeaturesDict(
        {
            "id": tfds.features.Text(),
            "image": tfds.features.Image(shape=(size, size, 3)),
            "label": tfds.features.ClassLabel(num_classes=max(classes, 10)),
        }
    )

    def examples(split: str, x: np.ndarray) -> list[dict[str, Any]]:
        rows = np.random.default_rng(1).permutation(len(x))
        return [{"id": f"{split}_{row:06d}", "image": x[row], "label": int(row % classes)} for row in rows]

    parts = {"train": images(train, 1, size), "test": images(test, 2, size)}
    tfds.dataset_builders.store_as_tfds_dataset(
        name="svhn_cropped",
        version="3.1.0",
        data_dir=folder / "tensorflow_datasets",
        features=features,
        split_datasets={split: _dataset(examples(split, x), features) for split, x in parts.items()},
        disable_shuffling=True,
    )
    return parts


def _dataset(examples: list[dict[str, Any]], features: Any) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_generator(lambda: iter(examples), output_signature=features.get_tensor_spec())


@contextmanager
def small(chunk: int = 1) -> Iterator[None]:
    """Use the narrow table, chunks that end within epochs, and a checkpoint after each chunk."""
    constants: Options = {"CHUNK_IMAGE_STEPS": chunk, "CHECKPOINT_SECONDS": 0.0}
    with patch.multiple(run, **constants), patch.object(svhn, "ALAD", narrow_images()):
        yield


def settings(epochs: int = 6, normal_class: int = 3, **options: Any) -> Settings:
    """Settings of a run on the small data set, with a fast average of the weights."""
    return Settings.of_protocol("svhn", epochs=epochs, normal_class=normal_class, ema_decay=0.5, **options)
