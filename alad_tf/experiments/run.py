"""One run of the paper's protocol (Section V): settings and a seed become a folder with a result.json."""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Callable

import numpy as np

from alad_tf import stack
from alad_tf.data import base, loading
from alad_tf.errors import DataError, Stopped
from alad_tf.experiments import checkpoints, models, workers
from alad_tf.experiments.baseline_settings import AnySettings
from alad_tf.experiments.evaluation import Judge, score_test_rows, unshared_rows
from alad_tf.experiments.figures import draw_figures
from alad_tf.experiments.history import RECORDS, Log
from alad_tf.experiments.progress import Progress
from alad_tf.experiments.protocol import PROTOCOLS
from alad_tf.experiments.settings import WRITTEN, Settings
from alad_tf.io import archives, atomic, locks
from alad_tf.model import distribution, networks
from alad_tf.model.batching import Watch
from alad_tf.model.trainer import Loop
from alad_tf.model.training_loop import CHUNK_STEPS, EarlyStopping, chunks
from alad_tf.model.weights import set_arrays
from alad_tf.typing import Document

logger = logging.getLogger(__name__)

CHUNK_IMAGE_STEPS = 10
CHECKPOINT_SECONDS = 120.0  # at most, between two checkpoints
EPOCHS_END_SECONDS = 20.0  # after the last checkpoint, the end of an epoch is worth one
COLLAPSED = 1e-3  # mean loss_d below which a warning is due; 2 log 2 for each discriminator that cannot tell


