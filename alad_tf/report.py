"""Results on disk, summed up and set beside the paper's (Tables II, III and V to VIII). No TensorFlow.

A run's result is `<out>/<dataset>/<method>/[class<k>/]seed<s>/result.json`; the project ships results of its own in a
folder of the same layout, here called `published`. Runs found in `out` come first; published ones stand in where it has
none.
"""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alad_tf import paper
from alad_tf.errors import AladError, DataError, SettingsError
from alad_tf.paper import Printed

METRICS = ("precision", "recall", "f1", "auroc", "average_precision")

_Figures = Mapping[str, Mapping[str, Any]]  # metric -> {"mean", "std"}
_TABULAR_METRICS = ("precision", "recall", "f1")
_TASKS = 10  # of an image data set: one class each is normal
_RUN_FOLDER = re.compile(r"(?:class(\d+)/)?seed(\d+)/result\.json")
_HEADINGS = {
    "precision": "Precision", "recall": "Recall", "f1": "F1", "auroc": "AUROC", "average_precision": "Average precision"
}  # fmt: skip
_DATASET_NAMES = {"kdd99": "KDD99", "arrhythmia": "Arrhythmia", "svhn": "SVHN", "cifar10": "CIFAR-10", "toy": "Toy"}
_CEILINGS = {
    "kdd99": "KDD99: 20 % of the test rows are flagged and 19.69 % are anomalies, so that F1 <= 0.992.",
    "arrhythmia": "Arrhythmia: 34 test rows are flagged and 32 are anomalies, so that F1 <= 0.970; one hit is 0.03.",
}
_OF_IMAGES = "Of images: the runs of a task are averaged; mean ± sample standard deviation are those over the tasks."
_ORIGINS = {
    "this machine": "this machine: mean ± sample standard deviation over the runs in the output directory.",
    "published": "published: the same, over the runs whose results come with the project.",
}
_ABLATIONS = {
    "ALAD-baseline": "Baseline",
    "ALAD-noSN": "Baseline + DL",
    "ALAD-noDzz": "Baseline + SN",
    "ALAD": "Baseline + SN + DL",
}
_SCORE_NAMES = {"l1": "L1", "l2": "L2", "logits": "Logits", "features": "Features"}


@dataclass
class Table:
    """Text in columns. A row of one cell is a heading over the rows below it."""

    title: str
    header: list[str]
    rows: list[list[str]]
    footnotes: list[str] = field(default_factory=list)

    def as_text(self) -> str:
        """Plain text in aligned columns, without trailing blanks."""
        full = [self.header, *(row for row in self.rows if len(row) > 1)]
        widths = [max(len(cell) for cell in column) for column in zip(*full)]

        def line(row: Sequence[str]) -> str:
            return "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()

        lines = [self.title, "", line(self.header), line(["-" * width for width in widths])]
        lines += [line(row) if len(row) > 1 else row[0] for row in self.rows]
        notes = [textwrap.fill(note, 118, subsequent_indent="    ") for note in self.footnotes]
        return "\n".join([*lines, "", *notes] if notes else lines) + "\n"

    def as_markdown(self) -> str:
        """A Markdown table under its title in bold, the footnotes as a list."""

        def line(row: Sequence[str]) -> str:
            return "| " + " | ".join(cell.strip() for cell in row) + " |"

        blank = [""] * (len(self.header) - 1)
        lines = [f"**{self.title}**", "", line(self.header), line(["---"] * len(self.header))]
        lines += [line(row) if len(row) > 1 else line([f"**{row[0]}**", *blank]) for row in self.rows]
        notes = [f"* {note}" for note in self.footnotes]
        return "\n".join([*lines, "", *notes] if notes else lines) + "\n"


def load_results(out: Path, dataset: str, method: str) -> list[dict[str, Any]]:
    """Every complete run of `method` on `dataset` under `out`, sorted by seed (image data: by class, then seed).

    A run's folder without a result.json is a run that has not ended, and is passed over. Raises DataError, naming the
    file, for a result.json that is damaged, lacks an entry or belongs to another run.
    """
    folder = out / dataset / method
    found = []
    for path in [*folder.glob("seed*/result.json"), *folder.glob("class*/seed*/result.json")]:
        match = _RUN_FOLDER.fullmatch(path.relative_to(folder).as_posix())
        if match:
            found.append((int(match[1] or 0), int(match[2]), path))
    return [_read_result(path, dataset, method, seed) for _, seed, path in sorted(found)]


