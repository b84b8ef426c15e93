"""The folder of a run: files, bit-identical repetition, complete and incomplete runs."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_run
from tolerances import assert_close

from alad_tf import metrics, stack
from alad_tf.data import base, loading
from alad_tf.errors import AladError, DataError, SettingsError
from alad_tf.experiments import run
from alad_tf.experiments.baseline_settings import of_method
from alad_tf.experiments.progress import Progress
from alad_tf.experiments.settings import RUN_FILES, WRITTEN, Settings, is_complete
from alad_tf.model import alad_trainer, networks, weights
from alad_tf.model.scores import Scorer
from alad_tf.options import FIGURE_SUFFIXES, SCORES
from alad_tf.report import plots
from alad_tf.typing import Options
from architectures import toy

SMALL, STEPS = small_run.TABLE, small_run.STEPS


def settings(epochs: int = 7, **options: Any) -> Settings:
    return small_run.settings(epochs, **options)


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def history(run_dir: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run_dir / "history.jsonl").read_text().splitlines()]


def same(a: Path, b: Path, name: str) -> bool:
    """Whether an .npz file holds the same bits in two runs."""
    one, other = arrays(a / name), arrays(b / name)
    assert set(one) == set(other)
    return all(one[key].dtype == other[key].dtype and one[key].tobytes() == other[key].tobytes() for key in one)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy, "ALAD", SMALL)
        yield


class Made:
    """A run that is done once, with its results and reports."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.reports: list[Progress] = []
        self.replaced: list[str] = []
        replace = os.replace

        def recorded(source: Path, target: Path) -> None:
            self.replaced.append(Path(target).name)
            replace(source, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "replace", recorded)
            self.result = run.run(settings(), 3, run_dir, report=self.reports.append)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, small: None) -> Made:
    return Made(tmp_path_factory.mktemp("made") / "seed3")


# What a run leaves ------------------------------------------------------------------------------------------------


def test_files(made: Made) -> None:
    assert files_in(made.run_dir) == set(WRITTEN)
    assert is_complete(made.run_dir)


def test_result_is_written_last(made: Made) -> None:
    assert made.replaced[0] == "config.json"
    assert set(made.replaced) == set(WRITTEN)
    assert made.replaced[-1] == "result.json"


def test_config(made: Made) -> None:
    assert Settings.of_run(made.run_dir) == (settings(), 3)


def test_result(made: Made) -> None:
    result = json.loads((made.run_dir / "result.json").read_text())
    assert result == made.result
    split = loading.load("toy")
    today = datetime.now(timezone.utc).date()
    assert date.fromisoformat(result.pop("date")) in (today, today - timedelta(days=1))  # a test may run at midnight
    seconds = result.pop("seconds")
    assert 0 < history(made.run_dir)[-1]["seconds"] <= seconds
    stored = arrays(made.run_dir / "scores.npz")
    assert result == {
        "dataset": "toy",
        "method": settings().method,
        "seed": 3,
        "epochs": 7,
        "n_train": 2048,
        "n_test": 2148,
        "n_anomalies": 100,
        "top_fraction": 100 / 2148,
        "settings": dataclasses.asdict(settings()),
        "stack": stack.described(),
        "scores": {name: metrics.evaluate(split.y_test, stored[name], 100 / 2148) for name in SCORES},
    }
    assert set(result["scores"]["l1"]) == {"precision", "recall", "f1", "auroc", "average_precision"}


def test_scores(made: Made) -> None:
    stored = arrays(made.run_dir / "scores.npz")
    assert set(stored) == {"y_test", *SCORES}
    assert np.array_equal(stored["y_test"], loading.load("toy").y_test)
    for name in SCORES:
        assert (stored[name].shape, stored[name].dtype) == ((2148,), np.float32)
        assert stored[name].std() > 0


def test_weights_reproduce_the_scores(made: Made) -> None:
    again = Scorer(run.load_networks(made.run_dir))(loading.load("toy").x_test)
    stored = arrays(made.run_dir / "scores.npz")
    for name in SCORES:
        assert again[name].tobytes() == stored[name].tobytes()


