"""Summary and figures of the runs of a method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alad_tf.experiments.baseline_settings import AnySettings
from alad_tf.experiments.protocol import PROTOCOLS
from alad_tf.experiments.settings import Settings
from alad_tf.io import atomic
from alad_tf.options import SCORES
from alad_tf.paths import published_results
from alad_tf.typing import Document

if TYPE_CHECKING:
    from alad_tf.report.results import Results


def sum_up(settings: AnySettings, out: Path) -> str:
    """Write summary.json and the figures of a method's complete runs; return the comparison with the paper as text.

    Raises:
        AladError: a result is damaged, or the runs cannot be summarised together.
    """
    from alad_tf.report import comparison, paper
    from alad_tf.report.results import Results

    dataset, method = settings.dataset, settings.method
    folder = out / dataset / method
    results = Results(out)
    summary = comparison.summarise(results.of(dataset, method))
    atomic.write_json(folder / "summary.json", summary)
    rows = [method]
    usual = paper.run_name(dataset, settings.base)
    if usual != method and paper.printed(dataset, usual):
        rows.append(usual)
    tables = [comparison.comparison(out, dataset, rows, scores=settings.scores, published=published_results())]
    figures: list[Path] = []
    if isinstance(settings, Settings):
        beside = list(dict.fromkeys((*rows, *_beside(dataset))))
        tables.insert(0, comparison.comparison(out, dataset, beside, published=published_results()))
        figures = save_figures(settings, results, summary)
    return "\n".join([table.as_text() for table in tables] + [f"Figures: {folder / 'figures'}"] * bool(figures))


def _beside(dataset: str) -> list[str]:
    """Names of the runs shown beside those of a method, whether there are any or not."""
    from alad_tf.report import paper

    return [paper.run_name(dataset, method) for method in PROTOCOLS[dataset].beside]


def save_figures(settings: Settings, results: Results, summary: Document) -> list[Path]:
    """Draw the figures of a method's runs and, for images, of the classes; return their paths."""
    from alad_tf.report import paper, plots

    dataset, method, metric = settings.dataset, settings.method, PROTOCOLS[settings.dataset].metric
    folder = results.folder / dataset / method / "figures"
    printed = paper.printed(dataset, method).get(metric)
    runs = results.run_folders(dataset, method)
    figures = plots.save_run_figures(
        runs,
        folder,
        figure_title(dataset, method, len(runs)),
        paper_mean=printed.mean if printed else None,
        metric=metric,
    )
    return figures + (save_class_figures(summary, results, folder) if "tasks" in summary else [])


def figure_title(dataset: str, method: str, runs: int) -> str:
    """Title of figures of runs: data set, method, how many runs if the protocol has more, and what is normal."""
    from alad_tf.report import paper

    wanted = PROTOCOLS[dataset].runs
    tasks = len(paper.CLASS_NAMES.get(dataset, ("",)))
    missing = f", {runs} of {wanted * tasks} runs" if runs < wanted * tasks else ""
    note = paper.FIGURE_NOTES.get(dataset)
    return f"{paper.DATASET_NAMES[dataset]} {method}{missing}" + (f"\n{note}" if note else "")


def save_class_figures(summary: Document, results: Results, folder: Path) -> list[Path]:
    """Draw Figures 3 and 4 (classes), 7 and 8 (ablation), 9 and 10 (scores) of the complete runs."""
    from alad_tf.report import paper, plots
    from alad_tf.report.results import summarise

    dataset, method = summary["dataset"], summary["method"]
    name, classes = paper.DATASET_NAMES[dataset], paper.CLASS_NAMES[dataset]
    data = f"{name}, {summary['stand_in']}" if "stand_in" in summary else name

    def mean(name: str, score: str = "features") -> float | None:
        figure = paper.printed(dataset, name, score).get("auroc")
        return figure and figure.mean

    tasks = {method: summary["tasks"]}  # method -> class -> score -> AUROC of each run
    for name in _beside(dataset):
        runs = [] if name in tasks else results.of(dataset, name)
        if runs:
            tasks[name] = summarise(runs)["tasks"]

    def bars(name: str, score: str = "features") -> dict[int, list[float]]:
        return {label: aurocs[score] for label, aurocs in tasks[name].items()}

    ablation = {name: bars(name) for name in tasks}
    scores = {score: bars(method, score) for score in SCORES}
    return [
        plots.save_class_bars(
            {method: ablation[method]}, folder / "classes.png", data, {method: mean(method)}, classes
        ),
        plots.save_class_bars(
            ablation,
            folder / "ablation.png",
            f"{data}: components",
            {name: mean(name) for name in ablation},
            classes,
        ),
        plots.save_class_bars(
            scores,
            folder / "score_ablation.png",
            f"{data}, {method}: scores",
            {score: mean(method, score) for score in scores},
            classes,
        ),
    ]
