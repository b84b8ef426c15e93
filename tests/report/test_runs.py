"""The table of runs: commands, versions and dates. Commands are called in tests/cli/test_reproduce.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_results import write_image_run, write_run

from alad_tf.errors import DataError
from alad_tf.paths import published_results
from alad_tf.report import comparison

STACK = {"name": "current", "python": "3.12.1", "tensorflow": "2.21.0", "keras": "3.1", "numpy": "2.0"}


def test_runs_of_two_stacks_and_days(tmp_path: Path) -> None:
    write_run(tmp_path, "kdd99", "ALAD-noSN", 1, date="2026-12-31", stack=STACK)
    write_run(tmp_path, "kdd99", "ALAD-noSN", 2, date="2026-11-30")
    write_image_run(tmp_path / "published", "svhn", 3, 0, 0.5)
    write_image_run(tmp_path / "published", "svhn", 1, 0, 0.5)
    table = comparison.table("runs", tmp_path, tmp_path / "published")
    command = "alad reproduce kdd99 --no-spectral-norm --seed 1 --runs 2"
    released = "alad reproduce svhn --normal-class 1,3 --dynamics released --runs 1"
    assert table.rows == [
        ["KDD99", "ALAD-noSN", "2 this machine", command, "current and paper [1] [2]", "2026-11-30 to 2026-12-31"],
        ["SVHN", "ALAD-releasedDynamics", "2 published", released, "paper [2]", "-"],
    ]
    versions = "[1] Python 3.12.1, TensorFlow 2.21.0, Keras 3.1, NumPy 2.0."
    assert table.footnotes[:2] == [versions, "[2] Versions were not recorded."]


def test_a_call_does_consecutive_seeds_of_its_classes(tmp_path: Path) -> None:
    for seed in (0, 5, 6):
        write_run(tmp_path, "kdd99", "ALAD-noDzz", seed)
    for normal_class, seed in ((1, 0), (3, 0), (3, 1), (4, 2)):
        write_image_run(tmp_path, "svhn", normal_class, seed, 0.5)
    tabular, images = (row[3] for row in comparison.table("runs", tmp_path).rows)
    first = "alad reproduce kdd99 --no-dzz"
    assert tabular == f"{first} --runs 1; {first} --seed 5 --runs 2"
    assert images.split("; ") == [
        f"alad reproduce svhn --normal-class {classes} --dynamics released {seeds}"
        for classes, seeds in (("1", "--runs 1"), ("3", "--runs 2"), ("4", "--seed 2 --runs 1"))
    ]


def test_no_date(tmp_path: Path) -> None:
    path = write_run(tmp_path, "kdd99", "ALAD", 0, date="yesterday")
    with pytest.raises(DataError, match=f"{path}.*date 'yesterday' where"):
        comparison.table("runs", tmp_path)


def test_published_runs_have_a_command_and_a_date(tmp_path: Path) -> None:
    rows = comparison.table("runs", tmp_path, published_results()).rows
    assert len(rows) > 30
    assert all(
        command.startswith(f"alad reproduce {set_.lower().replace('-', '')}") for set_, _, _, command, *_ in rows
    )
    assert all(date.startswith("20") for *_, date in rows)
