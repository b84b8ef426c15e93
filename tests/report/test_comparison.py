"""Tables of our results beside the paper's; expected figures are computed by hand."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from small_results import metrics, unshared, write_image_run, write_latency, write_run

from alad_tf.errors import SettingsError
from alad_tf.report import comparison
from alad_tf.typing import Options

RELEASED = "ALAD-releasedDynamics"  # the protocol's runs of ALAD on images


def line_of(table: comparison.Table, label: str) -> list[str]:
    """The only row whose first cell starts with `label`."""
    (row,) = [row for row in table.rows if row[0].strip().startswith(label)]
    return row


def test_comparison_sets_ours_beside_the_paper(tmp_path: Path) -> None:
    out, published = tmp_path / "out", tmp_path / "published"
    for seed, f1 in ((0, 0.94), (1, 0.96)):
        write_run(out, "kdd99", "ALAD", seed, f1)
    write_run(published, "kdd99", "ALAD", 1, 0.1)
    write_run(published, "kdd99", "ALAD-noSN", 0, 0.93)
    table = comparison.comparison(out, "kdd99", ["ALAD", "ALAD-noSN", "ALAD-baseline"], published=published)
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
    table = comparison.comparison(tmp_path / "out", "kdd99", ["ALAD"])
    assert line_of(table, "ALAD")[1] == "not run"
    assert not any("this machine" in note or "published" in note for note in table.footnotes)


def test_comparison_has_a_row_for_each_method_and_score(tmp_path: Path) -> None:
    write_run(tmp_path, "arrhythmia", "ALAD", 0, 0.5, scores={"features": metrics(0.5), "l1": metrics(0.4)})
    table = comparison.comparison(tmp_path, "arrhythmia", ["ALAD", "ALAD-noDzz"], ("features", "l1", "logits"))
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
    write_run(tmp_path, "kdd99", "ALAD-noSN-20epochs", 0, epochs=20)
    table = comparison.comparison(tmp_path, "kdd99", ["ALAD", "ALAD-1epochs", "ALAD-noSN-20epochs"])
    assert [row[:2] for row in table.rows] == [
        ["ALAD", "not run"],
        ["ALAD-1epochs", "1 this machine, 1 epoch"],
        ["ALAD-noSN-20epochs", "1 this machine, 20 epochs"],
    ]


def test_comparison_shows_all_metrics_where_the_paper_prints_none(tmp_path: Path) -> None:
    write_run(tmp_path, "toy", "ALAD", 0, 0.75)
    table = comparison.comparison(tmp_path, "toy", ["ALAD"])
    assert table.header == ["Method", "Runs", "Precision", "Recall", "F1", "AUROC", "Average precision"]
    assert table.rows == [["ALAD", "1 this machine", "0.7400", "0.7600", "0.7500", "0.5000", "0.2500"]]


def test_comparison_of_images_is_by_auroc(tmp_path: Path) -> None:
    write_image_run(tmp_path, "svhn", 3, 0, 0.5)
    table = comparison.comparison(tmp_path, "svhn", [RELEASED])
    assert table.header[2:] == ["AUROC", "paper", "diff."]
    assert line_of(table, RELEASED)[1:] == ["1 of 10 tasks, 1 this machine", "0.5000", "0.5753±0.0268", "-0.0753"]


def test_runs_of_a_task_are_averaged_before_the_tasks(tmp_path: Path) -> None:
    for label, seed, auroc in ((0, 0, 0.5), (0, 1, 0.7), (4, 0, 0.8)):
        write_image_run(tmp_path, "cifar10", label, seed, auroc)
    summary = comparison.summarise(comparison.load_results(tmp_path, "cifar10", RELEASED))
    # Tasks 0.6 and 0.8: the mean is 0.7, the deviations are 0.1, and 2 times 0.01 by 1 has the root 0.1414.
    assert summary["scores"]["features"]["auroc"] == pytest.approx({"mean": 0.7, "std": 0.02**0.5})
    assert summary["tasks"] == {
        label: dict.fromkeys(("features", "l1", "l2", "logits"), aurocs)
        for label, aurocs in ((0, [0.5, 0.7]), (4, [0.8]))
    }
    table = comparison.table(6, tmp_path)
    (row,) = [row for row in table.rows if row[1:] and row[1].endswith("this machine")]
    assert row == [
        "  Baseline + SN + DL [2]",
        "2 of 10 tasks, 3 this machine",
        "0.7000±0.1414",
        "0.6072±0.1201",
        "+0.0928",
    ]
    assert any("mean ± sample standard deviation are over the tasks" in note for note in table.footnotes)
    assert [row[:2] for row in comparison.table(3, tmp_path).rows if row[0].startswith("  ALAD")] == [
        ["  ALAD", "not run"],
        ["  ALAD [2]", "2 of 10 tasks, 3 this machine"],
    ]


@pytest.mark.parametrize("number", [3, 6, 8])
def test_stand_in_data_are_named_in_every_table(tmp_path: Path, number: int) -> None:
    write_image_run(tmp_path, "svhn", 3, 0, 0.5, stand_in="stand-in data: 5 images, not 9")
    note = "SVHN: stand-in data: 5 images, not 9; not comparable with the paper."
    for table in (comparison.table(number, tmp_path), comparison.comparison(tmp_path, "svhn", [RELEASED])):
        (footnote,) = [line for line in table.footnotes if line.endswith(note)]
        mark = footnote.split(" ")[0]
        assert any(mark in row[0] for row in table.rows if "0.5000" in row or "this machine" in row[0])
        assert {row[table.header.index("diff.")] for row in table.rows if "0.5000" in row} == {"-"}
    assert comparison.summarise(comparison.load_results(tmp_path, "svhn", RELEASED))["stand_in"].startswith(
        "stand-in data"
    )


def test_table_viii_has_the_four_scores_of_both_data_sets(tmp_path: Path) -> None:
    write_image_run(tmp_path, "cifar10", 1, 0, 0.6)
    rows = comparison.table(8, tmp_path).rows
    assert [row[0].strip() for row in rows[:6]] == [
        "SVHN, ALAD: not run", "L1", "L2", "Logits", "Features", "CIFAR-10, ALAD [1]: 1 of 10 tasks, 1 this machine"
    ]  # fmt: skip
    assert rows[8] == ["  Logits", "0.6000", "0.5396±0.0783", "+0.0604"]


@pytest.mark.parametrize("name", [0, 1, 9, "78", "x"])
def test_table_names_the_ones_available(tmp_path: Path, name: int | str) -> None:
    allowed = "2, 3, 4, 5, 6, 7, 8, protocol, halves, runs"
    with pytest.raises(SettingsError, match=rf"Received: {name}\. Allowed: {allowed}\."):
        comparison.table(name, tmp_path)


ADDED = ["OC-SVM by SGD", "AnoGAN, Schlegl's weights", "Distance to the mean", "k nearest neighbours"]


def footnotes_of(table: comparison.Table, row: Sequence[str]) -> list[str]:
    """Footnotes of the marks in a row's first cell."""
    return [note for note in table.footnotes for mark in re.findall(r"\[\d+\]", row[0]) if note.startswith(mark)]


