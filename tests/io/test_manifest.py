"""Manifests name every difference between a folder and its entries; JSON has a size limit and must be a plain file."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from alad_tf.errors import DataError
from alad_tf.io import manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "below").mkdir(parents=True)
    (folder / "a.json").write_text('{"a": [1, 2]}')
    (folder / "below" / "b").write_bytes(bytes(1 << 20) + b"end")
    return folder


def replaced_by_link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def replaced_by_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def grown(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def test_entries(folder: Path) -> None:
    entries = manifest.entries(folder)
    assert list(entries) == ["a.json", "below/b"] and entries["below/b"]["size"] == (1 << 20) + 3
    assert manifest.faults(folder, entries) == {}
    assert manifest.require_entries(json.loads(json.dumps(entries)), folder) == entries


@pytest.mark.parametrize("name", ["a.json", "below/b"])
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (Path.unlink, "is missing"),
        (replaced_by_link, "is damaged"),
        (replaced_by_fifo, "is damaged"),
        (grown, "is damaged"),
        (flipped, "is damaged"),
    ],
)
def test_faults(folder: Path, name: str, change: Callable[[Path], None], fault: str) -> None:
    entries = manifest.entries(folder)
    change(folder / name)
    assert manifest.faults(folder, entries) == {name: fault}


def test_folder_replaced_by_a_link(folder: Path) -> None:
    entries = manifest.entries(folder)
    replaced_by_link(folder / "below")
    assert manifest.faults(folder, entries) == {"below/b": "is damaged"}


def test_a_link_never_equals_an_entry(folder: Path) -> None:
    replaced_by_link(folder / "a.json")
    assert manifest.entry(folder / "a.json") == {}
    with pytest.raises(DataError, match="each with its size and SHA-256 sum"):
        manifest.require_entries({"a.json": {}}, folder / "manifest.json")


@pytest.mark.parametrize(
    "document",
    [
        None,
        ["a.json"],
        {"a.json": {}},
        {"a.json": {"size": 1}},
        {"a.json": {"sha256": "00"}},
        {"a.json": {"size": "1", "sha256": "00"}},
        {"a.json": {"size": True, "sha256": "00"}},
        {"../a.json": {"size": 1, "sha256": "00"}},
        {"/a.json": {"size": 1, "sha256": "00"}},
        {"": {"size": 1, "sha256": "00"}},
    ],
    ids=str,
)
def test_documents_of_another_form(document: object) -> None:
    with pytest.raises(DataError, match="Expected the list of the files in here"):
        manifest.require_entries(document, Path("here"))


def test_required_paths() -> None:
    entries = {"a": {"size": 1, "sha256": "00"}}
    assert manifest.require_entries(entries, Path("here"), ["a"]) == entries
    with pytest.raises(DataError, match="Expected the list of the files in here"):
        manifest.require_entries(entries, Path("here"), ["a", "b"])


def test_sums_are_those_of_sha256sum(folder: Path) -> None:
    entries = manifest.entries(folder)
    (folder / "SUMS").write_text(manifest.to_sums(entries))
    done = subprocess.run(["sha256sum", "-c", "SUMS"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "a.json: OK\nbelow/b: OK\n"
    read = manifest.from_sums((folder / "SUMS").read_text())
    assert read == {name: {"sha256": values["sha256"]} for name, values in entries.items()}
    assert manifest.faults(folder, read) == {}
    flipped(folder / "a.json")
    assert manifest.faults(folder, read) == {"a.json": "is damaged"}
    with pytest.raises(ValueError, match="unpack"):
        manifest.from_sums("no sums\n")


def test_json(folder: Path) -> None:
    assert manifest.read_json(folder / "a.json") == {"a": [1, 2]}
    for change in (replaced_by_link, replaced_by_fifo):
        (folder / "b.json").write_text("{}")
        change(folder / "b.json")
        with pytest.raises(DataError, match=r"Expected JSON in .*b.json. Received: a link, a folder"):
            manifest.read_json(folder / "b.json")
        (folder / "b.json").unlink()
    (folder / "large.json").write_text(f'"{"a" * (manifest.MOST_JSON_BYTES - 1)}"')
    with pytest.raises(DataError, match=r"Expected JSON in .*large.json. Received: more than 8 MiB"):
        manifest.read_json(folder / "large.json")
    for content in (b"[" * 100_000, b"\xff\xfe", b"{"):
        (folder / "bad.json").write_bytes(content)
        with pytest.raises(DataError, match="Expected JSON in .*bad.json"):
            manifest.read_json(folder / "bad.json")


def test_json_behind_a_link(folder: Path) -> None:
    """Links are allowed on request, with the same limits."""
    (folder / "b.json").symlink_to(folder / "a.json")
    assert manifest.load_object(folder / "b.json", links=True) == {"a": [1, 2]}
    with pytest.raises(ValueError, match="^a link, a folder or a special file$"):
        manifest.load_object(folder / "b.json")
    replaced_by_fifo(folder / "a.json")
    with pytest.raises(ValueError, match="special file"):
        manifest.load_object(folder / "b.json", links=True)
    (folder / "list.json").write_text("[1]")
    with pytest.raises(ValueError, match="^not a JSON object$"):
        manifest.load_object(folder / "list.json")
