"""Files of all tables and figures, from hand-written results; figures are checked by their drawn elements."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from small_results import metrics, write_image_run, write_run

from alad_tf.errors import DataError
from alad_tf.report import comparison, plots, tables

Bars = Mapping[str, Mapping[int, Sequence[float]]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Bars, str, Mapping[str, float]]]:
    """Bars, title and the paper's means of each figure, by file name."""
    figures: dict[str, tuple[Bars, str, Mapping[str, float]]] = {}

    def save(groups: Bars, path: Path, title: str, means: Mapping[str, float], classes: Sequence[str]) -> Path:
        assert len(classes) == 10
        figures[path.name] = (groups, title, means)
        return path

    monkeypatch.setattr(plots, "save_class_bars", save)
    return figures


def test_every_table_in_every_form(tmp_path: Path) -> None:
    for seed, f1 in ((0, 0.5), (1, 0.7)):
        write_run(tmp_path, "kdd99", "ALAD", seed, f1)
    text = tables.write(tmp_path, None)
    stems = {name: f"table{'' if name.isdigit() else '_'}{name}" for name in comparison.TABLES}
    forms = ("csv", "md", "notes.txt", "txt")
    written = {path.name for path in (tmp_path / "tables").iterdir()}
    assert written == {f"{stem}.{form}" for stem in stems.values() for form in forms}
    for name, stem in stems.items():
        table = comparison.table(name, tmp_path)
        folder = tmp_path / "tables"
        assert (folder / f"{stem}.txt").read_text() == table.as_text() and table.as_text() in text
        assert (folder / f"{stem}.md").read_text() == table.as_markdown()
        assert (folder / f"{stem}.notes.txt").read_text().splitlines() == table.footnotes
        with open(folder / f"{stem}.csv", newline="") as file:
            assert len(list(csv.DictReader(file))) == sum(len(row) > 1 for row in table.rows)
    # 0.5 and 0.7: mean 0.6, sample standard deviation 0.02 ** 0.5.
    with open(tmp_path / "tables" / "table2.csv", newline="") as file:
        (row,) = [row for row in csv.DictReader(file) if (row["data_set"], row["model"]) == ("KDD99", "ALAD")]
    assert (row["f1"], row["f1_std"], row["f1_paper"], row["f1_diff"]) == ("0.6", "0.141421", "0.9501", "-0.3501")


def test_figures_show_the_papers_rows_by_class(
    tmp_path: Path, drawn: dict[str, tuple[Bars, str, Mapping[str, float]]]
) -> None:
    out, published = tmp_path / "out", tmp_path / "published"
    write_image_run(out, "svhn", 3, 0, 0.5)
    write_image_run(out, "svhn", 3, 1, 0.6)
    write_image_run(out, "svhn", 4, 0, 0.7, method="ALAD-noSN")
    write_image_run(published, "svhn", 5, 0, 0.8)
    energies: dict[str, object] = {"energy": metrics(0.9, auroc=0.3), "reconstruction": metrics(0.9, auroc=0.4)}
    write_image_run(published, "svhn", 1, 0, 0.0, method="DSEBM", scores=energies)
    write_image_run(published, "svhn", 1, 0, 0.0, method="kNN", scores={"score": metrics(0.9, auroc=0.2)})
    tables.write(out, published)
    alad = {3: [0.5, 0.6], 5: [0.8]}
    assert {name: bars for name, (bars, _, _) in drawn.items()} == {
        "figure3.png": {"DSEBM-r": {1: [0.4]}, "DSEBM-e": {1: [0.3]}, "ALAD": alad},
        "figure7.png": {"Baseline + DL": {4: [0.7]}, "Baseline + SN + DL": alad},
        "figure9.png": dict.fromkeys(("L1", "L2", "Logits", "Features"), alad),
    }
    assert drawn["figure3.png"][2] == {"DSEBM-r": 0.5290, "DSEBM-e": 0.5240, "ALAD": 0.5753}
    assert drawn["figure7.png"][2] == {"Baseline + DL": 0.5289, "Baseline + SN + DL": 0.5753}
    assert drawn["figure9.png"][2] == {"L1": 0.5778, "L2": 0.5826, "Logits": 0.5038, "Features": 0.5753}
    assert drawn["figure9.png"][1] == "Figure 9: SVHN, scores of ALAD"


def test_figures_of_cifar10_name_stand_in_data(
    tmp_path: Path, drawn: dict[str, tuple[Bars, str, Mapping[str, float]]]
) -> None:
    write_image_run(tmp_path, "cifar10", 0, 0, 0.5, stand_in="stand-in data: 5 images, not 9")
    tables.write(tmp_path, None)
    assert sorted(drawn) == ["figure10.png", "figure4.png", "figure8.png"]
    assert all(title.endswith("\nstand-in data: 5 images, not 9") for _, title, _ in drawn.values())


def test_a_figure_is_drawn(tmp_path: Path, drawn_figures: None) -> None:
    write_image_run(tmp_path, "cifar10", 0, 0, 0.5)
    tables.write(tmp_path, None)
    assert (tmp_path / "tables" / "figure4.png").read_bytes().startswith(b"\x89PNG")


def test_damaged_result_leaves_the_tables_that_are_there(tmp_path: Path) -> None:
    path = write_run(tmp_path, "kdd99", "ALAD", 0)
    tables.write(tmp_path, None)
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "tables").iterdir()}
    path.write_text("{")
    with pytest.raises(DataError, match="result.json"):
        tables.write(tmp_path, None)
    assert {file.name: file.stat().st_mtime_ns for file in (tmp_path / "tables").iterdir()} == before
