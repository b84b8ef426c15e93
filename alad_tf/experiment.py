"""One run of the paper's protocol (Section V): settings and a seed become a folder with a result.json."""

from __future__ import annotations

import json
import math
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable
from zipfile import BadZipFile

import numpy as np

from alad_tf import checkpoints, data, files, metrics, networks, plots, scores, training
from alad_tf.errors import AladError, DataError, Stopped
from alad_tf.settings import PROTOCOLS, Progress, Settings

CHUNK_STEPS = 1000  # at most, in one call of the graph: a few seconds between two reports
CHECKPOINT_SECONDS = 120.0  # between two checkpoints
COLLAPSED = 1e-3  # mean loss_d below which a warning is due; 2 log 2 for each discriminator that cannot tell
RECORDS = 100  # at most, in a run's history; every fifth is scored on the test rows


@dataclass
class Log:
    """What a run has gathered so far beside its networks."""

    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)  # of the losses over the steps since the last record
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def f1(self) -> float | None:
        """The last one of the history."""
        return next((record["f1"] for record in reversed(self.history) if "f1" in record), None)

    def add(self, steps: int, losses: dict[str, float]) -> None:
        """Count the mean losses of a number of steps."""
        self.step += steps
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + loss * steps

    def record(self, epoch: int, steps: int, judge: Callable[[], dict[str, float]]) -> None:
        """Close a record of the history: the means over the steps since the last one; every fifth is judged."""
        record: dict[str, float] = {"epoch": epoch, "step": self.step}
        record.update({name: total / steps for name, total in self.sums.items()})
        record["seconds"] = round(self.seconds, 3)
        if len(self.history) % 5 == 4:
            record.update(judge())
        self.history.append(record)
        self.sums = {}


def run(
    settings: Settings,
    seed: int,
    run_dir: Path,
    *,
    data_dir: Path | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    warn: Callable[[str], None] = warnings.warn,
    stopping: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train with one seed, score the test rows and write the run's files; go on from a checkpoint where there is one.

    The labels of the test rows are used for the metrics in history and result only: nothing is chosen by them.

    Args:
        settings: what to run.
        seed: governs initial weights, row order, z and dropout.
        run_dir: the run's folder; result.json is written last.
        data_dir: where the raw data are.
        report: called a few times a minute.
        warn: told of what the run goes on in spite of: a damaged checkpoint, discriminators or scores that collapsed.
        stopping: asked a few times a minute whether to stop.

    Returns:
        What result.json holds.

    Raises:
        AladError: data missing or damaged, a folder of other settings or in use by another process, checkpoints that
            are all damaged, or a loss that is not finite.
        Stopped: `stopping` said so; the state is in a checkpoint.
    """
    settings.claim(run_dir, seed)
    with files.locked(run_dir):
        split = data.load(
            settings.dataset, data_dir=data_dir, scaling=settings.scaling, training_half=settings.training_half
        )
        started = time.monotonic()
        trainer = _trainer(settings, seed, split.x_train)
        saved = checkpoints.Checkpoints(run_dir / "checkpoints", trainer.variables)
        log = Log(**(saved.restore(warn) or {}))
        started -= log.seconds
        scorer = scores.Scorer(trainer.scoring_networks)
        top_fraction = PROTOCOLS[settings.dataset].top_fraction

        def judge(score: np.ndarray) -> dict[str, float]:
            return metrics.evaluate(split.y_test, score, top_fraction)

        _train(settings, trainer, log, saved, lambda: judge(scorer(split.x_test)["features"]), report, warn, stopping)
        test_scores = scorer(split.x_test)
        for name, score in test_scores.items():
            if np.ptp(score) == 0.0:
                warn(f"all test rows have the same score {name!r}")
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
        _write(run_dir, result, log.history, {"y_test": split.y_test, **test_scores}, trainer.scoring_networks)
        saved.remove()
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
    settings: Settings,
    trainer: training.Trainer,
    log: Log,
    saved: checkpoints.Checkpoints,
    judge: Callable[[], dict[str, float]],
    report: Callable[[Progress], None],
    warn: Callable[[str], None],
    stopping: Callable[[], bool],
) -> None:
    """Train from the log's step to the end; every few epochs the log gets a record of the history.

    Chunks begin at the same steps however often the run was stopped, so that the means of the losses are the same too.
    """
    started, last_saved, warned = time.monotonic() - log.seconds, time.monotonic(), False
    steps = settings.epochs * trainer.steps_per_epoch
    record_steps = math.ceil(settings.epochs / RECORDS) * trainer.steps_per_epoch
    while log.step < steps:
        first = log.step // record_steps * record_steps
        until = min(first + record_steps, steps)
        count = min(CHUNK_STEPS, until - log.step)
        losses = trainer.train(count)
        _require_finite(losses, trainer, log.step + 1, log.step + count)
        log.add(count, losses)
        report(Progress(log.step, steps, losses, log.f1))
        if losses["loss_d"] < COLLAPSED and not warned:
            warned = True
            warn(
                f"loss_d is {losses['loss_d']:.2g} at step {log.step}: the discriminators tell all pairs apart, and G "
                "and E learn little from them"
            )
        log.seconds = time.monotonic() - started
        if log.step == until:
            log.record(log.step // trainer.steps_per_epoch, until - first, judge)
        stop = stopping() and log.step < steps
        if stop or time.monotonic() - last_saved >= CHECKPOINT_SECONDS:
            saved.save(log.step, asdict(log))
            last_saved = time.monotonic()
        if stop:
            raise Stopped(f"stopped at step {log.step} of {steps}, where the same command goes on")


def _require_finite(losses: dict[str, float], trainer: training.Trainer, first: int, last: int) -> None:
    bad = [f"{name} is {loss}" for name, loss in losses.items() if not math.isfinite(loss)]
    if not bad:  # the last update of a chunk is in none of its losses
        bad = [
            f"a weight of {name} is not finite"
            for name, model in trainer.networks.models.items()
            if not all(np.isfinite(weight).all() for weight in model.get_weights())
        ]
    if bad:
        raise AladError(
            f"Expected finite losses. Received: {', '.join(bad)} within steps {first} to {last}. "
            "Try --scaling minmax or another --seed."
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