def run(
    settings: AnySettings,
    seed: int,
    run_dir: Path,
    *,
    data_dir: Path | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Document:
    """Train with one seed, score the test rows and write the run's files; go on from a checkpoint where there is one.

    The labels of the test rows are used for the metrics in history and result only: nothing is chosen by them.
    Damaged checkpoints and collapsed discriminators or scores are logged as warnings.

    Args:
        settings: what to run.
        seed: governs initial weights, row order, z and dropout.
        run_dir: the run's folder; result.json is written last.
        data_dir: where the raw data are.
        report: called a few times a minute.
        stopping: asked a few times a minute whether to stop.

    Returns:
        What result.json holds.

    Raises:
        AladError: data missing or damaged, a folder of other settings or in use by another process, checkpoints that
            are all damaged, a loss that is not finite, or, with several processes, one that is gone.
        Stopped: `stopping` said so; the state is in a checkpoint.
    """
    worker = workers.this(settings.strategy)
    if worker.chief:
        settings.claim(run_dir, seed)
    with distribution.together(settings.strategy) as strategy, worker.home(run_dir) as home, locks.locked(home):
        if not worker.chief:
            settings.claim(run_dir, seed)  # compares with the chief's
        atomic.remove_leftovers(home, WRITTEN)
        whole = _load(settings, data_dir)
        split, counts = _sampled(settings, seed, whole)
        started = time.monotonic()
        model = models.build(settings, seed, split.x_train, strategy)
        judge, log = Judge(settings, split, model), Log()
        if model.trainer is not None:
            saved, chiefs = (_checkpoints(folder, model.trainer) for folder in (home, run_dir))
            log = Log.of_checkpoint(chiefs.restore())
            log.require_stack()
            started -= log.seconds
            _train(settings, model.trainer, log, saved, judge, report, stopping)
            if settings.weights == "best" and log.best is not None:
                chiefs.restore_best(int(log.best["step"]))
        watch = _watch(model, report, stopping)
        test_scores = score_test_rows(model, split.x_test, home / "checkpoints" / "scores.npz", watch)
        result = _result(settings, seed, log, judge, counts, test_scores, whole, time.monotonic() - started)
        _write(home, settings, result, log, judge, test_scores)
        if model.trainer is not None:
            distribution.anywhere(strategy, True)  # no process needs the checkpoints any more
            saved.remove()
        return result


def _checkpoints(run_dir: Path, trainer: Loop) -> checkpoints.Checkpoints:
    return checkpoints.Checkpoints(run_dir / "checkpoints", trainer.variables, trainer.scoring_variables)


def _watch(model: models.Model, report: Callable[[Progress], None], stopping: Callable[[], bool]) -> Watch:
    """Report how many test rows are scored, and stop between two chunks of them.

    Raises:
        Stopped: by the watch, where `stopping` says so.
    """

    def watch(done: int, of: int) -> None:
        report(Progress(done, of, {}, phase="scoring"))
        if stopping() and done < of:
            anew = "goes on there" if model.search else "scores them anew"
            raise Stopped(f"stopped after {done} of {of} rows were scored; the same command {anew}")

    return watch


def _load(settings: AnySettings, data_dir: Path | None) -> base.Split:
    return loading.load(
        settings.dataset,
        data_dir=data_dir,
        scaling=settings.scaling,
        training_half=settings.training_half,
        normal_class=settings.normal_class,
    )


def _sampled(settings: AnySettings, seed: int, split: base.Split) -> tuple[base.Split, dict[str, int]]:
    """The rows that a run trains on and scores, drawn at random where it has a limit; and how many there are."""
    counts, random = {"n_train": len(split.x_train), "n_test": len(split.x_test)}, np.random.default_rng(seed)

    def draw(kind: str) -> np.ndarray | None:
        limit, n = getattr(settings, f"{kind}_rows", None), counts[f"n_{kind}"]
        if limit is None or limit >= n:
            return None
        counts[f"n_{kind}_used"] = limit
        return np.sort(random.choice(n, limit, replace=False))

    train, test = draw("train"), draw("test")
    if train is not None:
        split = split._replace(x_train=split.x_train[train])
    if test is not None:
        split = split._replace(x_test=split.x_test[test], y_test=split.y_test[test])
    return split, counts


def load_networks(run_dir: Path) -> networks.Networks:
    """The networks of a complete run, with the weights that its scores came from.

    Raises:
        DataError: a file of the run is missing or damaged, or the weights do not fit the run's table.
    """
    settings, seed = Settings.of_run(run_dir)
    built = models.build_networks(settings, seed)
    path = run_dir / "weights.npz"
    try:
        set_arrays(built, archives.arrays(path))
    except (OSError, *archives.DAMAGE) as error:
        raise DataError(
            f"Expected the weights of a run with the table of its config.json in {path}. Received: {error}."
        ) from error
    return built


def _train(
    settings: AnySettings,
    trainer: Loop,
    log: Log,
    saved: checkpoints.Checkpoints,
    judge: Judge,
    report: Callable[[Progress], None],
    stopping: Callable[[], bool],
) -> None:
    """Train from the log's step to the end, or until validation no longer improves.

    Every few epochs the log gets a record of the history; the weights are kept where validation is better than ever.

    Chunks begin at the same steps however often the run was stopped, so that the means of the losses are the same too.
    """
    started, last_saved, warned = time.monotonic() - log.seconds, time.monotonic(), False
    metric, steps = PROTOCOLS[settings.dataset].metric, settings.epochs * trainer.steps_per_epoch
    early = EarlyStopping(settings.patience, log.best, log.epoch)
    for chunk in chunks(
        trainer,
        steps,
        first=log.step,
        period=math.ceil(settings.epochs / RECORDS) * trainer.steps_per_epoch,
        size=CHUNK_STEPS if settings.normal_class is None else CHUNK_IMAGE_STEPS,
        sums=log.sums,
        early=early,
        remedy="Try --scaling minmax or another --seed.",
    ):
        log.step = chunk.step
        quality = log.last(metric)
        report(Progress(log.step, steps, chunk.losses, None if quality is None else f"{metric.upper()} {quality:.4f}"))
        loss_d = chunk.losses.get("loss_d", math.inf)
        if loss_d < COLLAPSED and not warned:
            warned = True
            logger.warning(
                "loss_d is %.2g at step %d: the discriminators tell all pairs apart, and G and E learn little from "
                "them",
                loss_d,
                log.step,
            )
        log.seconds = time.monotonic() - started
        if chunk.means is not None:
            epoch, validation = log.step // trainer.steps_per_epoch, judge.validation()
            improved = validation is not None and early.update(epoch, log.step, validation)
            log.best = early.best
            log.record(epoch, chunk.means, judge.now, validation)
            if improved:
                saved.save_best(log.step)
        after = EPOCHS_END_SECONDS if log.step % trainer.steps_per_epoch == 0 else CHECKPOINT_SECONDS
        late = time.monotonic() - last_saved >= after or (judge.model.search is not None and log.step == steps)
        stop, due = distribution.anywhere(trainer.strategy, stopping() and log.step < steps, late)
        if stop or due:
            saved.save(log.step, asdict(log))
            last_saved = time.monotonic()
        if stop:
            raise Stopped(f"stopped at step {log.step} of {steps}, where the same command goes on")


def _result(
    settings: AnySettings,
    seed: int,
    log: Log,
    judge: Judge,
    counts: dict[str, int],
    test_scores: dict[str, np.ndarray],
    whole: base.Split,
    seconds: float,
) -> Document:
    """Content of result.json."""
    return {
        "dataset": settings.dataset,
        "method": settings.method,
        "seed": seed,
        "epochs": settings.epochs,
        **log.of_validation(),
        **counts,
        "seconds": round(seconds, 3),
        "stack": stack.described(),
        "settings": asdict(settings),
        **judge.of_test_rows(test_scores),
        **unshared_rows(whole.x_train, judge.split, test_scores),
    }


def _write(
    run_dir: Path,
    settings: AnySettings,
    result: Document,
    log: Log,
    judge: Judge,
    test_scores: dict[str, np.ndarray],
) -> None:
    """Write the figures and files of a run; result.json last, for it makes the run complete."""
    if judge.model.networks is not None:
        draw_figures(run_dir, judge.split, test_scores, judge.model.networks)
    atomic.write_text(run_dir / "history.jsonl", "".join(json.dumps(record) + "\n" for record in log.history))
    archives.write(run_dir / "scores.npz", {"y_test": judge.split.y_test, **test_scores})
    if "weights.npz" in settings.files:
        archives.write(run_dir / "weights.npz", judge.model.arrays())
    atomic.write_json(run_dir / "result.json", result)
