"""Runs that depart from the protocol have their own rows in the tables and replace no other run."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from small_results import metrics, write_image_run, write_run

from alad_tf.errors import DataError
from alad_tf.paths import published_results
from alad_tf.report import comparison, results, tables
from alad_tf.report.results import Results, load_results, table_epochs

DSEBM = {"energy": metrics(0.5), "reconstruction": metrics(0.6)}


def quick_looks(out: Path) -> None:
    """Write runs of one epoch, in folders of earlier versions (seed 0) and of this version (seed 1)."""
    for seed, suffix in enumerate(("", "-1epochs")):
        for dataset in ("kdd99", "arrhythmia"):
            for method in ("ALAD", "ALAD-noSN"):
                write_run(out, dataset, f"{method}{suffix}", seed, epochs=1)
            write_run(out, dataset, f"DSEBM{suffix}", seed, epochs=1, scores=DSEBM)
        write_image_run(out, "cifar10", 0, seed, 0.99, method=f"ALAD-releasedDynamics{suffix}", epochs=1)


@pytest.mark.parametrize("name", [name for name in comparison.TABLES if name not in ("protocol", "runs")])
def test_no_table_of_the_paper_shows_them(tmp_path: Path, name: str) -> None:
    quick_looks(tmp_path / "out")
    expected = comparison.table(name, tmp_path / "nothing", published_results())
    assert comparison.table(name, tmp_path / "out", published_results()) == expected


def test_the_added_table_names_them(tmp_path: Path) -> None:
    quick_looks(tmp_path / "out")
    expected, rows = (
        [[re.sub(r" \[\d+\]", "", cell).strip() for cell in row] for row in table.rows]
        for table in (
            comparison.table("protocol", tmp_path / folder, published_results()) for folder in ("nothing", "out")
        )
    )
    added = [row[:2] for row in rows if row not in expected]
    of_alad = [["ALAD-1epochs", "2 this machine, 1 epoch"], ["ALAD-noSN-1epochs", "2 this machine, 1 epoch"]]
    of_dsebm = [[f"DSEBM-1epochs, {score}", "2 this machine"] for score in ("reconstruction", "energy")]
    of_images = ["ALAD-releasedDynamics-1epochs", "1 of 10 tasks, 2 this machine, 1 epoch"]
    assert added == [*([*of_alad, *of_dsebm] * 2), of_images]
    assert [row for row in expected if row not in rows] == []


def test_runs_are_found_by_the_name_that_they_have_today(tmp_path: Path) -> None:
    write_run(tmp_path, "kdd99", "ALAD", 0)
    write_run(tmp_path, "kdd99", "ALAD", 1, epochs=1)
    write_run(tmp_path, "kdd99", "ALAD", 2, 0.1, epochs=1)
    write_run(tmp_path, "kdd99", "ALAD-1epochs", 2, 0.2, epochs=1, method="ALAD")  # moved there by this version
    found = Results(tmp_path)
    assert found.methods("kdd99") == {"ALAD", "ALAD-1epochs"} and found.methods("toy") == set()
    assert [(run["method"], run["seed"]) for run in found.of("kdd99", "ALAD")] == [("ALAD", 0)]
    quick = found.of("kdd99", "ALAD-1epochs")
    assert [(run["method"], run["seed"], run["scores"]["l1"]["f1"]) for run in quick] == [
        ("ALAD-1epochs", 1, 0.9),
        ("ALAD-1epochs", 2, 0.2),
    ]
    folders = [
        folder.relative_to(tmp_path / "kdd99").as_posix() for folder in found.run_folders("kdd99", "ALAD-1epochs")
    ]
    assert folders == ["ALAD/seed1", "ALAD-1epochs/seed2"]


@pytest.mark.parametrize(("name", "epochs"), [("ALAD-1epochs", 2), ("ALAD-1epochs", 100), ("ALAD-1epochs", 11)])
def test_epochs_of_a_folder_are_those_of_its_runs(tmp_path: Path, name: str, epochs: int) -> None:
    path = write_run(tmp_path, "kdd99", name, 0, epochs=epochs)
    with pytest.raises(DataError, match=f"{path}: epochs {epochs} in the folder of 'ALAD-1epochs'"):
        load_results(tmp_path, "kdd99", name)


@pytest.mark.parametrize(
    ("dataset", "method", "epochs"),
    [
        ("kdd99", "ALAD-noSN-raw-1epochs", 100),
        ("arrhythmia", "ALAD", 1000),
        ("kdd99", "DAGMM-XLA", 200),
        ("cifar10", "DAGMM", None),
        ("kdd99", "SGD-OC-SVM-trainAll", None),
        ("kdd99", "someones", None),
    ],
)
def test_epochs_of_the_table(dataset: str, method: str, epochs: int | None) -> None:
    assert table_epochs(dataset, method) == epochs


def test_results_are_read_once_for_all_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick_looks(tmp_path)
    write_image_run(tmp_path, "svhn", 3, 0, 0.5)
    count: Counter[Path] = Counter()
    read = results._read_result

    def counted(path: Path, *expected: Any) -> dict[str, Any]:
        count[path] += 1
        return read(path, *expected)

    monkeypatch.setattr(results, "_read_result", counted)
    tables.write(tmp_path, published_results())
    assert set(count.values()) == {1} and len(count) > 100
