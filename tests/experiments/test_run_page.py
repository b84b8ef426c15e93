"""`alad report` of a run of the paper's protocol."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import run
from conftest import CHECKOUT
from pages import Elements

from alad_tf.errors import DataError
from alad_tf.experiments.run_page import is_run, run_page
from alad_tf.metrics import n_flagged
from alad_tf.report.page import render

TOY = CHECKOUT / "tests" / "last_release" / "results" / "toy" / "ALAD" / "seed0"
PUBLISHED = CHECKOUT / "results" / "published" / "kdd99" / "ALAD" / "seed0"


def test_run_with_scores() -> None:
    page = run_page(TOY, top=7)
    result = json.loads((TOY / "result.json").read_text())
    with np.load(TOY / "scores.npz") as arrays:
        scores, labels = arrays["features"], arrays["y_test"]
    assert page.scores is not None and page.losses
    flagged = int((page.scores.scores > page.scores.threshold).sum())
    assert flagged == n_flagged(len(scores), result["top_fraction"])
    values = page.scores.metrics()
    assert values is not None and values["f1"] == pytest.approx(result["scores"]["features"]["f1"], abs=1e-12)
    assert [row.label for row in page.rows] == [("normal", "anomalous")[k] for k in labels[np.argsort(-scores)[:7]]]


def test_page_marks_the_rows_that_are_flagged() -> None:
    """The threshold is one step of float64 below a score."""
    page = run_page(TOY, top=200)
    assert page.scores is not None
    elements = Elements(render(page))
    steps = json.loads(elements.raw["script"].split('"use strict"')[0])
    shown = [float(attributes["data-score"] or 0) for _, attributes in elements.tags if "data-score" in attributes]
    at = steps["threshold"][steps["start"]]
    assert at == page.scores.threshold
    assert sum(score > at for score in shown) == steps["flagged"][steps["start"]] == 100


def test_rows_that_were_drawn() -> None:
    facts = dict(run_page(PUBLISHED.parents[2] / "cifar10" / "AnoGAN" / "class0" / "seed0", top=1).facts)
    assert facts["Test rows"] == "256 of 12,000, drawn at random with the seed" and facts["Training rows"] == "3,619"


def test_epochs_and_class_of_a_run_that_stopped_early() -> None:
    page = run_page(PUBLISHED.parents[2] / "cifar10" / "ALAD-releasedDynamics" / "class0" / "seed0", top=1)
    assert dict(page.facts)["Epochs"] == "22 of at most 100, the best 11"
    assert page.title.endswith("CIFAR-10, ALAD-releasedDynamics, normal class airplane, seed 0")
    assert page.metrics is not None and page.metrics[1][1][0] == "features, the paper's mean over all classes"


def test_a_method_without_epochs_and_losses(tmp_path: Path) -> None:
    shutil.copytree(PUBLISHED.parents[1] / "IF" / "seed0", tmp_path / "run")
    page = run_page(tmp_path / "run", top=1)
    assert "Epochs" not in dict(page.facts)
    assert page.missing["losses"] == "Its losses are unknown: it has no history.jsonl."
    (tmp_path / "run" / "history.jsonl").touch()
    assert run_page(tmp_path / "run", top=1).missing["losses"] == "This method has no losses."


def test_rows_with_the_score_of_the_last_flagged_row(tmp_path: Path) -> None:
    """Of 2148 rows 100 are flagged, and 7 more have the score of the last of them."""
    shutil.copytree(TOY, tmp_path / "run")
    with np.load(TOY / "scores.npz") as arrays:
        scores, labels = arrays["features"].astype(np.float64), arrays["y_test"]
    order = np.argsort(-scores)
    scores[order[95:107]] = scores[order[95]]
    np.savez(tmp_path / "run" / "scores.npz", features=scores, y_test=labels)
    (note,) = [note for note in run_page(tmp_path / "run", top=1).notes if "more rows than that share" in note]
    assert "by 7, because" in note
    assert not any("more rows than that share" in note for note in run_page(TOY, top=1).notes)


def test_a_run_that_is_not_complete(tmp_path: Path) -> None:
    shutil.copy(TOY / "config.json", tmp_path)
    with pytest.raises(DataError, match="Expected a complete run.*without a result.json. Its `alad reproduce`"):
        run_page(tmp_path, top=1)


def test_published_run_has_no_scores(tmp_path: Path) -> None:
    assert is_run(PUBLISHED) and not is_run(tmp_path)
    page = run_page(PUBLISHED, top=7)
    assert page.scores is None and "scores.npz" in page.missing["scores"]
    assert page.metrics is not None and len(page.metrics[1]) == 8  # four scores, the paper's below each
    assert any("attacks are the normal class" in note for note in page.notes)


def test_command(tmp_path: Path) -> None:
    assert run("report", TOY, "--output", tmp_path / "run.html") == 0
    assert "Toy, ALAD, seed 0" in (tmp_path / "run.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("result.json", "{}"),
        ("result.json", "["),
        ("scores.npz", "x"),
        ("history.jsonl", "[1]"),
        ("history.jsonl", '{"epoch": "x"}'),
        ("history.jsonl", '{"epoch": 1, "loss_d": "x"}'),
        ("history.jsonl", '{"epoch": 1, "loss_d": 1' + "0" * 400 + "}"),
    ],
)
def test_damaged_runs_are_refused(tmp_path: Path, name: str, content: str) -> None:
    shutil.copytree(TOY, tmp_path / "run")
    (tmp_path / "run" / name).write_text(content)
    with pytest.raises(DataError, match=name):
        run_page(tmp_path / "run", top=5)


def test_history_with_nulls(tmp_path: Path) -> None:
    shutil.copytree(TOY, tmp_path / "run")
    records = [{"epoch": 1, "loss_d": None}, {"epoch": 2, "loss_d": 3.0, "loss_ge": None}]
    (tmp_path / "run" / "history.jsonl").write_text("\n".join(map(json.dumps, records)))
    page = run_page(tmp_path / "run", top=5)
    assert page.losses == {"discriminators": ([2], [3.0])} and "<polyline" in render(page)


@pytest.mark.parametrize("score", [np.nan, np.inf, 1e308])
def test_scores_that_are_not_finite_are_refused(tmp_path: Path, score: float) -> None:
    shutil.copytree(TOY, tmp_path / "run")
    with np.load(TOY / "scores.npz") as arrays:
        features, labels = arrays["features"].astype(np.float64), arrays["y_test"]
    features[0] = score
    np.savez(tmp_path / "run" / "scores.npz", features=features, y_test=labels)
    with pytest.raises(DataError, match="scores that are not finite"):
        run_page(tmp_path / "run", top=5)
