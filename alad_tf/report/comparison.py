"""Comparison with the paper: Tables II to VIII, the added tables, and the results of one method.

Runs in the output folder come first; published ones fill in for missing ones, see `results.gather`. Tables II to VIII
show runs of the protocol; runs that depart from it have rows of their own in the added tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from alad_tf.errors import SettingsError
from alad_tf.options import CLASSES, CLASSICAL, SEARCH_STEPS
from alad_tf.report import multiplications, paper
from alad_tf.report.footnotes import (
    CEILINGS,
    OF_HALVES,
    OF_IMAGES,
    OF_PROTOCOL,
    OF_TIMES,
    ORIGINS,
    epochs_text,
    notes_of,
    span_text,
)
from alad_tf.report.paper import DATASET_NAMES, Printed
from alad_tf.report.rendering import Figure, Heading, Table, mark, mean_std
from alad_tf.report.results import METRICS, Results, gather_from, load_latency, load_results, read, summarise
from alad_tf.report.runs import table as runs_table
from alad_tf.typing import Document

__all__ = ["METRICS", "TABLES", "Row", "Table", "comparison", "load_results", "rows_of", "summarise", "table"]

TABLES = ("2", "3", "4", "5", "6", "7", "8", "protocol", "halves", "runs")

_Figures = Mapping[str, Document]  # metric -> {"mean", "std"}
_TABULAR_METRICS = ("precision", "recall", "f1")
_AP = "average_precision"
_ABLATIONS = {
    "ALAD-baseline": "Baseline",
    "ALAD-noSN": "Baseline + DL",
    "ALAD-noDzz": "Baseline + SN",
    "ALAD": "Baseline + SN + DL",
}
_HALVES = {"normal rows only": "", "as released, with 34 anomalies": "-releasedhalf"}  # to the end of a method's name
_SCORE_NAMES = {"l1": "L1", "l2": "L2", "logits": "Logits", "features": "Features"}
_TITLES = {
    "2": "Table II: tabular data sets, ours beside the paper's",
    "3": "Table III: image data sets, ours beside the paper's",
    "4": "Table IV: inference time, ours beside the paper's",
    "5": "Table V: ablation on the tabular data sets, ours beside the paper's",
    "6": "Table VI: ablation on the image data sets, ours beside the paper's",
    "7": "Table VII: anomaly scores on the tabular data sets, ours beside the paper's",
    "8": "Table VIII: anomaly scores on the image data sets, ours beside the paper's",
    "protocol": "Added table: metrics that need no threshold",
    "halves": "Added table: Arrhythmia, the rows of Table V on both training halves",
}


class Row(NamedTuple):
    """A row of Tables II, III and V to VIII: its name, its method and score, and its key in the paper's results."""

    name: str
    method: str
    score: str
    key: str


def table(name: int | str, out: Path, published: Path | None = None) -> Table:
    """Table 2 to 8 of the paper with our results beside the paper's, or "protocol", "halves" or "runs", which it lacks.

    Raises SettingsError for another name, AladError for damaged results and runs with different epochs.
    """
    return table_from(str(name), *read(out, published))


def table_from(name: str, own: Results, published: Results | None) -> Table:
    """`table` from results that have been read already."""
    if name not in TABLES:
        raise SettingsError(
            f"Expected the name of a table that can be printed. Received: {name}. Allowed: {', '.join(TABLES)}."
        )
    if name == "runs":
        return runs_table(own, published)
    sheet = _Sheet(own, published)
    if name == "protocol":
        return _protocol_table(sheet)
    if name == "halves":
        return _halves_table(sheet)
    if name == "4":
        return _latency_table(sheet)
    return (_scores_table if name in ("7", "8") else _methods_table)(int(name), sheet)


def rows_of(number: int) -> list[Row]:
    """The rows for each data set in Table II, III or V to VIII; in VII and VIII those of ALAD."""
    if number in (7, 8):
        return [Row(name, "ALAD", score, score) for score, name in _SCORE_NAMES.items()]
    if number in (5, 6):
        return [Row(name, method, "features", method) for method, name in _ABLATIONS.items()]
    printed: Document = paper.TABLE_II["kdd99"] if number == 2 else paper.TABLE_III["cifar10"]
    results = {**{row: paper.ROWS[row] for row in printed}, **paper.ADDED_ROWS}
    return [Row(name, method, score, name) for name, (method, score) in results.items()]


