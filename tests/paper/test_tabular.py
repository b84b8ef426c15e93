"""The table for your own data is KDD99's, except for the numbers of features and rows."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any

import pytest
from conftest import Alad

import architectures
from alad_tf.typing import Options
from architectures import rows
from architectures.rows import Dense
from architectures.tabular import KDD99_ROWS, LARGEST_RATE, LEAST_STEPS, tabular


def test_it_is_the_table_of_kdd99_for_its_features_and_rows() -> None:
    assert replace(tabular(121), name="KDD99", source="Table XI") == architectures.load("kdd99")


@pytest.mark.parametrize(("n_features", "latent_dim"), [(1, 1), (4, 2), (30, 8), (121, 32), (1000, 32)])
def test_number_of_features(n_features: int, latent_dim: int) -> None:
    table = tabular(n_features, name="mine")
    assert (table.name, table.source) == ("mine", f"Table XI for {n_features} features")
    assert table.data_dim == table.G[-1].units == n_features
    assert table.latent_dim == table.E[-1].units == latent_dim
    kdd99: Any = architectures.load("kdd99")
    assert (table.G[:-1], table.E[:-1]) == (kdd99.G[:-1], kdd99.E[:-1])
    assert (table.Dxz, table.Dxx, table.Dzz) == (kdd99.Dxz, kdd99.Dxx, kdd99.Dzz)
    assert table.E[-1] == Dense(latent_dim, "None")


@pytest.mark.parametrize("n_rows", [2, 49, 50, 178, 5_000, KDD99_ROWS, 10_000_000])
def test_number_of_steps_and_learning_rate(n_rows: int) -> None:
    table = tabular(10, n_rows=n_rows)
    assert table.batch_size == min(50, n_rows)
    steps, kdd99_steps = table.epochs * (n_rows // table.batch_size), 396_700
    assert 0.98 * LEAST_STEPS <= steps <= 1.02 * kdd99_steps
    assert table.optimizer.learning_rate == pytest.approx(min(1e-5 * kdd99_steps / steps, LARGEST_RATE), rel=0.05)


def test_epochs_and_batch_size_given() -> None:
    table = tabular(10, epochs=20)
    assert (table.epochs, table.optimizer.learning_rate) == (20, 5e-5)
    table = tabular(10, epochs=50)
    assert (table.epochs, table.optimizer.learning_rate) == (50, 2e-5)
    table = tabular(10, batch_size=100)
    assert (table.batch_size, table.epochs, table.optimizer.learning_rate) == (100, 100, 2e-5)


@pytest.mark.parametrize(
    ("what", "call"),
    [
        ("features", {"n_features": 0}),
        ("rows", {"n_features": 3, "n_rows": 0}),
        ("epochs", {"n_features": 3, "epochs": 0}),
        ("rows in a batch", {"n_features": 3, "batch_size": -1}),
    ],
)
def test_numbers_below_one_are_refused(what: str, call: Options) -> None:
    with pytest.raises(ValueError, match=re.escape(f"Expected at least 1 for the number of {what}. Received: ")):
        tabular(**call)


@pytest.mark.parametrize("name", architectures.DATASETS)
def test_tables_come_back_from_their_documents(name: str) -> None:
    table = architectures.load(name)
    assert isinstance(table, rows.Alad)
    assert rows.alad(asdict(table)) == table


def test_a_document_with_a_part_missing_is_refused() -> None:
    document = asdict(tabular(3))
    del document["E"]
    with pytest.raises(KeyError):
        rows.alad(document)


def test_show(alad: Alad) -> None:
    done = alad("show", "tabular", "--features", 30, "--rows", 178)
    assert done.returncode == 0
    assert done.stdout == architectures.render(tabular(30, n_rows=178)) + "\n"
    for arguments in (["tabular"], ["kdd99", "--features", 3], ["kdd99", "--rows", 3]):
        done = alad("show", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert "Expected --features" in done.stderr and done.stderr.count("\n") == 1
