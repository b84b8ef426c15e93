"""One run of the paper's protocol (Section V): settings and a seed become a folder with a result.json."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable

import numpy as np

from alad_tf import checkpoints, data, files, methods, metrics, networks, packed, plots, replicas, workers
from alad_tf.baselines.settings import AnySettings
from alad_tf.chunks import Parts, Watch, unwatched
from alad_tf.errors import AladError, DataError, Stopped, one_line
from alad_tf.loop import Loop
from alad_tf.settings import PROTOCOLS, Progress, Settings

CHUNK_STEPS = 1000  # at most, in one call of the graph: a few seconds between two reports
CHUNK_IMAGE_STEPS = 10
CHECKPOINT_SECONDS = 120.0  # at most, between two checkpoints
EPOCHS_END_SECONDS = 20.0  # after the last checkpoint, the end of an epoch is worth one
COLLAPSED = 1e-3  # mean loss_d below which a warning is due; 2 log 2 for each discriminator that cannot tell
RECORDS = 100  # at most, in a run's history; every fifth is scored on the test rows


@dataclass
class Log:
    """What a run has gathered so far beside its networks."""

    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)  # of the losses over the steps since the last record
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, float] | None = None  # epoch, step and validation: of the smallest mean validation score

    def last(self, metric: str) -> float | None:
        """The last value of a metric in the history."""
        return next((record[metric] for record in reversed(self.history) if metric in record), None)

    def of_validation(self) -> dict[str, Any]:
        """What a result says of the best epoch; nothing where there was no validation."""
        return {} if self.best is None else {"last_epoch": self.history[-1]["epoch"], "best": self.best}

    def add(self, steps: int, losses: dict[str, float]) -> None:
        """Count the mean losses of a number of steps."""
        self.step += steps
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + loss * steps

    def record(self, epoch: int, steps: int, judge: Callable[[], dict[str, float]], validation: float | None) -> None:
        """Close a record of the history: the means over the steps since the last one; every fifth is judged."""
        record: dict[str, float] = {"epoch": epoch, "step": self.step}
        record.update({name: total / steps for name, total in self.sums.items()})
        record["seconds"] = round(self.seconds, 3)
        if validation is not None:
            record["validation"] = validation
            if self.best is None or validation < self.best["validation"]:
                self.best = {"epoch": epoch, "step": self.step, "validation": validation}
        if len(self.history) % 5 == 4:
            record.update(judge())
        self.history.append(record)
        self.sums = {}


def run(
    settings: AnySettings,
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
            are all damaged, a loss that is not finite, or, with several processes, one that is gone.
        Stopped: `stopping` said so; the state is in a checkpoint.
    """
    worker = workers.this(settings.strategy)
    if worker.chief:
        settings.claim(run_dir, seed)
    with replicas.together(settings.strategy) as strategy, worker.home(run_dir) as home, files.locked(home):
        settings.claim(run_dir, seed)  # by the others: compared with the chief's
        whole = data.load(
            settings.dataset,
            data_dir=data_dir,
            scaling=settings.scaling,
            training_half=settings.training_half,
            normal_class=settings.normal_class,
        )
        split, counts = _sampled(settings, seed, whole)
        started = time.monotonic()
        model = methods.build(settings, seed, split.x_train, strategy)
        judge, log = _Judge(settings, split, model), Log()

        def watch(done: int, of: int) -> None:
            report(Progress(done, of, {}, phase="scoring"))
            if stopping() and done < of:
                anew = "goes on there" if model.search else "scores them anew"
                raise Stopped(f"stopped after {done} of {of} rows were scored; the same command {anew}")

        if model.trainer is not None:
            saved, chiefs = (
                checkpoints.Checkpoints(
                    folder / "checkpoints", model.trainer.variables, model.trainer.scoring_variables
                )
                for folder in (home, run_dir)
            )
            log = Log(**(chiefs.restore(warn) or {}))
            started -= log.seconds
            _train(settings, model.trainer, log, saved, judge, report, warn, stopping)
            if settings.weights == "best" and log.best is not None:
                chiefs.restore_best(int(log.best["step"]))
        test_scores = _scores(model, split.x_test, home / "checkpoints" / "scores.npz", watch, warn)
        for name, score in test_scores.items():
            if np.ptp(score) == 0.0:
                warn(f"all test rows have the same score {name!r}")
        result = {
            "dataset": settings.dataset,
            "method": settings.method,
            "seed": seed,
            "epochs": settings.epochs,
            **log.of_validation(),
            **counts,
            "seconds": round(time.monotonic() - started, 3),
            "settings": asdict(settings),
            **judge.of_test_rows(test_scores),
            **_unshared(whole.x_train, split, test_scores),
        }
        if model.networks is not None:
            _draw(home, split, test_scores, model.networks)
        _write(home, settings, result, log.history, {"y_test": split.y_test, **test_scores}, model.arrays())
        if model.trainer is not None:
            replicas.anywhere(strategy, True)  # no process needs the checkpoints any more
            saved.remove()
        return result