def test_table_ii_has_the_papers_rows_in_order_and_the_added_ones_under_them(tmp_path: Path) -> None:
    write_run(tmp_path, "kdd99", "ALAD", 0, 0.9601)
    table = comparison.table(2, tmp_path)
    methods = ["OC-SVM", "IF", "DSEBM-r", "DSEBM-e", "DAGMM", "AnoGAN", "ALAD", *ADDED]
    labels = [row[0].split(" [")[0].strip() for row in table.rows]
    assert labels == ["KDD99", *methods, "Arrhythmia", *methods]
    assert table.rows[7][1:4] == ["1 this machine", "0.9501", "0.9427"]
    assert table.rows[7][4:] == ["0.9701", "0.9577", "0.9601", "0.9501", "+0.0100"]
    assert table.rows[19][1:] == ["not run", "not run", "0.5000", "not run", "0.5313", "not run", "0.5152", "-"]
    assert table.rows[-1][1:] == ["not run", "not run", "-", "not run", "-", "not run", "-", "-"]
    misprint, weights = footnotes_of(table, table.rows[6])
    assert "misprint" in misprint and "0.1 of the residual loss, 0.9" in weights
    (name,) = footnotes_of(table, table.rows[19])
    assert "Baseline + SN" in name
    assert table.footnotes[-1] == f"Added rows, which the paper does not have: {'; '.join(ADDED)}."
    assert any("0.992" in note for note in table.footnotes) and any("0.970" in note for note in table.footnotes)