def summarise(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and sample standard deviation (ddof = 1; None for one run) over runs of one method, the paper's beside them.

    Of images the runs of a task are averaged, and mean and deviation are those over the tasks.

    Returns dataset, method, runs (the seeds), epochs, seconds {mean, std, total}, scores {score: {metric: {mean, std}}}
    and paper in the same form; of images also tasks {class: {score: AUROC of each run}}, and stand_in where the data
    are not the paper's. Raises AladError where the runs differ in method, epochs, data or scores.
    """
    if not results:
        raise SettingsError("Expected the result of at least one run to sum up. Received: none.")
    dataset, method = results[0]["dataset"], results[0]["method"]
    for key in ("dataset", "method", "epochs", "scores", "stand_in"):
        _require_same(key, results)

    seconds = [float(result["seconds"]) for result in results]
    tasks: dict[int | None, list[Mapping[str, Any]]] = {}
    for result in results:
        tasks.setdefault(result["settings"].get("normal_class"), []).append(result)
    images = None not in tasks
    groups = list(tasks.values()) if images else [[result] for result in results]

    def mean(group: Sequence[Mapping[str, Any]], score: str, metric: str) -> float:
        return float(np.mean([result["scores"][score][metric] for result in group]))

    scores = {
        score: {metric: _mean_std([mean(group, score, metric) for group in groups]) for metric in METRICS}
        for score in results[0]["scores"]
    }
    of_images = {
        "tasks": {
            label: {score: [result["scores"][score]["auroc"] for result in group] for score in scores}
            for label, group in tasks.items()
        }
    }
    stand_in = results[0].get("stand_in")
    beside = {score: paper.printed(dataset, method, score) for score in scores}
    return {
        "dataset": dataset,
        "method": method,
        "runs": [result["seed"] for result in results],
        "epochs": results[0]["epochs"],
        "seconds": {**_mean_std(seconds), "total": sum(seconds)},
        "scores": scores,
        **(of_images if images else {}),
        **({"stand_in": stand_in} if stand_in else {}),
        "paper": {
            score: {metric: figure._asdict() for metric, figure in row.items()} for score, row in beside.items() if row
        },
    }


def comparison(
    out: Path,
    dataset: str,
    methods: Sequence[str],
    scores: Sequence[str] = ("features",),
    published: Path | None = None,
) -> Table:
    """Our results on one data set beside the paper's, a row for each method and score.

    The difference is ours minus the paper's in the last metric: F1, or AUROC on image data. Where the paper prints
    nothing for any row, all our metrics stand alone. Raises AladError for damaged results and runs of unequal epochs.
    """
    sheet = _Sheet(out, published)
    several = len(scores) > 1
    rows_printed = [paper.printed(dataset, method, score) for method in methods for score in scores]
    metrics = next((tuple(row) for row in rows_printed if row), ())
    for method in methods:
        runs = sheet.find(dataset, method)
        data = sheet.mark(runs.note)
        if several:
            sheet.rows.append([f"{method}{data}: {runs.label}"])
        for score in scores:
            mark = sheet.mark(paper.note(dataset, method, score)) if metrics else ""
            lead = [f"  {score}{mark}"] if several else [f"{method}{mark}{data}", runs.label]
            ours = runs.scores.get(score)
            if metrics:
                number, _ = paper.place(dataset, method, score) or (0, "")
                places = {metric: (4, paper.DECIMALS.get(number, 4)) for metric in metrics}
                places.update({metric: (3, 3) for metric in metrics if metric in ("precision", "recall")})
                sheet.rows.append(lead + _beside(ours, paper.printed(dataset, method, score), places))
            else:
                sheet.rows.append(lead + [_ours(ours, metric, 4) for metric in METRICS])
    header = ["Score"] if several else ["Method", "Runs"]
    header += _beside_header(metrics) if metrics else [_HEADINGS[metric] for metric in METRICS]
    title = f"{_DATASET_NAMES.get(dataset, dataset)}: " + (
        "ours beside the paper's" if metrics else "our results (the paper prints none)"
    )
    return Table(title if several else f"{title}, score {scores[0]}", header, sheet.rows, sheet.footnotes([dataset]))


def table(number: int, out: Path, published: Path | None = None) -> Table:
    """Table II, III, V, VI, VII or VIII of the paper (`number` 2, 3, 5 to 8) in its order of rows, ours beside it.

    Raises SettingsError for another number, AladError for damaged results and runs of unequal epochs.
    """
    sheet = _Sheet(out, published)
    titles = {
        2: "Table II: tabular data sets, ours beside the paper's",
        3: "Table III: image data sets, ours beside the paper's",
        5: "Table V: ablation on the tabular data sets, ours beside the paper's",
        6: "Table VI: ablation on the image data sets, ours beside the paper's",
        7: "Table VII: anomaly scores on the tabular data sets, ours beside the paper's",
        8: "Table VIII: anomaly scores on the image data sets, ours beside the paper's",
    }
    if number not in titles:
        allowed = ", ".join(map(str, titles))
        raise SettingsError(
            f"Expected the number of a table that can be printed. Received: {number}. Allowed: {allowed}."
        )
    if number in (7, 8):
        return _scores_table(number, titles[number], sheet)
    if number in (2, 3):
        printed: Mapping[str, Any] = paper.TABLE_II["kdd99"] if number == 2 else paper.TABLE_III["cifar10"]
        return _methods_table(number, titles[number], {method: method for method in printed}, sheet)
    result = _methods_table(number, titles[number], _ABLATIONS, sheet)
    names = "; ".join(f"{printed} = {method}" for method, printed in _ABLATIONS.items())
    result.footnotes.append(f"Our names: {names}. SN: spectral normalisation; DL: the latent discriminator D_zz.")
    return result


def _methods_table(number: int, title: str, methods: Mapping[str, str], sheet: _Sheet) -> Table:
    """A table of methods (ours -> as printed) under each data set, by the score of Algorithm 1."""
    datasets, metrics = _of_table(number)
    for dataset in datasets:
        sheet.rows.append([_DATASET_NAMES[dataset]])
        for method, name in methods.items():
            runs = sheet.find(dataset, method)
            mark = sheet.mark(paper.NOTES.get((number, dataset, method))) + sheet.mark(runs.note)
            cells = _printed_beside(number, dataset, method, runs.scores.get("features"))
            sheet.rows.append([f"  {name}{mark}", runs.label, *cells])
    header = ["Model", "Runs", *_beside_header(metrics)]
    return Table(title, header, sheet.rows, sheet.footnotes(datasets))


def _scores_table(number: int, title: str, sheet: _Sheet) -> Table:
    """Tables VII and VIII; Arrhythmia as ALAD, the paper's name, and as ALAD-noDzz, whose row of Table V it repeats."""
    datasets, metrics = _of_table(number)
    for dataset in datasets:
        for method in dict.fromkeys(("ALAD", paper.SCORE_STUDY[dataset])):
            runs = sheet.find(dataset, method)
            mark = sheet.mark(paper.NOTES.get((number, dataset, "features"))) + sheet.mark(runs.note)
            sheet.rows.append([f"{_DATASET_NAMES[dataset]}, {method}{mark}: {runs.label}"])
            for score, name in _SCORE_NAMES.items():
                sheet.rows.append([f"  {name}", *_printed_beside(number, dataset, score, runs.scores.get(score))])
    return Table(title, ["Score", *_beside_header(metrics)], sheet.rows, sheet.footnotes(datasets))


def _of_table(number: int) -> tuple[Sequence[str], Sequence[str]]:
    """Data sets and metrics of a table."""
    return (tuple(paper.TABLE_III), ("auroc",)) if number in (3, 6, 8) else (tuple(paper.TABLE_II), _TABULAR_METRICS)


class _Runs(NamedTuple):
    """The runs behind a row: how many and from where, in words, and mean and std by score and metric."""

    label: str
    scores: Mapping[str, _Figures]
    note: str | None = None  # what has to be known about their data


class _Sheet:
    """Rows in the making, with the footnotes that they call for."""

    def __init__(self, out: Path, published: Path | None) -> None:
        self.folders = {"this machine": out, "published": published}
        self.rows: list[list[str]] = []
        self.notes: list[str] = []
        self.origins: set[str] = set()

    def find(self, dataset: str, method: str) -> _Runs:
        """The runs in `out`, or else the published ones, or else none; epochs other than the paper's are named."""
        for origin, folder in self.folders.items():
            results = load_results(folder, dataset, method) if folder else []
            if results:
                self.origins.add(origin)
                summary = summarise(results)
                label, epochs = f"{len(results)} {origin}", summary["epochs"]
                if "tasks" in summary:
                    label = f"{len(summary['tasks'])} of {_TASKS} tasks, {label}"
                if epochs != paper.EPOCHS.get(dataset, epochs):
                    label += f", {epochs} epoch{'s' * (epochs != 1)}"
                note = (
                    summary.get("stand_in") and f"{_DATASET_NAMES[dataset]}: {summary['stand_in']}; not a figure of it."
                )
                return _Runs(label, summary["scores"], note)
        return _Runs("not run", {})

    def mark(self, note: str | None) -> str:
        """The number in brackets of a footnote, noted at its first use; empty for None."""
        if note is None:
            return ""
        if note not in self.notes:
            self.notes.append(note)
        return f" [{self.notes.index(note) + 1}]"

    def footnotes(self, datasets: Iterable[str]) -> list[str]:
        numbered = [f"[{number}] {note}" for number, note in enumerate(self.notes, start=1)]
        origins = [text for origin, text in _ORIGINS.items() if origin in self.origins]
        images = [_OF_IMAGES] if origins and set(datasets) & set(paper.TABLE_III) else []
        return [*numbered, *origins, *images, *(_CEILINGS[dataset] for dataset in datasets if dataset in _CEILINGS)]


def _beside_header(metrics: Sequence[str]) -> list[str]:
    columns = [column for metric in metrics for column in (_HEADINGS[metric], "paper")]
    return [*columns, "diff."]


def _printed_beside(number: int, dataset: str, row: str, ours: _Figures | None) -> list[str]:
    digits = (paper.DECIMALS[number], paper.DECIMALS[number])
    return _beside(ours, paper.cells(number, dataset, row), dict.fromkeys(_of_table(number)[1], digits))


def _beside(ours: _Figures | None, printed: Mapping[str, Printed], places: Mapping[str, tuple[int, int]]) -> list[str]:
    """Ours and the paper's of each metric, then ours minus the paper's of the last.

    `places` are the digits after the decimal point by metric, of ours and of the paper's.
    """
    cells = []
    for metric, (our_places, paper_places) in places.items():
        cells.append(_ours(ours, metric, our_places))
        cells.append(_figure(*printed[metric], paper_places) if metric in printed else "-")
    difference = f"{ours[metric]['mean'] - printed[metric].mean:+.{paper_places}f}" if ours and printed else "-"
    return [*cells, difference]


def _ours(ours: _Figures | None, metric: str, places: int) -> str:
    return _figure(ours[metric]["mean"], ours[metric]["std"], places) if ours else "not run"


def _figure(mean: float, std: float | None, places: int) -> str:
    return f"{mean:.{places}f}" if std is None else f"{mean:.{places}f}±{std:.{places}f}"


def _require_same(key: str, results: Sequence[Mapping[str, Any]]) -> None:
    first = results[0]
    for result in results:
        # Of the scores the names, of the rest the values.
        expected, received = (sorted(one[key]) if key == "scores" else one.get(key) for one in (first, result))
        if received != expected:
            raise AladError(
                f"Expected the same {key} in all runs of {first['method']} on {first['dataset']}. Received: {expected} "
                f"(seed {first['seed']}) and {received} (seed {result['seed']}). Keep unlike runs apart."
            )


def _mean_std(values: Sequence[float]) -> dict[str, Any]:
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def _read_result(path: Path, dataset: str, method: str, seed: int) -> dict[str, Any]:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError) as error:
        raise _unusable(path, str(error)) from error
    fault = _fault(result, {"dataset": dataset, "method": method, "seed": seed})
    if fault:
        raise _unusable(path, fault)
    return dict(result)


