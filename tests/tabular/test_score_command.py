"""`alad score`: from a file of rows to scored rows."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command import refused, run
from own_rows import QUICK, close, mixed, score, scores_only
from row_files import write
from tolerances import bound, of_estimator

from alad_tf.tabular import readers
from alad_tf.tabular.labels import Labels
from alad_tf.tabular.model import Model

pytestmark = pytest.mark.minutes(1)


@pytest.fixture(scope="module")
def whole(trained: Path) -> tuple[pd.DataFrame, float]:
    """The scores of 40 rows in one chunk with two explanations, and their bound."""
    rows = mixed(40, seed=1)
    return scores_only(trained, rows, "--explain", 2), close(trained, rows)


def test_scores_are_the_estimators(trained: Path) -> None:
    rows = mixed(40, seed=1)
    scored = score(trained, rows)
    model = Model.load(trained / "model")
    x = model.transformer.transform(rows).astype(np.float32)
    assert list(scored.columns) == ["row", *rows, "score", "p_value", "is_anomaly", "is_valid", "reason", "unseen"]
    pd.testing.assert_frame_equal(scored[list(rows)], rows.astype({"id": str}), check_exact=True)
    assert scored["row"].tolist() == list(range(1, 41))
    close = of_estimator(model.estimator, x)[model.estimator.score_name]
    np.testing.assert_allclose(scored["score"], model.estimator.anomaly_score(rows), rtol=0.0, atol=close)
    assert np.array_equal(scored["p_value"], model.estimator.p_value(rows))
    assert np.array_equal(scored["is_anomaly"], model.estimator.predict(rows) == -1)
    assert scored["is_valid"].all()


@pytest.mark.parametrize("rows", [1, 7])
def test_chunks_make_no_difference(trained: Path, whole: tuple[pd.DataFrame, float], rows: int) -> None:
    parts = scores_only(trained, mixed(40, seed=1), "--explain", 2, "--chunk-rows", rows)
    pd.testing.assert_frame_equal(whole[0], parts, rtol=0.0, atol=whole[1])


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
def test_formats_and_order_of_columns_make_no_difference(
    trained: Path, tmp_path: Path, whole: tuple[pd.DataFrame, float], suffix: str
) -> None:
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
    received = pd.read_csv(output, sep="\t" if suffix == ".tsv" else ",")
    expected = whole[0][list(received)]
    empty = ["reason", "unseen"]
    assert received[empty].isna().all(axis=None) and expected[empty].isna().all(axis=None)
    received, expected = received.drop(columns=empty), expected.drop(columns=empty)
    pd.testing.assert_frame_equal(received, expected, check_dtype=False, rtol=0.0, atol=whole[1])


def test_arrays(tmp_path: Path) -> None:
    rows = np.ascontiguousarray(mixed(60)[["size", "weight"]])
    np.save(tmp_path / "rows.npy", rows)
    np.savez(tmp_path / "rows.npz", rows)
    assert run("fit", tmp_path / "rows.npy", "--model", tmp_path / "model", *QUICK) == 0
    assert (
        run(
            "score",
            tmp_path / "rows.npz",
            "--model",
            tmp_path / "model",
            "--output",
            tmp_path / "s.csv",
            "--explain",
            1,
        )
        == 0
    )
    assert set(pd.read_csv(tmp_path / "s.csv")["feature_1"]) <= {"x0", "x1"}


def test_ignored_columns_are_named(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    score(trained, mixed(4).assign(extra=1, more=2))
    assert "2 columns that the model does not know are ignored: extra, more" in capfd.readouterr().err
    score(trained, mixed(4))  # what was dropped in training is known
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("options", [[], ["--explain", 3], ["--chunk-rows", 10**30]])
def test_one_row(trained: Path, whole: tuple[pd.DataFrame, float], options: list[Any]) -> None:
    one = scores_only(trained, mixed(40, seed=1)[:1], *options)
    assert len(one) == 1 and abs(one.loc[0, "score"] - whole[0].loc[0, "score"]) <= whole[1]


def test_id_column(trained: Path) -> None:
    scored = score(trained, mixed(4), "--id", "id")
    assert scored["id"].tolist() == ["100", "101", "102", "103"] and "row" not in scored


def test_rows_that_are_not_valid(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Invalid rows are marked and have no score; they do not affect the scores of other rows."""
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
    assert "4 rows have no score" in capfd.readouterr().out
    nothing = score(trained, bad.iloc[[1, 3]], "--explain", 1)
    assert nothing["score"].isna().all() and not nothing["is_valid"].any()


