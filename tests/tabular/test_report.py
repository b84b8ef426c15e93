"""`alad report` for a model, a model of the last release and a scored file; refused calls."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import refused, run
from pages import Elements

from alad_tf.errors import DataError
from alad_tf.estimator.alad import ALAD
from alad_tf.io import atomic
from alad_tf.tabular.fit import Preparation, fit_file
from alad_tf.tabular.labels import Labels
from alad_tf.tabular.report import Rows, model_page

OLD = Path(__file__).parents[1] / "last_release"
LABELS = Labels("kind", ("normal",))


def table(rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": random.normal(size=rows),
            "<b>country": random.choice(["de", "fr"], rows),
            "kind": np.where(np.arange(rows) % 10 == 0, "fraud", "normal"),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    table(120, 0).to_csv(folder / "train.csv", index=False)
    new = table(60, 1)
    new.loc[10, ["amount", "<b>country"]] = [40.0, "<script>alert(1)</script>"]
    new.loc[11, "amount"] = np.nan
    new.to_csv(folder / "new.csv", index=False)
    options = {"epochs": 2, "batch_size": 32, "random_state": 0}
    fit_file(folder / "train.csv", folder / "model", preparation=Preparation(labels=LABELS), options=options)
    return folder


def test_page_of_a_model_and_rows(folder: Path) -> None:
    page = model_page(folder / "model", Rows(folder / "new.csv", LABELS, top=5))
    assert {name: len(epochs) for name, (epochs, _) in page.losses.items()} == {
        "discriminators": 2,
        "generator and encoder": 2,
    }
    assert page.scores is not None and len(page.scores.scores) == 59
    assert page.metrics is not None and [row[0] for row in page.metrics[1]][:2] == ["AUROC", "Average precision"]
    assert "1 rows with missing, infinite or too large cells" in " ".join(page.notes)
    first = page.rows[0]
    assert (first.name, first.label) == ("11", "fraud")
    assert [cell.column for cell in first.cells] == ["amount", "<b>country"]
    assert first.cells[0].value == "40" and first.cells[1].value == "<script>alert(1)</script>"
    assert first.cells[1].expected in ("de", "fr")
    assert sum(cell.share for cell in first.cells) == pytest.approx(1.0, abs=1e-5)
    assert sum(page.contributions.values()) == pytest.approx(1.0, abs=1e-5)
    assert {drift.column for drift in page.drift} == {"amount", "<b>country"}
    assert len(page.rows) == 5 and np.all(np.diff([row.score for row in page.rows]) <= 0)


def test_history_is_kept_in_the_model_folder(folder: Path) -> None:
    history = ALAD.load(folder / "model").history_
    assert {len(values) for values in history.values()} == {2}
    assert {"loss_d", "loss_ge"} <= set(history)


def test_page_without_rows(folder: Path) -> None:
    page = model_page(folder / "model")
    assert page.scores is not None and page.metrics is None and not page.rows
    assert set(page.missing) >= {"rows", "drift"}


def test_command_writes_one_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = folder / "report.html"
    left = folder / f".report.html.{atomic.MARK}abcdefgh.html"  # of a command that was killed
    left.write_text("half a page")
    assert run("report", folder / "model", folder / "new.csv", "--output", output, "--label", "kind",
               "--normal", "normal") == 0  # fmt: skip
    assert not left.exists()
    assert capsys.readouterr().out == f"report: {output}\n"
    text = Elements(output.read_text(encoding="utf-8")).text
    assert "<script>alert(1)</script>" in text and "<b>country" in text


def test_page_of_a_folder_of_the_last_release() -> None:
    """The folder has no losses by epoch and no distributions of columns."""
    page = model_page(OLD / "model", Rows(OLD / "rows.csv"))
    assert not page.losses and not page.drift and len(page.rows) == 25
    assert "earlier versions" in page.missing["losses"] and "`alad fit` stores" in page.missing["drift"]


def test_page_of_a_file_with_scores_alone() -> None:
    page = model_page(OLD / "model", Rows(OLD / "scored.csv"))
    assert page.scores is not None and len(page.scores.scores) == 50
    assert not page.contributions and "lacks the model's columns" in page.missing["drift"]


def test_calls_that_are_refused(folder: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model, rows, new = folder / "model", folder / "new.csv", tmp_path / "page.html"
    (tmp_path / "old.html").write_text("kept")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    cases = {
        ("--output", tmp_path / "page.pdf"): "in .html",
        ("--output", tmp_path / "old.html"): "--overwrite",
        ("--output", model / "page.html"): "outside",
        (tmp_path / "other.csv", "--output", new): "no 'amount'",
        ("--output", new, "--id", "amount"): "ROWS",
        (rows, "--output", new, "--id", "nobody"): "nobody",
        (rows, "--output", new, "--label", "kind"): "--normal",
        (tmp_path / "none.csv", "--output", new): "none.csv",
    }
    for arguments, words in cases.items():
        assert words in refused(capfd, "report", model, *arguments)
    assert "model folder" in refused(capfd, "report", tmp_path / "nothing", "--output", new)
    assert not new.exists() and (tmp_path / "old.html").read_text() == "kept"


def test_rows_without_a_score_are_refused(folder: Path, tmp_path: Path) -> None:
    table(3, 0).assign(amount=np.nan).to_csv(tmp_path / "empty.csv", index=False)
    with pytest.raises(DataError, match="can be scored"):
        model_page(folder / "model", Rows(tmp_path / "empty.csv"))


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (["high", "low"], "Expected a number in column 'score', row 1. Received: 'high'"),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), "Expected real numbers in column 'score'. Received: datetime64"),
    ],
)
def test_scores_that_are_no_numbers(folder: Path, tmp_path: Path, score: list[object], words: str) -> None:
    """Dates were shown as nanoseconds, and text was a traceback."""
    pd.DataFrame({"score": score, "amount": ["text", "text"]}).to_parquet(tmp_path / "scored.parquet")
    with pytest.raises(DataError, match=re.escape(words)):
        model_page(folder / "model", Rows(tmp_path / "scored.parquet"))


def test_scores_beside_a_part_of_the_models_columns(folder: Path, tmp_path: Path) -> None:
    pd.DataFrame({"score": [1.0, 2.0], "amount": ["text", "more"]}).to_csv(tmp_path / "scored.csv", index=False)
    page = model_page(folder / "model", Rows(tmp_path / "scored.csv"))
    assert page.scores is not None and page.scores.scores.tolist() == [1.0, 2.0]


def test_rows_from_standard_input(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("report", folder / "model", folder / "new.csv", "--output", tmp_path / "file.html") == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder / "new.csv").read_bytes())))
    assert run("report", folder / "model", "-", "--output", tmp_path / "piped.html") == 0
    piped, file = ((tmp_path / name).read_text(encoding="utf-8") for name in ("piped.html", "file.html"))
    assert piped.replace("standard-input.csv", "new.csv") == file.replace(str(folder / "new.csv"), "standard input")


def test_scores_beside_a_column_of_that_name(folder: Path) -> None:
    rows = table(20, 1).assign(score=77.0, alad_score=np.linspace(1.0, 2.0, 20))[["score", "alad_score"]]
    rows.to_csv(folder / "own.csv", index=False)
    page = model_page(folder / "model", Rows(folder / "own.csv"))
    assert page.scores is not None and float(page.scores.scores.max()) == 2.0


def test_rows_in_a_sheet_and_in_a_dialect(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pd.ExcelWriter(tmp_path / "new.xlsx") as book:
        pd.DataFrame({"x": [1]}).to_excel(book, sheet_name="cover", index=False)
        table(30, 2).to_excel(book, sheet_name="rows", index=False)
    page = ["--output", tmp_path / "page.html"]
    assert run("report", folder / "model", tmp_path / "new.xlsx", *page, "--sheet", "rows") == 0
    table(30, 2).to_csv(tmp_path / "new.csv", index=False, sep="^")
    assert run("report", folder / "model", tmp_path / "new.csv", *page, "--sep", "^", "--overwrite") == 0
    assert "30 rows" in (tmp_path / "page.html").read_text(encoding="utf-8")
    capfd.readouterr()
    assert "Expected ROWS with" in refused(capfd, "report", folder / "model", *page, "--overwrite", "--sep", "^")
