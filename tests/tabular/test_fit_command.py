"""`alad fit` and `alad inspect`: from a file of rows to a model folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from command import refused, run
from own_rows import QUICK, mixed
from tolerances import bound

from alad_tf import metrics, paths
from alad_tf.columns import preprocessing
from alad_tf.columns.encoder import TrainingCells
from alad_tf.columns.schema import Columns
from alad_tf.data import kdd99
from alad_tf.estimator.alad import ALAD
from alad_tf.tabular.model import Model
from alad_tf.typing import Options

pytestmark = pytest.mark.minutes(1)


KDD99 = "kddcup.data_10_percent.gz"


REAL = paths.data_folders()[0]


def test_report_and_inspection(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", trained / "model") == 0
    lines = dict(line.split(maxsplit=1) for line in capfd.readouterr().out.splitlines() if line[:8].strip())
    assert "120 rows of train.csv" in lines["trained"] and lines["dropped"] == "id, kind"
    assert lines["numeric"] == "2: size, weight" and lines["categorical"] == "1: color (3)"
    assert (lines["features"], lines["epochs"], lines["seed"], lines["scaling"]) == ("5", "1", "3", "standard")
    assert "contamination 0.1" in lines["threshold"] and f"tensorflow {tf.__version__}" in lines["versions"]
    assert "12 validation rows" in lines["p-values"]


def test_only_json_and_arrays(trained: Path) -> None:
    assert {path.suffix for path in (trained / "model").iterdir()} == {".json", ".npz"}


OPTIONS = [
    ("--epochs 2", {"epochs": 2}),
    ("--architecture kdd99", {"architecture": "kdd99"}),
    ("--score l1", {"score_name": "l1"}),
    ("--contamination 0.3", {"contamination": 0.3}),
    ("--batch-size 7", {"batch_size": 7}),
    ("--learning-rate 0.01", {"learning_rate": 0.01}),
    ("--patience 4", {"patience": 4}),
    ("--log-dir logs", {"log_dir": Path("logs")}),
    ("--seed 9", {"random_state": 9}),
    ("--spectral-norm tfa", {"spectral_norm": "tfa"}),
    ("--no-spectral-norm", {"spectral_norm": None}),
    ("--no-dzz", {"latent_discriminator": False}),
    ("--scaling minmax", {"scaling": "minmax"}),
    ("--scaling none", {"scaling": None}),
    ("--impute", {"impute": True}),
]


class StopError(Exception):
    """Raised where training would begin."""


@pytest.mark.parametrize(("options", "changes"), OPTIONS)
def test_options_reach_the_estimator(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, changes: Options
) -> None:
    received: Options = {}

    def fit(self: ALAD, x: TrainingCells, validation: float | None = None, checkpoint: Path | None = None) -> None:
        received.update(self.get_params(), validation=validation, shape=x.features().shape)
        raise StopError

    monkeypatch.setattr(ALAD, "fit", fit)
    with pytest.raises(StopError):
        run("fit", trained / "train.csv", "--model", tmp_path / "model", "--drop", "id", "kind", *options.split())
    expected = {**ALAD(verbose=0).get_params(), "validation": 0.1, "shape": (120, 5), **changes}
    assert received == expected
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("options", "columns", "validation"),
    [
        ("--drop id --drop kind", (("size", "weight"), ("color",)), 0.1),
        ("--drop id kind color", (("size", "weight"), ()), 0.1),
        ("--drop id kind --categorical size", (("weight",), ("size", "color")), 0.1),
        ("--drop kind color --numeric id", (("id", "size", "weight"), ()), 0.1),
        ("--drop id kind --validation 0.3", (("size", "weight"), ("color",)), 0.3),
        ("--drop id kind --validation 0", (("size", "weight"), ("color",)), None),
    ],
)
def test_columns_and_validation(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, columns: Any, validation: float | None
) -> None:
    seen: dict[str, object] = {}
    of_columns = preprocessing.of_columns

    def recorded(chosen: Columns, *, scaling: str) -> Any:
        seen["columns"] = chosen
        return of_columns(chosen, scaling=scaling)

    def fit(self: ALAD, x: TrainingCells, validation: float | None = None, checkpoint: Path | None = None) -> None:
        seen["validation"] = validation
        raise StopError

    monkeypatch.setattr(preprocessing, "of_columns", recorded)
    monkeypatch.setattr(ALAD, "fit", fit)
    with pytest.raises(StopError):
        run("fit", trained / "train.csv", "--model", tmp_path / "model", *options.split())
    assert seen == {"columns": Columns(*columns), "validation": validation}


@pytest.mark.parametrize(
    ("scaling", "low", "high"), [("minmax", 0.0, 1.0), ("none", -9.0, 9.0), ("standard", -4.0, 4.0)]
)
def test_scaling_reaches_the_rows(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scaling: str, low: float, high: float
) -> None:
    seen: list[np.ndarray] = []

    def fit(self: ALAD, x: TrainingCells, validation: float | None = None, checkpoint: Path | None = None) -> None:
        seen.append(x.features())
        raise StopError

    monkeypatch.setattr(ALAD, "fit", fit)
    arguments = ["--model", tmp_path / "model", "--drop", "id", "kind", "color", "--scaling", scaling]
    with pytest.raises(StopError):
        run("fit", trained / "train.csv", *arguments)
    raw = mixed(120)[["size", "weight"]].to_numpy()
    expected = {
        "none": raw,
        "minmax": (raw - raw.min(axis=0)) / np.ptp(raw, axis=0),
        "standard": (raw - raw.mean(axis=0)) / raw.std(axis=0),
    }[scaling]
    assert seen[0].dtype == np.float32 and np.allclose(
        seen[0], expected, rtol=0.0, atol=bound(2, np.abs(expected).max())
    )


def test_label_test_file_and_false_positive_rate(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Training uses normal rows only; the report has the same metrics of the test file as scoring it."""
    rows = mixed(150)
    rows["kind"] = np.where(rows.index % 3 == 0, "bad", np.where(rows.index % 3 == 1, "good", "fair"))
    rows.loc[rows["kind"] == "bad", "weight"] += 50.0
    rows.to_parquet(tmp_path / "train.parquet")
    labels = ["--label", "kind", "--normal", "good", "fair"]
    arguments = ["--model", tmp_path / "model", "--drop", "id", *labels, "--test", tmp_path / "train.parquet", *QUICK]
    more = ["--validation", "0.2", "--false-positive-rate", "0.1"]
    assert run("fit", tmp_path / "train.parquet", *arguments, *more) == 0
    out = capfd.readouterr().out
    assert "trained on 100 rows" in out and "50 anomalies by label: AUROC " in out
    assert run("inspect", tmp_path / "model") == 0
    inspected = capfd.readouterr().out
    assert "false positive rate 0.1 of the validation rows" in inspected and "good, fair" in inspected
    arguments = ["--model", tmp_path / "model", "--output", tmp_path / "scored.csv", *labels]
    assert run("score", tmp_path / "train.parquet", *arguments) == 0
    again = capfd.readouterr().out
    (line,) = [line for line in out.splitlines() if "AUROC" in line]
    assert line in again.splitlines()
    scored = pd.read_csv(tmp_path / "scored.csv")
    expected = metrics.evaluate((rows["kind"] == "bad").to_numpy(np.uint8), scored["score"].to_numpy(), 1 / 3)
    assert f"AUROC {expected['auroc']:.4f}, average precision {expected['average_precision']:.4f}" in line