def datasets_of(number: int) -> tuple[str, ...]:
    """The data sets in Table II, III or V to VIII."""
    return tuple(paper.TABLE_III if number in (3, 6, 8) else paper.TABLE_II)


def comparison(
    out: Path,
    dataset: str,
    methods: Sequence[str],
    scores: Sequence[str] | None = None,
    published: Path | None = None,
) -> Table:
    """Our results on one data set beside the paper's, a row for each method and score.

    `scores` None: the score of each method that Tables II and III report. The difference is ours minus the paper's in
    the last metric: F1, or AUROC on images. If the paper prints nothing for any row, the table has all our metrics.
    Raises AladError for damaged results and runs with different epochs.
    """
    sheet = _Sheet(*read(out, published))
    several = scores is not None and len(scores) > 1
    pairs = [(method, score) for method in methods for score in scores or [paper.score_of(method)]]
    rows_printed = [paper.printed(dataset, *pair) for pair in pairs]
    metrics = next((tuple(row) for row in rows_printed if row), ())
    headed = ""
    for method, score in pairs:
        runs = sheet.find(dataset, method)
        data = sheet.marks(runs.notes)
        if several and method != headed:
            sheet.rows.append([Heading(f"{method}{data}: {runs.label}", method=method, runs=runs.label)])
            headed = method
        note = sheet.marks([paper.note(dataset, method, score)]) if metrics else ""
        lead = [f"  {score}{note}"] if several else [f"{method}{note}{data}", runs.label]
        if metrics:
            number, _ = paper.place(dataset, method, score) or (0, "")
            places = {metric: (4, paper.DECIMALS.get(number, 4)) for metric in metrics}
            places.update({metric: (3, 3) for metric in metrics if metric in ("precision", "recall")})
            sheet.rows.append(lead + _beside(runs, score, paper.printed(dataset, method, score), places))
        else:
            sheet.rows.append(lead + [_ours(runs.scores.get(score), metric, 4) for metric in METRICS])
    header = ["Score"] if several else ["Method", "Runs"]
    header += _beside_header(metrics) if metrics else [*METRICS.values()]
    title = f"{DATASET_NAMES.get(dataset, dataset)}: " + (
        "ours beside the paper's" if metrics else "our results (the paper prints none)"
    )
    names = dict.fromkeys(score for _, score in pairs)
    return Table(
        title if several else f"{title}, score {', '.join(names)}", header, sheet.rows, sheet.footnotes([dataset])
    )


def _methods_table(number: int, sheet: _Sheet) -> Table:
    """Tables II, III, V and VI: the methods on each data set, each with its score."""
    for dataset in datasets_of(number):
        sheet.rows.append([_heading(dataset)])
        for row in rows_of(number):
            runs = sheet.find(dataset, paper.run_name(dataset, row.method))
            own = paper.ROW_NOTES.get(row.key) if number in (2, 3) else None
            marks = sheet.marks([paper.NOTES.get((number, dataset, row.key)), own, *runs.notes])
            sheet.rows.append([f"  {row.name}{marks}", runs.label, *_printed_beside(number, dataset, row, runs)])
    header = ["Model", "Runs", *_beside_header(_metrics_of(number))]
    result = Table(_TITLES[str(number)], header, sheet.rows, sheet.footnotes(datasets_of(number)))
    if number in (2, 3):
        result.footnotes.append(f"Added rows, which the paper does not have: {'; '.join(paper.ADDED_ROWS)}.")
    else:
        names = "; ".join(f"{printed} = {method}" for method, printed in _ABLATIONS.items())
        result.footnotes.append(f"Our names: {names}. SN: spectral normalisation; DL: the latent discriminator D_zz.")
    return result


