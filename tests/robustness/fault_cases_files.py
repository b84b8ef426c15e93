"""Faults of files from elsewhere (data, rows, model folders), and calls that are wrong."""

from __future__ import annotations

import gzip
import json
import math
import os
import pickle
import shutil
from pathlib import Path
from typing import Any, Callable
from unittest.mock import patch

import numpy as np
from faults import Arguments, Scene, Trap, fault, flipped, packed_array, plain_array, sprung

from alad_tf import paths
from alad_tf.io.manifest import entry

KDD99 = "kddcup.data_10_percent.gz"

# Raw data files ---------------------------------------------------------------------------------------------------

DATA = "Raw data files"


def raw(scene: Scene, content: bytes | None, name: str = KDD99) -> Arguments:
    """Arguments of a call with this file in the data directory; there is no other one, and no network."""
    scene.stack.enter_context(patch.object(paths, "checkout_data", list))
    (scene.folder / "data").mkdir()
    if content is not None:
        (scene.folder / "data" / name).write_bytes(content)
    closed = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    own = {**closed, "no_proxy": "", "NO_PROXY": "", "XDG_CACHE_HOME": str(scene.folder / "cache")}
    scene.stack.enter_context(patch.dict(os.environ, own))
    scene.changes = (name,)
    if content is not None:
        scene.after.append(lambda: set_aside(scene, name, content))
    return ["reproduce", "kdd99" if name == KDD99 else "arrhythmia", "--data-dir", "data", "--out", "results"]


def set_aside(scene: Scene, name: str, content: bytes) -> None:
    assert [path.name for path in (scene.folder / "data").iterdir()] == [f"{name}.bad"]
    assert (scene.folder / "data" / f"{name}.bad").read_bytes() == content
    assert not (scene.folder / "results").exists()


@fault(DATA, "to have sha256 8045aca0.*Received: sha256 .*set aside as data/kddcup.data_10_percent.gz.bad")
def checksum_is_wrong(scene: Scene) -> Arguments:
    return raw(scene, gzip.compress(b"0,tcp,http,SF,normal.\n" * 1000, mtime=0))


@fault(DATA, "bytes of 2144903.*set aside")
def gzip_file_is_cut(scene: Scene) -> Arguments:
    return raw(scene, gzip.compress(b"0,tcp,http,SF,normal.\n" * 1000, mtime=0)[:-12])


@fault(DATA, "a web page.*set aside")
def web_page_in_place_of_data(scene: Scene) -> Arguments:
    return raw(scene, b"<!DOCTYPE html><title>Sign in</title>", "arrhythmia.mat")


@fault(DATA, "0 bytes of 402355.*set aside")
def data_file_is_empty(scene: Scene) -> Arguments:
    return raw(scene, b"", "arrhythmia.data")


@fault(DATA, r"Received: no such file, and no download succeeded \(https.*; './reproduce.sh toy' needs no download")
def data_are_missing_and_there_is_no_network(scene: Scene) -> Arguments:
    return raw(scene, None)


@fault(DATA, "Expected a data directory. Received: the file data")
def data_directory_is_a_file(scene: Scene) -> Arguments:
    (scene.folder / "data").write_text("mine")
    return ["reproduce", "kdd99", "--data-dir", "data", "--out", "results"]


@fault(DATA, "Expected to read data/kddcup.data_10_percent.gz. Received: .*Permission denied")
def data_may_not_be_read(scene: Scene) -> Arguments:
    arguments = raw(scene, b"mine")
    scene.after.clear()

    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    scene.stack.enter_context(patch.object(Path, "read_bytes", denied))
    return arguments


# Files of rows ----------------------------------------------------------------------------------------------------

ROWS = "Files of rows"
FIT = ["fit", "train.csv", "--model", "new-model", "--epochs", 1]
SCORE = ["score", "new.csv", "--model", "model", "--output", "scored.csv"]


def fit_of(name: str, content: str | bytes, says: str, title: str) -> None:
    """A case of `alad fit` with a file of this content."""

    @fault(ROWS, says, name=title)
    def fit(scene: Scene) -> Arguments:
        scene.rows(content, name)
        scene.after.append(lambda: nothing_made(scene, "new-model"))
        return ["fit", name, *FIT[2:]]


def nothing_made(scene: Scene, name: str) -> None:
    assert not (scene.folder / name).exists()