def test_baselines_stand_in_the_rows_of_their_scores(tmp_path: Path) -> None:
    """Each of the eight methods has different figures, so that rows cannot be confused."""
    scores = {
        "OC-SVM": {"score": 0.31}, "SGD-OC-SVM": {"score": 0.32}, "IF": {"score": 0.33}, "mean": {"score": 0.34},
        "kNN": {"score": 0.35}, "DSEBM": {"energy": 0.36, "reconstruction": 0.37}, "DAGMM": {"energy": 0.38},
        "AnoGAN": {"schlegl": 0.39, "released": 0.41},
    }  # fmt: skip
    for method, f1s in scores.items():
        write_run(tmp_path, "kdd99", method, 0, scores={score: metrics(f1) for score, f1 in f1s.items()})
        aurocs = {score: metrics(0.9, auroc=f1) for score, f1 in f1s.items()}
        write_image_run(tmp_path, "svhn", 3, 0, 0.0, method=method, scores=aurocs)
    expected = {
        "OC-SVM": "0.3100", "IF": "0.3300", "DSEBM-r": "0.3700", "DSEBM-e": "0.3600", "DAGMM": "0.3800",
        "AnoGAN": "0.4100", "OC-SVM by SGD": "0.3200", "AnoGAN, Schlegl's weights": "0.3900",
        "Distance to the mean": "0.3400", "k nearest neighbours": "0.3500",
    }  # fmt: skip
    tabular, images = comparison.table(2, tmp_path), comparison.table(3, tmp_path)
    for name, figure in expected.items():
        (row,) = [row for row in tabular.rows[:12] if row[0].split(" [")[0].strip() == name]
        assert row[6] == figure
        rows = [row for row in images.rows[:11] if row[0].split(" [")[0].strip() == name]
        assert [row[2] for row in rows] == ([] if name == "DAGMM" else [figure])
    # OC-SVM: 0.31 - 0.7954; AnoGAN on SVHN: 0.41 - 0.5410.
    assert tabular.rows[1][-1] == "-0.4854" and images.rows[5][-1] == "-0.1310"
    assert tabular.rows[8][-1] == "-"


def test_epochs_are_named_only_where_there_are_any(tmp_path: Path) -> None:
    one = {"score": metrics(0.5)}
    for method in ("OC-SVM", "SGD-OC-SVM", "IF", "mean", "kNN"):
        write_run(tmp_path, "kdd99", method, 0, epochs=1, scores=one)
    write_run(tmp_path, "kdd99", "DAGMM", 0, epochs=200, scores={"energy": metrics(0.5)})
    scores = {"schlegl": metrics(0.5), "released": metrics(0.5)}
    write_run(tmp_path / "published", "kdd99", "AnoGAN", 0, epochs=7, scores=scores)
    table = comparison.table(2, tmp_path, tmp_path / "published")
    labels = {row[0].split(" [")[0].strip(): row[1] for row in table.rows[1:12]}
    assert labels.pop("AnoGAN") == labels.pop("AnoGAN, Schlegl's weights") == "1 published, 7 epochs"
    assert set(labels.values()) == {"1 this machine", "not run"}
    assert not any("1 epoch" in cell for row in table.rows for cell in row)
    assert "DAGMM on KDD99: 200 epochs; the paper prints no number." in footnotes_of(table, table.rows[5])[1]


