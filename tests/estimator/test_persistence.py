"""Untrusted model folders: inconsistent tables, options and arrays are refused at little cost."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import tensorflow as tf
from reference import TINY, draw

from alad_tf.errors import DataError
from alad_tf.estimator.alad import ALAD
from alad_tf.io import model_folder

X = draw(0, 40, 5)
Documents = dict[str, Any]
Arrays = dict[str, dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    tf.config.run_functions_eagerly(True)
    path = tmp_path_factory.mktemp("saved") / "model"
    ALAD(TINY, epochs=1, jit=False, random_state=3, verbose=0).fit(X).save(path)
    yield path
    tf.config.run_functions_eagerly(False)


def bomb(table: Documents, arrays: Arrays) -> None:
    """Two wide layers whose weights cancel in the sum: 10^9 units, and -10^9."""
    table["E"][0]["units"], table["G"][0]["units"] = 10**9, -(10**9)


def layers(table: Documents, arrays: Arrays) -> None:
    one = {"units": 1, "activation": "None", "batch_norm": False, "dropout": 0.0}
    table["E"] = [*[one] * 2000, table["E"][-1]]
    arrays["weights"]["more"] = np.zeros(10_000, np.float32)


def set_in(*path: Any, value: object) -> Callable[[Documents, Arrays], None]:
    def change(table: Documents, arrays: Arrays) -> None:
        place: Any = table
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (bomb, "positive whole number for units. Received: -1000000000"),
        (layers, "networks of more than 1000 layers"),
        (set_in("E", 0, "units", value=0), "positive whole number for units. Received: 0"),
        (set_in("E", 0, "units", value=True), "positive whole number for units. Received: True"),
        (set_in("E", 0, "units", value=7.0), "positive whole number for units. Received: 7.0"),
        (set_in("E", 0, "units", value=10**30), "a table of .* weights, of which"),
        (set_in("latent_dim", value=-3), "positive whole number for latent_dim"),
        (set_in("data_dim", value=-5), "positive whole number for data_dim"),
        (set_in("batch_size", value=0), "positive whole number for batch_size"),
        (set_in("ge_steps", value=1.5), "positive whole number for ge_steps"),
    ],
)
def test_tables(folder: Path, tmp_path: Path, change: Callable[[Documents, Arrays], None], message: str) -> None:
    documents, arrays = model_folder.read(folder)
    change(documents["model"]["table"], arrays)
    model_folder.write(tmp_path / "model", documents, arrays)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=f"Expected a model of ALAD in .*{message}"):
        ALAD.load(tmp_path / "model")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB


@pytest.mark.parametrize(
    ("part", "name", "array", "message"),
    [
        ("weights", "E/0", np.full((5, 7), 1e300), "E/0 holds float64, not numbers of 32 bits"),
        ("weights", "E/0", np.ones((5, 7), np.uint8), "E/0 holds uint8, not numbers of 32 bits"),
        ("weights", "E/0", np.full((5, 7), np.nan, np.float32), "E/0 holds float32, or numbers that are not finite"),
        ("weights", "E/0", np.zeros((7, 5), np.float32), "Expected the weight E/0 of shape"),
        ("scaling", "scale", np.array([1.0, 0.0, 1.0, 1.0, 1.0]), "scaled by a number that is not positive"),
        ("scaling", "center", np.zeros(4), "center has the shape"),
        ("scores", "training", np.zeros(0), "training has the shape"),
    ],
)
def test_arrays(folder: Path, tmp_path: Path, part: str, name: str, array: np.ndarray, message: str) -> None:
    documents, arrays = model_folder.read(folder)
    arrays[part][name] = array
    model_folder.write(tmp_path / "model", documents, arrays)
    with pytest.raises(DataError, match=f"Expected a model of ALAD in .*{message}"):
        ALAD.load(tmp_path / "model")


@pytest.mark.parametrize("option", ["log_dir", "networks", "random_state", "architecture"])
def test_options_that_no_model_folder_holds(folder: Path, tmp_path: Path, option: str) -> None:
    documents, arrays = model_folder.read(folder)
    documents["model"]["settings"][option] = str(tmp_path / "elsewhere")
    model_folder.write(tmp_path / "model", documents, arrays)
    with pytest.raises(DataError, match=f"Expected a model of ALAD in .*settings with {option}"):
        ALAD.load(tmp_path / "model")


def test_names_of_other_features(folder: Path, tmp_path: Path) -> None:
    documents, arrays = model_folder.read(folder)
    documents["model"]["data"]["names"] = ["a", "b"]
    model_folder.write(tmp_path / "model", documents, arrays)
    with pytest.raises(DataError, match="names of 2 features, of which there are 5"):
        ALAD.load(tmp_path / "model")