fit_of("train.csv", "", "Expected a header and rows in train.csv. Received: an empty file", "file is empty")
fit_of("train.csv", "a,b\n", "Expected rows of data in train.csv. Received: the columns a, b, and no row", "no rows")
fit_of("train.csv", "<html>\n", "Expected rows in train.csv. Received: a page of HTML", "web page in place of rows")
fit_of("train.csv", b"a\0,b\n1,2\n", "Expected text in train.csv. Received: binary data", "binary data named .csv")
fit_of(
    "train.csv",
    "ü,b\n1,".encode() + b"\xff\n",
    "in column 'b' of train.csv. Received: bytes that are no UTF-8 text",
    "damaged text",
)
fit_of(
    "train.csv",
    "a,b\n1,2\n3\n",
    "Expected 2 columns in line 3 of train.csv, .*Received: 1",
    "line with a column too few",
)
fit_of(
    "train.csv",
    "a,b\n1,2\n3,4\n5,6,7\n",
    "Expected 2 columns in line 4 of train.csv, .*Received: 3",
    "line with a column too many",
)
fit_of(
    "train.csv",
    "a,b,a\n1,2,3\n",
    "a name of its own for each column of train.csv. Received: a more than once",
    "column named twice",
)
fit_of(
    "train.csv",
    "a,b\n1,2\n3,\n4,5\n",
    "Expected a value in column 'b', row 2. Received: a missing cell",
    "cell is missing",
)
fit_of(
    "train.csv",
    "a,b\n1,2\n3,inf\n4,5\n",
    "Expected a finite number in column 'b', row 2. Received: inf",
    "number is infinite",
)
fit_of(
    "train.csv.gz",
    gzip.compress(b"a,b\n" + b"1,2\n" * 999, mtime=0)[:-9],
    "Expected a complete file. Received: train.csv.gz, cut or damaged",
    "packed text is cut",
)
fit_of(
    "train.csv.gz",
    gzip.compress(b"a,b\n" + b"1,2\n" * 20_000_000, mtime=0),
    "Expected a file that unpacks to at most 200 times its size. Received: train.csv.gz",
    "packed text is a bomb",
)
fit_of(
    "train.npz",
    packed_array(np.zeros((1 << 22, 3))),
    "Expected a file that unpacks to at most 200 times its size. Received: train.npz",
    "packed array is a bomb",
)
fit_of(
    "train.npz",
    packed_array(np.zeros((5, 3)), header=(b"(5, 3)", b"(5, 9999999999)")),
    "an array said to be",
    "array is said to be larger than it is",
)
fit_of(
    "train.npy",
    plain_array(np.array([[object]], object)),
    "Received: pickled objects, never loaded",
    "pickled objects in an array",
)
fit_of(
    "train.npy",
    pickle.dumps([1, 2]),
    "Received: a damaged file or another format|pickled objects, never loaded",
    "pickle named .npy",
)
fit_of(
    "train.npz",
    packed_array(np.array([[object]], object)),
    "Received: pickled objects, never loaded",
    "pickled objects in a packed array",
)
fit_of("train.parquet", b"PAR1" + bytes(50), "Expected .*train.parquet", "Parquet file is damaged")
fit_of(
    "train.xls",
    b"",
    r"Expected a file of rows. Received: train.xls. Allowed: names that end in .csv",
    "format is unknown",
)


@fault(ROWS, "Expected a file of rows. Received: train.csv, which does not exist")
def file_of_rows_is_missing(scene: Scene) -> Arguments:
    return FIT


@fault(ROWS, "Expected a new folder for the model. Received: new-model, which holds something else")
def place_of_the_model_is_taken(scene: Scene) -> Arguments:
    scene.rows("a,b\n1,2\n2,3\n", "train.csv")
    (scene.folder / "new-model").mkdir()
    (scene.folder / "new-model" / "letter.txt").write_text("mine")
    return FIT


@fault(ROWS, "[Ee]rror 28|No space left on device")
def disk_is_full_when_a_model_is_written(scene: Scene) -> Arguments:
    scene.model()
    scene.rows("a,b\n" + "1,2\n2,3\n3,5\n" * 20, "train.csv")
    (scene.folder / "results").mkdir()
    shutil.move(scene.folder / "model", scene.folder / "results" / "model")
    scene.full_disk()
    return ["fit", "train.csv", "--model", "results/model", "--overwrite", "--epochs", 1]


@fault(ROWS, "Expected the model's columns in new.csv. Received: no b; its columns are a, c")
def column_is_missing_when_scoring(scene: Scene) -> Arguments:
    scene.model()
    scene.rows("a,c\n1,x\n")
    scene.after.append(lambda: nothing_made(scene, "scored.csv"))
    return SCORE


@fault(ROWS, "Expected a number in column 'a'.* of new.csv. Received: 'seven'")
def text_in_a_column_of_numbers_when_scoring(scene: Scene) -> Arguments:
    scene.model()
    scene.rows("a,b,c\n1,2,x\nseven,2,y\n")
    scene.after.append(lambda: nothing_made(scene, "scored.csv"))
    return SCORE