def test_weights_are_everything(made: Made) -> None:
    loaded = run.load_networks(made.run_dir)
    stored = arrays(made.run_dir / "weights.npz")
    assert set(stored) == set(weights.get_arrays(loaded))
    assert {name.split("/")[0] for name in stored} == {"G", "E", "Dxz", "Dxx", "Dzz"}
    fresh = weights.get_arrays(networks.build(SMALL, seed=3))
    assert not any(np.array_equal(stored[name], fresh[name]) for name in stored if not name.endswith("/0"))


def test_history(made: Made) -> None:
    records = history(made.run_dir)
    assert [record["epoch"] for record in records] == [1, 2, 3, 4, 5, 6, 7]
    assert [record["step"] for record in records] == [STEPS * epoch for epoch in range(1, 8)]
    losses = {"loss_d", "loss_ge", "Dxz", "Dxx", "Dzz"}
    judged = {"precision", "recall", "f1", "auroc", "average_precision", *(f"auroc_{score}" for score in SCORES)}
    for number, record in enumerate(records, start=1):
        assert set(record) == {"epoch", "step", "seconds"} | losses | (judged if number == 5 else set())
        assert_close(record["loss_d"], record["Dxz"] + record["Dxx"] + record["Dzz"], 3 + STEPS)  # none is negative
        assert all(math.isfinite(value) for value in record.values())
    assert len({record["loss_d"] for record in records}) == 7
    seconds = [record["seconds"] for record in records]
    assert seconds == sorted(seconds) and seconds[0] > 0


def test_reports(made: Made) -> None:
    assert [(report.step, report.steps) for report in made.reports] == [
        (STEPS * epoch, 7 * STEPS) for epoch in range(1, 8)
    ]
    records = history(made.run_dir)
    assert [report.losses["loss_ge"] for report in made.reports] == pytest.approx([r["loss_ge"] for r in records])
    assert all(type(report) is Progress for report in made.reports)
    assert [report.quality for report in made.reports] == [None] * 5 + [f"F1 {records[4]['f1']:.4f}"] * 2


# The same and another ---------------------------------------------------------------------------------------------


