"""Wrong calls of `alad fit` and `alad score` are refused in one line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import refused
from own_rows import QUICK, mixed

from alad_tf.estimator.alad import ALAD
from alad_tf.io import locks
from alad_tf.tabular.model import Model

pytestmark = pytest.mark.minutes(1)


def with_cell(column: str, row: int, cell: object) -> pd.DataFrame:
    frame = mixed(30).astype({column: object})
    frame.loc[row, column] = cell
    return frame


BAD_ROWS = {
    "a word among numbers": (with_cell("size", 4, "big"), "", "'size' row 5 'big' --categorical"),
    "text": (with_cell("size", 4, "big"), "--numeric size", "'size' row 5 'big'"),
    "NaN": (with_cell("size", 4, np.nan), "", "'size' row 5 missing --impute"),
    "infinity": (with_cell("weight", 9, -np.inf), "", "'weight' row 10 -inf"),
    "missing category": (with_cell("color", 2, None), "", "'color' row 3 missing"),
    "empty column": (mixed(30).assign(size=np.nan), "", "'size' no cell Drop"),
    "one row": (mixed(1), "", "2 rows 1."),
    "header only": (mixed(0), "", "no row rows.csv"),
    "too large for float32": (with_cell("size", 3, 1e300), "--scaling none", "float32 'size' row 4 1e+300"),
    "too many categories": (mixed(1500).assign(name=[f"n{k}" for k in range(1500)]), "", "'name' 1000 1500 drop"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_rows_that_cannot_be_trained_on(case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows, options, words = BAD_ROWS[case]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    arguments = ["--model", tmp_path / "model", "--drop", "id", "kind", *options.split()]
    line = refused(capfd, "fit", tmp_path / "rows.csv", *arguments)
    assert all(word in line for word in words.split()), line
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--drop ids", "--drop ids Allowed: id"),
        ("--categorical colour", "--categorical colour"),
        ("--numeric Size", "--numeric Size"),
        ("--label sort --normal good", "--label sort"),
        ("--label kind", "--label --normal alone"),
        ("--normal good", "--label --normal alone"),
        ("--label kind --normal fine", "'fine' 'kind' good"),
        ("--numeric size --categorical size", "size numeric categorical"),
        ("--test new.csv", "--test --label"),
        ("--validation 0 --false-positive-rate 0.1", "--validation"),
        ("--validation 1", "--validation '1'"),
        ("--contamination x", "--contamination 'x'"),
        ("--contamination 0.1 --false-positive-rate 0.1", "--contamination, --false-positive-rate at most"),
        ("--epochs 0", "--epochs '0'"),
        ("--scaling robust", "--scaling 'robust' standard"),
        ("--score l3", "--score 'l3' features"),
        ("--architecture mnist", "--architecture 'mnist' kdd99"),
        ("--architecture kdd99", "121 features"),
        ("--seed 4294967296", "--seed '4294967296' 4294967295"),
        ("--validation 0.999", "0.999 120 rows"),
        ("--drop id weight color kind size", "columns none"),
        ("--log-dir train.csv/logs", "TensorBoard train.csv"),
        ("--batch-size 1000", "batch 108 1000"),
        ("--label kind --normal good --test none.csv", "none.csv exist"),
        ("--learning-rate 0", "--learning-rate '0' above"),
    ],
)
def test_wrong_options_of_fit(
    trained: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    words: str,
) -> None:
    monkeypatch.chdir(trained)
    line = refused(capfd, "fit", trained / "train.csv", "--model", tmp_path / "model", *options.split())
    assert all(word in line for word in words.split()), line
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("place", ["train.csv/model", "/proc/none/model"])
def test_a_place_that_cannot_be_written_is_refused_before_training(
    trained: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr("alad_tf.tabular.readers.settle", lambda *_: pytest.fail("the rows were read"))
    line = refused(capfd, "fit", trained / "train.csv", "--model", trained / place)
    assert "Errno" in line


def test_a_test_file_is_looked_at_before_training(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ALAD, "fit", lambda *_, **__: pytest.fail("it was trained"))
    arguments = ["--model", tmp_path / "model", "--label", "kind", "--normal", "good", "--test", tmp_path / "test.csv"]
    for rows, words in (
        (mixed(5).drop(columns="size"), "test.csv no size"),
        (mixed(5).drop(columns="kind"), "--label kind"),
    ):
        rows.to_csv(tmp_path / "test.csv", index=False)
        line = refused(capfd, "fit", trained / "train.csv", *arguments)
        assert all(word in line for word in words.split()), line


def damaged(path: Path, fault: str) -> None:
    """A damaged file of rows, in the format of its name."""
    rows = mixed(500)
    rows.to_csv(path, index=False) if ".csv" in path.name else rows.to_parquet(path)
    content = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "cut": content[: len(content) // 2],
            "HTML": b"<!DOCTYPE html>\n<html>not found</html>\n",
            "a cell too few": content + b"1,2,3,red\n",
            "a cell too many": content + b"1,2,3,red,good,6\n",
            "a name twice": content.replace(b"weight", b"size", 1),
        }[fault]
    )


@pytest.mark.parametrize(
    ("name", "fault", "words"),
    [
        ("rows.csv", "empty", "rows.csv empty"),
        ("rows.parquet", "empty", "rows.parquet"),
        ("rows.csv.gz", "cut", "complete rows.csv.gz"),
        ("rows.parquet", "cut", "rows.parquet damaged"),
        ("rows.csv", "HTML", "HTML"),
        ("rows.csv", "a cell too few", "5 columns rows.csv 4."),
        ("rows.csv", "a cell too many", "5 columns rows.csv 6."),
        ("rows.csv", "a name twice", "size more than once"),
    ],
)
def test_damaged_files(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, fault: str, words: str
) -> None:
    path = tmp_path / name
    damaged(path, fault)
    for arguments in (
        ["fit", path, "--model", tmp_path / "model"],
        ["score", path, "--model", trained / "model", "--output", tmp_path / "s.csv"],
    ):
        line = refused(capfd, *arguments)
        assert all(word in line for word in words.split()), line
        assert [file.name for file in tmp_path.iterdir()] == [name]


def test_model_folder_that_is_there(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = refused(capfd, "fit", trained / "train.csv", "--model", trained / "model")
    assert "--overwrite" in line
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("mine")
    for options in ([], ["--overwrite"]):
        line = refused(capfd, "fit", trained / "train.csv", "--model", tmp_path / "folder", *options)
        assert "which is neither" in line and (tmp_path / "folder" / "thesis.txt").read_text() == "mine"


def test_link_to_a_model_folder_is_refused_before_training(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ALAD, "fit", None)
    (tmp_path / "link").symlink_to(trained / "model")
    arguments = ("fit", trained / "train.csv", "--model", tmp_path / "link", "--overwrite")
    assert "which is neither" in refused(capfd, *arguments)


@pytest.mark.skipif(not locks.SUPPORTED, reason="no file locks")
def test_another_training_of_the_same_folder(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Of two trainings at once, the second replaced the model of the first without --overwrite."""
    model = tmp_path / "model"
    with locks.locked(model, tmp_path / ".model.lock"):
        line = refused(capfd, "fit", trained / "train.csv", "--model", model, *QUICK)
    assert (
        f"Expected a folder that no other process is using. Received: {model}, used by process {os.getpid()}." in line
    )
    assert list(tmp_path.iterdir()) == []
    written = [path.name for path in trained.iterdir()]
    assert "model" in written and ".model.lock" not in written


