"""Settings of each baseline on each data set, the name of its folder, and the options that it refuses."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

import architectures
from alad_tf import baselines
from alad_tf.errors import DataError, SettingsError
from alad_tf.experiments.baseline_settings import BASELINES, BaselineSettings, of_method
from alad_tf.experiments.protocol import ABLATIONS, METHODS
from alad_tf.experiments.settings import RUN_FILES, Settings
from alad_tf.options import NEIGHBOURS
from alad_tf.typing import Options

ROWS, IMAGES = ("kdd99", "arrhythmia"), ("svhn", "cifar10")
WITHOUT_NETWORKS = ("OC-SVM", "SGD-OC-SVM", "IF", "mean", "kNN")


def refused(dataset: str, method: str, **options: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        of_method(dataset, method, **options)
    text = str(caught.value)
    assert "\n" not in text and text.startswith("Expected ") and ("Received: " in text or "there is none" in text)
    return text


def test_methods() -> None:
    assert (*ABLATIONS, *WITHOUT_NETWORKS, "DSEBM", "DAGMM", "AnoGAN") == METHODS
    assert (*ABLATIONS, *BASELINES) == METHODS
    for method in ABLATIONS:
        assert of_method("kdd99", method) == Settings.of_protocol("kdd99", method)


@pytest.mark.parametrize("dataset", ROWS)
@pytest.mark.parametrize("method", BASELINES)
def test_defaults_of_rows(dataset: str, method: str) -> None:
    """D13: features are scaled to [0, 1], except for the forest, which scaling does not change, and AnoGAN."""
    epochs = {
        "DSEBM": {"kdd99": 100, "arrhythmia": 1000},
        "DAGMM": {"kdd99": 200, "arrhythmia": 10_000},
        "AnoGAN": {"kdd99": 100, "arrhythmia": 1000},
    }
    kdd99 = dataset == "kdd99"
    assert of_method(dataset, method) == BaselineSettings(
        dataset=dataset,
        epochs=epochs[method][dataset] if method in epochs else 1,
        baseline=method,
        scaling=None if method in ("IF", "AnoGAN") else "minmax",
        training_half="clean",
        jit=method in ("DAGMM", "AnoGAN"),
        train_rows={"OC-SVM": 10_000, "kNN": 20_000}.get(method) if kdd99 else None,
    )


@pytest.mark.parametrize("dataset", IMAGES)
@pytest.mark.parametrize("method", [method for method in BASELINES if method != "DAGMM"])
def test_defaults_of_images(dataset: str, method: str) -> None:
    assert of_method(dataset, method, normal_class=4) == BaselineSettings(
        dataset=dataset,
        epochs=1 if method in WITHOUT_NETWORKS else 100,
        baseline=method,
        normal_class=4,
        patience=25 if method == "DSEBM" else None,
        weights="best" if method == "DSEBM" else "last",
        test_rows=256 if method == "AnoGAN" else None,
    )
    assert of_method(dataset, method).normal_class == 0


@pytest.mark.parametrize("method", BASELINES)
def test_scores_files_and_folder(method: str, tmp_path: Path) -> None:
    made = of_method("arrhythmia", method)
    assert made.scores == {
        "DSEBM": ("energy", "reconstruction"),
        "DAGMM": ("energy",),
        "AnoGAN": ("released", "schlegl"),
    }.get(method, ("score",))
    without = tuple(name for name in RUN_FILES if name != "weights.npz")
    assert made.files == (without if method in WITHOUT_NETWORKS else RUN_FILES)
    assert made.method == method
    assert made.folder(tmp_path, 3) == tmp_path / "arrhythmia" / method / "seed3"
    assert (made.table is None) == (method in WITHOUT_NETWORKS)


def test_folder_of_images(tmp_path: Path) -> None:
    made = of_method("svhn", "IF", normal_class=7)
    assert made.folder(tmp_path, 0) == tmp_path / "svhn" / "IF" / "class7" / "seed0"


@pytest.mark.parametrize(
    ("dataset", "method", "options", "name"),
    [
        ("kdd99", "DSEBM", {"scaling": None}, "DSEBM-raw"),
        ("kdd99", "IF", {"scaling": "minmax"}, "IF-minmax"),
        ("arrhythmia", "IF", {"training_half": "released"}, "IF-releasedhalf"),
        ("kdd99", "OC-SVM", {"train_rows": 500}, "OC-SVM-train500"),
        ("kdd99", "OC-SVM", {"train_rows": None}, "OC-SVM-trainAll"),
        ("kdd99", "AnoGAN", {"test_rows": 500}, "AnoGAN-test500"),
        ("svhn", "AnoGAN", {"test_rows": None}, "AnoGAN-testAll"),
        ("svhn", "DSEBM", {"patience": 3}, "DSEBM-patience3"),
        ("svhn", "DSEBM", {"patience": None}, "DSEBM-noStopping"),
        ("svhn", "DSEBM", {"weights": "last"}, "DSEBM-lastWeights"),
        ("kdd99", "DSEBM", {"epochs": 3}, "DSEBM-3epochs"),
        ("kdd99", "DSEBM", {"jit": True}, "DSEBM-XLA"),
        ("kdd99", "DAGMM", {"jit": False, "scaling": None, "epochs": 1}, "DAGMM-raw-noXLA-1epochs"),
        ("arrhythmia", "kNN", {"scaling": None, "train_rows": 50, "test_rows": 9}, "kNN-raw-train50-test9"),
    ],
)
def test_departures_name_the_folder(dataset: str, method: str, options: Options, name: str) -> None:
    made = of_method(dataset, method, **options)
    assert made.method == name
    for option, value in options.items():
        assert getattr(made, option) == value


@pytest.mark.parametrize(
    ("dataset", "method", "options", "message"),
    [
        ("kdd99", "LOF", {}, "Expected the name of a method. Received: 'LOF'. Allowed: ALAD, ALAD-noSN"),
        ("mnist", "IF", {}, "Expected a known dataset. Received: 'mnist'"),
        ("svhn", "DAGMM", {}, "Expected a table of DAGMM for svhn, but there is none"),
        ("toy", "DSEBM", {}, "Expected a table of DSEBM for toy, but there is none"),
        (
            "kdd99",
            "IF",
            {"spectral_norm": None},
            "Expected options of IF. Received: spectral_norm, which only ALAD has",
        ),
        ("kdd99", "DSEBM", {"ema_decay": None, "latent_discriminator": False}, "Received: ema_decay, latent_discrimin"),
        ("kdd99", "AnoGAN", {"strategy": "mirrored"}, "Received: strategy, which only ALAD has"),
        ("kdd99", "AnoGAN", {"precision": "bfloat16"}, "Received: precision, which only ALAD has"),
        (
            "kdd99",
            "ALAD",
            {"train_rows": 100},
            "Expected options of ALAD. Received: train_rows, which only baselines have",
        ),
        ("kdd99", "ALAD-noSN", {"test_rows": 100}, "Received: test_rows, which only baselines have"),
        ("kdd99", "IF", {"train_rows": 1}, "Expected at least 2 train rows. Received: 1"),
        ("kdd99", "IF", {"test_rows": 1}, "Expected at least 2 test rows. Received: 1"),
        ("kdd99", "IF", {"epochs": 2}, "Expected no epochs: IF has none. Received: 2"),
        ("kdd99", "DSEBM", {"epochs": 0}, "Expected at least 1 epoch. Received: 0"),
        ("kdd99", "DSEBM", {"normal_class": 1}, "Expected no normal class for kdd99. Received: 1"),
        ("svhn", "DSEBM", {"normal_class": 10}, "Expected a normal class from 0 to 9 for svhn. Received: 10"),
        ("kdd99", "DSEBM", {"patience": 3}, "Expected no patience for kdd99. Received: 3"),
        ("svhn", "DSEBM", {"patience": 0}, "Expected a patience of at least 1 epoch for svhn. Received: 0"),
        ("kdd99", "DSEBM", {"weights": "last"}, "Expected a known weights. Received: 'last'. Allowed: None"),
        ("svhn", "DSEBM", {"weights": "middle"}, "Expected a known weights. Received: 'middle'. Allowed: best, last"),
        # What would change nothing but the folder's name:
        ("svhn", "AnoGAN", {"patience": 3}, "Expected no patience for AnoGAN. Received: 3"),
        ("svhn", "IF", {"patience": 3}, "Expected no patience for IF. Received: 3"),
        ("svhn", "AnoGAN", {"weights": "best"}, "Expected the last weights for AnoGAN. Received: 'best'"),
        ("kdd99", "IF", {"jit": True}, "Expected no XLA for IF. Received: jit=True"),
        # Fewer rows than a batch has:
        ("kdd99", "DSEBM", {"train_rows": 99}, "Expected at least 100 train rows, a batch of DSEBM. Received: 99"),
        ("kdd99", "kNN", {"train_rows": 4}, "Expected at least 5 train rows, the number of neighbours of kNN"),
    ],
)
def test_refusals(dataset: str, method: str, options: Options, message: str) -> None:
    assert message in refused(dataset, method, **options)


def test_unknown_names_made_by_hand() -> None:
    with pytest.raises(SettingsError, match="Expected a known baseline. Received: 'LOF'"):
        BaselineSettings("kdd99", 1, "LOF")
    with pytest.raises(SettingsError, match="Expected a known dataset. Received: 'mnist'"):
        BaselineSettings("mnist", 1, "IF")


def test_config_and_its_claim(tmp_path: Path) -> None:
    """A folder belongs to one set of settings, including the table."""
    made = of_method("arrhythmia", "DSEBM")
    made.claim(tmp_path / "run", 3)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    table = json.loads(json.dumps(dataclasses.asdict(architectures.load("arrhythmia", "DSEBM"))))
    assert config == {"method": "DSEBM", "seed": 3, **dataclasses.asdict(made), "table": table}
    made.claim(tmp_path / "run", 3)
    with pytest.raises(SettingsError, match="epochs is 1000 there and 7 here"):
        dataclasses.replace(made, epochs=7).claim(tmp_path / "run", 3)
    of_method("arrhythmia", "IF").claim(tmp_path / "forest", 3)
    assert "table" not in json.loads((tmp_path / "forest" / "config.json").read_text())


@pytest.mark.parametrize("method", ["IF", "DAGMM"])
def test_a_baselines_folder_is_no_run_of_alad(method: str, tmp_path: Path) -> None:
    of_method("arrhythmia", method).claim(tmp_path, 3)
    with pytest.raises(DataError) as caught:
        Settings.of_run(tmp_path)
    assert str(caught.value) == f"Expected a run of ALAD in {tmp_path}. Received: one of {method}."


def test_neighbours_are_those_of_the_detector() -> None:
    assert baselines.NeighbourDistance().n_neighbors == NEIGHBOURS
