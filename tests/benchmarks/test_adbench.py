"""The protocol of the ADBench benchmark, on tiny synthetic data sets."""

from __future__ import annotations

import json
from pathlib import Path

import adbench
import numpy as np
import pytest

RANDOM = np.random.default_rng(0)
X = np.vstack([RANDOM.normal(0.0, 1.0, (900, 3)), RANDOM.normal(4.0, 1.0, (300, 3))])
Y = np.repeat([0, 1], [900, 300])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    order = RANDOM.permutation(1200)
    np.savez(tmp_path / "7_Made.npz", X=X[order], y=Y[order])
    np.savez(tmp_path / "own.npz", X=X, y=Y)
    (tmp_path / "published.csv").write_text("dataset,method,auroc\nmade,KNN,0.5\nown,KNN,0.25\n")
    return tmp_path


def test_first_half_of_the_normal_rows_in_file_order_trains() -> None:
    rows = adbench.halves(X, Y, seed=0)
    mean, spread = X[:450].mean(axis=0), X[:450].std(axis=0)
    np.testing.assert_allclose(rows.x_train, (X[:450] - mean) / spread, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(rows.x_test, (X[450:] - mean) / spread, rtol=0.0, atol=1e-12)
    assert rows.y_test.tolist() == [0] * 450 + [1] * 300


def test_small_sets_are_drawn_with_and_large_ones_without_replacement(monkeypatch: pytest.MonkeyPatch) -> None:
    few = adbench.halves(X[600:], Y[600:], seed=1)
    assert len(few.x_train) + len(few.x_test) == 1000 and len(np.unique(few.x_test, axis=0)) < len(few.x_test)
    monkeypatch.setattr(adbench, "MANY", 1100)
    many = adbench.halves(X, Y, seed=1)
    assert len(many.x_train) + len(many.x_test) == 1100 and len(np.unique(many.x_test, axis=0)) == len(many.x_test)
    assert not np.array_equal(many.x_test, adbench.halves(X, Y, seed=2).x_test)


def test_a_call_goes_on_after_a_line_that_was_cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = folder / "found.jsonl"
    adbench.run(folder, output, [], ["kNN"], [0])
    whole = output.read_text()
    assert sorted(line["set"] for line in adbench.read(output)) == ["made", "own"]
    output.write_text(whole[:-9])
    adbench.run(folder, output, [], ["kNN"], [0])
    assert [line["auroc"] for line in adbench.read(output)] == [
        line["auroc"] for line in map(json.loads, whole.splitlines())
    ]
    monkeypatch.setitem(adbench.METHODS, "kNN", lambda rows, seed: pytest.fail("computed again"))
    adbench.run(folder, output, [], ["kNN"], [0])


def test_table_counts_wins_losses_and_ranks(folder: Path) -> None:
    ours = {"A": {"made": 0.9, "own": 0.2}, "B": {"made": 0.8, "own": 0.3, "other": 1.0}}
    lines = adbench.table(ours, adbench.published(folder), "A").splitlines()
    assert lines[0] == "| set | A | B | KNN (published) |"
    assert lines[2:] == [
        "| made | 0.900 | 0.800 | 0.500 |",
        "| own | 0.200 | 0.300 | 0.250 |",
        "| mean of 2 | 0.550 | 0.550 | 0.375 |",
        "| mean rank | 2.0 | 1.5 | 2.5 |",
        "| A won, lost | 0, 0 | 1, 1 | 1, 1 |",
    ]