class _Judge:
    """How well a model finds the anomalies among the test rows of a split."""

    def __init__(self, settings: AnySettings, split: data.Split, model: methods.Model) -> None:
        self.settings, self.split, self.model = settings, split, model
        self.top_fraction = PROTOCOLS[settings.dataset].top_fraction

    def __call__(self, score: np.ndarray) -> dict[str, float]:
        """All metrics of a score of the test rows."""
        return metrics.evaluate(self.split.y_test, score, self.top_fraction)

    def of_test_rows(self, test_scores: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """What a result says of the scores of the test rows."""
        return {
            **({} if self.split.stand_in is None else {"stand_in": self.split.stand_in}),
            "n_anomalies": int(self.split.y_test.sum()),
            "top_fraction": self.top_fraction,
            "scores": {name: self(score) for name, score in test_scores.items()},
        }

    def now(self) -> dict[str, float]:
        """Of the model as it is now: the metrics of its first score, AUROC of all; nothing where scoring is costly."""
        if self.model.search:
            return {}
        judged = {name: self(score) for name, score in self.model.scores(self.split.x_test, unwatched).items()}
        return {**judged[self.settings.scores[0]], **{f"auroc_{name}": judged[name]["auroc"] for name in judged}}

    def validation(self) -> float | None:
        """The mean score of the validation rows, where there are any."""
        if self.split.x_valid is None or self.model.validation is None:
            return None
        return float(self.model.scores(self.split.x_valid, unwatched)[self.model.validation].mean())


def _sampled(settings: AnySettings, seed: int, split: data.Split) -> tuple[data.Split, dict[str, int]]:
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


def _unshared(x_train: np.ndarray, split: data.Split, test_scores: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Metrics without the test rows that stand in the training set too, where there are such rows of numbers."""
    if split.x_test.ndim > 2:
        return {}
    seen = {row.tobytes() for row in x_train}
    new = np.array([row.tobytes() not in seen for row in split.x_test])
    y = split.y_test[new]
    if new.all() or len(set(y.tolist())) < 2:
        return {}
    scores = {name: metrics.ranking(y, score[new]) for name, score in test_scores.items()}
    return {"unshared": {"n_test": len(y), "n_anomalies": int(y.sum()), "scores": scores}}


def load_networks(run_dir: Path) -> networks.Networks:
    """The networks of a complete run, with the weights that its scores came from.

    Raises:
        DataError: a file of the run is missing or damaged, or the weights do not fit the run's table.
    """
    settings, seed = Settings.of_run(run_dir)
    built = methods.build_networks(settings, seed)
    path = run_dir / "weights.npz"
    try:
        networks.set_arrays(built, packed.arrays(path))
    except (OSError, *packed.DAMAGE) as error:
        raise DataError(
            f"Expected the weights of a run with the table of its config.json in {path}. Received: {error}."
        ) from None
    return built


def _train(
    settings: AnySettings,
    trainer: Loop,
    log: Log,
    saved: checkpoints.Checkpoints,
    judge: _Judge,
    report: Callable[[Progress], None],
    warn: Callable[[str], None],
    stopping: Callable[[], bool],
) -> None:
    """Train from the log's step to the end, or until validation no longer improves.

    Every few epochs the log gets a record of the history; the weights are kept where validation is better than ever.

    Chunks begin at the same steps however often the run was stopped, so that the means of the losses are the same too.
    """
    started, last_saved, warned = time.monotonic() - log.seconds, time.monotonic(), False
    protocol, steps = PROTOCOLS[settings.dataset], settings.epochs * trainer.steps_per_epoch
    record_steps = math.ceil(settings.epochs / RECORDS) * trainer.steps_per_epoch
    chunk = CHUNK_STEPS if settings.normal_class is None else CHUNK_IMAGE_STEPS
    while log.step < steps and not _patience_ended(settings, log):
        first = log.step // record_steps * record_steps
        until = min(first + record_steps, steps)
        count = min(chunk, until - log.step)
        losses = trainer.train(count)
        _require_finite(losses, trainer)
        log.add(count, losses)
        quality = log.last(protocol.metric)
        report(
            Progress(log.step, steps, losses, None if quality is None else f"{protocol.metric.upper()} {quality:.4f}")
        )
        loss_d = losses.get("loss_d", math.inf)
        if loss_d < COLLAPSED and not warned:
            warned = True
            warn(
                f"loss_d is {loss_d:.2g} at step {log.step}: the discriminators tell all pairs apart, and G and E "
                "learn little from them"
            )
        log.seconds = time.monotonic() - started
        if log.step == until:
            log.record(log.step // trainer.steps_per_epoch, until - first, judge.now, judge.validation())
            if log.best is not None and log.best["step"] == log.step:
                saved.save_best(log.step)
        after = EPOCHS_END_SECONDS if log.step % trainer.steps_per_epoch == 0 else CHECKPOINT_SECONDS
        late = time.monotonic() - last_saved >= after or (judge.model.search is not None and log.step == steps)
        stop, due = replicas.anywhere(trainer.strategy, stopping() and log.step < steps, late)
        if stop or due:
            saved.save(log.step, asdict(log))
            last_saved = time.monotonic()
        if stop:
            raise Stopped(f"stopped at step {log.step} of {steps}, where the same command goes on")


def _patience_ended(settings: AnySettings, log: Log) -> bool:
    if settings.patience is None or log.best is None:
        return False
    return bool(log.history[-1]["epoch"] - log.best["epoch"] >= settings.patience)


def _scores(
    model: methods.Model, x: np.ndarray, kept: Path, watch: Watch, warn: Callable[[str], None]
) -> dict[str, np.ndarray]:
    """The scores of the test rows x; a search goes on from what an earlier call has kept in a file."""
    if model.search is None:
        return model.scores(x, watch if model.trainer is None else unwatched)
    parts: Parts = {}
    if kept.exists():
        try:
            parts = packed.arrays(kept)
        except (OSError, *packed.DAMAGE) as error:
            warn(f"scores so far in {kept} are damaged, {one_line(error)}; scoring anew")
    return model.search(x, watch, _Kept(kept, parts))


class _Kept(Parts):
    """Parts that are in a file as soon as they are there."""

    def __init__(self, path: Path, parts: Parts) -> None:
        super().__init__(parts)
        self._path = path

    def __setitem__(self, name: str, part: np.ndarray) -> None:
        super().__setitem__(name, part)
        packed.write(self._path, self)


def _require_finite(losses: dict[str, float], trainer: Loop) -> None:
    bad = trainer.not_finite(losses)
    if bad:
        raise AladError(
            f"Expected finite losses. Received: {', '.join(bad)} at step {int(trainer.step)}. "
            "Try --scaling minmax or another --seed."
        )


def _write(
    run_dir: Path,
    settings: AnySettings,
    result: dict[str, Any],
    history: list[dict[str, float]],
    arrays: dict[str, np.ndarray],
    weights: dict[str, np.ndarray],
) -> None:
    """Write a run's files; result.json last, for it makes the run complete."""
    files.write_text(run_dir / "history.jsonl", "".join(json.dumps(record) + "\n" for record in history))
    packed.write(run_dir / "scores.npz", arrays)
    if "weights.npz" in settings.files:
        packed.write(run_dir / "weights.npz", weights)
    files.write_json(run_dir / "result.json", result)


def _draw(run_dir: Path, split: data.Split, test_scores: Mapping[str, np.ndarray], trained: networks.Networks) -> None:
    if split.x_test.shape[1:] == (2,):
        _draw_plane(run_dir, split, trained)
    if split.x_test.ndim == 4:
        _draw_images(run_dir, split, test_scores["features"], trained)


def _draw_plane(run_dir: Path, split: data.Split, trained: networks.Networks) -> None:
    """Figure 2, for data of two features."""
    z = trained.E(split.x_test, training=False)
    x_hat = trained.G(z, training=False)
    plots.save_toy_figure(split.x_test, x_hat.numpy(), z.numpy(), split.y_test, run_dir / "reconstructions.png")


def _draw_images(run_dir: Path, split: data.Split, score: np.ndarray, trained: networks.Networks) -> None:
    """Figures 5 and 6: normal and anomalous test images over their reconstructions."""
    shown = {}
    for kind, name in enumerate(("normal", "anomalous")):
        rows = np.flatnonzero(split.y_test == kind)[:10]
        x_hat = trained.reconstruct(networks.as_input(split.x_test[rows]))
        shown[name] = (split.x_test[rows], ((x_hat.numpy() + 1.0) * 127.5).round().astype(np.uint8), score[rows])
    plots.save_images_figure(shown, run_dir / "reconstructions.png")
