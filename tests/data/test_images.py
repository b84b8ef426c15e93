"""Image data sets: order, split, normal class, stand-ins, damage; runs with early stopping."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_images
import small_run
from sklearn.model_selection import train_test_split

from alad_tf import metrics, paths
from alad_tf.data import images, loading
from alad_tf.errors import DataError, SettingsError, Stopped
from alad_tf.experiments import checkpoints
from alad_tf.experiments import run as experiment
from alad_tf.experiments.protocol import PROTOCOLS
from alad_tf.experiments.run import load_networks
from alad_tf.experiments.settings import Settings
from alad_tf.model import networks, scores
from alad_tf.options import SCORES
from alad_tf.typing import Arrays, Document, Options

Prepared = tuple[Path, Arrays]  # data folder, and the images that it holds

ALL = 120
VERSION = Path("tensorflow_datasets/svhn_cropped/3.1.0")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("images")
    return folder, small_images.prepare(folder)


@pytest.fixture
def copied(prepared: Prepared, tmp_path: Path) -> Path:
    shutil.copytree(prepared[0], tmp_path / "data")
    return tmp_path / "data"


# The data


def test_images_are_read_in_the_original_order(prepared: Prepared) -> None:
    folder, parts = prepared
    found = images.read("svhn", [folder])
    np.testing.assert_array_equal(found.x, np.concatenate([parts["train"], parts["test"]]))
    np.testing.assert_array_equal(found.label, [*(np.arange(90) % 5), *(np.arange(30) % 5)])
    assert (found.x.dtype, found.label.dtype) == (np.uint8, np.uint8)


def test_other_counts_than_table_i_are_a_stand_in(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = prepared
    expected = "stand-in data: 90 + 30 images, not the 73,257 + 26,032 of Table I"
    assert images.load("svhn", 3, [folder]).stand_in == expected
    monkeypatch.setitem(images.SOURCES, "svhn", images.Source("svhn_cropped", 90, 30))
    assert images.load("svhn", 3, [folder]).stand_in is None


def test_split_is_the_released_one_and_training_parts_hold_one_class(prepared: Prepared) -> None:
    folder, parts = prepared
    x, label = np.concatenate([parts["train"], parts["test"]]), np.array([*(np.arange(90) % 5), *(np.arange(30) % 5)])
    rest, x_test, rest_label, test_label = train_test_split(x, label, test_size=0.2, random_state=42)
    x_train, x_valid, train_label, valid_label = train_test_split(rest, rest_label, test_size=0.25, random_state=42)
    split = loading.load("svhn", data_dir=folder, normal_class=2)
    np.testing.assert_array_equal(split.x_train, x_train[train_label == 2])
    assert split.x_valid is not None
    np.testing.assert_array_equal(split.x_valid, x_valid[valid_label == 2])
    np.testing.assert_array_equal(split.x_test, x_test)
    np.testing.assert_array_equal(split.y_test, test_label != 2)
    assert len(split.x_test) == 24 and len(split.x_train) + len(split.x_valid) < 96


def test_first_folder_with_the_data_is_read(prepared: Prepared, tmp_path: Path) -> None:
    assert len(images.read("svhn", [tmp_path, prepared[0]]).x) == ALL
    assert not list(tmp_path.iterdir())


# Bad input


@pytest.mark.parametrize("normal_class", [-1, 10, None])
def test_class_outside_is_refused(prepared: Prepared, normal_class: int | None) -> None:
    with pytest.raises(SettingsError, match=f"Expected a normal class from 0 to 9. Received: {normal_class}"):
        images.load("svhn", normal_class, [prepared[0]])


def test_scaling_is_refused() -> None:
    with pytest.raises(SettingsError, match="Expected no scaling for svhn: its pixels are mapped"):
        loading.load("svhn", scaling="minmax", normal_class=0)


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    small_images.prepare(tmp_path, 12, 4, size=28)
    with pytest.raises(DataError, match=r"Expected uint8 images \[32, 32, 3\].*Received: uint8 \[28, 28, 3\]"):
        images.read("svhn", [tmp_path])


def test_labels_of_other_classes_are_refused(tmp_path: Path) -> None:
    small_images.prepare(tmp_path, 24, 4, classes=12)
    with pytest.raises(DataError, match="Expected uint8 images.*classes 0 to 11"):
        images.read("svhn", [tmp_path])


def test_class_without_images_is_named(tmp_path: Path) -> None:
    small_images.prepare(tmp_path, 50, 20)
    with pytest.raises(DataError, match="Expected images of class 9 in the training part of svhn. Received: none"):
        images.load("svhn", 9, [tmp_path])


def test_validation_part_without_images_is_named(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    all_images = images.read("svhn", [prepared[0]])
    rest, _ = train_test_split(np.arange(ALL), test_size=0.2, random_state=42)
    _, valid = train_test_split(rest, test_size=0.25, random_state=42)
    label = all_images.label.copy()
    label[valid] = 0
    monkeypatch.setattr(images, "read", lambda *_: all_images._replace(label=label))
    with pytest.raises(DataError, match="Expected images of class 4 in the validation part of svhn. Received: none"):
        images.load("svhn", 4, [])


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "missing", "text"])
@pytest.mark.parametrize("what", ["records", "description", "features"])
def test_damaged_files_are_refused_in_one_line(copied: Path, what: str, damage: str) -> None:
    pattern = {"records": "*train*tfrecord*", "description": "dataset_info.json", "features": "features.json"}[what]
    (path,) = (copied / VERSION).glob(pattern)
    if damage == "flip":
        flip(path, path.stat().st_size // 2 if what == "records" else 0)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"<html>not here</html>" if damage == "text" else b"")
    if (what, damage) == ("description", "missing"):  # it is no prepared data set any more
        return
    with pytest.raises(DataError) as refused:
        images.load("svhn", 3, [copied])
    message = str(refused.value)
    assert message.startswith("Expected a prepared svhn_cropped in ") and str(copied / VERSION) in message
    assert message.endswith("Remove that folder to prepare it again.") and "\n" not in message


def test_failed_download_says_where_to_put_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import tensorflow_datasets as tfds

    def offline(*_: object, **__: object) -> None:
        logging.getLogger("urllib3.connectionpool").warning("Retrying")
        raise OSError("no route to host")

    caplog.set_level(logging.INFO)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", offline)
    with pytest.raises(
        DataError, match="Expected svhn_cropped, prepared.*no route to host.*--data-dir or ALAD_DATA_DIR"
    ):
        images.prepared("svhn", [tmp_path])
    (message,) = caplog.messages
    assert message.startswith(f"downloading svhn_cropped into {tmp_path}")
    assert logging.getLogger("urllib3").level == logging.NOTSET


def test_images_are_downloaded_to_the_first_writable_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first folder searched may be in the checkout, which is never written to."""
    import tensorflow_datasets as tfds

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", lambda builder: None)
    (tmp_path / "read only").mkdir(mode=0o555)
    targets = [tmp_path / "read only", tmp_path / "cache"]
    builder = images.prepared("svhn", [tmp_path / "checkout", *targets], targets)
    assert Path(builder.data_dir).is_relative_to(tmp_path / "cache")
    assert not (tmp_path / "checkout").exists() and not list((tmp_path / "read only").iterdir())
    with pytest.raises(DataError, match="Expected to write svhn_cropped to .*read only.*Marked as read-only"):
        images.prepared("svhn", targets[:1])
    with pytest.raises(DataError, match=r"Expected to write svhn_cropped to a data directory\. Received: none\."):
        images.prepared("svhn", [tmp_path / "checkout"], [])


