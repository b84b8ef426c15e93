"""Cases of raw data files and of files of rows."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import shutil
from pathlib import Path
from unittest.mock import patch

import numpy as np
import small_parquet
from faults import Arguments, Scene, fault, packed_array, plain_array

from alad_tf import paths
from alad_tf.io import locks
from alad_tf.tabular.model import inspect_model

KDD99 = "kddcup.data_10_percent.gz"

# Raw data files ---------------------------------------------------------------------------------------------------

DATA = "Raw data files"


def raw(scene: Scene, content: bytes | None, name: str = KDD99) -> Arguments:
    """Arguments of a call with this file as the only one in the data directory, without a network."""
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


def packed(content: bytes) -> bytes:
    """Content as a gzip file, with the same bytes on every Python: those of gzip.compress name a system on some."""
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as writer:
        writer.write(content)
    return file.getvalue()


def set_aside(scene: Scene, name: str, content: bytes) -> None:
    assert [path.name for path in (scene.folder / "data").iterdir()] == [f"{name}.bad"]
    assert (scene.folder / "data" / f"{name}.bad").read_bytes() == content
    assert not (scene.folder / "results").exists()


@fault(DATA, "to have sha256 8045aca0.*Received: sha256 .*set aside as data/kddcup.data_10_percent.gz.bad")
def checksum_is_wrong(scene: Scene) -> Arguments:
    return raw(scene, packed(b"0,tcp,http,SF,normal.\n" * 1000))


@fault(DATA, "bytes of 2144903.*set aside")
def gzip_file_is_cut(scene: Scene) -> Arguments:
    return raw(scene, packed(b"0,tcp,http,SF,normal.\n" * 1000)[:-12])


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
    """A case of `alad fit` for a file with this content."""

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
    "in column 'b' of train.csv. Received: bytes, not UTF-8 text",
    "damaged text",
)
fit_of(
    "train.csv",
    "a,b\n1,2\n3\n",
    "Expected 2 columns in row 2 of train.csv, .*Received: 1",
    "line with a column too few",
)
fit_of(
    "train.csv",
    "a,b\n1,2\n3,4\n5,6,7\n",
    "Expected 2 columns in row 3 of train.csv, .*Received: 3",
    "line with a column too many",
)
fit_of(
    "train.csv",
    "a,b,a\n1,2,3\n",
    "a unique name for each column of train.csv. Received: a more than once",
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
    "train.parquet",
    small_parquet.contradicting(),
    "Expected rows in train.parquet, as its name says. Received: .*histogram size mismatch",
    "statistics of a Parquet file contradict its schema",
)
fit_of(
    "train.xls",
    b"",
    r"Expected a file of rows. Received: train.xls. Allowed: names that end in .csv",
    "format is unknown",
)


@fault(ROWS, "Expected a file of rows. Received: train.csv, which does not exist")
def file_of_rows_is_missing(scene: Scene) -> Arguments:
    return FIT


@fault(ROWS, "Expected a new folder or a model folder to replace. Received: new-model, which is neither")
def place_of_the_model_is_taken(scene: Scene) -> Arguments:
    scene.rows("a,b\n1,2\n2,3\n", "train.csv")
    (scene.folder / "new-model").mkdir()
    (scene.folder / "new-model" / "letter.txt").write_text("mine")
    return FIT


@fault(ROWS, "Expected a checkpoint of a training in new-model.training. Received: something else. Move it away")
def place_of_the_checkpoint_is_a_model(scene: Scene) -> Arguments:
    scene.rows("a,b\n" + "1,2\n2,3\n3,5\n" * 20, "train.csv")
    model = scene.model().rename(scene.folder / "new-model.training")
    scene.after.append(lambda: still_a_model(model))
    return FIT


def still_a_model(folder: Path) -> None:
    assert "features" in inspect_model(folder)


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


@fault(ROWS, "Expected a new output. Received: scored.csv, which exists")
def output_is_there(scene: Scene) -> Arguments:
    scene.model()
    (scene.folder / "scored.csv").write_text("mine")
    return SCORE


@fault(ROWS, r"Expected an output that no other process is using. Received: scored.csv, used by process \d+")
def another_process_scores_to_the_output(scene: Scene) -> Arguments:
    scene.model()
    scene.stack.enter_context(locks.claimed(scene.folder / "scored.csv", "an output"))
    return [*SCORE, "--overwrite"]


@fault(ROWS, r"Expected an output that no other process is using. Received: page.html, used by process \d+")
def another_process_writes_the_page(scene: Scene) -> Arguments:
    scene.model()
    scene.stack.enter_context(locks.claimed(scene.folder / "page.html", "an output"))
    return ["report", "model", "--output", "page.html"]


@fault(ROWS, "Expected 3 columns in row 3 of new.csv")
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
