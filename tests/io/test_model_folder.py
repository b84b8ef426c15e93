"""A model folder is read as it was written, or refused with the name of the fault."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Callable

import numpy as np
import pytest

from alad_tf.errors import DataError, SettingsError
from alad_tf.io import atomic, model_folder
from alad_tf.io import manifest as manifest_module

DOCUMENTS = {"model": {"a": 1, "names": ["x", "ü"]}, "columns": [1.5, None]}
ARRAYS = {
    "weights": {"E/0": np.arange(6, dtype=np.float32).reshape(2, 3)},
    "scores": {"training": np.array([1.0, 2.0]), "of": np.array(["a", "b"])},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model_folder.write(tmp_path / "model", DOCUMENTS, ARRAYS)
    return tmp_path / "model"


def manifest(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / "manifest.json").read_text()))


def test_what_was_written_comes_back(folder: Path) -> None:
    documents, arrays = model_folder.read(folder)
    assert documents == DOCUMENTS
    assert {name: set(members) for name, members in arrays.items()} == {
        "weights": {"E/0"},
        "scores": {"training", "of"},
    }
    for name, members in ARRAYS.items():
        for member, array in members.items():
            assert arrays[name][member].dtype == array.dtype
            np.testing.assert_array_equal(arrays[name][member], array)
    assert sorted(os.listdir(folder)) == ["columns.json", "manifest.json", "model.json", "scores.npz", "weights.npz"]
    assert os.listdir(folder.parent) == ["model"]


def test_permissions_are_those_of_a_new_folder(folder: Path) -> None:
    (folder.parent / "plain").mkdir()
    assert folder.stat().st_mode == (folder.parent / "plain").stat().st_mode


def test_permissions_of_an_existing_folder_are_kept(folder: Path) -> None:
    folder.chmod(0o700)
    model_folder.write(folder, {}, {})
    assert folder.stat().st_mode & 0o777 == 0o700


def test_another_model_is_replaced_whole(folder: Path) -> None:
    model_folder.write(folder, {"other": 2}, {})
    assert model_folder.read(folder) == ({"other": 2}, {})
    assert os.listdir(folder.parent) == ["model"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    model_folder.write(tmp_path / "empty", DOCUMENTS, {})
    assert model_folder.read(tmp_path / "empty") == (DOCUMENTS, {})


def test_anything_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    (tmp_path / "file").write_text("file")
    for name in ("letters", "file"):
        with pytest.raises(SettingsError, match=f"Expected a new folder or a model folder.*{name}, which is neither"):
            model_folder.write(tmp_path / name, DOCUMENTS, {})
    assert (tmp_path / "letters" / "dear.txt").read_text() == "dear"
    assert sorted(os.listdir(tmp_path)) == ["file", "letters"]


def test_the_current_folder_is_not_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell in it would be left in a removed folder."""
    monkeypatch.chdir(folder)
    for path in (Path("."), folder):
        with pytest.raises(SettingsError, match="the current one. Name one in it"):
            model_folder.write(path, {}, {})
    assert model_folder.is_model_folder(folder)


@pytest.mark.parametrize("moment", ["exchange", "write"])
def test_a_failure_leaves_the_model_that_was_there(folder: Path, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError("no space left")

    if moment == "write":
        monkeypatch.setattr(np, "savez_compressed", fail)
    else:
        monkeypatch.setattr(atomic, "exchange", fail)
    with pytest.raises(OSError, match="no space left"):
        model_folder.write(folder, {"other": 2}, ARRAYS)
    monkeypatch.undo()
    assert model_folder.read(folder)[0] == DOCUMENTS
    assert os.listdir(folder.parent) == ["model"]


@pytest.mark.parametrize("document", [{"a": float("nan")}, {"a": {1, 2}}, object()])
def test_a_document_that_json_cannot_hold_is_refused(tmp_path: Path, document: object) -> None:
    with pytest.raises(SettingsError, match="Expected a document that JSON can hold for model.json"):
        model_folder.write(tmp_path / "model", {"model": document}, {})
    assert os.listdir(tmp_path) == []


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def link(path: Path) -> None:
    shutil.move(path, path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("weights.npz", Path.unlink, "weights.npz is missing"),
        ("model.json", Path.unlink, "model.json is missing"),
        ("weights.npz", cut, "weights.npz is damaged"),
        ("weights.npz", flip, "weights.npz is damaged"),
        ("model.json", flip, "model.json is damaged"),
        ("model.json", link, "model.json is damaged"),
        ("extra.py", Path.touch, "extra.py is not in the manifest"),
        ("manifest.json", Path.unlink, "a folder without its manifest.json"),
        ("manifest.json", cut, "a folder without its manifest.json"),
    ],
)
def test_what_does_not_match_is_named(folder: Path, name: str, damage: Callable[[Path], None], message: str) -> None:
    damage(folder / name)
    with pytest.raises(DataError, match=message):
        model_folder.read(folder)


