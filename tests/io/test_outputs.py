"""Output paths that would overwrite inputs or models are refused before any work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from alad_tf.errors import AladError, SettingsError
from alad_tf.io import locks, model_folder, outputs


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, Path]:
    """A file of rows and a model folder."""
    rows, model = tmp_path / "rows.csv", tmp_path / "model"
    rows.write_text("a\n1\n")
    model_folder.write(model, {}, {"weights": {"w": np.zeros(1)}})
    return rows, model


def test_a_new_file_is_allowed_and_an_old_one_with_overwrite(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    outputs.require_new(tmp_path / "new.csv", False, *inputs, None)
    (tmp_path / "old.csv").write_text("kept")
    with pytest.raises(SettingsError, match="Pass --overwrite"):
        outputs.require_new(tmp_path / "old.csv", False, *inputs)
    outputs.require_new(tmp_path / "old.csv", True, *inputs)


@pytest.mark.parametrize("kind", ["the file", "a symbolic link", "a hard link"])
def test_an_input_is_refused_under_every_name(kind: str, inputs: tuple[Path, Path], tmp_path: Path) -> None:
    rows, output = inputs[0], tmp_path / "out.csv"
    if kind == "the file":
        output = tmp_path / "model" / ".." / "rows.csv"
    elif kind == "a symbolic link":
        output.symlink_to(rows)
    else:
        os.link(rows, output)
    with pytest.raises(SettingsError, match="other than the input"):
        outputs.require_new(output, True, *inputs)


def test_folders_are_refused(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(SettingsError, match="the folder"):
        outputs.require_new(tmp_path / "folder", True, *inputs)
    with pytest.raises(SettingsError, match="outside the model folder"):
        outputs.require_new(inputs[1] / "scored.csv", True, inputs[0])
    with pytest.raises(SettingsError, match="outside the input folder"):
        outputs.require_new(tmp_path / "folder" / "scored.csv", True, tmp_path / "folder")


def test_pipes_are_refused(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """A file took the place of the pipe, and the program that read it waited."""
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(SettingsError, match=r"Expected a file to write\. Received: .*pipe\.csv, a pipe or a device\."):
        outputs.require_new(tmp_path / "pipe.csv", True, *inputs)


def test_loops_of_links(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """`Path.resolve` raises RuntimeError for them."""
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / one).symlink_to(tmp_path / other)
    outputs.require_new(tmp_path / "a", True, *inputs)
    with pytest.raises(SettingsError, match="other than the input"):
        outputs.require_new(tmp_path / "a", True, tmp_path / "a")
    outputs.require_new(tmp_path / "a" / "scored.csv", False, tmp_path / "b" / "rows.csv")


def test_exported_versions_are_refused(tmp_path: Path) -> None:
    version = tmp_path / "served" / "name" / "1"
    (version / "assets.extra").mkdir(parents=True)
    (version / model_folder.EXPORTED).touch()
    for output in (version / "scorer.tflite", version / "deep" / "scored.csv"):
        with pytest.raises(SettingsError, match=f"outside the exported version {version}, which never changes"):
            outputs.require_new(output, True)
    outputs.require_new(version.parent / "scored.csv", False)


@pytest.mark.skipif(not locks.SUPPORTED, reason="no file locks")
def test_two_processes_and_one_output(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """Both wrote it, and the later one won."""
    output = tmp_path / "new" / "scored.csv"
    says = rf"an output that no other process is using. Received: {output}, used by process {os.getpid()}\."
    with outputs.claimed(output, False, *inputs):
        with pytest.raises(AladError, match=says), outputs.claimed(output, True, *inputs):
            pass
        with outputs.claimed(output.with_name("other.csv"), False, *inputs):
            output.write_text("scores")
    assert [path.name for path in output.parent.iterdir()] == ["scored.csv"]
    with pytest.raises(SettingsError, match="Pass --overwrite"), outputs.claimed(output, False, *inputs):
        pass


@pytest.mark.skipif(not locks.SUPPORTED, reason="no file locks")
def test_an_output_that_was_written_before_its_lock(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "scored.csv"

    @contextmanager
    def after_the_other(path: Path, what: str) -> Iterator[None]:
        path.write_text("of the other process")
        yield

    claimed = outputs.claimed(output, False, *inputs)
    with patch.object(locks, "claimed", after_the_other), pytest.raises(SettingsError, match="which exists"), claimed:
        output.write_text("mine")
    assert output.read_text() == "of the other process"