@fault(ROWS, "Expected a new output. Received: scored.csv, which is there")
def output_is_there(scene: Scene) -> Arguments:
    scene.model()
    (scene.folder / "scored.csv").write_text("mine")
    return SCORE


@fault(ROWS, "Expected 3 columns in line 4 of new.csv|Expected 3 columns")
def damage_far_down_when_an_output_is_replaced(scene: Scene) -> Arguments:
    scene.model()
    scene.rows("a,b,c\n1,2,x\n1,2,x\n1,2\n")
    (scene.folder / "scored.csv").write_text("mine")
    return [*SCORE, "--overwrite", "--chunk-rows", 1]


@fault(ROWS, "No space left on device")
def disk_is_full_when_scores_are_written(scene: Scene) -> Arguments:
    scene.model()
    scene.rows("a,b,c\n" + "1,0.5,x\n" * 5000)
    (scene.folder / "results").mkdir()
    (scene.folder / "results" / "scored.csv").write_text("mine")
    scene.full_disk()
    return ["score", "new.csv", "--model", "model", "--output", "results/scored.csv", "--overwrite"]


# Model folders ----------------------------------------------------------------------------------------------------

MODEL = "Model folders"
INSPECT = ["inspect", "model"]
MODEL_FILES = (
    "columns.json",
    "data.json",
    "model.json",
    "preprocessing.json",
    "scaling.npz",
    "scores.npz",
    "weights.npz",
)

for _name in MODEL_FILES:

    @fault(MODEL, f"Received: {_name} is damaged. Copy it again", name=f"bit of {_name} is another")
    def _flip(scene: Scene, name: str = _name) -> Arguments:
        scene.model({name: flipped})
        return SCORE


@fault(MODEL, "a folder without its manifest.json|list of the files|is damaged")
def bit_of_the_manifest_is_another(scene: Scene) -> Arguments:
    scene.model({"manifest.json": flipped})
    return SCORE


@fault(MODEL, "Expected a model folder in model. Received: nothing. Allowed: what `alad fit` writes")
def model_folder_is_missing(scene: Scene) -> Arguments:
    return INSPECT


@fault(MODEL, "Received: weights.npz is missing. Copy it again, whole")
def file_of_a_model_is_missing(scene: Scene) -> Arguments:
    (scene.model() / "weights.npz").unlink()
    return SCORE


@fault(MODEL, "Received: startup.py does not belong to it")
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


@fault(MODEL, "Expected a model folder of format 1 in model. Received: format 9. Read it with the version")
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
    """A file of JSON with a change."""

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


# Calls ------------------------------------------------------------------------------------------------------------

CALLS = "Command line"


def wrong_call(arguments: str, says: str, title: str, code: int = 2) -> None:
    @fault(CALLS, says, code, name=title)
    def call(scene: Scene) -> Arguments:
        return arguments.split()


wrong_call("trian kdd99", "Expected a command: .*Received: 'trian'", "unknown command")
wrong_call("reproduce mnist", "for DATASET. Received: 'mnist'", "unknown data set")
wrong_call("reproduce kdd99 --method GAN", "for --method. Received: 'GAN'", "unknown method")
wrong_call(
    "reproduce toy --epochs 1.5",
    "Expected a whole number of at least 1 for --epochs. Received: '1.5'",
    "epochs that are no whole number",
)
wrong_call(
    "reproduce toy --seed -1", "Expected a whole number of at least 0 for --seed. Received: '-1'", "negative seed"
)
wrong_call(
    "fit train.csv --model m --learning-rate nan",
    "Expected a number above 0 for --learning-rate. Received: 'nan'",
    "learning rate that is no number",
)
wrong_call(
    "fit train.csv --model m --contamination 0.9",
    "Expected a share above 0 and at most 0.5 for --contamination. Received: '0.9'",
    "contamination over one half",
)
wrong_call("fit train.csv", "Expected --model DIR. Received: none", "no place for the model")
wrong_call(
    "score new.csv --model m --output s.csv --fast",
    "Expected an option of alad score: .*Received: --fast",
    "unknown option",
)
wrong_call(
    "reproduce kdd99 --training-half released",
    "Received: 'released'. Only arrhythmia has both",
    "option of another data set",
    1,
)
wrong_call("table 9", "Received: 9", "table that is not there", 1)
wrong_call(
    "fit train.csv --model m --label kind",
    "Expected both --label COL and --normal VALUE",
    "option without its other half",
    1,
)
