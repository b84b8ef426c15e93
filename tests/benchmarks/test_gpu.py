"""Parts of the GPU report, tested on the CPU; no GPU is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gpu
import pytest

from alad_tf.experiments.settings import Settings

OF_ONE = {"losses": {"loss_d": 2.0, "loss_ge": 4.0}, "steps": 100}


def test_a_job_trains_and_the_same_job_has_the_same_losses() -> None:
    first, again = (gpu.trained(gpu.Job("toy", "cpu", steps=3)) for _ in range(2))
    assert first["steps"] == 3 and first["end"] > first["start"]
    assert gpu.difference(again["losses"], first["losses"]) == 0.0
    other = gpu.trained(gpu.Job("toy", "cpu", seed=1, steps=3))
    assert gpu.difference(other["losses"], first["losses"]) > 1e-4


def test_an_epoch_is_timed_after_the_steps_that_are_compared() -> None:
    """Also where an epoch has fewer steps than are compared, as of the toy data."""
    epoch = 2048 // Settings.of_protocol("toy").table.batch_size
    assert epoch < gpu.COMPARED and gpu.trained(gpu.Job("toy", "cpu"))["steps"] == epoch


def test_rates_and_differences_by_hand() -> None:
    results = [{**OF_ONE, "start": 1.0, "end": 3.0}, {**OF_ONE, "start": 2.0, "end": 5.0}]
    assert gpu.rate(results) == 200 / 4.0
    assert gpu.difference({"loss_d": 2.0, "loss_ge": 3.0}, OF_ONE["losses"]) == 0.25  # type: ignore[arg-type]


def test_report_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated GPU runs: an epoch takes a tenth of the CPU's time, and TF32 changes a loss by 1 %."""
    asked: list[gpu.Job] = []

    def in_processes(jobs: list[gpu.Job]) -> list[dict[str, Any]]:
        asked.extend(jobs)
        seconds = 10.0 if jobs[0].device == "cpu" else 1.0
        losses = {"loss_d": 2.02 if jobs[0].tf32 else 2.0}
        return [{"losses": losses, "steps": 100, "start": 0.0, "end": seconds} for _ in jobs]

    monkeypatch.setattr(gpu, "in_processes", in_processes)
    monkeypatch.setattr(gpu, "found", lambda device: ["Some GPU"])
    monkeypatch.setattr(gpu, "beside", lambda dataset, device: [{"what": "PyTorch", "steps/s": 1.0}])
    monkeypatch.setattr(gpu, "at_hand", lambda: ["kdd99", "cifar10"])
    monkeypatch.setattr(gpu, "_in_a_fresh_process", lambda call, *arguments: call(*arguments))
    monkeypatch.setattr("sys.argv", ["gpu.py", "--together", "3", "--json", str(tmp_path / "gpu.json")])
    assert gpu.main() == 0
    report = json.loads((tmp_path / "gpu.json").read_text())
    lines = {line.pop("what"): line for line in report["rows"]}
    assert list(lines) == [
        "kdd99, cpu", "kdd99, gpu", "kdd99, gpu as by default",
        "cifar10, cpu", "cifar10, gpu", "cifar10, gpu as by default",
        "kdd99, gpu, 3 seeds at once", "PyTorch",
    ]  # fmt: skip
    assert lines["kdd99, gpu"] == {"steps/s": 100.0, "losses / CPU - 1": 0.0, "times the CPU": 10.0}
    assert lines["kdd99, gpu as by default"]["losses / CPU - 1"] == pytest.approx(0.01)
    assert lines["kdd99, gpu, 3 seeds at once"] == {"steps/s": 300.0}
    assert report["devices"] == "Some GPU"
    assert [job.steps for job in asked if job.dataset == "cifar10"] == [gpu.COMPARED, None, None], "no epoch on the CPU"
    assert [job.seed for job in asked[-3:]] == [0, 1, 2]


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(gpu, "found", lambda device: [])
    monkeypatch.setattr(gpu, "_in_a_fresh_process", lambda call, *arguments: call(*arguments))
    monkeypatch.setattr("sys.argv", ["gpu.py"])
    assert gpu.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Expected a GPU that TensorFlow sees. Received: none; TensorFlow is built for cuda")
