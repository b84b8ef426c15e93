"""A small part of `sweep_calls.py`: replacing a model folder, interrupted at each system call."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import sweep_calls
import traced
from sweep_jobs import Bits, Job

from alad_tf.io import model_folder

pytestmark = pytest.mark.skipif(not traced.available(), reason="no strace, or it may not trace processes")


def _write(folder: Path, value: float) -> None:
    model_folder.write(folder / "model", {"model": {"value": value}}, {"weights": {"w": np.full(3, value)}})


def _work() -> int:
    try:
        _write(Path(), 2.0)
    except OSError as error:
        os.write(2, f"alad: error: {error}\n".encode())
        return 1
    return 0


def _bits(folder: Path) -> Bits:
    documents, arrays = model_folder.read(folder / "model")
    return {"documents": documents, "w": arrays["weights"]["w"].tobytes()}


JOB = Job("write", lambda folder, earlier: _write(folder, 1.0), _work, _bits)


def test_a_model_folder_is_whole_wherever_its_writer_is_broken_off(tmp_path: Path) -> None:
    sweep = sweep_calls.Sweep(JOB, tmp_path)
    sweep.trace()
    counts = Counter(call.name for call in sweep.calls)
    assert counts["rename"] == 3 and counts["renameat2"] == 1 and counts["fsync"] >= 5
    found = [
        sweep.case(point, effect)
        for effect, calls in (
            ("SIGKILL", ("rename", "renameat2", "unlinkat", "write")),
            ("ENOSPC", ("rename", "fsync")),
        )
        for point in sweep.points(calls)
    ]
    assert [outcome for outcome in found if outcome.problem] == []
    assert {outcome.end for outcome in found} == {"killed", "refused"}


def test_what_is_half_written_is_found(tmp_path: Path) -> None:
    def work() -> int:
        Path("a.txt").write_text("new")
        return 0

    def bits(folder: Path) -> Bits:
        content = (folder / "a.txt").read_text()
        assert content in ("old", "new"), content
        return {"a.txt": content}

    sweep = sweep_calls.Sweep(
        Job("plain", lambda folder, _: (folder / "a.txt").write_text("old"), work, bits), tmp_path
    )
    sweep.trace()
    problems = [sweep.case(point, "SIGKILL").problem for point in sweep.points(["write"])]
    assert len(problems) == 1 and problems[0].startswith("half-written")


def test_table_counts_points_and_faults() -> None:
    outcomes = [
        sweep_calls.Outcome("fit", "rename", number, effect, end, "", problem)
        for number, effect, end, problem in (
            (1, "SIGKILL", "killed", ""),
            (1, "EIO", "refused", ""),
            (2, "EIO", "complete", "other bits"),
        )
    ]
    assert sweep_calls.table(outcomes).splitlines()[-1] == "| fit | rename | 2 | 3 | 1 | 1 | 1 | 1 |"
