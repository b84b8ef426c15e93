"""Folders with Ray Data: complete parts, and jobs that resume after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import conftest
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from command import refused
from exported_models import array_version, table, table_model, table_version
from tolerances import of_table

from alad_tf.serving import ray_data
from alad_tf.serving.batch import BatchScorer


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two files, one with several row groups, and more columns than the model uses."""
    folder = tmp_path / "rows"
    (folder / "sub").mkdir(parents=True)
    table(1000, seed=1).assign(more=1).to_parquet(folder / "one.parquet", row_group_size=300)
    table(10, seed=2).to_parquet(folder / "sub" / "two.parquet")
    return folder


def parts(source: Path) -> list[dict[str, Any]]:
    scorer = BatchScorer(table_version("imputed"))
    return [part for path in ray_data._files(source) for part in ray_data._parts(path, source, scorer)]


def test_parts_are_runs_of_row_groups(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_data, "PART_ROWS", 500)
    table(10, seed=3)[:0].to_parquet(source / "empty.parquet")
    assert [(part["name"], part["rows"], part["first_group"], part["end_group"]) for part in parts(source)] == [
        ("one.parquet.0000000001.parquet", 600, 0, 2),
        ("one.parquet.0000000601.parquet", 400, 2, 4),
        ("sub%2Ftwo.parquet.0000000001.parquet", 10, 0, 1),
    ]