def _scores_table(number: int, sheet: _Sheet) -> Table:
    """Tables VII and VIII. Arrhythmia appears as ALAD, the paper's name, and as ALAD-noDzz, whose Table V row it is."""
    for dataset in datasets_of(number):
        for method in dict.fromkeys(("ALAD", paper.SCORE_STUDY[dataset])):
            runs = sheet.find(dataset, paper.run_name(dataset, method))
            marks = sheet.marks([paper.NOTES.get((number, dataset, "features")), *runs.notes])
            text = f", {method}{marks}: {runs.label}"
            sheet.rows.append([_heading(dataset, text, method=method, runs=runs.label)])
            sheet.rows += [[f"  {row.name}", *_printed_beside(number, dataset, row, runs)] for row in rows_of(number)]
    header = ["Score", *_beside_header(_metrics_of(number))]
    return Table(_TITLES[str(number)], header, sheet.rows, sheet.footnotes(datasets_of(number)))


def _protocol_table(sheet: _Sheet) -> Table:
    """AUROC and average precision of all methods with runs, also without the test rows shared with the training set."""
    datasets = []
    for dataset in DATASET_NAMES:
        found = [(row, sheet.find(dataset, row.method)) for row in _all_rows(dataset, sheet.methods(dataset))]
        found = [(row, runs) for row, runs in found if runs.scores]
        if found:
            datasets.append(dataset)
            sheet.rows.append([_heading(dataset, test_rows="all")])
        for row, runs in found:
            printed = paper.printed(dataset, row.method, row.score)
            name = f"  {row.name}{sheet.marks(runs.notes)}"
            sheet.rows.append(_protocol_row(name, runs, row.score, printed if "auroc" in printed else {}))
        unshared = [(row, runs, runs.unshared) for row, runs in found if runs.unshared]
        if unshared:
            marks = sheet.marks(dict.fromkeys(note for *_, part in unshared for note in part.notes))
            sheet.rows.append([_heading(dataset, f", unshared test rows{marks}", test_rows="unshared")])
        for row, runs, part in unshared:
            sheet.rows.append(_protocol_row(f"  {row.name}{sheet.marks(runs.notes)}", part, row.score, {}))
    header = ["Model", "Runs", *_beside_header(["auroc"]), METRICS[_AP]]
    return Table(_TITLES["protocol"], header, sheet.rows, [*sheet.footnotes(datasets), OF_PROTOCOL])


def _protocol_row(name: str, runs: _Runs, score: str, printed: Mapping[str, Printed]) -> list[str]:
    beside = _beside(runs, score, printed, {"auroc": (4, 4)})
    return [name, runs.label, *beside, _ours(runs.scores[score], _AP, 4)]


def _halves_table(sheet: _Sheet) -> Table:
    """Table V's rows of Arrhythmia on each training half, with the standard error of the mean F1 over seeds."""
    for half, suffix in _HALVES.items():
        sheet.rows.append([_heading("arrhythmia", f", training half: {half}", training_half=half)])
        for row in rows_of(5):
            runs = sheet.find("arrhythmia", row.method + suffix)
            ours = runs.scores.get(row.score)
            marks = sheet.marks([paper.NOTES.get((5, "arrhythmia", row.key)), *runs.notes])
            beside = _printed_beside(5, "arrhythmia", row, runs, ["f1"])
            std = ours["f1"]["std"] if ours else None  # none of a single run
            error = Figure("-") if std is None else mean_std(std / math.sqrt(runs.number), None, 3)
            sheet.rows.append([f"  {row.name}{marks}", runs.label, *beside, error, _ours(ours, "auroc", 3)])
    header = ["Model", "Runs", *_beside_header(["f1"]), "Standard error", METRICS["auroc"]]
    return Table(_TITLES["halves"], header, sheet.rows, [*sheet.footnotes(["arrhythmia"]), OF_HALVES])


