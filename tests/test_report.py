"""Results are found, checked, summed up and set beside the paper's; expected figures are worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alad_tf import paper, report
from alad_tf.errors import AladError, DataError, SettingsError


def metrics(f1: float, /, **others: float) -> dict[str, float]:
    return {"precision": f1 - 0.01, "recall": f1 + 0.01, "f1": f1, "auroc": 0.5, "average_precision": 0.25, **others}


def write_run(
    out: Path, dataset: str, method: str, seed: int, /, f1: float = 0.9, place: str = "", **changes: Any
) -> Path:
    """A complete result.json; `changes` replace its entries, None removes one."""
    content = {
        "dataset": dataset,
        "method": method,
        "seed": seed,
        "epochs": paper.EPOCHS[dataset],
        "n_train": 30,
        "n_test": 20,
        "seconds": 10.0 + seed,
        "settings": {},
        "scores": {score: metrics(f1) for score in ("features", "l1", "l2", "logits")},
    }
    content = {key: value for key, value in {**content, **changes}.items() if value is not None}
    path = out / dataset / method / place / f"seed{seed}" / "result.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def line_of(table: report.Table, label: str) -> list[str]:
    """The only row whose first cell starts with `label`."""
    (row,) = [row for row in table.rows if row[0].strip().startswith(label)]
    return row


def test_load_results_sorts_by_number_and_skips_unfinished_runs(tmp_path: Path) -> None:
    for seed in (10, 2, 1):
        write_run(tmp_path, "kdd99", "ALAD", seed)
    (tmp_path / "kdd99/ALAD/seed3").mkdir()
    write_run(tmp_path, "kdd99", "ALAD-noSN", 0)
    copy = tmp_path / "kdd99/ALAD/seed1-backup"
    copy.mkdir()
    (copy / "result.json").write_text("left alone")
    assert [result["seed"] for result in report.load_results(tmp_path, "kdd99", "ALAD")] == [1, 2, 10]
    assert report.load_results(tmp_path, "kdd99", "ALAD-noDzz") == []
    assert report.load_results(tmp_path / "nowhere", "kdd99", "ALAD") == []


def test_load_results_sorts_image_tasks_by_class(tmp_path: Path) -> None:
    for normal_class, seed in ((9, 0), (0, 1), (0, 0)):
        write_run(tmp_path, "svhn", "ALAD", seed, place=f"class{normal_class}", n_train=normal_class + 1)
    found = [(result["n_train"] - 1, result["seed"]) for result in report.load_results(tmp_path, "svhn", "ALAD")]
    assert found == [(0, 0), (0, 1), (9, 0)]
    assert report.summarise(report.load_results(tmp_path, "svhn", "ALAD"))["runs"] == [0, 1, 0]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"settings": None}, "settings"),
        ({"scores": None, "n_test": None}, "n_test, scores"),
        ({"scores": {}}, "no scores"),
        ({"scores": {"features": {"f1": 0.5}}}, "precision of the score features"),
        ({"scores": {"features": metrics(0.5, auroc=float("nan"))}}, "auroc of the score features is nan"),
        ({"scores": {"features": metrics(0.5, f1=1.5)}}, "f1 of the score features is 1.5"),
        ({"epochs": "100"}, "epochs '100'"),
        ({"epochs": 0}, "epochs 0"),
        ({"seconds": -1.0}, "seconds -1.0"),
        ({"seconds": float("inf")}, "seconds inf"),
        ({"seed": 8}, "seed 8 in the folder of 7"),
        ({"method": "ALAD-noSN"}, "'ALAD-noSN' in the folder of 'ALAD'"),
        ({"dataset": "toy"}, "'toy' in the folder of 'kdd99'"),
    ],
)
def test_load_results_refuses_an_incomplete_or_misplaced_result(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    write_run(tmp_path, "kdd99", "ALAD", 1)
    path = write_run(tmp_path, "kdd99", "ALAD", 7, **changes)
    with pytest.raises(DataError) as caught:
        report.load_results(tmp_path, "kdd99", "ALAD")
    message = str(caught.value)
    assert str(path) in message and words in message and "\n" not in message


@pytest.mark.parametrize("content", [b"", b'{"dataset": "kdd99", "me', b"[1, 2]", b"\xff\xfe\x00"])
def test_load_results_refuses_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    path = write_run(tmp_path, "kdd99", "ALAD", 0)
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        report.load_results(tmp_path, "kdd99", "ALAD")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_summarise_gives_mean_and_sample_std(tmp_path: Path) -> None:
    for seed, f1 in ((1, 0.5), (2, 0.6), (4, 0.7)):
        write_run(tmp_path, "kdd99", "ALAD", seed, f1)
    summary = report.summarise(report.load_results(tmp_path, "kdd99", "ALAD"))
    assert (summary["dataset"], summary["method"], summary["epochs"]) == ("kdd99", "ALAD", 100)
    assert summary["runs"] == [1, 2, 4]
    # 0.5, 0.6, 0.7: squares of the deviations sum to 0.02; divided by 2, the root is 0.1.
    assert summary["scores"]["l1"]["f1"] == pytest.approx({"mean": 0.6, "std": 0.1})
    assert summary["scores"]["features"]["precision"] == pytest.approx({"mean": 0.59, "std": 0.1})
    assert summary["scores"]["features"]["auroc"] == pytest.approx({"mean": 0.5, "std": 0.0})
    # 11, 12, 14 seconds: deviations -4/3, -1/3, 5/3; 42/9 divided by 2.
    assert summary["seconds"] == pytest.approx({"mean": 37 / 3, "std": (42 / 18) ** 0.5, "total": 37.0})
    assert summary["paper"]["features"]["f1"] == {"mean": 0.9501, "std": 0.0018}
    assert summary["paper"]["l1"]["recall"] == {"mean": 0.9258, "std": 0.0637}
    json.dumps(summary, allow_nan=False)


def test_summarise_of_one_run_has_no_std(tmp_path: Path) -> None:
    write_run(tmp_path, "toy", "ALAD", 3, 0.8)
    summary = report.summarise(report.load_results(tmp_path, "toy", "ALAD"))
    assert summary["scores"]["features"]["f1"] == {"mean": 0.8, "std": None}
    assert summary["seconds"] == {"mean": 13.0, "std": None, "total": 13.0}
    assert summary["paper"] == {}


def test_summarise_refuses_runs_that_do_not_belong_together(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Received: none"):
        report.summarise([])
    write_run(tmp_path, "kdd99", "ALAD", 0)
    write_run(tmp_path, "kdd99", "ALAD", 1, epochs=1)
    with pytest.raises(AladError, match=r"same epochs .* Received: 100 \(seed 0\) and 1 \(seed 1\)"):
        report.summarise(report.load_results(tmp_path, "kdd99", "ALAD"))
    with pytest.raises(AladError, match="same epochs"):
        report.comparison(tmp_path, "kdd99", ["ALAD"])
    with pytest.raises(AladError, match="same epochs"):
        report.table(5, tmp_path)


def test_summarise_refuses_unlike_scores(tmp_path: Path) -> None:
    write_run(tmp_path, "kdd99", "ALAD", 0)
    write_run(tmp_path, "kdd99", "ALAD", 1, scores={"features": metrics(0.9)})
    with pytest.raises(AladError, match="same scores"):
        report.summarise(report.load_results(tmp_path, "kdd99", "ALAD"))


def test_comparison_sets_ours_beside_the_paper(tmp_path: Path) -> None:
    out, published = tmp_path / "out", tmp_path / "published"
    for seed, f1 in ((0, 0.94), (1, 0.96)):
        write_run(out, "kdd99", "ALAD", seed, f1)
    write_run(published, "kdd99", "ALAD", 5, 0.1)
    write_run(published, "kdd99", "ALAD-noSN", 0, 0.93)
    table = report.comparison(out, "kdd99", ["ALAD", "ALAD-noSN", "ALAD-baseline"], published=published)
    assert table.header == ["Method", "Runs", "Precision", "paper", "Recall", "paper", "F1", "paper", "diff."]
    # Two runs 0.02 apart: sample std 0.02 / sqrt 2 = 0.0141.
    assert table.rows == [
        ["ALAD", "2 this machine", "0.940±0.014", "0.943±0.002", "0.960±0.014", "0.958±0.002"]
        + ["0.9500±0.0141", "0.9501±0.0018", "-0.0001"],
        ["ALAD-noSN", "1 published", "0.920", "0.944±0.008", "0.940", "0.959±0.008", "0.9300", "0.951±0.008", "-0.021"],
        ["ALAD-baseline", "not run", "not run", "0.948±0.007", "not run", "0.963±0.007", "not run", "0.955±0.007", "-"],
    ]
    notes = " ".join(table.footnotes)
    assert "this machine:" in notes and "published:" in notes and "0.992" in notes and "0.970" not in notes


def test_comparison_without_published_results_reads_only_out(tmp_path: Path) -> None:
    write_run(tmp_path / "published", "kdd99", "ALAD", 0)
    table = report.comparison(tmp_path / "out", "kdd99", ["ALAD"])
    assert line_of(table, "ALAD")[1] == "not run"
    assert not any("this machine" in note or "published" in note for note in table.footnotes)


def test_comparison_has_a_row_for_each_method_and_score(tmp_path: Path) -> None:
    write_run(tmp_path, "arrhythmia", "ALAD", 0, 0.5, scores={"features": metrics(0.5), "l1": metrics(0.4)})
    table = report.comparison(tmp_path, "arrhythmia", ["ALAD", "ALAD-noDzz"], ("features", "l1", "logits"))
    assert [row[0].split(" [")[0].strip() for row in table.rows] == [
        *("ALAD: 1 this machine", "features", "l1", "logits"),
        *("ALAD-noDzz: not run", "features", "l1", "logits"),
    ]
    features, l1, logits = table.rows[1:4]
    assert features[5:] == ["0.5000", "0.497±0.036", "+0.003"]
    assert l1[5:] == ["0.4000", "0.4727±0.0256", "-0.0727"]
    assert logits[5:] == ["not run", "0.3818±0.0859", "-"]
    assert table.rows[5][5:] == ["not run", "0.5152±0.0214", "-"]
    assert features[0].endswith("[1]") and table.footnotes[0].startswith("[1]") and "0.970" in table.footnotes[-1]


def test_comparison_names_unusual_epochs(tmp_path: Path) -> None:
    write_run(tmp_path, "kdd99", "ALAD", 0, epochs=1)
    write_run(tmp_path, "kdd99", "ALAD-noSN", 0, epochs=20)
    table = report.comparison(tmp_path, "kdd99", ["ALAD", "ALAD-noSN"])
    assert [row[1] for row in table.rows] == ["1 this machine, 1 epoch", "1 this machine, 20 epochs"]


def test_comparison_shows_all_metrics_where_the_paper_prints_none(tmp_path: Path) -> None:
    write_run(tmp_path, "toy", "ALAD", 0, 0.75)
    table = report.comparison(tmp_path, "toy", ["ALAD"])
    assert table.header == ["Method", "Runs", "Precision", "Recall", "F1", "AUROC", "Average precision"]
    assert table.rows == [["ALAD", "1 this machine", "0.7400", "0.7600", "0.7500", "0.5000", "0.2500"]]


def write_image_run(out: Path, dataset: str, label: int, seed: int, auroc: float, /, **changes: Any) -> Path:
    """A complete run of an image task with one AUROC in all scores."""
    scores = {score: metrics(0.9, auroc=auroc) for score in ("features", "l1", "l2", "logits")}
    changes = {"settings": {"normal_class": label}, "scores": scores, **changes}
    return write_run(out, dataset, changes.pop("method", "ALAD"), seed, place=f"class{label}", **changes)


def test_comparison_of_images_is_by_auroc(tmp_path: Path) -> None:
    write_image_run(tmp_path, "svhn", 3, 0, 0.5)
    table = report.comparison(tmp_path, "svhn", ["ALAD"])
    assert table.header[2:] == ["AUROC", "paper", "diff."]
    assert line_of(table, "ALAD")[1:] == ["1 of 10 tasks, 1 this machine", "0.5000", "0.5753±0.0268", "-0.0753"]


def test_runs_of_a_task_are_averaged_before_the_tasks(tmp_path: Path) -> None:
    for label, seed, auroc in ((0, 0, 0.5), (0, 1, 0.7), (4, 0, 0.8)):
        write_image_run(tmp_path, "cifar10", label, seed, auroc)
    summary = report.summarise(report.load_results(tmp_path, "cifar10", "ALAD"))
    # Tasks 0.6 and 0.8: the mean is 0.7, the deviations are 0.1, and 2 times 0.01 by 1 has the root 0.1414.
    assert summary["scores"]["features"]["auroc"] == pytest.approx({"mean": 0.7, "std": 0.02**0.5})
    assert summary["tasks"] == {
        label: dict.fromkeys(("features", "l1", "l2", "logits"), aurocs)
        for label, aurocs in ((0, [0.5, 0.7]), (4, [0.8]))
    }
    table = report.table(6, tmp_path)
    (row,) = [row for row in table.rows if row[1:] and row[1].endswith("this machine")]
    assert row == ["  Baseline + SN + DL", "2 of 10 tasks, 3 this machine", "0.7000±0.1414", "0.6072±0.1201", "+0.0928"]
    assert any("mean ± sample standard deviation are those over the tasks" in note for note in table.footnotes)
    assert [row[:2] for row in report.table(3, tmp_path).rows if row[0] == "  ALAD"] == [
        ["  ALAD", "not run"],
        ["  ALAD", "2 of 10 tasks, 3 this machine"],
    ]


@pytest.mark.parametrize("number", [3, 6, 8])
def test_stand_in_data_are_named_in_every_table(tmp_path: Path, number: int) -> None:
    write_image_run(tmp_path, "svhn", 3, 0, 0.5, stand_in="stand-in data: 5 images, not 9")
    note = "SVHN: stand-in data: 5 images, not 9; not a figure of it."
    for table in (report.table(number, tmp_path), report.comparison(tmp_path, "svhn", ["ALAD"])):
        (footnote,) = [line for line in table.footnotes if line.endswith(note)]
        mark = footnote.split(" ")[0]
        assert any(mark in row[0] for row in table.rows if "0.5000" in row or "this machine" in row[0])
    assert report.summarise(report.load_results(tmp_path, "svhn", "ALAD"))["stand_in"].startswith("stand-in data")


def test_runs_on_other_data_are_not_summed_up_together(tmp_path: Path) -> None:
    write_image_run(tmp_path, "svhn", 3, 0, 0.5, stand_in="stand-in data: 5 images, not 9")
    write_image_run(tmp_path, "svhn", 4, 0, 0.5)
    with pytest.raises(AladError, match="Expected the same stand_in in all runs of ALAD on svhn"):
        report.summarise(report.load_results(tmp_path, "svhn", "ALAD"))


def test_table_viii_has_the_four_scores_of_both_data_sets(tmp_path: Path) -> None:
    write_image_run(tmp_path, "cifar10", 1, 0, 0.6)
    rows = report.table(8, tmp_path).rows
    assert [row[0].strip() for row in rows[:6]] == [
        "SVHN, ALAD: not run", "L1", "L2", "Logits", "Features", "CIFAR-10, ALAD: 1 of 10 tasks, 1 this machine"
    ]  # fmt: skip
    assert rows[8] == ["  Logits", "0.6000", "0.5396±0.0783", "+0.0604"]


@pytest.mark.parametrize("number", [0, 1, 4, 9])
def test_table_names_the_ones_available(tmp_path: Path, number: int) -> None:
    with pytest.raises(SettingsError, match=rf"Received: {number}\. Allowed: 2, 3, 5, 6, 7, 8\."):
        report.table(number, tmp_path)


def test_table_ii_has_the_papers_rows_in_order(tmp_path: Path) -> None:
    write_run(tmp_path, "kdd99", "ALAD", 0, 0.9601)
    table = report.table(2, tmp_path)
    methods = ["OC-SVM", "IF", "DSEBM-r", "DSEBM-e", "DAGMM", "AnoGAN", "ALAD"]
    labels = [row[0].split(" [")[0].strip() for row in table.rows]
    assert labels == ["KDD99", *methods, "Arrhythmia", *methods]
    assert table.rows[7][1:4] == ["1 this machine", "0.9501", "0.9427"]
    assert table.rows[7][4:] == ["0.9701", "0.9577", "0.9601", "0.9501", "+0.0100"]
    assert table.rows[-1][1:] == ["not run", "not run", "0.5000", "not run", "0.5313", "not run", "0.5152", "-"]
    marks = {row[0].split("[")[1][:-1] for row in table.rows if "[" in row[0]}
    assert marks == {"1", "2", "3"}
    assert "misprint" in table.footnotes[int(table.rows[6][0].split("[")[1][:-1]) - 1]
    assert "Baseline + SN" in table.footnotes[int(table.rows[-1][0].split("[")[1][:-1]) - 1]
    assert any("0.992" in note for note in table.footnotes) and any("0.970" in note for note in table.footnotes)


def test_table_v_names_the_ablations_as_the_paper_does(tmp_path: Path) -> None:
    write_run(tmp_path, "kdd99", "ALAD-noSN", 0, 0.9604)
    write_run(tmp_path / "published", "arrhythmia", "ALAD-noDzz", 0, 0.5)
    table = report.table(5, tmp_path, tmp_path / "published")
    names = ["Baseline", "Baseline + DL", "Baseline + SN", "Baseline + SN + DL"]
    assert [row[0].split(" [")[0].strip() for row in table.rows] == ["KDD99", *names, "Arrhythmia", *names]
    assert table.rows[2][1:] == (
        ["1 this machine", "0.950", "0.944±0.008", "0.970", "0.959±0.008", "0.960", "0.951±0.008", "+0.009"]
    )
    assert table.rows[8][1:4] == ["1 published", "0.490", "0.500±0.021"]
    assert "Baseline + DL = ALAD-noSN" in table.footnotes[-1]


def test_table_vii_shows_arrhythmia_under_both_names(tmp_path: Path) -> None:
    scores = {"l1": metrics(0.3), "l2": metrics(0.4), "logits": metrics(0.2), "features": metrics(0.6)}
    write_run(tmp_path, "arrhythmia", "ALAD-noDzz", 0, scores=scores)
    table = report.table(7, tmp_path)
    names = ["L1", "L2", "Logits", "Features"]
    labels = [row[0].strip() for row in table.rows]
    assert labels[:6] == ["KDD99, ALAD: not run", *names, "Arrhythmia, ALAD [1]: not run"]
    assert labels[10:] == ["Arrhythmia, ALAD-noDzz [1]: 1 this machine", *names]
    assert [row[5] for row in table.rows[11:]] == ["0.3000", "0.4000", "0.2000", "0.6000"]
    assert table.rows[11][6:] == ["0.4727±0.0256", "-0.1727"]
    assert table.rows[4][1:3] == ["not run", "0.9427±0.0018"]


def test_text_is_aligned_and_fits(tmp_path: Path) -> None:
    for method in ("ALAD", "ALAD-noSN", "ALAD-noDzz", "ALAD-baseline"):
        for seed in range(10):
            write_run(tmp_path, "kdd99", method, seed, 0.9 + seed / 1000)
            write_run(tmp_path, "arrhythmia", method, seed, 0.5 + seed / 100)
    for number in (2, 3, 5, 6, 7, 8):
        table = report.table(number, tmp_path)
        lines = table.as_text().splitlines()
        assert lines[0] == table.title
        assert max(len(line) for line in lines) <= 127
        metric = "F1" if number in (2, 5, 7) else "AUROC"
        start = lines[2].index(metric)
        full = [row for row in table.rows if len(row) > 1]
        cells = [line[start : start + 6] for line in lines[4:] if line.startswith("  ")][: len(full)]
        assert cells == [row[table.header.index(metric)][:6] for row in full]
        assert all(line == line.rstrip() for line in lines)


def test_headings_span_and_footnotes_follow() -> None:
    table = report.Table("T", ["a", "b"], [["a long heading"], ["  x", "1"]], ["note"])
    assert table.as_text() == "T\n\na    b\n---  -\na long heading\n  x  1\n\nnote\n"
    assert table.as_markdown() == (
        "**T**\n\n| a | b |\n| --- | --- |\n| **a long heading** |  |\n| x | 1 |\n\n* note\n"
    )
    assert report.Table("T", ["a"], []).as_text() == "T\n\na\n-\n"