def test_subsets_are_named_in_every_table(tmp_path: Path) -> None:
    one = {"score": metrics(0.5)}
    for seed in (0, 1):
        write_run(tmp_path, "kdd99", "OC-SVM", seed, scores=one, n_train=198_361, n_train_used=10_000)
    rows = {0: 36_000, 1: 35_990}
    scores = {score: metrics(0.9, auroc=0.6) for score in ("schlegl", "released")}
    for label, n_train in rows.items():
        counts = {"n_train": n_train, "n_test": 12_000, "n_train_used": 5_000, "n_test_used": 1_000}
        write_image_run(tmp_path, "cifar10", label, 0, 0.6, method="AnoGAN", scores=scores, **counts)
    of_svm = "OC-SVM: trained on 10,000 of 198,361 rows, drawn at random with the run's seed."
    of_gan = [
        "AnoGAN: trained on 5,000 of 35,990 to 36,000 rows, drawn at random with the run's seed.",
        "AnoGAN: scored on 1,000 of 12,000 test rows, drawn at random with the run's seed.",
    ]
    for table in (comparison.table(2, tmp_path), comparison.table("protocol", tmp_path)):
        assert of_svm in [note[4:] for note in footnotes_of(table, table.rows[1])]
        assert len([row for row in table.rows if of_svm in "".join(footnotes_of(table, row))]) == 1
    for table in (comparison.table(3, tmp_path), comparison.table("protocol", tmp_path)):
        found = [row for row in table.rows if row[0].strip().startswith("AnoGAN") and row[2] == "0.6000±0.0000"]
        assert len(found) == 2
        for row in found:
            assert [note[4:] for note in footnotes_of(table, row)][-2:] == of_gan
    (row,) = comparison.comparison(tmp_path, "kdd99", ["OC-SVM"]).rows
    assert row[0] == "OC-SVM [2] [1]"


def test_baselines_are_summed_up_and_compared_by_their_own_scores(tmp_path: Path) -> None:
    for seed, f1 in ((0, 0.7), (1, 0.9)):
        write_run(tmp_path, "kdd99", "IF", seed, scores={"score": metrics(f1)})
        scores = {"energy": metrics(f1 - 0.1), "reconstruction": metrics(f1)}
        write_run(tmp_path, "kdd99", "DSEBM", seed, scores=scores)
    summary = comparison.summarise(comparison.load_results(tmp_path, "kdd99", "DSEBM"))
    assert summary["scores"]["energy"]["f1"] == pytest.approx({"mean": 0.7, "std": 0.02**0.5})
    assert {score: row["f1"]["mean"] for score, row in summary["paper"].items()} == {
        "energy": 0.7399,
        "reconstruction": 0.7328,
    }
    (isolation,) = comparison.comparison(tmp_path, "kdd99", ["IF"]).rows
    assert isolation[6:] == ["0.8000±0.1414", "0.9294", "-0.1294"]
    both = comparison.comparison(tmp_path, "kdd99", ["DSEBM"], ["energy", "reconstruction"])
    heading, energy, reconstruction = both.rows
    assert heading[0].startswith("DSEBM [1]: 2 this machine")
    assert energy[5:] == ["0.7000±0.1414", "0.7399", "-0.0399"]
    assert reconstruction[5:] == ["0.8000±0.1414", "0.7328", "+0.0672"]
    mixed = comparison.comparison(tmp_path, "kdd99", ["ALAD", "IF"])
    assert mixed.rows[1] == isolation and mixed.title.endswith("score features, score")


def test_published_runs_of_other_seeds_join_ours(tmp_path: Path) -> None:
    out, published = tmp_path / "out", tmp_path / "published"
    for folder, seed, f1 in ((out, 0, 0.5), (published, 1, 0.7), (published, 2, 0.9)):
        write_run(folder, "kdd99", "ALAD", seed, f1)
    row = line_of(comparison.comparison(out, "kdd99", ["ALAD"], published=published), "ALAD")
    assert row[1] == "1 this machine, 2 published" and row[6] == "0.7000±0.2000"
    write_run(out, "kdd99", "ALAD", 2, 0.5)  # repeated: ours are to be seen alone
    row = line_of(comparison.comparison(out, "kdd99", ["ALAD"], published=published), "ALAD")
    assert row[1] == "2 this machine" and row[6] == "0.5000±0.0000"


def test_published_tasks_join_ours(tmp_path: Path) -> None:
    out, published = tmp_path / "out", tmp_path / "published"
    for folder, label, auroc in ((out, 0, 0.5), (published, 0, 0.9), (published, 1, 0.7), (published, 2, 0.9)):
        write_image_run(folder, "cifar10", label, 0, auroc)
    row = line_of(comparison.comparison(out, "cifar10", [RELEASED], published=published), RELEASED)
    assert row[1:3] == ["3 of 10 tasks, 1 this machine, 2 published", "0.7000±0.2000"]


