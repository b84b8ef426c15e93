"""`alad report`: a page about a model folder and, optionally, the rows it scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from alad_tf.columns.schema import Kind, as_numbers, as_text, require
from alad_tf.errors import DataError
from alad_tf.estimator import explanations, thresholds
from alad_tf.report.page import AnomalousRow, Cell, Page
from alad_tf.report.score_view import ScoreView
from alad_tf.tabular import readers
from alad_tf.tabular.dialects import ANY, Dialect
from alad_tf.tabular.labels import Labels
from alad_tf.tabular.model import CHUNK_ROWS, Model, bar, sound, trained_on
from alad_tf.tabular.profiles import DriftCounter
from alad_tf.tabular.scored_table import score_column

if TYPE_CHECKING:
    from alad_tf.estimator.alad import ALAD

CELLS = 5  # columns shown for each anomalous row
OLD_FOLDER = "This model folder does not hold {}, which {}."
NO_ROWS = "No rows were given: `alad report MODEL ROWS` adds this part."
ONLY_SCORES = "{} lacks the model's columns ({}), so only its scores are shown."


@dataclass(frozen=True)
class Rows:
    """The rows that a page is about.

    Args:
        path: a file with the model's columns, or a file with scores written by `alad score`.
        labels: label column, for metrics.
        id_column: column with the names of the rows; None: they are numbered from 1.
        top: number of anomalous rows to list.
        source: what the page calls the file; None: its path.
        dialect: how the file is read, as far as it is known.
    """

    path: Path
    labels: Labels | None = None
    id_column: str | None = None
    top: int = 25
    source: str | None = None
    dialect: Dialect = ANY


def model_page(folder: Path, rows: Rows | None = None) -> Page:
    """Collect the content of a page about a model folder and rows.

    Raises:
        DataError: the folder or the rows are unusable.
        SettingsError: the file does not have the label or id column.
    """
    model = Model.load(folder)
    with sound(folder):
        facts = _facts(model)
    page = Page(
        title=f"ALAD on {model.data['file']}",
        facts=facts,
        columns={"numeric columns": model.columns.numeric, "categorical columns": model.columns.categorical},
        losses=_losses(model),
        missing={"losses": OLD_FOLDER.format("the losses of each epoch", "earlier versions did not store")},
        notes=[f"Made by alad report from the model folder {folder}. This page loads nothing from the network."],
    )
    if rows is None:
        missing = {**page.missing, **dict.fromkeys(("rows", "drift"), NO_ROWS)}
        reference = model.estimator.reference_scores_
        view = ScoreView(reference, model.estimator.threshold_, None, f"{model.estimator.reference_} of the model")
        return replace(page, scores=view, missing=missing)
    _, usual = trained_on(folder)
    dialect = readers.settled(rows.path, rows.dialect, usual, model.columns.sources)
    present = readers.columns(rows.path, dialect)
    beside = [name for name in (rows.id_column, rows.labels.column if rows.labels else None) if name is not None]
    require(present, beside, "--id, --label")
    lacking = [name for name in model.columns.sources if name not in present]
    score = score_column(present)
    if lacking and score is None:
        raise DataError(
            f"Expected the model's columns, or scores of `alad score`, in {rows.path}. Received: no {lacking[0]!r} "
            f"and no 'score'; its columns are {', '.join(present[:8])}{' ...' if len(present) > 8 else ''}."
        )
    scan = _Scan(model, rows, lacking, score or "")
    with bar("scoring") as advance:
        of_scores: dict[str, Kind] = {score: "number"} if lacking and score is not None else model.columns.kinds()
        kinds: dict[str, Kind] = {**dict.fromkeys(beside, "text"), **of_scores}
        only = [name for name in present if name in kinds]
        for frame in readers.chunks(rows.path, CHUNK_ROWS, only=only, kinds=kinds, advance=advance, dialect=dialect):
            scan.add(frame)
    return scan.onto(page)


class _Scan:
    """Results of a pass over the rows of a file: all scores, the most anomalous rows, counts for drift."""

    def __init__(self, model: Model, rows: Rows, lacking: list[str], score: str) -> None:
        self._model, self._rows, self._lacking, self._score = model, rows, lacking, score
        self._scores: list[np.ndarray] = []
        self._anomalous: list[np.ndarray] = []
        self._top = pd.DataFrame()
        self._invalid = self._unlabelled = 0
        profile = {} if lacking else model.data.get("profile", {})
        self._drift = DriftCounter(profile, model.columns) if profile else None

    def add(self, frame: pd.DataFrame) -> None:
        """Score and count a chunk of rows; with labels, those that have one."""
        labels = self._rows.labels
        if labels is not None:
            known = labels.is_known(frame)
            self._unlabelled += int((~known).sum())
            frame = frame[known]
        if self._lacking:
            scores = as_numbers(frame[self._score]).to_numpy()
            valid = np.isfinite(scores) & (np.abs(scores) < thresholds.LARGEST)
        else:
            scored, _ = self._model.scored(frame)
            scores, valid = scored["score"].to_numpy(np.float64), scored["is_valid"].to_numpy(bool)
            if self._drift is not None:
                self._drift.add(self._model.columns.scoring_rows(frame)[0])
        self._invalid += int((~valid).sum())
        self._scores.append(scores[valid])
        if labels is not None:
            self._anomalous.append(labels.is_anomaly(frame)[valid])
        kept = frame[valid].assign(**{_SCORE: scores[valid]}).nlargest(self._rows.top, _SCORE)
        self._top = pd.concat([self._top, kept]).nlargest(self._rows.top, _SCORE) if len(self._top) else kept

    def onto(self, page: Page) -> Page:
        """Add the rows to a page."""
        scores = np.concatenate(self._scores) if self._scores else np.empty(0)
        if not len(scores):
            raise DataError(f"Expected rows that can be scored in {self._rows.path}. Received: none.")
        labels = self._rows.labels
        view = ScoreView(
            scores,
            self._model.estimator.threshold_,
            None if labels is None else np.concatenate(self._anomalous),
            f"rows of {self._rows.path.name}",
        )
        rows, contributions = self._anomalous_rows()
        missing = dict(page.missing)
        source = self._rows.source or self._rows.path
        notes = [*page.notes, f"Rows: {source}."]
        if self._invalid:
            notes.append(f"{self._invalid} rows with missing, infinite or too large cells are left out: no score.")
        if self._unlabelled:
            notes.append(f"{self._unlabelled} rows have no label and are left out.")
        if self._lacking:
            notes.append(ONLY_SCORES.format(source, ", ".join(self._lacking[:5])))
            missing["drift"] = notes[-1]
        elif self._drift is None:
            missing["drift"] = OLD_FOLDER.format(
                "the distributions of the training columns", "`alad fit` stores for at most 4,000 columns"
            )
        return replace(
            page,
            title=f"{page.title}: {self._rows.path.name}",
            scores=view,
            metrics=_metrics(view, missing),
            rows=rows,
            contributions=contributions,
            drift=self._drift.drift() if self._drift else (),
            missing=missing,
            notes=notes,
        )

    def _anomalous_rows(self) -> tuple[list[AnomalousRow], dict[str, float]]:
        """The most anomalous rows, and the mean share of each column in their contributions, largest first."""
        frame, model = self._top, self._model
        explained: list[list[Cell]] = [[] for _ in range(len(frame))]
        contributions: dict[str, float] = {}
        if not self._lacking:
            x, _ = model.features(frame)
            expected, contributed = model.contributions(x)
            shares = pd.DataFrame(explanations.shares(contributed), columns=model.columns.names)
            means = shares.mean(axis=0).sort_values(ascending=False)
            contributions = {str(name): float(share) for name, share in means.items()}
            cells = model.encoder.cells(frame)
            for number, row in enumerate(explained):
                for name, share in shares.iloc[number].nlargest(CELLS).items():
                    value, usual = (_shown(of[name].iloc[number]) for of in (cells, expected))
                    row.append(Cell(str(name), value, usual, float(share)))
        names = frame.index + 1 if self._rows.id_column is None else as_text(frame[self._rows.id_column])
        labels = [""] * len(frame) if self._rows.labels is None else as_text(frame[self._rows.labels.column])
        scores = frame[_SCORE].to_numpy()
        p_values = thresholds.p_values(scores.astype(np.float32), model.estimator.reference_scores_)
        return [
            AnomalousRow(str(name), float(score), float(p), str(label), cells)
            for name, score, p, label, cells in zip(names, scores, p_values, labels, explained)
        ], contributions


_SCORE = "\0score"  # a name that no column in a file can have


def _shown(value: object) -> str:
    if pd.isna(value):
        return "missing"
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)


def _metrics(view: ScoreView, missing: dict[str, str]) -> tuple[list[str], list[list[object]]] | None:
    values = view.metrics()
    if values is None:
        if view.anomalous is not None:
            missing["metrics"] = "The rows are all normal, or all anomalous, by label: metrics need both kinds."
        return None
    names = {"auroc": "AUROC", "average_precision": "Average precision", "precision": "Precision at the threshold"}
    names.update(recall="Recall at the threshold", f1="F1 at the threshold")
    return ["Metric", "Value"], [[title, f"{values[name]:.4f}"] for name, title in names.items()]


def _facts(model: Model) -> list[tuple[str, object]]:
    data, estimator = model.data, model.estimator
    label = data["label"]
    return [
        ("Training rows", f"{data['rows']:,} of {data['file']}"),
        ("Held out of them", _held_out(estimator)),
        ("Columns", f"{len(model.columns.numeric)} numeric, {len(model.columns.categorical)} categorical"),
        ("Features", estimator.n_features_in_),
        ("Left out", ", ".join(data["dropped"]) or "none"),
        (
            "Normal rows",
            f"{label['column']} is {' or '.join(label['normal'])}" if label else "all (no label was given)",
        ),
        ("Architecture", estimator.table_.name),
        ("Score", estimator.score_name),
        ("Threshold", f"{estimator.threshold_:.6g}; {thresholds.described(estimator.threshold_rule_)}"),
        ("Seed", estimator.seed_),
        ("Time of training", f"{data['seconds']:g} s"),
    ]


def _held_out(estimator: ALAD) -> str:
    held_out = len(estimator.reference_scores_)
    return "none" if estimator.reference_ == "training rows" else f"{held_out:,}, for p-values"


def _losses(model: Model) -> dict[str, tuple[list[float], list[float]]]:
    names = {"loss_d": "discriminators", "loss_ge": "generator and encoder"}
    history = model.estimator.history_
    if len(history.get("loss_d", ())) < 2 <= model.estimator.table_.epochs:
        return {}
    return {
        title: (list(range(1, len(history[name]) + 1)), list(map(float, history[name])))
        for name, title in names.items()
        if name in history
    }
