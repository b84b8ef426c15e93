"""`alad report` for a run of the paper's protocol: losses, scores, and metrics compared with the paper's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alad_tf.errors import DataError, one_line
from alad_tf.io import archives
from alad_tf.metrics import n_flagged
from alad_tf.report import paper, results
from alad_tf.report.page import AnomalousRow, Page
from alad_tf.report.results import METRICS
from alad_tf.report.score_view import ScoreView
from alad_tf.report.svg import LARGEST
from alad_tf.typing import Document

LOSSES = {
    "loss_d": "discriminators",
    "loss_ge": "generator and encoder",
    "loss_g": "generator",
    "loss": "loss",
    "validation": "score of the validation rows",
}
INVERTED = "On KDD99 the attacks are the normal class, as in the paper: 'anomalies' here are ordinary connections."


def is_run(folder: Path) -> bool:
    """Whether a folder belongs to a run of `alad reproduce`, complete or not."""
    return (folder / "result.json").is_file() or (folder / "config.json").is_file()


def run_page(folder: Path, top: int) -> Page:
    """Collect the content of a page about a run.

    Args:
        folder: folder of the run, `<out>/<dataset>/<method>/[class<k>/]seed<s>`.
        top: number of test rows to list.

    Raises:
        DataError: the run is not complete, or one of its files is damaged.
    """
    result = results.read_run(folder)
    name = f"{paper.DATASET_NAMES.get(result['dataset'], result['dataset'])}, {result['method']}, seed {result['seed']}"
    history = results.read_history(folder / "history.jsonl") if (folder / "history.jsonl").exists() else []
    losses = {}
    for key, title in LOSSES.items():
        line = [(record["epoch"], record[key]) for record in history if record.get(key) is not None]
        if line:
            losses[title] = ([epoch for epoch, _ in line], [loss for _, loss in line])
    missing = {"losses": "The folder of this run has no history.jsonl, so its losses are unknown."}
    view: ScoreView | None = None
    rows: list[AnomalousRow] = []
    if (folder / "scores.npz").exists():
        view, rows = _scores(folder / "scores.npz", result, top)
    else:
        missing["scores"] = "The folder of this run has no scores.npz, which published results leave out."
    return Page(
        title=f"Run of the paper's protocol: {name}",
        facts=_facts(result),
        losses=losses,
        scores=view,
        metrics=_metrics(result),
        rows=rows,
        missing=missing,
        notes=[
            f"Made by alad report from the run {folder}. This page loads nothing from the network.",
            "Precision, recall and F1 flag the share of test rows that the paper flags (Section V-A).",
            *([INVERTED] if result["dataset"] == "kdd99" else []),
        ],
    )


def _facts(result: Document) -> list[tuple[str, object]]:
    optional = {
        "Anomalies among them": result.get("n_anomalies"),
        "Share flagged": result.get("top_fraction"),
        "Normal class": result["settings"].get("normal_class"),
        "Stand-in for the data": result.get("stand_in"),
    }
    settings = ", ".join(f"{name} {value}" for name, value in result["settings"].items() if value is not None)
    return [
        ("Training rows", _count(result, "n_train")),
        ("Test rows", _count(result, "n_test")),
        *((name, value) for name, value in optional.items() if value is not None),
        ("Epochs", result["epochs"]),
        ("Time", f"{result['seconds']:g} s"),
        ("Settings", settings),
    ]


def _count(result: Document, key: str) -> str:
    """A number of rows, beside the number that was drawn of them if the run used a part."""
    used = result.get(f"{key}_used")
    return f"{result[key]:,}" if used is None else f"{used:,} of {result[key]:,}, drawn at random with the seed"


def _metrics(result: Document) -> tuple[list[str], list[list[object]]]:
    """A row for each score, followed by the paper's mean over its runs if there is one."""
    rows: list[list[object]] = []
    for score, values in result["scores"].items():
        rows.append([score, *(f"{values[metric]:.4f}" for metric in METRICS)])
        printed = paper.printed(result["dataset"], result["method"], score)
        if printed:
            means = (f"{printed[metric].mean:.4f}" if metric in printed else "" for metric in METRICS)
            rows.append([f"{score}, the paper's mean", *means])
    return ["Score", *METRICS.values()], rows


def _scores(path: Path, result: Document, top: int) -> tuple[ScoreView, list[AnomalousRow]]:
    """The run's first score of all test rows, and the rows with the largest scores."""
    try:
        arrays = archives.arrays(path)
        name = next(iter(result["scores"]))
        scores, anomalous = arrays[name].astype(np.float64), arrays["y_test"] == 1
        if scores.shape != anomalous.shape or not len(scores):
            raise ValueError(f"scores of shape {scores.shape} for labels of shape {anomalous.shape}")
        if not (np.abs(scores) <= LARGEST).all():
            raise ValueError("scores that are not finite")
    except (OSError, KeyError, StopIteration, *archives.DAMAGE) as error:
        raise DataError(f"Expected the scores of a run in {path}. Received: {one_line(error)}.") from error
    flagged = n_flagged(len(scores), result.get("top_fraction") or max(float(anomalous.mean()), 1 / len(scores)))
    cut = np.partition(scores, len(scores) - flagged)[len(scores) - flagged]
    view = ScoreView(scores, float(np.nextafter(cut, -np.inf)), anomalous, f"test rows by the score {name!r}")
    order = np.argsort(-scores, kind="stable")[:top]
    kinds = ("normal", "anomalous")
    return view, [AnomalousRow(f"test row {k + 1}", float(scores[k]), None, kinds[int(anomalous[k])]) for k in order]
