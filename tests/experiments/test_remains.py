"""Files that a killed process leaves beside a complete run are removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from alad_tf.experiments import remains
from alad_tf.io import atomic, locks


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    temporary = f".reconstructions.png.{atomic.MARK}abcdefgh.png"
    for name in ("result.json", "lock", "checkpoints/step8/log.json", temporary, ".mine"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    return tmp_path


def test_checkpoints_temporary_files_and_the_lock_are_removed(run_dir: Path) -> None:
    remains.remove(run_dir)
    assert sorted(path.name for path in run_dir.iterdir()) == [".mine", "result.json"]


def test_a_folder_that_a_process_works_in_is_left_alone(run_dir: Path) -> None:
    with locks.locked(run_dir):
        before = sorted(run_dir.rglob("*"))
        remains.remove(run_dir)
        assert sorted(run_dir.rglob("*")) == before
