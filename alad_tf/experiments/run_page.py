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
TIED = (
    "The threshold flags more rows than that share, by {:,}, because their scores equal that of the last flagged row. "
    "The metrics count the rows with this score by the fraction of them that is flagged."
)
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
    has_history = (folder / "history.jsonl").exists()
    history = results.read_history(folder / "history.jsonl") if has_history else []
    losses = {}
    for key, title in LOSSES.items():
        line = [(record["epoch"], record[key]) for record in history if record.get(key) is not None]
        if line:
            losses[title] = ([epoch for epoch, _ in line], [loss for _, loss in line])
    no_losses = "This method has no losses." if has_history else "Its losses are unknown: it has no history.jsonl."
    missing = {"losses": no_losses}
    view: ScoreView | None = None
    rows: list[AnomalousRow] = []
    notes = [
        f"Made by alad report from the run {folder}. This page loads nothing from the network.",
        "Precision, recall and F1 flag the share of test rows that the paper flags (Section V-A).",
        *([INVERTED] if result["dataset"] == "kdd99" else []),
    ]
    if (folder / "scores.npz").exists():
        view, rows, tied = _scores(folder / "scores.npz", result, top)
        notes += [TIED.format(tied)] if tied else []
    else:
        missing["scores"] = "The folder of this run has no scores.npz, which published results leave out."
    return Page(
        title=f"Run of the paper's protocol: {_name(result)}",
        facts=_facts(result),
        losses=losses,
        scores=view,
        metrics=_metrics(result),
        rows=rows,
        missing=missing,
        notes=notes,
    )


def _name(result: Document) -> str:
    dataset, task = result["dataset"], results.task_of(result)
    classes = dict(enumerate(paper.CLASS_NAMES.get(dataset, ())))
    of_task = "" if task is None else f", normal class {classes.get(task, task)}"
    return f"{paper.DATASET_NAMES.get(dataset, dataset)}, {result['method']}{of_task}, seed {result['seed']}"


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
        *([("Epochs", _epochs(result))] if results.table_epochs(result["dataset"], result["method"]) else []),
        ("Time", f"{result['seconds']:g} s"),
        ("Settings", settings),
    ]


def _epochs(result: Document) -> str:
    """The epochs of a run, beside the most that it could take if it could stop early."""
    if "last_epoch" not in result:
        return str(result["epochs"])
    best = result.get("best")
    of_best = f", the best {best['epoch']}" if isinstance(best, dict) and "epoch" in best else ""
    return f"{result['last_epoch']} of at most {result['epochs']}{of_best}"


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
            over = " over all classes" if results.task_of(result) is not None else ""
            rows.append([f"{score}, the paper's mean{over}", *means])
    return ["Score", *METRICS.values()], rows


def _scores(path: Path, result: Document, top: int) -> tuple[ScoreView, list[AnomalousRow], int]:
    """The run's first score of all test rows, the rows with the largest scores, and how many too many are flagged.

    A threshold flags all rows with the score of the last row that the protocol flags.
    """
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
    by = "" if name == "score" else f" by the score {name!r}"
    view = ScoreView(scores, float(np.nextafter(cut, -np.inf)), anomalous, f"test rows{by}")
    order, kinds = np.argsort(-scores, kind="stable")[:top], ("normal", "anomalous")
    rows = [AnomalousRow(f"test row {k + 1}", float(scores[k]), None, kinds[int(anomalous[k])]) for k in order]
    return view, rows, int((scores >= cut).sum()) - flagged
