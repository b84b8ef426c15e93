"""`alad fit`, `alad score` and `alad inspect`: from a file of rows to scored rows, and one line for what is wrong."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command import refused, run
from tolerances import bound, of_estimator

from alad_tf import metrics, paths
from alad_tf.columns import preprocessing
from alad_tf.columns.schema import Columns
from alad_tf.data import kdd99
from alad_tf.estimator.alad import ALAD
from alad_tf.tabular.model import Model

pytestmark = pytest.mark.minutes(2)

KDD99 = "kddcup.data_10_percent.gz"
REAL = paths.data_folders()[0]
QUICK = ["--epochs", "1", "--seed", "3"]


def mixed(rows: int, seed: int = 0) -> pd.DataFrame:
    """Rows with numbers, a category and a label."""
    random = np.random.default_rng(seed)
    color = random.choice(["red", "green", "blue"], rows)
    size = random.normal(0.0, 1.0, rows)
    return pd.DataFrame(
        {"id": np.arange(rows) + 100, "size": size, "weight": 2 * size + 1, "color": color, "kind": "good"}
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv, new.csv and the model of a short training. Tests copy what they change."""
    folder = tmp_path_factory.mktemp("own")
    mixed(120).to_csv(folder / "train.csv", index=False)
    mixed(40, seed=1).to_csv(folder / "new.csv", index=False)
    handler = signal.getsignal(signal.SIGTERM)
    assert run("fit", folder / "train.csv", "--model", folder / "model", "--drop", "id", "kind", *QUICK) == 0
    signal.signal(signal.SIGTERM, handler)
    return folder


def score(trained: Path, rows: pd.DataFrame, *options: object, name: str = "new.csv") -> pd.DataFrame:
    """Rows through a file and `alad score`, in the folder of their own beside the model."""
    folder = trained / f"scored{len(list(trained.iterdir()))}"
    folder.mkdir()
    rows.to_csv(folder / name, index=False) if ".csv" in name else rows.to_parquet(folder / name)
    output = folder / "scored.parquet"
    assert run("score", folder / name, "--model", trained / "model", "--output", output, *options) == 0
    return pd.read_parquet(output)


def scores_only(trained: Path, rows: pd.DataFrame, *options: object) -> pd.DataFrame:
    """As `score`, without the columns of the rows."""
    return score(trained, rows, "--scores-only", *options)


def close(trained: Path, rows: pd.DataFrame) -> float:
    """The bound of a score, and of a share of |x - G(E(x))| in the sum of them."""
    model = Model.load(trained / "model")
    x = model.features(rows)[0]
    l1 = np.abs((x - model.estimator.reconstruct(x)) / model.estimator.scale_).sum(axis=1)
    bounds = of_estimator(model.estimator, x)
    return max(bounds[model.estimator.score_name], 2.0 * bounds["l1"] / float(l1.min()))


# Fitting ----------------------------------------------------------------------------------------------------------


def test_report_and_inspection(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", trained / "model") == 0
    lines = dict(line.split(maxsplit=1) for line in capfd.readouterr().out.splitlines() if line[:8].strip())
    assert "120 rows of train.csv" in lines["trained"] and lines["dropped"] == "id, kind"
    assert lines["numeric"] == "2: size, weight" and lines["categorical"] == "1: color (3)"
    assert (lines["features"], lines["epochs"], lines["seed"], lines["scaling"]) == ("5", "1", "3", "standard")
    assert "contamination 0.1" in lines["threshold"] and "tensorflow 2.15" in lines["versions"]
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
]


class StopError(Exception):
    """Ends a call where training would begin."""