def test_worker_writes_the_scores_of_a_part(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_data, "PART_ROWS", 500)
    worker = ray_data.Worker(str(table_version("imputed")), str(tmp_path / "out"))
    batch = {name: np.array([part[name] for part in parts(source)]) for name in parts(source)[0]}
    worker(batch)
    expected = table_model("imputed").scored(table(1000, seed=1))[0]
    scored = pd.concat(pd.read_parquet(tmp_path / "out" / part["name"]) for part in parts(source)[:2])
    assert scored["row"].tolist() == list(range(1, 1001))
    close = of_table(table_model("imputed"), table(1000, seed=1))
    np.testing.assert_allclose(scored["score"], expected["score"], rtol=0.0, atol=close)
    np.testing.assert_array_equal(scored["is_valid"], expected["is_valid"])
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    worker(batch)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_faults(source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    model, out = ["--engine", "ray", "--model", table_version("imputed")], ["--output", tmp_path / "out"]

    def fault(data: Path, *arguments: object) -> str:
        return refused(capfd, "score", data, *arguments)

    (tmp_path / "empty").mkdir()
    assert "Expected a folder with .parquet files" in fault(tmp_path / "empty", *model, *out)
    assert "Expected an exported model" in fault(source, *model[:3], tmp_path / "empty", *out)
    assert "Received: --explain, --id" in fault(source, *model, *out, "--explain", "2", "--id", "more")
    assert "Expected --workers only with --engine" in fault(source, *model[2:], *out, "--workers", "2")
    table(5).drop(columns="size").to_parquet(tmp_path / "empty" / "x.parquet")
    assert "Received: no size" in fault(tmp_path / "empty", *model, *out)
    (tmp_path / "empty" / "x.parquet").write_bytes(b"no")
    assert "x.parquet, as its name says" in fault(tmp_path / "empty", *model, *out)
    assert "Received: no names" in fault(source, *model[:3], array_version(), *out)
    assert not (tmp_path / "out").exists()
    ray_data._claim(tmp_path / "out", BatchScorer(table_version("imputed")), parts(source))
    assert "Expected an output of the same job" in fault(source, *model[:3], table_version("strict"), *out)
    assert "Expected an output folder outside" in fault(source, *model, "--output", source / "out")
    assert "outside the exported version" in fault(source, *model, "--output", table_version("imputed") / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    assert "which holds something else" in fault(source, *model, "--output", tmp_path / "full")
    os.utime(source / "one.parquet", ns=(1, 1))
    assert "Expected an output of the same job" in fault(source, *model, *out)


def test_ray_that_fails(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    cpus: list[int | None] = []

    def init(num_cpus: int | None, **others: object) -> None:
        cpus.append(num_cpus)
        raise ValueError("no such cluster\nor another")

    monkeypatch.setattr(ray, "init", init)
    arguments = ["--engine", "ray", "--model", table_version("imputed"), "--output", tmp_path / "out", "--workers", "1"]
    expected = (
        "Expected Ray to score 2 parts. Received: ValueError: no such cluster or another. The same command resumes."
    )
    for address in ("", "127.0.0.1:1"):
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert expected in refused(capfd, "score", source, *arguments)
    assert cpus == [1, None]
    (tmp_path / "out" / "job.json").write_bytes(b"\xff")
    assert "Expected an output of the same job" in refused(capfd, "score", source, *arguments)


def test_without_ray(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    arguments = [source, "--engine", "ray", "--model", table_version("imputed"), "--output", tmp_path / "out"]
    assert "Install the extra (Python 3.10 or later): pip install '.[ray]'" in refused(capfd, "score", *arguments)


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "many"
    folder.mkdir()
    for k in range(40):
        table(2000, seed=k).to_parquet(folder / f"{k:02d}.parquet")
    yield folder


@pytest.mark.slow
def test_killed_job_goes_on_to_the_same_files(many: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")

    def start(output: Path) -> subprocess.Popen[str]:
        arguments = ["score", many, "--engine", "ray", "--model", table_version("imputed"), "--output", output]
        command = [sys.executable, "-m", "alad_tf", *map(str, arguments), "--workers", "1"]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=conftest.CHECKOUT, text=True, stdout=pipe, stderr=pipe, start_new_session=True
        )

    killed = start(tmp_path / "out")
    while len(list((tmp_path / "out").glob("*.parquet"))) < 3 and killed.poll() is None:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    time.sleep(2.0)  # Ray ends its processes
    left = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.parquet")}
    assert 3 <= len(left) < 40
    again = start(tmp_path / "out")
    stdout, stderr = again.communicate()
    assert again.returncode == 0, stderr
    assert f"{len(left)} of 40 parts exist already" in stderr
    assert f"80000 rows in 40 parts, {40 - len(left)} of them scored now" in stdout
    names = sorted(path.name for path in (tmp_path / "out").glob("*.parquet"))
    assert names == [f"{k:02d}.parquet.0000000001.parquet" for k in range(40)]
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in left} == left
    worker = ray_data.Worker(str(table_version("imputed")), str(tmp_path / "whole"))
    for part in parts(many):
        worker.score(part)
        got, expected = (pyarrow.parquet.read_table(tmp_path / o / part["name"]) for o in ("out", "whole"))
        assert got.equals(expected)


def test_damaged_files_are_named(source: Path, tmp_path: Path) -> None:
    """Ray shows an exception of a worker with its tracebacks, so workers return messages."""
    content = bytearray((source / "one.parquet").read_bytes())
    content[4:60] = bytes(byte ^ 0x55 for byte in content[4:60])
    (source / "one.parquet").write_bytes(content)
    worker = ray_data.Worker(str(table_version("imputed")), str(tmp_path / "out"))
    found = parts(source)
    told = worker({name: np.array([part[name] for part in found]) for name in found[0]})["error"].tolist()
    assert "one.parquet, as its name says" in told[0] and "\n" not in told[0] and told[1:] == [""]
    assert [path.name for path in (tmp_path / "out").iterdir()] == [found[1]["name"]]


def test_long_paths_and_full_disks(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = source / ("é" * 40) / ("b" * 90)
    deep.mkdir(parents=True)
    (source / "one.parquet").rename(deep / "one.parquet")
    part = next(part for part in parts(source) if "one.parquet" in part["file"])
    assert len(part["name"]) < 200
    worker = ray_data.Worker(str(table_version("imputed")), str(tmp_path / "out"))
    batch = {name: np.array([value]) for name, value in part.items()}
    assert worker(batch)["error"].tolist() == [""]

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pyarrow.parquet, "write_table", full)
    assert "No space left" in worker(batch)["error"][0]
