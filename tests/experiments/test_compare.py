"""`alad compare`: table, figure and kept runs of methods on a small file with mixed columns."""

from __future__ import annotations

import inspect
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command import refused, run
from sklearn.base import OutlierMixin
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from alad_tf import metrics
from alad_tf.estimator.alad import ALAD
from alad_tf.experiments import compare
from alad_tf.io import locks
from alad_tf.report.results import METRICS

SIMPLE = ["--methods", "kNN", "IF"]


def rows(count: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    kind = np.where(np.arange(count) % 5 == 0, "fraud", "fine")
    amount = random.normal(0.0, 1.0, count) + 2.0 * (kind == "fraud")
    return pd.DataFrame({"amount": amount, "shop": random.choice(["a", "b"], count), "kind": kind})


@pytest.fixture
def call(tmp_path: Path) -> list[object]:
    rows(100, seed=0).to_csv(tmp_path / "train.csv", index=False)
    rows(60, seed=1).to_csv(tmp_path / "test.csv", index=False)
    labels = ["--label", "kind", "--normal", "fine", "--test", tmp_path / "test.csv"]
    return ["compare", tmp_path / "train.csv", *labels, "--output", tmp_path / "found"]


def test_table_and_figure(
    call: list[object], tmp_path: Path, capfd: pytest.CaptureFixture[str], drawn_figures: None
) -> None:
    assert run(*call, *SIMPLE, "--seeds", 0, 1) == 0
    told = capfd.readouterr()
    assert "80 rows to train on, 3 features; 60 rows to test on, 12 of them anomalies" in told.err
    assert "3 of 3: IF, seed 1: AUROC" in told.err
    table = pd.read_csv(tmp_path / "found" / "table.csv").set_index("method")
    assert set(table.index) == {"kNN", "IF"} and np.isnan(table.loc["kNN", "auroc_std"])
    assert table["auroc"].is_monotonic_decreasing and (table[["fit_s", "score_s"]] >= 0).all(axis=None)
    train, test = rows(100, seed=0), rows(60, seed=1)
    train = train[train["kind"] == "fine"]
    scaler, one_hot = StandardScaler().fit(train[["amount"]]), OneHotEncoder().fit(train[["shop"]])
    x_train, x_test = (
        np.hstack([scaler.transform(part[["amount"]]), one_hot.transform(part[["shop"]]).toarray()]).astype(np.float32)
        for part in (train, test)
    )
    forests = [IsolationForest(random_state=seed).fit(x_train) for seed in (0, 1)]
    areas = [roc_auc_score(test["kind"] == "fraud", -forest.score_samples(x_test)) for forest in forests]
    assert table.loc["IF", "auroc"] == pytest.approx(np.mean(areas), abs=1e-6)
    assert (tmp_path / "found" / "comparison.png").read_bytes()[:4] == b"\x89PNG"
    assert {path.name for path in (tmp_path / "found" / "runs").iterdir()} == {
        "kNN-seed0.json", "IF-seed0.json", "IF-seed1.json"
    }  # fmt: skip


def test_goes_on(call: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished runs are not repeated; an interrupted call keeps them."""
    made: list[str] = []
    build = compare._build

    def recorded(method: str, seed: int, width: int) -> object:
        made.append(method)
        if method == "mean" and made.count("mean") == 1:
            raise KeyboardInterrupt
        return build(method, seed, width)

    monkeypatch.setattr(compare, "_build", recorded)
    assert run(*call, "--methods", "kNN", "mean", "IF") == 130
    assert run(*call, "--methods", "kNN", "mean", "IF") == 0
    assert made == ["kNN", "mean", "mean", "IF"]
    assert run(*call, "--methods", "kNN", "IF", "--seeds", "1", "0") == 0  # kNN draws nothing
    assert made == ["kNN", "mean", "mean", "IF", "IF"]


def test_alad_among_them(
    call: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    defaults = inspect.unwrap(ALAD.__init__).__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "epochs", 1)
    assert run(*call, "--methods", "ALAD", "kNN", "LOF") == 0
    out = capfd.readouterr().out
    assert "ALAD: AUROC 0." in out and "the best of the others" in out
    stored = json.loads((tmp_path / "found" / "runs" / "ALAD-seed0.json").read_text())
    assert 0.0 <= stored["auroc"] <= 1.0 and stored["fit_seconds"] > 0.0


def test_a_method_that_fails(call: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The table names it in a footnote, it is not stored, and the other methods are shown."""

    def broken(method: str, seed: int, width: int) -> object:
        raise ValueError("no room")

    build = compare._build
    monkeypatch.setattr(compare, "_build", lambda method, *rest: (broken if method == "IF" else build)(method, *rest))
    assert run(*call, *SIMPLE) == 0
    assert "IF failed: ValueError: no room" in (tmp_path / "found" / "table.md").read_text()
    assert [path.name for path in (tmp_path / "found" / "runs").iterdir()] == ["kNN-seed0.json"]


def test_every_method_fails(
    call: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line and an exit code for scripts; table and figure of an earlier call stay as they are."""
    assert run(*call, *SIMPLE) == 0
    capfd.readouterr()
    before = {path.name: path.read_bytes() for path in (tmp_path / "found").iterdir() if path.is_file()}
    shutil.rmtree(tmp_path / "found" / "runs")

    def broken(method: str, seed: int, width: int) -> object:
        raise ValueError(f"no room for {method}")

    monkeypatch.setattr(compare, "_build", broken)
    assert run(*call, *SIMPLE) == 1
    line = capfd.readouterr().err.strip().splitlines()[-1]
    assert "kNN failed: ValueError: no room for kNN; IF failed: ValueError: no room for IF." in line
    assert {path.name: path.read_bytes() for path in (tmp_path / "found").iterdir() if path.is_file()} == before


def test_a_method_that_fails_for_some_seeds(
    call: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its mean is over fewer seeds than those of the others, and the note tells how many are missing."""
    build = compare._build

    def sometimes(method: str, seed: int, width: int) -> OutlierMixin:
        if seed > 0:
            raise ValueError(f"no room for {seed}")
        return build(method, seed, width)

    monkeypatch.setattr(compare, "_build", sometimes)
    assert run(*call, *SIMPLE, "--seeds", "0", "1", "2") == 0
    table = (tmp_path / "found" / "table.md").read_text()
    assert "IF failed for 2 of 3 seeds: ValueError: no room for 1" in table and "kNN failed" not in table


def test_differences_that_are_not_shown() -> None:
    runs = {"ALAD": [{"auroc": 0.5}], "kNN": [{"auroc": np.nextafter(0.5, 1.0)}]}
    assert compare._verdict(runs) == ["ALAD: AUROC 0.5000, equal to kNN, the best of the others."]


@pytest.mark.skipif(not locks.SUPPORTED, reason="no file locks")
def test_two_comparisons_in_one_folder(call: list[object], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Two with other rows that began at the same time could mix their runs in one table."""
    with locks.claimed(tmp_path / "found"):
        line = refused(capfd, *call, *SIMPLE)
    assert f"a folder that no other process is using. Received: {tmp_path / 'found'}, used by process" in line
    assert {path.name for path in tmp_path.iterdir()} == {"train.csv", "test.csv"}


def test_what_is_refused(call: list[object], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    without = [call[0], call[1], "--test", tmp_path / "test.csv", "--output", tmp_path / "found"]
    assert "Without labels" in refused(capfd, *without)
    normal = rows(60, seed=1).query("kind == 'fine'")
    normal.to_csv(tmp_path / "normal.csv", index=False)
    assert "0 anomalies of 48 rows" in refused(capfd, *call, "--test", tmp_path / "normal.csv")
    normal.drop(columns="kind").to_csv(tmp_path / "normal.csv", index=False)
    assert "--label" in refused(capfd, *call, "--test", tmp_path / "normal.csv")
    assert run(*call, "--methods", "kNN") == 0
    capfd.readouterr()
    assert "Pass another --output" in refused(capfd, *call, "--methods", "kNN", "--drop", "shop")
    (tmp_path / "found" / "runs" / "kNN-seed0.json").write_text("{}")
    assert "Remove it" in refused(capfd, *call, "--methods", "kNN")
    run_of = {**dict.fromkeys([*METRICS, *compare.SECONDS], 0.5), "roc": [[0, 1], [0, 1]]}
    others = ({"auroc": "x"}, {"f1": None}, {"recall": 10**400}, {"roc": [[0], "1"]}, {"roc": [[0, 1], [{}, 1]]})
    for changes in (*others, {"auroc": 9.5}, {"roc": [[0, 1], [0, 1.5]]}, {"fit_seconds": -1}):
        (tmp_path / "found" / "runs" / "kNN-seed0.json").write_text(json.dumps({**run_of, **changes}))
        assert "Remove it" in refused(capfd, *call, "--methods", "kNN")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    assert "a new folder" in refused(capfd, *call, "--output", tmp_path / "full")


def test_warnings_are_lines(
    call: list[object], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    by_labels = metrics.by_labels

    def warns(*arguments: Any) -> dict[str, float]:
        warnings.warn("few rows", UserWarning, stacklevel=1)
        return by_labels(*arguments)

    monkeypatch.setattr(metrics, "by_labels", warns)
    assert run(*call, *SIMPLE) == 0
    said = capfd.readouterr().err
    assert "alad: warning: few rows" in said and ".py" not in said