@pytest.mark.parametrize(("options", "changes"), OPTIONS)
def test_options_reach_the_estimator(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, changes: dict[str, Any]
) -> None:
    received: dict[str, Any] = {}

    def fit(self: ALAD, x: np.ndarray, validation: float | None = None, checkpoint: Path | None = None) -> None:
        received.update(self.get_params(), validation=validation, shape=x.shape)
        raise StopError

    monkeypatch.setattr(ALAD, "fit", fit)
    with pytest.raises(StopError):
        run("fit", trained / "train.csv", "--model", tmp_path / "model", "--drop", "id", "kind", *options.split())
    expected = {**ALAD(scaling=None, verbose=0).get_params(), "validation": 0.1, "shape": (120, 5), **changes}
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
    seen: dict[str, Any] = {}
    of_columns = preprocessing.of_columns

    def recorded(chosen: Columns, *, scaling: str) -> Any:
        seen["columns"] = chosen
        return of_columns(chosen, scaling=scaling)

    def fit(self: ALAD, x: np.ndarray, validation: float | None = None, checkpoint: Path | None = None) -> None:
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

    def fit(self: ALAD, x: np.ndarray, validation: float | None = None, checkpoint: Path | None = None) -> None:
        seen.append(x)
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
    """Only normal rows are trained on; the report has the metrics of the test file, and so has scoring it."""
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


def test_seed(tmp_path: Path, trained: Path) -> None:
    """Given twice, the same model; another one, another model."""
    models = []
    for name, seed in (("a", 3), ("b", 4)):
        arguments = ["--drop", "id", "kind", "--epochs", 1, "--seed", seed]
        assert run("fit", trained / "train.csv", "--model", tmp_path / name, *arguments) == 0
        models.append(Model.load(tmp_path / name).scored(mixed(9))[0]["score"])
    first = Model.load(trained / "model").scored(mixed(9))[0]["score"]
    assert models[0].equals(first) and not models[1].equals(first)


def test_warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def fit(self: ALAD, x: np.ndarray, validation: float | None = None, checkpoint: Path | None = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ALAD, "fit", fit)
    mixed(20).assign(flat=7, label=[0, 1] * 10).to_csv(tmp_path / "train.csv", index=False)
    assert run("fit", tmp_path / "train.csv", "--model", tmp_path / "model", "--drop", "kind") == 130
    lines = capfd.readouterr().err.splitlines()
    assert any("'flat' is constant: 7.0" in line for line in lines)
    assert any("'label' is trained on" in line and "--label" in line for line in lines)
    assert lines[-1] == "alad: interrupted; no model was written; run the same command again to continue the training"
    assert not (tmp_path / "model").exists()


# Scoring ----------------------------------------------------------------------------------------------------------


def test_scores_are_the_estimators(trained: Path) -> None:
    rows = mixed(40, seed=1)
    scored = score(trained, rows)
    model = Model.load(trained / "model")
    x = model.transformer.transform(rows).astype(np.float32)
    assert list(scored.columns) == ["row", *rows, "score", "p_value", "is_anomaly", "is_valid", "reason"]
    pd.testing.assert_frame_equal(scored[list(rows)], rows.astype({"id": str}), check_exact=True)
    assert scored["row"].tolist() == list(range(1, 41))
    close = of_estimator(model.estimator, x)[model.estimator.score_name]
    np.testing.assert_allclose(scored["score"], model.estimator.anomaly_score(x), rtol=0.0, atol=close)
    assert np.array_equal(scored["p_value"], model.estimator.p_value(x))
    assert np.array_equal(scored["is_anomaly"], model.estimator.predict(x) == -1)
    assert scored["is_valid"].all()


@pytest.mark.parametrize("rows", [1, 7, 40, 1000])
def test_chunks_make_no_difference(trained: Path, rows: int) -> None:
    options = ["--explain", 2, "--chunk-rows"]
    whole, parts = (scores_only(trained, mixed(40, seed=1), *options, chunk) for chunk in (40, rows))
    pd.testing.assert_frame_equal(whole, parts, rtol=0.0, atol=close(trained, mixed(40, seed=1)))


