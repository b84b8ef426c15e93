"""A small part of `sweep_calls.py`: replacing a model folder, interrupted at each system call."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import sweep_calls
import sweep_jobs
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


def test_every_command_is_still_traced(tmp_path: Path) -> None:
    script = [sys.executable, str(Path(sweep_calls.__file__)), "--out", str(tmp_path), "--points"]
    lines = subprocess.run(script, check=True, capture_output=True, text=True).stdout.splitlines()
    points = dict(line.split(": ", 1) for line in lines)
    assert points.keys() == sweep_jobs.JOBS.keys()
    for counts in points.values():
        assert {"rename", "fsync", "write", "close"} <= ast.literal_eval(counts).keys()


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("seed0/checkpoints/step12/log.json", "seed#/checkpoints/step#/*.json"),
        ("seed0/checkpoints/.step*/step4/SHA256SUMS", "seed#/checkpoints/.step*/step#/SHA#SUMS"),
        ("figures/.roc.png.*.png", "figures/figure"),
        (".", "."),
    ],
)
def test_equal_calls(file: str, kind: str) -> None:
    assert sweep_calls.kind_of(Path(file), by_suffix=True) == kind


def test_calls_name_their_files(tmp_path: Path) -> None:
    trace = tmp_path / "log.trace"
    trace.write_text(
        """7 write(4</f/a.txt>, "x"..., 1) = 1
8 write(4</f/a.txt>, "x"..., 1) = 1
7 rename("a b.json", "c/d.json") = 0
7 unlinkat(5</f/g>, "h", 0) = 0
7 write(4</f/.a.txt.alad_tf-abcd1234.txt>, "x"..., 1) = -1 EIO (Input/output error) (INJECTED)
"""
    )
    assert traced.calls(trace, Path("/f")) == [
        ("write", 1, "/f/a.txt"),
        ("write", 1, "/f/a.txt"),
        ("rename", 1, "/f/c/d.json"),
        ("unlinkat", 1, "/f/g/h"),
        ("write", 2, "/f/.a.txt.alad_tf-*.txt"),
    ]


def test_rows_of_other_commands_stay() -> None:
    outcomes = [sweep_calls.Outcome("score", "rename", 1, "SIGKILL", "killed", "", "")]
    there = "| fit | write | 1 | 2 |\n| score | close | 3 | 4 |\n| export | fsync | 5 | 6 |\n| gone | fsync | 7 | 8 |\n"
    assert sweep_calls.merged(sweep_calls.table(outcomes), there).splitlines()[2:] == [
        "| fit | write | 1 | 2 |",
        "| score | rename | 1 | 1 | 1 | 0 | 0 | 0 |",
        "| export | fsync | 5 | 6 |",
    ]


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
