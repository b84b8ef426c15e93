"""Titles of figures: names as in the tables, missing runs, the normal class."""

from __future__ import annotations

import pytest

from alad_tf.experiments.summary import figure_title


@pytest.mark.parametrize(
    ("dataset", "runs", "title"),
    [
        ("kdd99", 7, "KDD99 ALAD, 7 of 10 runs\nNormal class: attacks. Anomalies: normal connections"),
        ("arrhythmia", 10, "Arrhythmia ALAD"),
        ("cifar10", 2, "CIFAR-10 ALAD, 2 of 30 runs"),
        ("svhn", 30, "SVHN ALAD"),
        ("toy", 1, "Toy ALAD"),
    ],
)
def test_figure_title(dataset: str, runs: int, title: str) -> None:
    assert figure_title(dataset, "ALAD", runs) == title
