"""One run of the paper's protocol (Section V): settings and a seed become a folder with a result.json."""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable
from zipfile import BadZipFile

import numpy as np

from alad_tf import data, files, metrics, networks, plots, scores, training
from alad_tf.errors import AladError, DataError
from alad_tf.settings import PROTOCOLS, Progress, Settings

CHUNK_STEPS = 1000  # at most, in one call of the graph: a few seconds between two reports
RECORDS = 100  # at most, in a run's history; every fifth is scored on the test rows


def run(
    settings: Settings,
    seed: int,
    run_dir: Path,
    *,
    data_dir: Path | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Train with one seed, score the test rows and write the run's files.

    The labels of the test rows are used for the metrics in history and result only: nothing is chosen by them.

    Args:
        settings: what to run.
        seed: governs initial weights, row order, z and dropout.
        run_dir: the run's folder; result.json is written last.
        data_dir: where the raw data are.
        report: called a few times a minute.

    Returns:
        What result.json holds.

    Raises:
        AladError: data missing or damaged, a folder of other settings, or a loss that is not finite.
    """
    settings.claim(run_dir, seed)
    split = data.load(
        settings.dataset, data_dir=data_dir, scaling=settings.scaling, training_half=settings.training_half
    )
    started = time.monotonic()
    trainer = _trainer(settings, seed, split.x_train)
    scorer = scores.Scorer(trainer.scoring_networks)
    top_fraction = PROTOCOLS[settings.dataset].top_fraction

    def judge(score: np.ndarray) -> dict[str, float]:
        return metrics.evaluate(split.y_test, score, top_fraction)

    history: list[dict[str, float]] = []
    for record in _train(settings, trainer, report):
        record["seconds"] = round(time.monotonic() - started, 3)
        if len(history) % 5 == 4:
            record.update(judge(scorer(split.x_test)["features"]))
        history.append(record)
    test_scores = scorer(split.x_test)
    result = {
        "dataset": settings.dataset,
        "method": settings.method,
        "seed": seed,
        "epochs": settings.epochs,
        "n_train": len(split.x_train),
        "n_test": len(split.x_test),
        "n_anomalies": int(split.y_test.sum()),
        "top_fraction": top_fraction,
        "seconds": round(time.monotonic() - started, 3),
        "settings": asdict(settings),
        "scores": {name: judge(score) for name, score in test_scores.items()},
    }
    if settings.table.data_dim == 2:
        _draw_plane(run_dir, split, trainer.scoring_networks)
    _write(run_dir, result, history, {"y_test": split.y_test, **test_scores}, trainer.scoring_networks)
    return result


def load_networks(run_dir: Path) -> networks.Networks:
    """The networks of a complete run, with the weights that its scores came from.

    Raises:
        DataError: a file of the run is missing or damaged, or the weights do not fit the run's table.
    """
    settings, seed = Settings.of_run(run_dir)
    built = _build(settings, seed)
    path = run_dir / "weights.npz"
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            networks.set_arrays(built, dict(arrays))
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(
            f"Expected the weights of a run with the table of its config.json in {path}. Received: {error}."
        ) from None
    return built


def _build(settings: Settings, seed: int) -> networks.Networks:
    return networks.build(
        settings.table,
        spectral_norm=settings.spectral_norm,
        latent_discriminator=settings.latent_discriminator,
        seed=seed,
    )


def _trainer(settings: Settings, seed: int, x_train: np.ndarray) -> training.Trainer:
    return training.Trainer(
        _build(settings, seed),
        settings.table,
        x_train,
        seed=seed,
        average=None if settings.ema_decay is None else _build(settings, seed),
        ema_decay=settings.ema_decay or 0.0,
        jit=settings.jit,
    )


def _train(
    settings: Settings, trainer: training.Trainer, report: Callable[[Progress], None]
) -> Iterator[dict[str, float]]:
    """Train to the end; every few epochs yield a record of the history: epoch, step and mean losses since the last."""
    epochs_a_record = math.ceil(settings.epochs / RECORDS)
    steps, f1 = settings.epochs * trainer.steps_per_epoch, None
    for first in range(0, settings.epochs, epochs_a_record):
        epoch = min(first + epochs_a_record, settings.epochs)
        sums: defaultdict[str, float] = defaultdict(float)
        for start in range(first * trainer.steps_per_epoch, epoch * trainer.steps_per_epoch, CHUNK_STEPS):
            count = min(CHUNK_STEPS, epoch * trainer.steps_per_epoch - start)
            losses = trainer.train(count)
            _require_finite(losses, start + count)
            for name, loss in losses.items():
                sums[name] += loss * count
            report(Progress(start + count, steps, losses, f1))
        record: dict[str, float] = {"epoch": epoch, "step": epoch * trainer.steps_per_epoch}
        record.update({name: total / ((epoch - first) * trainer.steps_per_epoch) for name, total in sums.items()})
        yield record
        f1 = record.get("f1", f1)


def _require_finite(losses: dict[str, float], step: int) -> None:
    bad = ", ".join(f"{name} is {loss}" for name, loss in losses.items() if not math.isfinite(loss))
    if bad:
        raise AladError(
            f"Expected finite losses. Received: {bad} at step {step}. Try --scaling minmax or another --seed."
        )


def _write(
    run_dir: Path,
    result: dict[str, Any],
    history: list[dict[str, float]],
    arrays: dict[str, np.ndarray],
    trained: networks.Networks,
) -> None:
    """Write a run's files; result.json last, for it makes the run complete."""
    files.write_text(run_dir / "history.jsonl", "".join(json.dumps(record) + "\n" for record in history))
    with files.replacing(run_dir / "scores.npz") as temporary:
        np.savez(temporary, **arrays)
    with files.replacing(run_dir / "weights.npz") as temporary:
        np.savez(temporary, **networks.get_arrays(trained))
    files.write_json(run_dir / "result.json", result)


def _draw_plane(run_dir: Path, split: data.Split, trained: networks.Networks) -> None:
    """Figure 2, for data of two features."""
    z = trained.E(split.x_test, training=False)
    x_hat = trained.G(z, training=False)
    plots.save_toy_figure(split.x_test, x_hat.numpy(), z.numpy(), split.y_test, run_dir / "reconstructions.png")
