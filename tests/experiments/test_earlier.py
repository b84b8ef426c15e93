"""Runs that depart from the protocol, in folders of earlier versions: they are renamed, counted, and block nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from unittest.mock import patch

import pytest

from alad_tf.errors import AladError, SettingsError
from alad_tf.experiments import earlier, scheduler
from alad_tf.experiments.baseline_settings import AnySettings, of_method
from alad_tf.experiments.settings import Settings
from alad_tf.io import locks
from alad_tf.typing import Options

TOY = Settings.of_protocol("toy")
QUICK = Settings.of_protocol("toy", epochs=1)


def write(made: AnySettings, out: Path, seed: int = 0, name: str | None = None) -> Path:
    """Write the files of a complete run to a folder with this name, or with its own."""
    folder = made.folder(out, seed)
    if name is not None:
        task = folder.relative_to(out / made.dataset / made.method)
        folder = out / made.dataset / name / task
    made.claim(folder, seed)
    config = json.loads((folder / "config.json").read_text())
    config["method"] = name or made.method
    (folder / "config.json").write_text(json.dumps(config))
    for file in made.files[1:]:
        (folder / file).write_text(f"{made.method} {seed}")
    return folder


def moved(made: AnySettings, out: Path, seed: int = 0) -> list[str]:
    """Call `move_departures`; return the lines that it logs."""
    with patch.object(earlier.logger, "warning") as log:
        earlier.move_departures(made, seed, out)
    return [call.args[0] % call.args[1:] for call in log.call_args_list]


@pytest.mark.parametrize("dataset", ["kdd99", "cifar10"])
@pytest.mark.parametrize("method", ["ALAD-noSN", "DSEBM"])
def test_a_quick_look_makes_way_for_the_protocol(tmp_path: Path, dataset: str, method: str) -> None:
    protocol, quick = of_method(dataset, method), of_method(dataset, method, epochs=1)
    name = f"{protocol.method}-1epochs"
    there = write(quick, tmp_path, name=protocol.method)
    (line,) = moved(protocol, tmp_path)
    target = quick.folder(tmp_path, 0)
    assert target.parts[len(tmp_path.parts) + 1] == name
    assert line == f"{there} holds a run that departs from the protocol: moved to {target}"
    assert not there.exists() and (target / "result.json").read_text() == f"{name} 0"
    protocol.claim(there, 0)
    quick.claim(target, 0)  # config.json has the method's earlier name
    assert moved(protocol, tmp_path) == moved(quick, tmp_path) == []


def test_a_run_of_these_settings_moves_to_its_folder(tmp_path: Path) -> None:
    write(QUICK, tmp_path, name="ALAD")
    assert len(moved(QUICK, tmp_path)) == 1
    assert (QUICK.folder(tmp_path, 0) / "result.json").exists()


@pytest.mark.parametrize("options", [{"epochs": 2}, {"jit": True}, {"epochs": 2, "jit": True}])
def test_runs_in_nobodys_way_stay(tmp_path: Path, options: Options) -> None:
    other = Settings.of_protocol("toy", **options)
    there = write(other, tmp_path, name="ALAD")
    write(TOY, tmp_path, seed=1)
    assert moved(QUICK, tmp_path) == [] and moved(TOY, tmp_path, 1) == []
    assert there.exists()


def test_two_runs_of_the_same_settings(tmp_path: Path) -> None:
    """The run with the earlier name stays until its folder is needed; then it is renamed, and nothing is lost."""
    own, there = write(QUICK, tmp_path), write(QUICK, tmp_path, name="ALAD")
    (there / "result.json").write_text("the earlier one")
    assert moved(QUICK, tmp_path) == []
    (line,) = moved(TOY, tmp_path)
    aside = own.with_name("seed0.earlier1")
    assert str(aside) in line
    assert (aside / "result.json").read_text() == "the earlier one" and not there.exists()
    assert (own / "result.json").read_text() == "ALAD-1epochs 0"


def test_a_folder_in_use_stays(tmp_path: Path) -> None:
    there = write(QUICK, tmp_path, name="ALAD")
    with locks.locked(there), pytest.raises(AladError, match="no other process is using"):
        moved(TOY, tmp_path)
    assert there.exists() and not QUICK.folder(tmp_path, 0).exists()


def test_folders_that_cannot_be_read_stay(tmp_path: Path) -> None:
    there = write(QUICK, tmp_path, name="ALAD")
    (there / "config.json").write_text("{")
    assert moved(TOY, tmp_path) == moved(QUICK, tmp_path) == [] and there.exists()
    copied = write(Settings.of_protocol("kdd99", epochs=1), tmp_path, seed=5)
    copied.rename(TOY.folder(tmp_path, 5))
    assert moved(TOY, tmp_path, 5) == []  # of another data set: `claim` says so
    with pytest.raises(SettingsError, match="dataset is 'kdd99' there and 'toy' here"):
        TOY.claim(TOY.folder(tmp_path, 5), 5)


def test_through_the_scheduler(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    there = write(QUICK, tmp_path, name="ALAD")
    scheduler.run_all(QUICK, [0], tmp_path, jobs=1)
    assert capfd.readouterr().err.splitlines()[-1] == "toy ALAD-1epochs: complete already: seed 0"
    (line,) = caplog.messages
    assert line.startswith(f"{there} holds a run that departs from the protocol: moved to ")
    write(QUICK, tmp_path, name="ALAD", seed=1)
    no_time = scheduler.Budget(time.monotonic() - 1, 1.0)
    scheduler.run_all(TOY, [0, 1], tmp_path, jobs=1, budget=no_time)
    assert "toy ALAD: seed 0, seed 1: 300 epochs each" in capfd.readouterr().err
    assert all((QUICK.folder(tmp_path, seed) / "result.json").exists() for seed in (0, 1))
    assert [path.name for path in there.iterdir()] == ["config.json"]
