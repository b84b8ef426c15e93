"""Cases of model folders: missing, damaged, foreign and hostile files."""

from __future__ import annotations

import json
import math
import pickle
import shutil
from typing import Any, Callable

import numpy as np
from fault_cases_files import SCORE, nothing_made
from faults import Arguments, Scene, Trap, fault, flipped, packed_array, sprung

from alad_tf.io.manifest import entry

MODEL = "Model folders"
INSPECT = ["inspect", "model"]
MODEL_FILES = (
    "columns.json",
    "data.json",
    "history.npz",
    "model.json",
    "preprocessing.json",
    "references.npz",
    "scaling.npz",
    "scores.npz",
    "usual.npz",
    "weights.npz",
)

for _name in MODEL_FILES:

    @fault(MODEL, f"Received: {_name} is damaged. Copy the whole folder again", name=f"bit of {_name} is another")
    def _flip(scene: Scene, name: str = _name) -> Arguments:
        scene.model({name: flipped})
        return SCORE


def _another_sum(manifest: bytes) -> bytes:
    """Change the first digit of the first file's sum; the bit in the middle differs between machines."""
    before, key, rest = manifest.partition(b'"sha256": "')
    return before + key + (b"1" if rest[:1] == b"0" else b"0") + rest[1:]


@fault(MODEL, "is damaged. Copy the whole folder again")
def bit_of_the_manifest_is_another(scene: Scene) -> Arguments:
    scene.model({"manifest.json": _another_sum})
    return SCORE


@fault(MODEL, "Expected a model folder in model. Received: nothing. Allowed: what `alad fit` writes")
def model_folder_is_missing(scene: Scene) -> Arguments:
    return INSPECT


@fault(MODEL, "Received: weights.npz is missing. Copy the whole folder again")
def file_of_a_model_is_missing(scene: Scene) -> Arguments:
    (scene.model() / "weights.npz").unlink()
    return SCORE


@fault(MODEL, "Received: startup.py is not in the manifest")
def file_that_does_not_belong_to_a_model(scene: Scene) -> Arguments:
    (scene.model() / "startup.py").write_text("raise SystemExit")
    return SCORE


@fault(MODEL, "Received: model.json is damaged")
def link_in_place_of_a_file_of_a_model(scene: Scene) -> Arguments:
    path = scene.model() / "model.json"
    shutil.move(path, scene.folder / "elsewhere.json")
    path.symlink_to(scene.folder / "elsewhere.json")
    return SCORE


@fault(MODEL, "Received: a folder without its manifest.json")
def manifest_is_JSON_of_something_else(scene: Scene) -> Arguments:
    (scene.model() / "manifest.json").write_text('{"name": "an app", "icons": []}')
    return INSPECT


@fault(MODEL, "Expected a model folder of format 1 or 2 in model. Received: format 9. Read it with the version")
def model_is_of_a_newer_format(scene: Scene) -> Arguments:
    path = scene.model() / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 9}))
    return INSPECT


@fault(
    MODEL,
    "Expected the list of the files in model/manifest.json, each with its size and SHA-256 sum. Received: a damaged",
)
def manifest_names_a_file_outside(scene: Scene) -> Arguments:
    folder = scene.model()
    shutil.copy(folder / "model.json", scene.folder / "outside.json")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../outside.json"] = entry(scene.folder / "outside.json")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return INSPECT


@fault(MODEL, "Expected arrays in model/weights.npz. Received: pickled objects, which are never loaded")
def pickled_objects_in_a_model(scene: Scene) -> Arguments:
    trap = np.array([Trap(scene.folder)], object)
    scene.model({"weights.npz": lambda _: packed_array(trap, "E/0")}, signed=True)
    scene.after.append(lambda: sprung(scene))
    return SCORE


@fault(MODEL, "Expected arrays in model/weights.npz")
def pickle_in_place_of_the_weights(scene: Scene) -> Arguments:
    scene.model({"weights.npz": lambda _: pickle.dumps(Trap(scene.folder))}, signed=True)
    scene.after.append(lambda: sprung(scene))
    return SCORE


@fault(MODEL, "Expected arrays in model/weights.npz. Received: .*Invalid argument")
def beginning_of_an_archive_in_a_model_is_missing(scene: Scene) -> Arguments:
    scene.model({"weights.npz": lambda content: content[50:]}, signed=True)
    return SCORE


@fault(MODEL, "Expected a model of ALAD in model. Received: .*a table of .* weights, of which 9 are there")
def archive_in_a_model_names_a_file_outside(scene: Scene) -> Arguments:
    scene.model({"weights.npz": lambda _: packed_array(np.eye(3), "../../evil")}, signed=True)
    scene.after.append(lambda: nothing_made(scene, "../evil.npy"))
    return SCORE


@fault(MODEL, "Expected a file that unpacks to at most 200 times its size. Received: model/weights.npz")
def weights_are_a_bomb(scene: Scene) -> Arguments:
    scene.model({"weights.npz": lambda _: packed_array(np.zeros(1 << 24, np.float32), "E/0")}, signed=True)
    return SCORE


def document(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    """Change a JSON document."""

    def changed(content: bytes) -> bytes:
        read = json.loads(content)
        change(read)
        return json.dumps(read).encode()

    return changed


@fault(MODEL, r"Expected a model of ALAD in model. Received: .*a table of \d+ weights, of which \d+ are there")
def table_of_a_model_is_huge(scene: Scene) -> Arguments:
    scene.model({"model.json": document(lambda model: model["table"]["E"][0].update(units=10**9))}, signed=True)
    return SCORE


@fault(MODEL, "Expected a model of ALAD in model. Received: .*not finite")
def threshold_of_a_model_is_not_a_number(scene: Scene) -> Arguments:
    scene.model({"model.json": document(lambda model: model["threshold"].update(value=math.nan))}, signed=True)
    return SCORE


@fault(MODEL, "documents that do not fit together|damaged document")
def preprocessing_of_a_model_is_of_something_else(scene: Scene) -> Arguments:
    scene.model({"preprocessing.json": lambda _: b'{"__reduce__": "os.system"}'}, signed=True)
    return SCORE


@fault(MODEL, "Expected JSON in model/model.json")
def JSON_of_a_model_is_nested_without_end(scene: Scene) -> Arguments:
    scene.model({"model.json": lambda _: b"[" * 100_000}, signed=True)
    return INSPECT
