"""Summaries and figures of a method's runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from alad_tf.experiments.baseline_settings import AnySettings
from alad_tf.experiments.protocol import PROTOCOLS
from alad_tf.experiments.settings import Settings
from alad_tf.io import atomic
from alad_tf.options import SCORES
from alad_tf.paths import published_results


def sum_up(settings: AnySettings, out: Path) -> str:
    """Write summary.json and the figures of a method's complete runs; return the tables beside the paper's, as text.

    Raises:
        AladError: a result is damaged, or the results belong to runs that cannot be summed up together.
    """
    from alad_tf.report import comparison

    dataset, method = settings.dataset, settings.method
    folder = out / dataset / method
    results = comparison.load_results(out, dataset, method)
    summary = comparison.summarise(results)
    atomic.write_json(folder / "summary.json", summary)
    tables = [comparison.comparison(out, dataset, [method], scores=settings.scores, published=published_results())]
    figures: list[Path] = []
    if isinstance(settings, Settings):
        beside = [method, *(name for name in PROTOCOLS[dataset].beside if name != method)]
        tables.insert(0, comparison.comparison(out, dataset, beside, published=published_results()))
        figures = save_figures(settings, results, summary, out)
    return "\n".join([table.as_text() for table in tables] + [f"Figures: {folder / 'figures'}"] * bool(figures))


def save_figures(settings: Settings, results: list[dict[str, Any]], summary: dict[str, Any], out: Path) -> list[Path]:
    """The figures of a method's runs, and of images those of the classes."""
    from alad_tf.report import paper, plots

    dataset, method, metric = settings.dataset, settings.method, PROTOCOLS[settings.dataset].metric
    folder = out / dataset / method / "figures"
    printed = paper.printed(dataset, method).get(metric)
    figures = plots.save_run_figures(
        [
            replace(settings, normal_class=result["settings"].get("normal_class")).folder(out, result["seed"])
            for result in results
        ],
        folder,
        f"{dataset} {method}",
        paper_mean=printed.mean if printed else None,
        metric=metric,
    )
    return figures + (save_class_figures(summary, out, folder) if "tasks" in summary else [])


def save_class_figures(summary: dict[str, Any], out: Path, folder: Path) -> list[Path]:
    """Figures 3 and 4 (classes), 7 and 8 (ablation), 9 and 10 (scores), from the runs that there are."""
    from alad_tf.report import comparison, paper, plots

    dataset, method = summary["dataset"], summary["method"]
    data = f"{dataset}, {summary['stand_in']}" if "stand_in" in summary else dataset

    def mean(name: str, score: str = "features") -> float | None:
        figure = paper.printed(dataset, name, score).get("auroc")
        return figure and figure.mean

    tasks = {method: summary["tasks"]}  # method -> class -> score -> AUROC of each run
    for name in PROTOCOLS[dataset].beside:
        results = [] if name in tasks else comparison.load_results(out, dataset, name)
        if results:
            tasks[name] = comparison.summarise(results)["tasks"]

    def bars(name: str, score: str = "features") -> dict[int, list[float]]:
        return {label: aurocs[score] for label, aurocs in tasks[name].items()}

    ablation = {name: bars(name) for name in tasks}
    scores = {score: bars(method, score) for score in SCORES}
    return [
        plots.save_class_bars({method: ablation[method]}, folder / "classes.png", data, {method: mean(method)}),
        plots.save_class_bars(
            ablation, folder / "ablation.png", f"{data}: components", {name: mean(name) for name in ablation}
        ),
        plots.save_class_bars(
            scores, folder / "score_ablation.png", f"{data}, {method}: scores", {s: mean(method, s) for s in scores}
        ),
    ]
