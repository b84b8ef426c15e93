"""Logs of checkpoints."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from alad_tf.errors import DataError
from alad_tf.experiments.history import Log
from alad_tf.typing import Document


def test_a_log_is_read_back() -> None:
    log = Log(step=3, seconds=1.5, history=[{"epoch": 1, "step": 3}])
    assert Log.of_checkpoint(asdict(log)) == log
    assert Log.of_checkpoint(None) == Log()


def test_other_entries_are_refused() -> None:
    with pytest.raises(DataError, match=r"log of a checkpoint\. Received: evil, step\."):
        Log.of_checkpoint({"step": 3, "evil": 1})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step": "x"}, "a number of steps"),
        ({"step": -1}, "a number of steps"),
        ({"step": 10**30}, "a number of steps"),
        ({"seconds": "x"}, "a number of seconds"),
        ({"sums": None}, "sums of losses"),
        ({"sums": {"loss_d": "x"}}, "sums of losses"),
        ({"sums": {"loss_d": 10**400}}, "sums of losses"),
        ({"history": None}, "records with epochs"),
        ({"history": "x"}, "records with epochs"),
        ({"history": [1]}, "records with epochs"),
        ({"history": [{"step": 1}]}, "records with epochs"),
        ({"history": [{"epoch": "x"}]}, "records with epochs"),
        ({"best": 1}, "the best epoch"),
        ({"best": {"epoch": 1}}, "the best epoch"),
        ({"stack": 7}, "the name of a stack"),
    ],
    ids=str,
)
def test_entries_of_another_kind_are_refused(changes: Document, words: str) -> None:
    with pytest.raises(DataError, match=f"Expected {words} in the log of a checkpoint.* remove its checkpoints"):
        Log.of_checkpoint({"step": 3, **changes})