# The real data


@pytest.mark.parametrize("name", ["cifar10", "svhn"])
def test_real_images(name: str) -> None:
    folder = paths.data_folders()[0]
    builder = folder / "tensorflow_datasets" / images.SOURCES[name].builder
    if not builder.is_dir():
        pytest.skip(f"tensorflow_datasets/{builder.name} not in {folder}")
    found = images.read(name, [folder])
    if name == "cifar10":
        assert found.stand_in is None
        assert found.label[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]  # of the original files
        assert found.label[50_000:50_005].tolist() == [3, 8, 8, 0, 6]
        assert np.bincount(found.label).tolist() == [6_000] * 10
        means = found.x[:50_000].mean(axis=(0, 1, 2)) / 255.0
        published = [0.4914, 0.4822, 0.4465]  # to four decimals
        np.testing.assert_allclose(means, published, rtol=0.0, atol=0.5e-4)
    split = loading.load(name, normal_class=0)
    assert split.x_valid is not None and len(split.x_valid) > 300
    assert len(split.x_test) == round(0.2 * len(found.x))


# Runs


@pytest.fixture
def small() -> Iterator[None]:
    with small_images.small():
        yield


def run(settings: Settings, run_dir: Path, folder: Path, **options: Any) -> Document:
    run_dir.mkdir(exist_ok=True)
    return experiment.run(settings, 5, run_dir, data_dir=folder, **options)


def history(run_dir: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run_dir / "history.jsonl").read_text().splitlines()]


def test_best_weights_on_the_validation_images_score(small: None, prepared: Prepared, tmp_path: Path) -> None:
    best = run(small_images.settings(weights="best"), tmp_path / "best", prepared[0])
    last = run(small_images.settings(), tmp_path / "last", prepared[0])
    records = history(tmp_path / "best")
    values = [record["validation"] for record in records]
    assert len(values) == 6 and values == [record["validation"] for record in history(tmp_path / "last")]
    chosen = min(records, key=lambda record: record["validation"])
    assert best["best"] == {key: chosen[key] for key in ("epoch", "step", "validation")}
    split = loading.load("svhn", data_dir=prepared[0], normal_class=3)
    assert split.x_valid is not None
    for folder, result, value in (("best", best, min(values)), ("last", last, values[-1])):
        scorer = scores.Scorer(load_networks(tmp_path / folder))
        assert float(scorer(split.x_valid)["features"].mean()) == value  # of the same rows in the same graph
        found = scorer(split.x_test)
        assert {name: metrics.evaluate(split.y_test, found[name], 0.9) for name in SCORES} == result["scores"]
    assert best["stand_in"].startswith("stand-in data: 90 + 30 images")
    assert (best["n_train"], best["n_test"]) == (len(split.x_train), 24)
    assert not (tmp_path / "best" / "checkpoints").exists()
    assert set(records[4]) >= {f"auroc_{name}" for name in SCORES}