def _all_rows(dataset: str, methods: Iterable[str]) -> list[Row]:
    """The rows of Tables II and III, the added rows, and rows of all other methods with results, by name."""
    mapped = {**paper.ROWS, **paper.ADDED_ROWS}
    rows = [Row(name, paper.run_name(dataset, method), score, name) for name, (method, score) in mapped.items()]
    for method in sorted(set(methods) - {row.method for row in rows}):
        base = paper.base_method(method)
        scores = [score for name, score in mapped.values() if name == base] or ["features"]
        label = method if paper.run_name(dataset, method) == method else f"{method}, the paper's dynamics"
        names = [label] if len(scores) == 1 else [f"{label}, {score}" for score in scores]
        rows += [Row(name, method, score, method) for name, score in zip(names, scores)]
    return rows


def _latency_table(sheet: _Sheet) -> Table:
    """Table IV, from `latency/<dataset>.json` in the results folder, or else in the published results."""
    for dataset, (batch, anogan, alad, speed_up) in paper.TABLE_IV.items():
        ours, note = _latency(sheet, dataset)
        cells: list[str] = [f"{DATASET_NAMES[dataset]}{sheet.marks([note])}", str(ours.get("batch", batch))]
        for key, printed, our_places, paper_places in (
            ("anogan_ms", anogan, 1, 0),
            ("alad_ms", alad, 2, 1),
            ("ratio", speed_up, 1, 0),
        ):
            cells.append(mean_std(ours[key], None, our_places) if ours else Figure("not measured"))
            cells.append(mean_std(printed, None, paper_places))
        work = multiplications.search_over_alad(dataset, ours.get("search_steps", SEARCH_STEPS))
        difference = _difference(ours["ratio"] - speed_up, 0) if ours else Figure("-")
        sheet.rows.append([*cells, difference, mean_std(work, None, 0)])
    header = ["Data set", "Batch", "AnoGAN, ms", "paper", "ALAD, ms", "paper", "Speed-up", "paper", "diff.", "by work"]
    return Table(_TITLES["4"], header, sheet.rows, [*sheet.footnotes([]), OF_TIMES], deviations=False)


def _latency(sheet: _Sheet, dataset: str) -> tuple[Document, str | None]:
    """The times on a data set (empty if not measured), and a note on how they were measured."""
    for origin, results in (("this machine", sheet.own), ("published", sheet.published)):
        times = load_latency(results.folder, dataset) if results else None
        if times:
            return times, (
                f"{DATASET_NAMES[dataset]}, {origin}: batches of {times['batch']} rows on {times['machine']}; "
                f"threads: {times['threads']}; steps of AnoGAN's search: {times['search_steps']}"
                f"{'; ' + times['stand_in'] if 'stand_in' in times else ''}."
            )
    return {}, None


class _Runs(NamedTuple):
    """The runs behind a row: their number and origin in words, and mean and std by score and metric."""

    label: str
    scores: Mapping[str, _Figures]
    notes: Sequence[str]  # footnotes on their data and training
    unshared: _Runs | None = None  # results without the test rows that also occur in the training set
    number: int = 0
    stand_in: bool = False  # on other data than those of Table I


_NOT_RUN = _Runs("not run", {}, [])


class _Sheet:
    """The rows of a table under construction, and their footnotes."""

    def __init__(self, own: Results, published: Results | None) -> None:
        self.own, self.published = own, published
        self.rows: list[list[str]] = []
        self.notes: list[str] = []
        self.origins: set[str] = set()
        self.found: dict[tuple[str, str], _Runs] = {}

    def find(self, dataset: str, method: str) -> _Runs:
        """The runs of a method, or none; epochs other than the paper's are named."""
        if (dataset, method) not in self.found:
            runs = gather_from(self.own, self.published, dataset, method)
            self.origins |= runs.keys()
            self.found[dataset, method] = _sum_up(runs) if runs else _NOT_RUN
        return self.found[dataset, method]

    def methods(self, dataset: str) -> set[str]:
        """Names of the methods with results, including departures from the protocol."""
        return self.own.methods(dataset) | (self.published.methods(dataset) if self.published else set())

    def marks(self, notes: Iterable[str | None]) -> str:
        """References to footnotes, which are added on first use; empty for None."""
        return "".join(map(self._mark, filter(None, notes)))

    def _mark(self, note: str) -> str:
        if note not in self.notes:
            self.notes.append(note)
        return mark(self.notes.index(note) + 1)

    def footnotes(self, datasets: Iterable[str]) -> list[str]:
        numbered = [f"[{number}] {note}" for number, note in enumerate(self.notes, start=1)]
        origins = [text for origin, text in ORIGINS.items() if origin in self.origins]
        images = [OF_IMAGES] if origins and set(datasets) & set(paper.TABLE_III) else []
        return [*numbered, *origins, *images, *(CEILINGS[dataset] for dataset in datasets if dataset in CEILINGS)]