def test_same_seed_same_bits_however_it_is_watched(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with other record lengths and calls of the graph, which affect reports only."""
    monkeypatch.setattr(run, "RECORDS", 3)
    monkeypatch.setattr(run, "CHUNK_STEPS", 5)
    reports: list[Progress] = []
    run.run(settings(), 3, tmp_path / "again", report=reports.append)
    assert same(made.run_dir, tmp_path / "again", "weights.npz")
    assert same(made.run_dir, tmp_path / "again", "scores.npz")
    assert [report.step for report in reports] == [5, 10, 12, 17, 22, 24, 28]
    coarse, fine = history(tmp_path / "again"), history(made.run_dir)
    assert [(record["epoch"], record["step"]) for record in coarse] == [(3, 12), (6, 24), (7, 28)]
    for record, epochs in zip(coarse, (fine[:3], fine[3:6], fine[6:])):
        for name in ("loss_d", "loss_ge", "Dxz"):
            assert_close(record[name], np.mean([epoch[name] for epoch in epochs]), 3 * STEPS)  # none is negative


def test_labels_of_the_test_rows_choose_nothing(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = loading.load("toy")
    flipped = split._replace(y_test=split.y_test[::-1].copy())
    monkeypatch.setattr(loading, "load", lambda *_, **__: flipped)
    result = run.run(settings(), 3, tmp_path / "flipped")
    assert same(made.run_dir, tmp_path / "flipped", "weights.npz")
    assert arrays(tmp_path / "flipped" / "scores.npz")["l2"].tobytes() == (
        arrays(made.run_dir / "scores.npz")["l2"].tobytes()
    )
    assert result["scores"] != made.result["scores"]


def test_other_seed_other_weights(made: Made, tmp_path: Path) -> None:
    run.run(settings(), 4, tmp_path)
    one, other = (arrays(run_dir / "weights.npz") for run_dir in (made.run_dir, tmp_path))
    assert all(not np.array_equal(one[name], other[name]) for name in one if one[name].ndim == 2)


def names(run_dir: Path) -> set[str]:
    return set(arrays(run_dir / "weights.npz"))


def test_options_reach_the_networks(made: Made, tmp_path: Path) -> None:
    plain = settings(epochs=1, spectral_norm=None, latent_discriminator=False, ema_decay=None)
    run.run(plain, 3, tmp_path / "baseline")
    assert {name.split("/")[0] for name in names(tmp_path / "baseline")} == {"G", "E", "Dxz", "Dxx"}
    # Kernel and bias of two layers, and u of the hidden one.
    assert len({name for name in names(made.run_dir) if name.startswith("E/")}) == 5
    assert len({name for name in names(tmp_path / "baseline") if name.startswith("E/")}) == 4
    assert "Dzz" not in history(tmp_path / "baseline")[0]
    again = Scorer(run.load_networks(tmp_path / "baseline"))(loading.load("toy").x_test)
    assert again["features"].tobytes() == arrays(tmp_path / "baseline" / "scores.npz")["features"].tobytes()


def test_average_scores_and_is_stored(made: Made, tmp_path: Path) -> None:
    """After the same training: the trained weights, or their average over the steps."""
    run.run(settings(ema_decay=None), 3, tmp_path / "trained")
    trained, average = arrays(tmp_path / "trained" / "weights.npz"), arrays(made.run_dir / "weights.npz")
    assert [r["loss_d"] for r in history(tmp_path / "trained")] == [r["loss_d"] for r in history(made.run_dir)]
    assert all(not np.array_equal(trained[name], average[name]) for name in trained if name.startswith(("G/", "E/0")))
    start = weights.get_arrays(networks.build(SMALL, spectral_norm="paper", seed=3))
    moved, lagging = (np.abs(stored["G/0"] - start["G/0"]).sum() for stored in (trained, average))
    assert 0 < lagging < moved


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"spectral_norm": None, "latent_discriminator": True, "average": False, "jit": False}),
        ({"jit": True}, {"jit": True}),
        ({"spectral_norm": "tfa"}, {"spectral_norm": "tfa"}),
        ({"latent_discriminator": False}, {"latent_discriminator": False}),
        ({"ema_decay": 0.5}, {"average": True, "ema_decay": 0.5}),
        ({"scaling": "minmax"}, {"scaling": "minmax"}),
        ({"training_half": "released"}, {"training_half": "released"}),
    ],
)
def test_options_are_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Options, expected: dict[str, object]
) -> None:
    received: Options = {}

    class Stopped(Exception):  # noqa: N818
        pass

    def load(name: str, **keywords: Any) -> base.Split:
        received.update(keywords, name=name)
        return toy_split

    def build(table: object, **keywords: Any) -> object:
        received.update(keywords, table=table)
        return object()

    def trainer(*_: object, **keywords: Any) -> None:
        received.update({**keywords, "average": keywords["average"] is not None})
        raise Stopped

    toy_split = loading.load("toy")
    monkeypatch.setattr(loading, "load", load)
    monkeypatch.setattr(networks, "build", build)
    monkeypatch.setattr(alad_trainer, "Trainer", trainer)
    with pytest.raises(Stopped):
        run.run(Settings.of_protocol("toy", **options), 5, tmp_path, data_dir=tmp_path / "data")
    everything = {"name": "toy", "table": SMALL, "seed": 5, "data_dir": tmp_path / "data", **expected}
    assert {key: received[key] for key in everything} == everything


# Faults -----------------------------------------------------------------------------------------------------------


def message(caught: pytest.ExceptionInfo[BaseException]) -> str:
    text = str(caught.value)
    assert "\n" not in text and "Expected" in text and "Received: " in text
    return text


def test_losses_that_are_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wild = dataclasses.replace(SMALL.optimizer, learning_rate=1e30)
    monkeypatch.setattr(toy, "ALAD", dataclasses.replace(SMALL, optimizer=wild))
    with pytest.raises(AladError) as caught:
        run.run(settings(spectral_norm=None), 0, tmp_path)
    assert "Received: loss_ge is nan at step 1." in message(caught)
    assert files_in(tmp_path) == {"config.json"}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_one_loss_that_is_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: float) -> None:
    losses = {"loss_d": 1.0, "loss_ge": 2.0, "Dxz": 3.0, "Dxx": bad}
    monkeypatch.setattr(alad_trainer.Trainer, "train", lambda self, steps: losses)
    with pytest.raises(AladError) as caught:
        run.run(settings(), 0, tmp_path)
    assert f"Received: Dxx is {bad} at step 0." in message(caught)
    assert files_in(tmp_path) == {"config.json"}


def test_folder_of_other_settings_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("the data were loaded")

    settings().claim(tmp_path, 3)
    monkeypatch.setattr(loading, "load", load)
    with pytest.raises(SettingsError, match="epochs is 7 there and 8 here"):
        run.run(settings(epochs=8), 3, tmp_path)


@pytest.mark.parametrize("fails", ["scores.npz", "weights.npz"])
def test_full_disk_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    savez = np.savez

    def full(path: Path, **stored: np.ndarray) -> None:
        if fails in Path(path).name:
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        savez(path, **stored)

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        run.run(settings(epochs=1), 0, tmp_path)
    written = files_in(tmp_path) - {f"reconstructions{suffix}" for suffix in FIGURE_SUFFIXES}
    assert written == {"config.json", "history.jsonl"} | ({"scores.npz"} if fails == "weights.npz" else set())


def test_figure_that_cannot_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is then incomplete: the next call draws the figure."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plots, "save_toy_figure", full)
    with pytest.raises(OSError, match="No space left"):
        run.run(settings(epochs=1), 0, tmp_path)
    assert not is_complete(tmp_path)


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Path:
    for name in RUN_FILES:
        (tmp_path / name).write_bytes((made.run_dir / name).read_bytes())
    return tmp_path


@pytest.mark.parametrize("damage", ["removed", "empty", "truncated", "text", "flipped"])
def test_damaged_weights(copied: Path, damage: str) -> None:
    path = copied / "weights.npz"
    content = path.read_bytes()
    middle = len(content) // 2
    path.unlink()
    if damage != "removed":
        flipped = content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
        truncated = content[:middle]
        path.write_bytes({"empty": b"", "truncated": truncated, "text": b"not arrays", "flipped": flipped}[damage])
    with pytest.raises(DataError) as caught:
        run.load_networks(copied)
    assert str(path) in message(caught)


@pytest.mark.parametrize("change", ["missing", "left over", "shape", "pickled"])
def test_weights_of_another_table(copied: Path, change: str) -> None:
    stored = arrays(copied / "weights.npz")
    if change == "missing":
        del stored["G/0"]
    elif change == "left over":
        stored["G/99"] = stored["G/0"]
    elif change == "shape":
        stored["G/0"] = stored["G/0"][:, :-1]
    else:
        stored["G/0"] = np.array([{}], dtype=object)
    np.savez(copied / "weights.npz", **stored)
    with pytest.raises(DataError) as caught:
        run.load_networks(copied)
    assert str(copied / "weights.npz") in message(caught)


@pytest.mark.parametrize("changes", [{"dataset": "mnist"}, {"spectral_norm": "weak"}, {"epochs": None}])
def test_damaged_config(copied: Path, changes: Options) -> None:
    config = {**json.loads((copied / "config.json").read_text()), **changes}
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError) as caught:
        run.load_networks(copied)
    assert "config.json" in message(caught)


def test_few_test_rows_of_one_kind_are_refused() -> None:
    split = base.Split(np.zeros((4, 2)), None, np.zeros((100, 2)), np.arange(100) == 0)
    with pytest.raises(SettingsError, match="Expected test rows of both kinds. Received: 2, all normal"):
        run._sampled(of_method("toy", "mean", test_rows=2), 0, split)