def test_rows_without_a_label_or_a_score_are_no_anomalies(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In metrics of fit, score and report, and in training."""
    rows = mixed(60).assign(kind=["ok", "ok", "bad"] * 20)
    rows.loc[40:, "kind"] = None
    rows.to_csv(tmp_path / "all.csv", index=False)
    rows[:40].to_csv(tmp_path / "labelled.csv", index=False)
    labels = ("--label", "kind", "--normal", "ok")
    told = []
    for name in ("all", "labelled"):
        data, model = tmp_path / f"{name}.csv", tmp_path / name / "model"
        assert run("fit", data, "--model", model, *QUICK, *labels, "--test", data) == 0
        told.append(capfd.readouterr())
    metrics = [[line for line in one.out.splitlines() if "by label" in line] for one in told]
    assert metrics[0] == metrics[1] and "13 anomalies by label" in metrics[0][0]
    assert told[0].err.count("20 rows of") == 2 and "no label" not in told[1].err
    rows.loc[0, "size"] = np.nan
    scored = score(tmp_path / "all", rows, *labels)
    told_of_score = capfd.readouterr().out
    assert len(scored) == 60 and "13 anomalies by label" in told_of_score
    assert "21 rows without a label or a score left out" in told_of_score
    score(tmp_path / "all", rows, "--label", "kind", "--normal", "OK")
    assert "need both kinds; column 'kind' holds ok, bad" in capfd.readouterr().out
    rows.to_csv(tmp_path / "all.csv", index=False)
    page = tmp_path / "page.html"
    assert run("report", tmp_path / "all" / "model", tmp_path / "all.csv", "--output", page, *labels) == 0
    assert "20 rows have no label" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_empty_text_is_no_label(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"kind": ["ok", "", None, "bad"], "size": 1.0})
    frame = next(readers.chunks(write(tmp_path / f"rows{suffix}", frame), 10, kinds={"kind": "text"}))
    labels = Labels("kind", ("ok",))
    assert labels.is_known(frame).tolist() == [True, False, False, True]


def test_columns_named_like_calendar_features(tmp_path: Path) -> None:
    """Text in a column of that name, which the model does not know, was a traceback in typed outputs."""
    rows = mixed(60).assign(when=pd.date_range("2024-01-01", periods=60, freq="7h").astype(str))
    rows.to_csv(tmp_path / "train.csv", index=False)
    assert run("fit", tmp_path / "train.csv", "--model", tmp_path / "model", *QUICK) == 0
    rows.assign(**{"when.day": "text"}).to_csv(tmp_path / "new.csv", index=False)
    output = tmp_path / "scored.parquet"
    assert run("score", tmp_path / "new.csv", "--model", tmp_path / "model", "--output", output) == 0
    assert set(pd.read_parquet(output)["when.day"]) == {"text"}


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
    assert scored["unseen"].fillna("").tolist() == ["color", "", "color", "color", "", ""]


def test_explanations_name_columns(trained: Path) -> None:
    """Largest shares first, with cell and expected cell."""
    rows = mixed(10)
    rows.loc[0, "weight"] += 100.0
    scored = score(trained, rows, "--explain", 3)
    assert scored.loc[0, "feature_1"] == "weight" and scored.loc[0, "share_1"] > 0.9
    shares = scored[["share_1", "share_2", "share_3"]].to_numpy()
    assert (np.diff(shares, axis=1) <= 0).all() and np.allclose(
        shares.sum(axis=1), 1.0, rtol=0.0, atol=bound(5 + 5, 1.0)
    )
    model = Model.load(trained / "model")
    told = model.estimator.explain(rows, top=3)
    for k in (1, 2, 3):
        of_python = told.iloc[k - 1 :: 3].reset_index(drop=True)
        assert scored[f"feature_{k}"].tolist() == of_python["feature"].tolist()
        for name in ("contribution", "share"):
            np.testing.assert_allclose(scored[f"{name}_{k}"], of_python[name], rtol=1e-3)
        for row, name in enumerate(scored[f"feature_{k}"]):
            value, expected = (scored.loc[row, f"{kind}_{k}"] for kind in ("value", "expected"))
            if name == "color":
                assert value == rows.loc[row, "color"] and expected in set(rows["color"])
            else:
                assert float(value) == rows.loc[row, name]
                assert float(expected) == pytest.approx(of_python.loc[row, "expected"], rel=1e-5)


def test_output_is_not_overwritten(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scored.csv").write_text("mine")
    arguments = ["score", trained / "new.csv", "--model", trained / "model", "--output", tmp_path / "scored.csv"]
    assert "--overwrite" in refused(capfd, *arguments)
    assert (tmp_path / "scored.csv").read_text() == "mine"
    assert run(*arguments, "--overwrite") == 0
    assert len(pd.read_csv(tmp_path / "scored.csv")) == 40
    assert [path.name for path in tmp_path.iterdir()] == ["scored.csv"]


@pytest.mark.parametrize(("suffix", "before"), [(".csv", "mine"), (".parquet", None)])
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
    """A truncated file is refused at its end, after valid chunks."""
    content = mixed(40_000).to_csv(index=False).encode()
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(content)[:-9])
    output = tmp_path / "scored.csv"
    message = refused(capfd, "score", tmp_path / "cut.csv.gz", "--model", trained / "model", "--output", output)
    assert "cut.csv.gz" in message and "complete file" in message and not output.exists()


@pytest.mark.slow
def test_file_of_more_than_two_gigabytes(tmp_path: Path) -> None:
    """Offsets beyond 2**31 bytes: the last rows of a sparse array are scored like others."""
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
        arguments = ["--model", tmp_path / "model", "--output", tmp_path / f"{name}.parquet", "--scores-only"]
        assert run("score", tmp_path / name, *arguments) == 0
    last, expected = (pd.read_parquet(tmp_path / f"{name}.parquet")["score"][-60:] for name in ("wide.npy", "rows.csv"))
    np.testing.assert_allclose(last, expected, rtol=0.0, atol=close(tmp_path, rows))


@pytest.mark.parametrize("command", ["score", "report"])
@pytest.mark.parametrize("options", [["--id", ""], ["--label", "", "--normal", "x"]])
def test_a_column_without_a_name(
    trained: Path, capfd: pytest.CaptureFixture[str], command: str, options: list[str]
) -> None:
    mixed(5, seed=1).to_csv(trained / "few.csv", index=False)
    output = trained / f"none.{'csv' if command == 'score' else 'html'}"
    model = ["--model", trained / "model"] if command == "score" else [trained / "model"]
    line = refused(capfd, command, *model, trained / "few.csv", *options, "--output", output)
    assert "Received: ''" in line and not output.exists()