def test_chunk_rows_are_passed_on(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    scored = Model.scored

    def recorded(self: Model, frame: pd.DataFrame, top: int = 0) -> Any:
        lengths.append(len(frame))
        return scored(self, frame, top)

    monkeypatch.setattr(Model, "scored", recorded)
    score(trained, mixed(40, seed=1), "--chunk-rows", 15)
    assert lengths == [15, 15, 10]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".parquet", ".feather"])
def test_formats_and_order_of_columns_make_no_difference(trained: Path, tmp_path: Path, suffix: str) -> None:
    rows = mixed(40, seed=1)
    path, shuffled = tmp_path / f"new{suffix}", rows[["color", "kind", "weight", "id", "size"]].assign(extra=1)
    if suffix == ".parquet":
        shuffled.to_parquet(path)
    elif suffix == ".feather":
        shuffled.to_feather(path)
    else:
        shuffled.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    output = tmp_path / "scored.csv"
    assert run("score", path, "--model", trained / "model", "--output", output, "--scores-only") == 0
    expected, received = scores_only(trained, rows), pd.read_csv(output, sep="\t" if suffix == ".tsv" else ",")
    received["reason"] = received["reason"].astype(object).where(received["reason"].notna(), None)
    pd.testing.assert_frame_equal(received, expected, check_dtype=False, rtol=0.0, atol=close(trained, rows))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays(tmp_path: Path, suffix: str) -> None:
    rows = np.ascontiguousarray(mixed(60)[["size", "weight"]])
    path = tmp_path / f"rows{suffix}"
    np.save(path, rows) if suffix == ".npy" else np.savez(path, rows)
    assert run("fit", path, "--model", tmp_path / "model", *QUICK) == 0
    assert run("score", path, "--model", tmp_path / "model", "--output", tmp_path / "s.csv", "--explain", 1) == 0
    assert set(pd.read_csv(tmp_path / "s.csv")["feature_1"]) <= {"x0", "x1"}