def _unusable(path: Path, reason: str) -> DataError:
    return DataError(
        f"Expected the complete result of a run. Received: {path}: {reason}. Remove it to have the run done again."
    )


def _fault(result: Any, expected: Mapping[str, Any]) -> str | None:
    """The first thing wrong with the content of a result.json, or None."""
    if not isinstance(result, dict):
        return "not a JSON object"
    needed = (*expected, "epochs", "n_train", "n_test", "seconds", "settings", "scores")
    missing = [key for key in needed if key not in result]
    if missing:
        return f"no entry {', '.join(missing)}"
    for key, value in expected.items():
        if result[key] != value:
            return f"{key} {result[key]!r} in the folder of {value!r}"
    for key in ("epochs", "n_train", "n_test"):
        if type(result[key]) is not int or result[key] < 1:
            return f"{key} {result[key]!r} where a positive whole number belongs"
    if not _within(result["seconds"], math.inf):
        return f"seconds {result['seconds']!r} where a number from 0 belongs"
    if not isinstance(result["scores"], dict) or not result["scores"]:
        return "no scores"
    for score, metrics in result["scores"].items():
        for metric in METRICS:
            value = metrics.get(metric) if isinstance(metrics, dict) else None
            if not _within(value, 1):
                return f"{metric} of the score {score} is {value!r} where a number from 0 to 1 belongs"
    return None


def _within(value: Any, largest: float) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 <= value <= largest