def _sum_up(runs: Mapping[str, Sequence[Document]]) -> _Runs:
    results = [result for found in runs.values() for result in found]
    summary = summarise(results)
    dataset, epochs = summary["dataset"], summary["epochs"]
    label = ", ".join(f"{len(found)} {origin}" for origin, found in runs.items())
    if "tasks" in summary:
        label = f"{len(summary['tasks'])} of {CLASSES} tasks, {label}"
    base = paper.base_method(summary["method"])
    if base not in (*CLASSICAL, *paper.EPOCHS_NOT_PRINTED) and epochs != paper.EPOCHS.get(dataset, epochs):
        label += f", {epochs_text(epochs)}"
    unshared = _unshared(summary["unshared"], label, results) if "unshared" in summary else None
    notes = list(notes_of(summary, results))
    return _Runs(label, summary["scores"], notes, unshared, len(results), bool(summary.get("stand_in")))


def _unshared(summary: Document, label: str, results: Sequence[Document]) -> _Runs:
    """The runs with results without the shared test rows, and a note on how many rows are left."""
    parts = [result["unshared"] for result in results if "unshared" in result]
    rows, anomalies = (span_text(part[key] for part in parts) for key in ("n_test", "n_anomalies"))
    note = (
        f"Without the test rows that also occur in the training set: {rows} rows are left, {anomalies} of them "
        "anomalies."
    )
    return _Runs(label if len(parts) == len(results) else f"{len(parts)} of {label}", summary["scores"], [note])


def _heading(dataset: str, rest: str = "", **values: str) -> Heading:
    return Heading(DATASET_NAMES[dataset] + rest, data_set=DATASET_NAMES[dataset], **values)


def _metrics_of(number: int) -> tuple[str, ...]:
    return ("auroc",) if number in (3, 6, 8) else _TABULAR_METRICS


def _beside_header(metrics: Sequence[str]) -> list[str]:
    columns = [column for metric in metrics for column in (METRICS[metric], "paper")]
    return [*columns, "diff."]


def _printed_beside(
    number: int, dataset: str, row: Row, runs: _Runs, metrics: Sequence[str] | None = None
) -> list[str]:
    """A row of a table of the paper, with all metrics of that table unless given."""
    digits = (paper.DECIMALS[number], paper.DECIMALS[number])
    printed = paper.cells(number, dataset, row.key)
    return _beside(runs, row.score, printed, dict.fromkeys(metrics or _metrics_of(number), digits))


def _beside(
    runs: _Runs, score: str, printed: Mapping[str, Printed], places: Mapping[str, tuple[int, int]]
) -> list[str]:
    """Our value and the paper's for each metric, then ours minus the paper's for the last metric if they compare.

    `places`: digits after the decimal point by metric, for ours and for the paper's.
    """
    ours = runs.scores.get(score)
    cells: list[str] = []
    for metric, (our_places, paper_places) in places.items():
        cells.append(_ours(ours, metric, our_places))
        cells.append(mean_std(*printed[metric], paper_places) if metric in printed else Figure("-"))
    if not (ours and printed) or runs.stand_in:
        return [*cells, Figure("-")]
    return [*cells, _difference(ours[metric]["mean"] - printed[metric].mean, paper_places)]


def _ours(ours: _Figures | None, metric: str, places: int) -> Figure:
    return mean_std(ours[metric]["mean"], ours[metric]["std"], places) if ours else Figure("not run")


def _difference(value: float, places: int) -> Figure:
    return Figure(f"{value:+.{places}f}", value)
