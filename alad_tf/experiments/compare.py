"""`alad compare`: comparison of ALAD with simpler methods and the paper's baselines on the user's data.

All methods get the same features. Each run is stored in a file, and finished runs are not repeated.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.neighbors import LocalOutlierFactor

from alad_tf import baselines, metrics
from alad_tf.baselines import classical
from alad_tf.columns.encoder import TrainingCells
from alad_tf.errors import AladError, DataError, SettingsError, one_line
from alad_tf.estimator.alad import ALAD
from alad_tf.io import atomic, locks, manifest, model_folder
from alad_tf.report import plots, results
from alad_tf.report.rendering import FORMATS, Figure, Table, mean_std
from alad_tf.report.results import METRICS
from alad_tf.tabular import readers
from alad_tf.tabular.dialects import ANY, Dialect
from alad_tf.tabular.fit import Preparation, logged_warnings, normal_rows
from alad_tf.tabular.labelled import LabelledRows
from alad_tf.typing import Document

logger = logging.getLogger(__name__)

DRAWS_NOTHING = ("kNN", "LOF", "OC-SVM", "mean")  # methods without random numbers, which run once
_ORDER = ("auroc", "average_precision", "precision", "recall", "f1")
SECONDS = {"fit_seconds": "Fit (s)", "score_seconds": "Score (s)"}
NU = 0.1  # of the one-class SVMs: fraction of the training rows outside, like ALAD's contamination
CURVE_POINTS = 500  # points of a stored ROC curve


@dataclass(frozen=True)
class Rows:
    """Training rows, test rows [n, d], and which of the latter are anomalies [n]."""

    train: TrainingCells
    x_train: np.ndarray
    x_test: np.ndarray
    anomaly: np.ndarray
    invalid: int

    @classmethod
    def read(cls, train: Path, test: Path, preparation: Preparation, dialect: Dialect = ANY) -> Rows:
        """Read both files as `alad fit` does.

        Raises:
            AladError: labels are missing, a file or its rows are unusable, or the test rows are all of one kind.
        """
        labels = preparation.labels
        if labels is None:
            raise SettingsError(
                "Expected --label and --normal, by which methods are compared. Received: neither. Without labels, "
                "methods differ in time and in the rows that they flag, and there is no way to tell which is right."
            )
        dialect = readers.settled(train, dialect)
        cells = TrainingCells(*preparation.encoder(normal_rows(train, preparation, dialect)))
        judged = LabelledRows(test, cells.encoder.columns, labels, dialect)
        x_test, anomaly, invalid = judged.features(cells.encoder)
        if anomaly.all() or not anomaly.any():
            raise DataError(
                f"Expected normal rows and anomalies in {test}, by the column {labels.column!r}. Received: "
                f"{int(anomaly.sum())} anomalies of {len(anomaly)} rows."
            )
        return cls(cells, cells.features(), x_test, anomaly, invalid)

    def digest(self) -> str:
        """SHA-256 of all features and labels."""
        found = hashlib.sha256()
        for part in (self.x_train, self.x_test, self.anomaly):
            found.update(str(part.shape).encode() + np.ascontiguousarray(part).tobytes())
        return found.hexdigest()

    def described(self) -> str:
        """Describe the rows in one line."""
        without = f"; {self.invalid} rows with missing or infinite cells left out" if self.invalid else ""
        return (
            f"{len(self.x_train)} rows to train on, {self.x_train.shape[1]} features; {len(self.x_test)} rows to test "
            f"on, {int(self.anomaly.sum())} of them anomalies{without}"
        )


def compare(rows: Rows, methods: Sequence[str], seeds: Sequence[int], output: Path) -> str:
    """Do missing runs, and write the table and the figure.

    Args:
        rows: result of `Rows.read`.
        methods: names from `options.COMPARABLE`.
        seeds: seeds of methods with random numbers; the others run once.
        output: folder for `runs/`, table.txt, table.md, table.csv and comparison.png; new, or used for the same rows.

    Returns:
        The table and a conclusion about ALAD, as text.

    Raises:
        SettingsError: the folder was used for other rows, or is in a model folder.
        AladError: every method fails, or another process compares in the folder.
    """
    model_folder.require_outside(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with locks.claimed(output):
        return _compared(rows, methods, seeds, output)


def _compared(rows: Rows, methods: Sequence[str], seeds: Sequence[int], output: Path) -> str:
    _require_same(output, rows)
    wanted = [(method, seed) for method in methods for seed in ((0,) if method in DRAWS_NOTHING else seeds)]
    paths = {(method, seed): output / "runs" / f"{method}-seed{seed}.json" for method, seed in wanted}
    kept = {run: _kept(path) for run, path in paths.items()}
    logger.info("%s", rows.described())
    found: dict[str, list[Document]] = {method: [] for method in methods}
    for number, ((method, seed), path) in enumerate(paths.items(), 1):
        run = kept[method, seed]
        if run is None:
            with logged_warnings():
                run = _run(method, seed, rows)
            if "failed" not in run:
                atomic.write_json(path, run)
        found[method].append(run)
        logger.info("%d of %d: %s, seed %d: %s", number, len(paths), method, seed, _line(run))
    if not any(_complete(runs) for runs in found.values()):
        raise AladError(f"Expected a method that can be used on these rows. Received: {'; '.join(_failures(found))}.")
    table = _table(found, rows)
    for form, suffix in FORMATS.items():
        atomic.write_text(output / f"table.{suffix}", table.render(form))
    _draw(found, output / "comparison.png")
    return "\n".join([table.as_text(), *_verdict(found), f"table and figure: {output}"])


def _build(method: str, seed: int, width: int) -> OutlierMixin:
    if method == "ALAD":
        return ALAD(scaling=None, random_state=seed, verbose=0)
    if method == "LOF":
        return LocalOutlierFactor(novelty=True)
    if method in ("DSEBM", "DAGMM"):
        return getattr(baselines, method)(scaling=None, random_state=seed, verbose=0)
    return classical.build(method, n_features=width, expected_anomalies=NU, seed=seed)


def _run(method: str, seed: int, rows: Rows) -> Document:
    """Metrics and seconds of a method, or the reason why it failed."""
    started = time.perf_counter()
    try:
        model = _build(method, seed, rows.x_train.shape[1]).fit(rows.train if method == "ALAD" else rows.x_train)
        fitted = time.perf_counter()
        x = rows.x_test
        scores = np.asarray(
            model.score_features(x)[0] if isinstance(model, ALAD) else -model.score_samples(x), np.float64
        )
        scored = time.perf_counter()
        found = metrics.by_labels(rows.anomaly.astype(np.uint8), scores)
    except (AladError, ValueError) as error:
        return {"failed": one_line(error)}
    curve = plots.thin(*plots.roc(rows.anomaly.astype(np.uint8), scores), CURVE_POINTS)
    return {
        **found,
        "fit_seconds": round(fitted - started, 3),
        "score_seconds": round(scored - fitted, 3),
        "roc": [values.tolist() for values in curve],
    }


def _line(run: Document) -> str:
    if "failed" in run:
        return f"failed: {run['failed']}"
    return f"AUROC {run['auroc']:.4f}, fit {run['fit_seconds']:.1f} s, score {run['score_seconds']:.1f} s"


def _complete(runs: Sequence[Document]) -> list[Document]:
    return [run for run in runs if "failed" not in run]


def _mean(runs: Sequence[Document], name: str) -> float:
    return float(np.mean([run[name] for run in runs]))


def _ranked(found: dict[str, list[Document]]) -> dict[str, list[Document]]:
    """The complete runs by method, largest AUROC first."""
    complete = {method: _complete(runs) for method, runs in found.items() if _complete(runs)}
    return dict(sorted(complete.items(), key=lambda item: -_mean(item[1], "auroc")))


def _table(found: dict[str, list[Document]], rows: Rows) -> Table:
    columns = {**{name: METRICS[name] for name in _ORDER}, **SECONDS}
    lines = [[method, *(_cell(runs, name) for name in columns)] for method, runs in _ranked(found).items()]
    notes = [
        rows.described() + ".",
        "Precision, recall and F1: as many rows are flagged as there are anomalies. Seconds: wall-clock.",
        *_failures(found),
    ]
    return Table("Methods by AUROC", ["Method", *columns.values()], lines, notes)


def _failures(found: dict[str, list[Document]]) -> list[str]:
    """A note on each method with runs that failed."""
    notes = []
    for method, runs in found.items():
        reasons = [run["failed"] for run in runs if "failed" in run]
        seeds = f" for {len(reasons)} of {len(runs)} seeds" if len(runs) > 1 else ""
        notes += [f"{method} failed{seeds}: {reasons[0]}"] if reasons else []
    return notes


def _cell(runs: Sequence[Document], name: str) -> Figure:
    """Mean and, for several runs, standard deviation."""
    return mean_std(**results.mean_and_std([run[name] for run in runs]), places=2 if name in SECONDS else 4)


def _verdict(found: dict[str, list[Document]]) -> list[str]:
    """Compare ALAD with the best other method, if both have complete runs."""
    ranked = _ranked(found)
    others = [method for method in ranked if method != "ALAD"]
    if "ALAD" not in ranked or not others:
        return []
    best, ours = others[0], _mean(ranked["ALAD"], "auroc")
    difference = ours - _mean(ranked[best], "auroc")
    place = f"{abs(difference):.4f} {'above' if difference > 0 else 'below'}" if abs(difference) >= 5e-5 else "equal to"
    return [f"ALAD: AUROC {ours:.4f}, {place} {best}, the best of the others."]


def _draw(found: dict[str, list[Document]], path: Path) -> None:
    """Plot the ROC curve of each method's first run, and mean AUROC over mean seconds."""
    ranked = _ranked(found)
    plots.save_methods_figure(
        {method: (np.array(runs[0]["roc"][0]), np.array(runs[0]["roc"][1])) for method, runs in ranked.items()},
        {method: sum(_mean(runs, name) for name in SECONDS) for method, runs in ranked.items()},
        {method: _mean(runs, "auroc") for method, runs in ranked.items()},
        path,
    )