def test_training_stops_where_validation_no_longer_improves(
    small: None, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = loading.load("svhn", data_dir=prepared[0], normal_class=3)
    assert split.x_valid is not None
    n_valid = len(split.x_valid)
    means = iter([5.0, 4.0, 4.5, 4.0, 3.9, 9.0])
    real = scores.Scorer.__call__

    def scored(self: scores.Scorer, x: np.ndarray) -> dict[str, np.ndarray]:
        if len(x) == n_valid:
            return {"features": np.full(n_valid, next(means))}
        return real(self, x)

    monkeypatch.setattr(scores.Scorer, "__call__", scored)
    result = run(small_images.settings(epochs=50, patience=2), tmp_path / "run", prepared[0])
    assert [record["validation"] for record in history(tmp_path / "run")] == [5.0, 4.0, 4.5, 4.0]
    assert (result["last_epoch"], result["best"]["epoch"], result["epochs"]) == (4, 2, 50)


def test_stopped_run_goes_on_with_the_same_bits(small: None, prepared: Prepared, tmp_path: Path) -> None:
    stops = (2, 4, 5)
    run(small_images.settings(patience=4, weights="best"), tmp_path / "whole", prepared[0])
    asked = [0]

    def stopping() -> bool:
        asked[0] += 1
        return asked[0] in stops

    for _ in stops:
        with pytest.raises(Stopped):
            run(small_images.settings(patience=4, weights="best"), tmp_path / "stopped", prepared[0], stopping=stopping)
    run(small_images.settings(patience=4, weights="best"), tmp_path / "stopped", prepared[0], stopping=stopping)
    assert small_run.outcome(tmp_path / "stopped") == small_run.outcome(tmp_path / "whole")


def test_damaged_best_weights_are_named(
    small: None, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damage(self: checkpoints.Checkpoints, step: int) -> None:
        (path,) = (tmp_path / "run" / "checkpoints").glob(f"best{step}/variables.data*")
        flip(path, 100)
        restore(self, step)

    restore = checkpoints.Checkpoints.restore_best
    monkeypatch.setattr(checkpoints.Checkpoints, "restore_best", damage)
    with pytest.raises(DataError, match="Expected the best weights in .*best.*To start the run again, remove"):
        run(small_images.settings(epochs=1, weights="best"), tmp_path / "run", prepared[0])
    assert not (tmp_path / "run" / "result.json").exists()


def test_protocol_of_images() -> None:
    for name in ("svhn", "cifar10"):
        settings = Settings.of_protocol(name, normal_class=4)
        assert (settings.epochs, settings.patience, settings.weights) == (100, 11, "last")
        assert (PROTOCOLS[name].runs, PROTOCOLS[name].metric, settings.ema_decay) == (3, "auroc", 0.999)
        assert settings.folder(Path("out"), 2) == Path("out") / name / "ALAD-releasedDynamics" / "class4" / "seed2"
    changed: Options = {"patience": None, "weights": "last", "dynamics": None}
    assert Settings.of_protocol("svhn", normal_class=4, **changed).method == "ALAD-noStopping-lastWeights"
    assert Settings.of_protocol("svhn", normal_class=4, patience=3).method == "ALAD-patience3-releasedDynamics"


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        ("svhn", {"normal_class": 10}, "Expected a normal class from 0 to 9 for svhn. Received: 10"),
        ("kdd99", {"normal_class": 1}, "Expected no normal class for kdd99. Received: 1"),
        ("kdd99", {"patience": 5}, "Expected no patience for kdd99. Received: 5"),
        ("svhn", {"patience": 0}, "Expected a patience of at least 1 epoch for svhn. Received: 0"),
        ("svhn", {"weights": "first"}, "Expected a known weights. Received: 'first'. Allowed: best, last"),
        ("toy", {"weights": "last"}, "Expected a known weights. Received: 'last'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(dataset: str, options: Options, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.of_protocol(dataset, **options)


def test_networks_and_figure_of_an_image_run(
    small: None, prepared: Prepared, tmp_path: Path, drawn_figures: None
) -> None:
    run(small_images.settings(epochs=1), tmp_path / "run", prepared[0])
    assert (tmp_path / "run" / "reconstructions.png").read_bytes().startswith(b"\x89PNG")
    loaded = load_networks(tmp_path / "run")
    assert isinstance(loaded, networks.Networks) and loaded.E.input_shape == (None, 32, 32, 3)