def test_open_quote_is_not_trained_on(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An unclosed quote made 61 rows of 1,001."""
    lines = (trained / "train.csv").read_text().splitlines()
    lines[40] = ",".join([*lines[40].split(",")[:-1], '"good'])
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    message = refused(capfd, "fit", tmp_path / "rows.csv", "--model", tmp_path / "model", *QUICK)
    assert "rows.csv" in message and "a quote on line 41, which is open" in message
    assert os.listdir(tmp_path) == ["rows.csv"]


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (mixed(5).drop(columns=["size", "color"]), "", "no size, color its columns are id, weight, kind"),
        (with_cell("size", 3, "big"), "", "'size' row 4 'big'"),
        (mixed(0), "", "rows to score none"),
        (mixed(5), "--id name", "--id name"),
        (mixed(5), "--label name --normal good", "--label name"),
        (mixed(5), "--label kind", "--normal alone"),
        (mixed(5), "--explain 4", "3 4"),
        (mixed(5), "--explain -1", "--explain '-1'"),
        (mixed(5), "--chunk-rows 0", "--chunk-rows '0'"),
        (mixed(5), "--top 0", "--top '0'"),
        (mixed(5), "--sheet x", "--sheet new.csv"),
        (mixed(5), "--sep ab", "separator ab"),
    ],
)
def test_rows_or_options_that_cannot_be_scored(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], rows: pd.DataFrame, options: str, words: str
) -> None:
    rows.to_csv(tmp_path / "new.csv", index=False)
    arguments = ["--model", trained / "model", "--output", tmp_path / "s.csv", *options.split()]
    line = refused(capfd, "score", tmp_path / "new.csv", *arguments)
    assert all(word in line for word in words.split()), line
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


@pytest.mark.parametrize("name", ["scored.xlsx", "scored", "scored.csv.gz"])
def test_output_of_unknown_format(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    arguments = ["--model", trained / "model", "--output", tmp_path / name]
    line = refused(capfd, "score", trained / "new.csv", *arguments)
    assert name in line and ".csv, .parquet or .feather" in line


def test_output_over_the_input(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", trained / "model", "--output", trained / "new.csv", "--overwrite"]
    assert "other than the input" in refused(capfd, "score", trained / "new.csv", *arguments)
    assert len(pd.read_csv(trained / "new.csv")) == 40


@pytest.mark.parametrize("fault", ["missing", "cut", "changed", "added", "foreign", "file", "nothing", "of an array"])
def test_damaged_or_foreign_model(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], fault: str) -> None:
    model = tmp_path / "model"
    shutil.copytree(trained / "model", model)
    if fault == "missing":
        (model / "preprocessing.json").unlink()
    elif fault == "cut":
        (model / "weights.npz").write_bytes((model / "weights.npz").read_bytes()[:-100])
    elif fault == "changed":
        text = (model / "columns.json").read_text()
        (model / "columns.json").write_text(text.replace("size", "sizo"))
    elif fault == "added":
        (model / "more.json").write_text("{}")
    elif fault == "of an array":
        estimator = Model.load(model).estimator
        estimator.encoder_ = None
        estimator.save(model, overwrite=True)
    else:
        shutil.rmtree(model)
        if fault == "foreign":
            model.mkdir()
            (model / "saved_model.pb").write_text("")
        elif fault == "file":
            model.write_text("")
    words = {"missing": "preprocessing.json", "cut": "weights.npz", "changed": "columns.json", "added": "more.json"}
    for arguments in (
        ["inspect", model],
        ["score", trained / "new.csv", "--model", model, "--output", tmp_path / "s.csv"],
    ):
        line = refused(capfd, *arguments)
        assert str(model) in line and words.get(fault, "Expected a model") in line
    assert not (tmp_path / "s.csv").exists()


@pytest.mark.parametrize("kind", ["same", "symbolic", "hard", "through a folder"])
def test_output_that_is_the_input(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    rows = Path(shutil.copy(trained / "new.csv", tmp_path / "new.csv"))
    output = tmp_path / "out.csv"
    if kind == "same":
        output = rows
    elif kind == "symbolic":
        output.symlink_to(rows)
    elif kind == "hard":
        os.link(rows, output)
    else:
        (tmp_path / "link").symlink_to(tmp_path)
        output = tmp_path / "link" / "new.csv"
    before = rows.read_bytes()
    arguments = ["--model", trained / "model", "--output", output, "--overwrite"]
    assert "other than the input" in refused(capfd, "score", rows, *arguments)
    assert rows.read_bytes() == before


@pytest.mark.parametrize("place", ["model/scored.csv", "model/below/scored.csv", "link/scored.csv", "other/scored.csv"])
def test_output_in_a_model_folder(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], place: str) -> None:
    """A model folder with an extra file would be refused from then on."""
    for name in ("model", "other"):
        shutil.copytree(trained / "model", tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path / "model")
    arguments = ["--model", tmp_path / "model", "--output", tmp_path / place]
    assert "outside the model folder" in refused(capfd, "score", trained / "new.csv", *arguments)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == sorted(os.listdir(trained / "model"))


def test_full_disk(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    arguments = ["--model", trained / "model", "--output", tmp_path / "s.csv"]
    assert "No space left" in refused(capfd, "score", trained / "new.csv", *arguments)
    assert not list(tmp_path.iterdir())