def test_ignored_columns_are_named(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    score(trained, mixed(4).assign(extra=1, more=2))
    assert "2 columns that the model does not know are ignored: extra, more" in capfd.readouterr().err
    score(trained, mixed(4))  # what was dropped in training is known
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("options", [[], ["--explain", 3], ["--chunk-rows", 10**30]])
def test_one_row(trained: Path, options: list[Any]) -> None:
    one = scores_only(trained, mixed(40, seed=1)[:1], *options)
    expected = score(trained, mixed(40, seed=1)).loc[0, "score"]
    assert len(one) == 1 and abs(one.loc[0, "score"] - expected) <= close(trained, mixed(40, seed=1))


def test_id_column(trained: Path) -> None:
    scored = score(trained, mixed(4), "--id", "id")
    assert scored["id"].tolist() == ["100", "101", "102", "103"] and "row" not in scored


def test_rows_that_are_not_valid(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """They are marked and have no score; the others have the scores that they have without them."""
    rows = mixed(8)
    bad = rows.copy()
    bad.loc[1, "size"], bad.loc[3, "weight"], bad.loc[4, "color"], bad.loc[6, "size"] = np.nan, np.inf, None, -np.inf
    scored, clean = scores_only(trained, bad, "--explain", 3), scores_only(trained, rows, "--explain", 3)
    assert scored["is_valid"].tolist() == [True, False, True, False, False, True, False, True]
    flagged = scored[~scored["is_valid"]]
    assert flagged["score"].isna().all() and flagged["is_anomaly"].all()
    assert flagged["reason"].tolist() == ["missing: size", "infinite: weight", "missing: color", "infinite: size"]
    assert flagged[["feature_1", "share_1", "feature_3"]].isna().all(axis=None)
    assert flagged["p_value"].isna().all() and scored.loc[scored["is_valid"], "reason"].isna().all()
    others = scored["is_valid"].to_numpy()
    pd.testing.assert_frame_equal(scored[others], clean[others], rtol=0.0, atol=close(trained, rows))
    assert "4 rows with missing or infinite cells" in capfd.readouterr().out
    nothing = score(trained, bad.iloc[[1, 3]], "--explain", 1)
    assert nothing["score"].isna().all() and not nothing["is_valid"].any()


def test_missing_cells_of_a_model_that_imputes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = mixed(60)
    rows.loc[::7, "size"], rows.loc[::9, "color"] = np.nan, None
    rows.to_csv(tmp_path / "rows.csv", index=False)
    arguments = ["--model", tmp_path / "model", "--drop", "id", "kind", *QUICK]
    message = refused(capfd, "fit", tmp_path / "rows.csv", *arguments)
    assert "column 'size', row 1" in message and "--impute" in message and not (tmp_path / "model").exists()
    assert run("fit", tmp_path / "rows.csv", *arguments, "--impute") == 0
    assert run("score", tmp_path / "rows.csv", "--model", tmp_path / "model", "--output", tmp_path / "s.csv") == 0
    scored = pd.read_csv(tmp_path / "s.csv")
    assert scored["is_valid"].all() and (scored["score"] < 1e30).all()


def test_unknown_categories_are_counted(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scored = score(trained, mixed(6).assign(color=["pink", "red", "pink", "cyan", "red", "blue"]))
    assert scored["is_valid"].all()
    assert "3 cells of column 'color' hold categories" in capfd.readouterr().out


def test_explanations_name_columns(trained: Path) -> None:
    """One-hot features are summed up to their column, differences and what is usual alike; largest shares first."""
    rows = mixed(10)
    rows.loc[0, "weight"] += 100.0
    scored = score(trained, rows, "--explain", 3)
    assert scored.loc[0, "feature_1"] == "weight" and scored.loc[0, "share_1"] > 0.9
    shares = scored[["share_1", "share_2", "share_3"]].to_numpy()
    assert (np.diff(shares, axis=1) <= 0).all() and np.allclose(
        shares.sum(axis=1), 1.0, rtol=0.0, atol=bound(5 + 5, 1.0)
    )
    assert all(
        set(names) == {"size", "weight", "color"} for names in scored[[f"feature_{k}" for k in (1, 2, 3)]].to_numpy()
    )
    model = Model.load(trained / "model")
    x = model.transformer.transform(rows).astype(np.float32)
    worst = model.estimator.explain(x, top=5)
    by_column = worst.assign(feature=worst["feature"].where(worst["feature"].isin(["size", "weight"]), "color"))
    differences = by_column["difference"].abs().groupby([by_column["row"], by_column["feature"]]).sum().unstack()
    usual = pd.Series(model.estimator.usual.error).groupby(["size", "weight", "color", "color", "color"]).sum()
    shares = (differences / usual).apply(lambda row: row / row.sum(), axis=1)
    for row in range(10):
        assert shares.loc[row, scored.loc[row, "feature_1"]] == pytest.approx(
            scored.loc[row, "share_1"], rel=0.0, abs=bound(5 + 5, 1.0)
        )


def test_output_is_not_overwritten(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scored.csv").write_text("mine")
    arguments = ["score", trained / "new.csv", "--model", trained / "model", "--output", tmp_path / "scored.csv"]
    assert "--overwrite" in refused(capfd, *arguments)
    assert (tmp_path / "scored.csv").read_text() == "mine"
    assert run(*arguments, "--overwrite") == 0
    assert len(pd.read_csv(tmp_path / "scored.csv")) == 40
    assert [path.name for path in tmp_path.iterdir()] == ["scored.csv"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("before", [None, "mine"])
def test_interrupted_scoring_leaves_nothing(
    trained: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    before: str | None,
) -> None:
    output, scored = tmp_path / f"scored{suffix}", Model.scored
    if before:
        output.write_text(before)

    def interrupted(self: Model, frame: pd.DataFrame, top: int = 0) -> Any:
        if frame.index[0] >= 20:
            raise KeyboardInterrupt
        return scored(self, frame, top)

    monkeypatch.setattr(Model, "scored", interrupted)
    arguments = ["--model", trained / "model", "--output", output, "--chunk-rows", 10, "--overwrite"]
    assert run("score", trained / "new.csv", *arguments) == 130
    assert capfd.readouterr().err == "alad: interrupted; no scores were written\n"
    assert [path.name for path in tmp_path.iterdir()] == ([output.name] if before else [])
    assert before is None or output.read_text() == before


def test_damage_on_the_way_leaves_nothing(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A file cut in the middle is refused where it ends, after chunks that were good."""
    content = mixed(40_000).to_csv(index=False).encode()
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(content)[:-9])
    output = tmp_path / "scored.csv"
    message = refused(capfd, "score", tmp_path / "cut.csv.gz", "--model", trained / "model", "--output", output)
    assert "cut.csv.gz" in message and "complete file" in message and not output.exists()


# Bad input --------------------------------------------------------------------------------------------------------


def with_cell(column: str, row: int, cell: Any) -> pd.DataFrame:
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
    """A file of rows with a fault, in the format that its name says."""
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
        assert "something else" in line and (tmp_path / "folder" / "thesis.txt").read_text() == "mine"


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


@pytest.mark.slow
def test_file_of_more_than_two_gigabytes(tmp_path: Path) -> None:
    """Offsets beyond 2**31 bytes: the last rows of a sparse array are scored as those of any other."""
    rows = mixed(60)[["size", "weight"]].set_axis(["x0", "x5999"], axis=1)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    assert run("fit", tmp_path / "rows.csv", "--model", tmp_path / "model", *QUICK) == 0
    path, width = tmp_path / "wide.npy", 6_000
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(2**31 // 8 // width + 10, width))
    array[-60:, [0, -1]] = rows
    del array
    if path.stat().st_blocks * 512 > 2**26:
        pytest.skip("the file system has no sparse files")
    assert path.stat().st_size > 2**31
    for name in ("wide.npy", "rows.csv"):
        arguments = ["--model", tmp_path / "model", "--output", tmp_path / f"{name}.parquet"]
        assert run("score", tmp_path / name, *arguments) == 0
    last, expected = (pd.read_parquet(tmp_path / f"{name}.parquet")["score"][-60:] for name in ("wide.npy", "rows.csv"))
    np.testing.assert_allclose(last, expected, rtol=0.0, atol=close(tmp_path, rows))


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
    """A model folder with a file more is refused ever after."""
    for name in ("model", "other"):
        shutil.copytree(trained / "model", tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path / "model")
    arguments = ["--model", tmp_path / "model", "--output", tmp_path / place]
    assert "outside the model folder" in refused(capfd, "score", trained / "new.csv", *arguments)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == sorted(os.listdir(trained / "model"))


def test_open_quote_is_not_trained_on(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A quote that is left open made 61 rows of 1,001."""
    lines = (trained / "train.csv").read_text().splitlines()
    lines[40] = ",".join([*lines[40].split(",")[:-1], '"good'])
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    message = refused(capfd, "fit", tmp_path / "rows.csv", "--model", tmp_path / "model", *QUICK)
    assert "rows.csv" in message and "a quote on line 41, which is open" in message
    assert os.listdir(tmp_path) == ["rows.csv"]


def test_full_disk(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    arguments = ["--model", trained / "model", "--output", tmp_path / "s.csv"]
    assert "No space left" in refused(capfd, "score", trained / "new.csv", *arguments)
    assert not list(tmp_path.iterdir())


# Documentation and the main job -----------------------------------------------------------------------------------


@pytest.mark.skipif(not (REAL / KDD99).is_file(), reason=f"{KDD99} not in {REAL}")
def test_kdd99_raw_rows(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The 41 mixed columns as they are in the file: no encoding by hand."""
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
