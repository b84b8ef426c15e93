"""Results on disk are found, checked and summarised; damaged or inconsistent ones are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_results import metrics, unshared, write_image_run, write_latency, write_run

from alad_tf.errors import AladError, DataError, SettingsError
from alad_tf.report import comparison
from alad_tf.report.results import load_results
from alad_tf.typing import Options


def test_load_results_sorts_by_number_and_skips_unfinished_runs(tmp_path: Path) -> None:
    for seed in (10, 2, 1):
        write_run(tmp_path, "kdd99", "ALAD", seed)
    (tmp_path / "kdd99/ALAD/seed3").mkdir()
    write_run(tmp_path, "kdd99", "ALAD-noSN", 0)
    copy = tmp_path / "kdd99/ALAD/seed1-backup"
    copy.mkdir()
    (copy / "result.json").write_text("left alone")
    assert [result["seed"] for result in comparison.load_results(tmp_path, "kdd99", "ALAD")] == [1, 2, 10]
    assert comparison.load_results(tmp_path, "kdd99", "ALAD-noDzz") == []
    assert comparison.load_results(tmp_path / "nowhere", "kdd99", "ALAD") == []


def test_load_results_sorts_image_tasks_by_class(tmp_path: Path) -> None:
    for normal_class, seed in ((9, 0), (0, 1), (0, 0)):
        write_run(tmp_path, "svhn", "ALAD", seed, place=f"class{normal_class}", n_train=normal_class + 1)
    found = [(result["n_train"] - 1, result["seed"]) for result in comparison.load_results(tmp_path, "svhn", "ALAD")]
    assert found == [(0, 0), (0, 1), (9, 0)]
    assert comparison.summarise(comparison.load_results(tmp_path, "svhn", "ALAD"))["runs"] == [0, 1, 0]


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
def test_load_results_refuses_an_incomplete_or_misplaced_result(tmp_path: Path, changes: Options, words: str) -> None:
    write_run(tmp_path, "kdd99", "ALAD", 1)
    path = write_run(tmp_path, "kdd99", "ALAD", 7, **changes)
    with pytest.raises(DataError) as caught:
        comparison.load_results(tmp_path, "kdd99", "ALAD")
    message = str(caught.value)
    assert str(path) in message and words in message and "\n" not in message


@pytest.mark.parametrize("content", [b"", b'{"dataset": "kdd99", "me', b"[1, 2]", b"\xff\xfe\x00"])
def test_load_results_refuses_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    path = write_run(tmp_path, "kdd99", "ALAD", 0)
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        comparison.load_results(tmp_path, "kdd99", "ALAD")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_summarise_gives_mean_and_sample_std(tmp_path: Path) -> None:
    for seed, f1 in ((1, 0.5), (2, 0.6), (4, 0.7)):
        write_run(tmp_path, "kdd99", "ALAD", seed, f1)
    summary = comparison.summarise(comparison.load_results(tmp_path, "kdd99", "ALAD"))
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
    summary = comparison.summarise(comparison.load_results(tmp_path, "toy", "ALAD"))
    assert summary["scores"]["features"]["f1"] == {"mean": 0.8, "std": None}
    assert summary["seconds"] == {"mean": 13.0, "std": None, "total": 13.0}
    assert summary["paper"] == {}


def test_summarise_refuses_runs_that_do_not_belong_together(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Received: none"):
        comparison.summarise([])
    write_run(tmp_path, "kdd99", "ALAD", 0)
    write_run(tmp_path, "kdd99", "ALAD", 1, epochs=1)
    unlike = [*load_results(tmp_path, "kdd99", "ALAD"), *load_results(tmp_path, "kdd99", "ALAD-1epochs")]
    with pytest.raises(AladError, match=r"same method .* Received: ALAD \(seed 0\) and ALAD-1epochs \(seed 1\)"):
        comparison.summarise(unlike)
    published = [{**result, "method": "AnoGAN"} for result in unlike]  # whose names need not tell epochs
    with pytest.raises(AladError, match=r"same epochs .* Received: 100 \(seed 0\) and 1 \(seed 1\)"):
        comparison.summarise(published)
    for seed, epochs in enumerate((10, 100)):
        write_image_run(tmp_path / "published", "cifar10", 0, seed, 0.5, method="AnoGAN", epochs=epochs)
    with pytest.raises(AladError, match="same epochs"):
        comparison.comparison(tmp_path, "cifar10", ["AnoGAN"], published=tmp_path / "published")
    with pytest.raises(AladError, match="same epochs"):
        comparison.table(3, tmp_path, tmp_path / "published")


def test_summarise_refuses_unlike_scores(tmp_path: Path) -> None:
    write_run(tmp_path, "kdd99", "ALAD", 0)
    write_run(tmp_path, "kdd99", "ALAD", 1, scores={"features": metrics(0.9)})
    with pytest.raises(AladError, match="same scores"):
        comparison.summarise(comparison.load_results(tmp_path, "kdd99", "ALAD"))


def test_runs_on_other_data_are_not_summed_up_together(tmp_path: Path) -> None:
    write_image_run(tmp_path, "svhn", 3, 0, 0.5, stand_in="stand-in data: 5 images, not 9")
    write_image_run(tmp_path, "svhn", 4, 0, 0.5)
    with pytest.raises(AladError, match="Expected the same stand_in in all runs of ALAD-releasedDynamics on svhn"):
        comparison.summarise(comparison.load_results(tmp_path, "svhn", "ALAD-releasedDynamics"))


@pytest.mark.parametrize("changes", [{"n_train_used": 31}, {"n_train_used": 0}, {"n_test_used": 20.0}])
def test_subsets_are_counts_within_the_whole(tmp_path: Path, changes: Options) -> None:
    write_run(tmp_path, "kdd99", "kNN", 0, **changes)
    (key,) = changes
    with pytest.raises(DataError, match=f"{key} .* where a whole number from 1 to"):
        comparison.load_results(tmp_path, "kdd99", "kNN")


def test_unshared_of_the_runs_that_have_it(tmp_path: Path) -> None:
    write_run(tmp_path, "kdd99", "IF", 0, scores={"score": metrics(0.5)})
    assert "unshared" not in comparison.summarise(comparison.load_results(tmp_path, "kdd99", "IF"))
    assert len(comparison.table("protocol", tmp_path).rows) == 2
    write_run(tmp_path, "kdd99", "IF", 1, scores={"score": metrics(0.5)}, unshared=unshared(0.75, 0.5, "score"))
    summary = comparison.summarise(comparison.load_results(tmp_path, "kdd99", "IF"))
    assert summary["unshared"] == {
        "runs": [1], "n_test": 81_000, "n_anomalies": 40_000,
        "scores": {"score": {"auroc": {"mean": 0.75, "std": None}, "average_precision": {"mean": 0.5, "std": None}}},
    }  # fmt: skip
    *_, row = comparison.table("protocol", tmp_path).rows
    assert row == ["  IF", "1 of 2 this machine", "0.7500", "-", "-", "0.5000"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ([1], "unshared is not"),
        ({"n_test": 0, "n_anomalies": 1, "scores": {}}, "unshared is not"),
        ({"n_test": 2, "n_anomalies": 1, "scores": {}}, "unshared has other scores"),
        (unshared(0.5, 0.5, "features"), "unshared has other scores"),
        (unshared(1.5, 0.5, "score"), "unshared: auroc of the score score is 1.5"),
    ],
)
def test_unshared_that_is_damaged(tmp_path: Path, change: object, words: str) -> None:
    write_run(tmp_path, "kdd99", "IF", 0, scores={"score": metrics(0.5)}, unshared=change)
    with pytest.raises(DataError, match=words):
        comparison.load_results(tmp_path, "kdd99", "IF")


@pytest.mark.parametrize(
    "changes", [{"alad_ms": 0}, {"ratio": "fast"}, {"batch": None}, {"threads": 1.5}, {"machine": 7}]
)
def test_latency_that_is_damaged(tmp_path: Path, changes: Options) -> None:
    path = write_latency(tmp_path, **changes)
    with pytest.raises(DataError) as caught:
        comparison.table(4, tmp_path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    path.write_text("{")
    with pytest.raises(DataError, match="latency"):
        comparison.table(4, tmp_path)
