"""One run of the paper's protocol (Section V): from settings and a seed to a folder with result.json."""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable

import numpy as np

from alad_tf import stack
from alad_tf.data import base, loading
from alad_tf.errors import DataError, SettingsError, Stopped
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
EPOCHS_END_SECONDS = 20.0  # after the last checkpoint, another one is written at the end of an epoch
COLLAPSED = 1e-3  # warn if mean loss_d is below; a discriminator that cannot tell pairs apart has 2 log 2


def run(
    settings: AnySettings,
    seed: int,
    run_dir: Path,
    *,
    data_dir: Path | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Document:
    """Train with one seed, score the test rows and write the run's files; resume from a checkpoint if there is one.

    Test labels are used only for the metrics in history.jsonl and result.json: nothing is selected by them.
    Damaged checkpoints and collapsed discriminators or scores are logged as warnings.

    Args:
        settings: settings of the run.
        seed: governs initial weights, row order, z and dropout.
        run_dir: folder of the run; result.json is written last.
        data_dir: folder with the raw data.
        report: called with the progress after each chunk of steps.
        stopping: called after each chunk of steps; True stops the run.

    Returns:
        The content of result.json.

    Raises:
        AladError: data missing or damaged, a folder with other settings or in use by another process, only damaged
            checkpoints, a non-finite loss, or, with several processes, one that has died.
        Stopped: `stopping` returned True; the state is in a checkpoint.
    """
    worker = workers.this(settings.strategy)
    if worker.chief:
        settings.claim(run_dir, seed)
    with distribution.together(settings.strategy) as strategy, worker.home(run_dir) as home, locks.locked(home):
        if not worker.chief:
            settings.claim(run_dir, seed)  # compares with the settings of the chief
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
            distribution.anywhere(strategy, True)  # wait until no process needs the checkpoints
            saved.remove()
        return result


def _checkpoints(run_dir: Path, trainer: Loop) -> checkpoints.Checkpoints:
    return checkpoints.Checkpoints(run_dir / "checkpoints", trainer.variables, trainer.scoring_variables)


def _watch(model: models.Model, report: Callable[[Progress], None], stopping: Callable[[], bool]) -> Watch:
    """Return a watch that reports the number of scored test rows and stops between chunks.

    Raises:
        Stopped: from the watch, if `stopping` returns True.
    """

    def watch(done: int, of: int) -> None:
        report(Progress(done, of, {}, phase="scoring"))
        if stopping() and done < of:
            then = "resumes there" if model.search else "scores them again"
            raise Stopped(f"stopped after {done} of {of} rows were scored; the same command {then}")

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
    """Draw the training and test rows of a run with a limit on them; return also their numbers."""
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
        if len(np.unique(split.y_test[test])) < 2:
            raise SettingsError(
                f"Expected test rows of both kinds. Received: {len(test)}, all "
                f"{'anomalies' if split.y_test[test[0]] else 'normal'}, of seed {seed}. Take more (--test-rows)."
            )
        split = split._replace(x_test=split.x_test[test], y_test=split.y_test[test])
    return split, counts


def load_networks(run_dir: Path) -> networks.Networks:
    """Load the networks of a complete run, with the weights that gave its scores.

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
    """Train from the step in the log to the end, or until the validation score stops improving.

    Every few epochs a record is added to the history; the weights with the best validation score are kept.

    Chunks begin at the same steps however often the run was stopped, so that the mean losses are identical too.
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
            raise Stopped(f"stopped at step {log.step} of {steps}; the same command resumes there")


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
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
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
    """Write the figures and files of a run; result.json last, because it marks the run as complete."""
    if judge.model.networks is not None:
        draw_figures(run_dir, judge.split, test_scores, judge.model.networks)
    atomic.write_text(run_dir / "history.jsonl", "".join(json.dumps(record) + "\n" for record in log.history))
    archives.write(run_dir / "scores.npz", {"y_test": judge.split.y_test, **test_scores})
    if "weights.npz" in settings.files:
        archives.write(run_dir / "weights.npz", judge.model.arrays())
    atomic.write_json(run_dir / "result.json", result)
