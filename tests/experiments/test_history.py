"""Logs of checkpoints."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from alad_tf.errors import DataError
from alad_tf.experiments.history import Log


def test_a_log_is_read_back() -> None:
    log = Log(step=3, seconds=1.5, history=[{"epoch": 1, "step": 3}])
    assert Log.of_checkpoint(asdict(log)) == log
    assert Log.of_checkpoint(None) == Log()


def test_other_entries_are_refused() -> None:
    with pytest.raises(DataError, match=r"log of a checkpoint\. Received: evil, step\."):
        Log.of_checkpoint({"step": 3, "evil": 1})