def _require_same(output: Path, rows: Rows) -> None:
    """Record the rows that a folder is used for, or refuse a folder used for other rows (SettingsError)."""
    path = output / "rows.json"
    if path.exists():
        if manifest.read_object(path).get("sha256") != rows.digest():
            raise SettingsError(
                f"Expected the same rows and columns as in {output}. Received: others. Pass another "
                "--output, or remove that folder."
            )
        return
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise SettingsError(f"Expected a new folder, or one of `alad compare`. Received: {output}.")
    atomic.write_json(path, {"sha256": rows.digest(), "rows": rows.described()})


def _kept(path: Path) -> Document | None:
    """A run that was completed before, if there is one."""
    if not path.exists():
        return None
    run = manifest.read_object(path)
    if not _is_complete(run):
        raise DataError(f"Expected a run of `alad compare`. Received: {path}, which holds something else. Remove it.")
    return run


def _is_complete(run: Document) -> bool:
    """Whether a run has its metrics and ROC curve, of numbers from 0 to 1, and finite seconds."""
    roc = run.get("roc")
    if not isinstance(roc, list) or len(roc) != 2 or not all(isinstance(axis, list) for axis in roc):
        return False
    shares = [*(run.get(name) for name in METRICS), *roc[0], *roc[1]]
    of_length = 0 < len(roc[0]) == len(roc[1])
    return of_length and all(map(results.is_share, shares)) and all(results.is_from_zero(run.get(s)) for s in SECONDS)