@pytest.mark.parametrize(
    "change", [{"epochs": 1}, {"stand_in": "stand-in data: 5 images"}, {"scores": {"features": metrics(0.7)}}]
)
def test_published_runs_unlike_ours_do_not_join(tmp_path: Path, change: Options) -> None:
    write_image_run(tmp_path / "out", "cifar10", 0, 0, 0.5)
    write_image_run(tmp_path / "published", "cifar10", 1, 0, 0.9, **change)
    row = line_of(
        comparison.comparison(tmp_path / "out", "cifar10", [RELEASED], published=tmp_path / "published"), RELEASED
    )
    assert row[1:3] == ["1 of 10 tasks, 1 this machine", "0.5000"]


def test_protocol_table_has_every_method_with_runs(tmp_path: Path) -> None:
    alad = ("features", "l1", "l2", "logits")
    for seed, auroc in ((0, 0.9), (1, 0.8)):
        scores = {score: metrics(0.9, auroc=auroc, average_precision=auroc - 0.5) for score in alad}
        write_run(tmp_path, "kdd99", "ALAD", seed, scores=scores, unshared=unshared(auroc - 0.1, 0.25, *alad))
    write_run(tmp_path, "kdd99", "IF", 0, scores={"score": metrics(0.5, auroc=0.75)})
    write_run(tmp_path / "published", "kdd99", "ALAD-minmax", 0)
    write_image_run(tmp_path, "svhn", 3, 0, 0.5)
    (tmp_path / "kdd99" / "ALAD-noSN" / "seed0").mkdir(parents=True)
    table = comparison.table("protocol", tmp_path, tmp_path / "published")
    assert table.header == ["Model", "Runs", "AUROC", "paper", "diff.", "Average precision"]
    # 0.9 and 0.8: mean 0.85, deviations 0.05; 2 x 0.0025 / 1 has the root 0.0707.
    assert table.rows == [
        ["KDD99"],
        ["  IF", "1 this machine", "0.7500", "-", "-", "0.2500"],
        ["  ALAD", "2 this machine", "0.8500±0.0707", "-", "-", "0.3500±0.0707"],
        ["  ALAD-minmax", "1 published", "0.5000", "-", "-", "0.2500"],
        ["KDD99, unshared test rows [1]"],
        ["  ALAD", "2 this machine", "0.7500±0.0707", "-", "-", "0.2500±0.0000"],
        ["SVHN"],
        ["  ALAD [2]", "1 of 10 tasks, 1 this machine", "0.5000", "0.5753±0.0268", "-0.0753", "0.2500"],
    ]
    assert table.footnotes[1] == (
        "[2] ALAD-releasedDynamics: trained with the dynamics of the released code, differences D17 to D21."
    )
    assert table.footnotes[0] == (
        "[1] Without the test rows that also occur in the training set: 81,000 rows are left, 40,000 of them anomalies."
    )
    assert any("0.992" in note for note in table.footnotes) and not any("0.970" in note for note in table.footnotes)
    assert "fraction of anomalies" in table.footnotes[-1]


def test_unshared_rows_of_runs_that_drew_their_test_rows(tmp_path: Path) -> None:
    for seed, rows in ((0, 70), (1, 90)):
        part = {**unshared(0.5, 0.25, "features"), "n_test": rows, "n_anomalies": 20}
        write_run(tmp_path, "kdd99", "ALAD", seed, scores={"features": metrics(0.5)}, unshared=part)
    (note, *_) = comparison.table("protocol", tmp_path).footnotes
    assert note.endswith("training set: 70 to 90 rows are left, 20 of them anomalies.")


def test_protocol_table_of_arrhythmia_has_its_ceiling_and_of_nothing_no_rows(tmp_path: Path) -> None:
    assert comparison.table("protocol", tmp_path).rows == []
    write_run(tmp_path, "arrhythmia", "kNN", 0, scores={"score": metrics(0.5)})
    assert any("0.970" in note for note in comparison.table("protocol", tmp_path).footnotes)