def test_remarks_on_the_test_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = pd.DataFrame({"a": np.arange(40) * 0.1, "kind": ["good", "bad"] * 20})
    rows.to_csv(tmp_path / "train.csv", index=False)
    with pd.ExcelWriter(tmp_path / "test.xlsx") as book:
        for sheet in ("rows", "more"):
            rows.to_excel(book, sheet_name=sheet, index=False)
    labels = ["--label", "kind", "--normal", "good", "--test", tmp_path / "test.xlsx"]
    assert run("fit", tmp_path / "train.csv", "--model", tmp_path / "model", *labels, *QUICK) == 0
    assert "test.xlsx: sheet 'rows' is read, not more;" in capfd.readouterr().err


def test_names_with_blanks_are_quoted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.csv").write_text("a, kind\n1, good\n")
    line = refused(
        capfd,
        "fit",
        tmp_path / "rows.csv",
        "--model",
        tmp_path / "model",
        "--label",
        "kind",
        "--normal",
        "good",
        *QUICK,
    )
    assert "Received: kind. Allowed: a, ' kind'." in line


def test_seed(tmp_path: Path, trained: Path) -> None:
    """The same seed gives the same model; another seed gives another model."""
    models = []
    for name, seed in (("a", 3), ("b", 4)):
        arguments = ["--drop", "id", "kind", "--epochs", 1, "--seed", seed]
        assert run("fit", trained / "train.csv", "--model", tmp_path / name, *arguments) == 0
        models.append(Model.load(tmp_path / name).scored(mixed(9))[0]["score"])
    first = Model.load(trained / "model").scored(mixed(9))[0]["score"]
    assert models[0].equals(first) and not models[1].equals(first)


def test_warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def fit(self: ALAD, x: TrainingCells, validation: float | None = None, checkpoint: Path | None = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ALAD, "fit", fit)
    mixed(20).assign(flat=7, label=[0, 1] * 10).to_csv(tmp_path / "train.csv", index=False)
    assert run("fit", tmp_path / "train.csv", "--model", tmp_path / "model", "--drop", "kind") == 130
    lines = capfd.readouterr().err.splitlines()
    assert any("'flat' is constant: 7.0" in line for line in lines)
    assert any("'label' is trained on" in line and "--label" in line for line in lines)
    assert lines[-1] == "alad: interrupted; no model was written; run the same command again to continue the training"
    assert not (tmp_path / "model").exists()


@pytest.mark.skipif(not (REAL / KDD99).is_file(), reason=f"{KDD99} not in {REAL}")
def test_kdd99_raw_rows(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The 41 mixed columns of the file, without encoding by hand."""
    names = [*kdd99.KDD99_COLUMNS, "label"]
    rows = pd.read_csv(REAL / KDD99, header=None, names=names, nrows=40_000).sample(6000, random_state=0)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    labels = ["--label", "label", "--normal", "normal."]
    arguments = ["--model", tmp_path / "model", *labels, "--test", tmp_path / "rows.csv", "--epochs", 5, "--seed", 0]
    assert run("fit", tmp_path / "rows.csv", *arguments) == 0
    auroc = re.search(r"AUROC ([\d.]+)", capfd.readouterr().out)
    assert auroc and float(auroc[1]) > 0.9
    model = Model.load(tmp_path / "model")
    assert len(model.columns.names) == 41 and model.columns.categorical == ("protocol_type", "service", "flag")
