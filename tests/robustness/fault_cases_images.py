"""Cases of image data sets, as prepared by tensorflow-datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable
from unittest.mock import patch

import small_images
from faults import Arguments, Inline, Scene, fault, flipped

from alad_tf.experiments import scheduler

IMAGES = "Images"
PREPARED = Path("data/tensorflow_datasets/svhn_cropped/3.1.0")


def prepared(scene: Scene, damage: Callable[[Path], None] = lambda folder: None, **options: Any) -> Arguments:
    """Arguments of a call with a few prepared images, whose run would be in this process."""
    small_images.prepare(scene.folder / "data", **options)
    damage(scene.folder / PREPARED)
    for context in (patch.object(scheduler, "RunProcess", Inline), patch.object(scheduler, "wait")):
        scene.stack.enter_context(context)
    scene.after.append(lambda: no_result(scene))
    task = ["--normal-class", 3, "--runs", 1, "--epochs", 1]
    return ["reproduce", "svhn", *task, "--data-dir", "data", "--out", "images"]


def no_result(scene: Scene) -> None:
    assert not list(scene.folder.glob("images/**/result.json"))


@fault(IMAGES, "class 3 seed 0: Expected a prepared svhn_cropped in .*Remove that folder to prepare it again")
def records_are_cut(scene: Scene) -> Arguments:
    def cut(folder: Path) -> None:
        (records,) = folder.glob("*train*tfrecord*")
        records.write_bytes(records.read_bytes()[:5000])

    return prepared(scene, cut)


@fault(IMAGES, "class 3 seed 0: Expected a prepared svhn_cropped in .*Remove that folder to prepare it again")
def bit_of_the_records_is_flipped(scene: Scene) -> Arguments:
    def flip(folder: Path) -> None:
        (records,) = folder.glob("*test*tfrecord*")
        records.write_bytes(flipped(records.read_bytes()))

    return prepared(scene, flip)


@fault(IMAGES, "Expected a prepared svhn_cropped in .*Remove that folder to prepare it again")
def description_is_cut(scene: Scene) -> Arguments:
    def cut(folder: Path) -> None:
        (folder / "dataset_info.json").write_text('{"name": "svhn_')

    return prepared(scene, cut)


@fault(IMAGES, r"Expected uint8 images \[32, 32, 3\] .*Received: uint8 \[28, 28, 3\]")
def images_are_of_another_size(scene: Scene) -> Arguments:
    return prepared(scene, size=28)


@fault(IMAGES, "Expected images of class 3 in the training part of svhn. Received: none")
def class_has_no_images(scene: Scene) -> Arguments:
    return prepared(scene, classes=2)


@fault(IMAGES, "Expected classes from 0 to 9 or all for --normal-class. Received: '10'", code=2)
def class_outside_of_the_ten(scene: Scene) -> Arguments:
    return ["reproduce", "svhn", "--normal-class", 10]


@fault(IMAGES, "Expected no normal class for kdd99. Received: 3")
def class_of_a_tabular_data_set(scene: Scene) -> Arguments:
    return ["reproduce", "kdd99", "--normal-class", 3]