def test_table_of_both_halves_of_arrhythmia_has_standard_errors(tmp_path: Path) -> None:
    for method, values in (("ALAD", (0.5, 0.6, 0.7, 0.8)), ("ALAD-noSN-releasedhalf", (0.4, 0.6))):
        for seed, value in enumerate(values):
            write_run(tmp_path, "arrhythmia", method, seed, scores={"features": metrics(value, auroc=value)})
    table = comparison.table("halves", tmp_path)
    assert table.header == ["Model", "Runs", "F1", "paper", "diff.", "Standard error", "AUROC"]
    names = ["Baseline", "Baseline + DL", "Baseline + SN [1]", "Baseline + SN + DL [1]"]
    assert [row[0].strip() for row in table.rows] == [
        *["Arrhythmia, training half: normal rows only", *names],
        *["Arrhythmia, training half: as released, with 34 anomalies", *names],
    ]
    # 0.5 to 0.8: deviations 0.15, 0.05; the root of 2 (0.0225 + 0.0025) / 3 is 0.129, half of it 0.065.
    assert table.rows[4][1:] == ["4 this machine", "0.650±0.129", "0.497±0.036", "+0.153", "0.065", "0.650±0.129"]
    # 0.4 and 0.6: the root of 2 x 0.01 / 1 is 0.141, and 0.1 after division by that of 2.
    assert table.rows[7][1:] == ["2 this machine", "0.500±0.141", "0.512±0.042", "-0.012", "0.100", "0.500±0.141"]
    assert table.rows[6][1:] == ["not run", "not run", "0.491±0.040", "-", "-", "not run"]
    write_run(tmp_path, "arrhythmia", "ALAD-noDzz", 0, scores={"features": metrics(0.5, auroc=0.5)})
    row = comparison.table("halves", tmp_path).rows[3]
    assert row[1:] == ["1 this machine", "0.500", "0.515±0.021", "-0.015", "-", "0.500"]


def test_table_iv_sets_times_beside_the_papers(tmp_path: Path) -> None:
    out, published = tmp_path / "out", tmp_path / "published"
    write_latency(out)
    write_latency(published, alad_ms=9.0)
    write_latency(published, dataset="svhn", batch=16, ratio=40.4, stand_in="random rows")
    table = comparison.table(4, out, published)
    assert table.rows == [
        ["KDD99 [1]", "50", "500.0", "1235", "0.25", "1.4", "2000.0", "900", "+1100", "1083"],
        ["Arrhythmia", "32", "not measured", "1102", "not measured", "41.0", "not measured", "30", "-", "376"],
        ["SVHN [2]", "16", "500.0", "10496", "0.25", "10.5", "40.4", "1000", "-960", "704"],
        ["CIFAR-10", "32", "not measured", "10774", "not measured", "10.5", "not measured", "1000", "-", "704"],
    ]
    assert table.footnotes[0] == (
        "[1] KDD99, this machine: batches of 50 rows on a machine; threads: 1; steps of AnoGAN's search: 500."
    )
    assert table.footnotes[1].startswith("[2] SVHN, published: batches of 16 rows")
    assert table.footnotes[1].endswith("search: 500; random rows.")
    assert "Titan X" in table.footnotes[-1]
    header, first, *_ = csv.reader(io.StringIO(table.as_csv()))
    assert header == [
        *("data_set", "batch", "anogan_ms", "anogan_ms_paper", "alad_ms", "alad_ms_paper"),
        *("speed_up", "speed_up_paper", "speed_up_diff", "by_work", "notes"),
    ]
    assert first[:5] == ["KDD99", "50", "500.0", "1235.0", "0.25"]


def test_table_v_names_the_ablations_as_the_paper_does(tmp_path: Path) -> None:
    write_run(tmp_path, "kdd99", "ALAD-noSN", 0, 0.9604)
    write_run(tmp_path / "published", "arrhythmia", "ALAD-noDzz", 0, 0.5)
    table = comparison.table(5, tmp_path, tmp_path / "published")
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
    table = comparison.table(7, tmp_path)
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
    for method, score in (("OC-SVM", "score"), ("AnoGAN", "schlegl"), ("DAGMM", "energy")):
        for seed in range(10):
            scores = {name: metrics(0.5 + seed / 100) for name in {score, "released"}}
            write_run(tmp_path, "kdd99", method, seed, scores=scores, n_train_used=10)
    for number in (2, 3, 5, 6, 7, 8):
        table = comparison.table(number, tmp_path)
        lines = table.as_text().splitlines()
        assert lines[0] == table.title
        assert max(len(line) for line in lines) <= 127
        metric = "F1" if number in (2, 5, 7) else "AUROC"
        start = lines[2].index(metric)
        full = [row for row in table.rows if len(row) > 1]
        cells = [line[start : start + 6] for line in lines[4:] if line.startswith("  ")][: len(full)]
        assert cells == [row[table.header.index(metric)][:6] for row in full]
        assert all(line == line.rstrip() for line in lines)