@pytest.mark.parametrize("kind", ["link", "fifo", "sparse"])
def test_a_manifest_that_is_no_plain_file_of_bounded_size(folder: Path, kind: str) -> None:
    path = folder / "manifest.json"
    if kind == "link":
        link(path)
    elif kind == "fifo":
        path.unlink()
        os.mkfifo(path)
    else:
        os.truncate(path, 1 << 40)
    assert not model_folder.is_model_folder(folder)
    with pytest.raises(DataError, match="a folder without its manifest.json"):
        model_folder.read(folder)


def test_an_entry_without_a_sum_vouches_for_nothing(folder: Path) -> None:
    link(folder / "model.json")
    files: dict[str, object] = {**manifest(folder)["files"], "model.json": {}}  # type: ignore[dict-item]
    (folder / "manifest.json").write_text(json.dumps({**manifest(folder), "files": files}))
    with pytest.raises(DataError, match="each with its size and SHA-256 sum"):
        model_folder.read(folder)


def test_a_document_that_would_not_be_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"model.json. Received: Expected JSON in .* Received: more than 8 MiB"):
        model_folder.write(tmp_path / "model", {"model": "a" * manifest_module.MOST_JSON_BYTES}, {})
    assert os.listdir(tmp_path) == []


def test_all_faults_are_named_at_once(folder: Path) -> None:
    (folder / "model.json").unlink()
    flip(folder / "scores.npz")
    with pytest.raises(DataError, match="model.json is missing, scores.npz is damaged. Copy the whole folder again"):
        model_folder.read(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, "of format 1 or 2 in .*Received: format 3. Read it with the version"),
        ({"format": None}, "Received: format None"),
        ({"kind": "another"}, "Expected a model folder in .*without its manifest"),
        ({"files": ["model.json"]}, "Expected the list of the files"),
        ({"files": {"../model.json": {}}}, "Expected the list of the files"),
        ({"files": {"model.pkl": {}}}, "Expected the list of the files"),
    ],
)
def test_foreign_manifests(folder: Path, change: dict[str, object], message: str) -> None:
    (folder / "manifest.json").write_text(json.dumps({**manifest(folder), **change}))
    with pytest.raises(DataError, match=message):
        model_folder.read(folder)


def test_pickled_objects_are_not_loaded(folder: Path) -> None:
    np.savez(folder / "weights.npz", evil=np.array([object()], dtype=object))
    entry = manifest_module.entry(folder / "weights.npz")
    (folder / "manifest.json").write_text(
        json.dumps({**manifest(folder), "files": {**manifest(folder)["files"], "weights.npz": entry}})  # type: ignore[dict-item]
    )
    with pytest.raises(DataError, match="Expected arrays in .*weights.npz"):
        model_folder.read(folder)


@pytest.mark.parametrize("what", ["nothing", "a file"])
def test_no_folder(tmp_path: Path, what: str) -> None:
    if what == "a file":
        (tmp_path / "model").write_text("")
    with pytest.raises(DataError, match=f"Received: {what}. Allowed: what `alad fit` writes"):
        model_folder.read(tmp_path / "model")
    assert not model_folder.is_model_folder(tmp_path / "model")
