"""Writes all tables and Figures 3, 4 and 7 to 10 to files."""

from __future__ import annotations

import textwrap
from pathlib import Path

from alad_tf.io import atomic
from alad_tf.report import comparison, paper, plots
from alad_tf.report.rendering import FORMATS
from alad_tf.report.results import Results, gather_from, read, summarise

FIGURES = {  # number -> the table whose rows it shows by class, and its data set
    3: (3, "svhn"), 4: (3, "cifar10"), 7: (6, "svhn"), 8: (6, "cifar10"), 9: (8, "svhn"), 10: (8, "cifar10")
}  # fmt: skip
_SHOWN = {3: "methods", 6: "components of ALAD", 8: "scores of ALAD"}


def write(out: Path, published: Path | None) -> str:
    """Write `table<N>` and `table_protocol` to `<out>/tables/` in every format, and return the tables as text.

    `.notes.txt` holds all footnotes, because CSV has only those of rows. Each `figure<N>` is written as
    PNG, PDF and SVG if there is a result for it. Raises AladError for damaged results and runs with different settings.
    """
    folder = out / "tables"
    found = read(out, published)
    tables = {name: comparison.table_from(name, *found) for name in comparison.TABLES}
    for name, table in tables.items():
        stem = f"table{name}" if name.isdigit() else f"table_{name}"
        for form, suffix in FORMATS.items():
            atomic.write_text(folder / f"{stem}.{suffix}", table.render(form))
        atomic.write_text(folder / f"{stem}.notes.txt", "".join(f"{note}\n" for note in table.footnotes))
    for number in FIGURES:
        _draw(number, *found, folder / f"figure{number}.png")
    return "\n".join([*(table.as_text() for table in tables.values()), f"Tables and figures: {folder}"])


def _draw(number: int, own: Results, published: Results | None, path: Path) -> None:
    """Draw AUROC by normal class, with bars for each of the paper's rows that has results."""
    table, dataset = FIGURES[number]
    bars: dict[str, dict[int, list[float]]] = {}
    means, title = {}, f"Figure {number}: {paper.DATASET_NAMES[dataset]}, {_SHOWN[table]}"
    for row in comparison.rows_of(table):
        method = paper.run_name(dataset, row.method)
        results = [run for found in gather_from(own, published, dataset, method).values() for run in found]
        summary = summarise(results) if results and row.name not in paper.ADDED_ROWS else {"scores": {}}
        if row.score in summary["scores"]:
            bars[row.name] = {label: aurocs[row.score] for label, aurocs in summary["tasks"].items()}
            means[row.name] = paper.cells(table, dataset, row.key)["auroc"].mean
            if "stand_in" in summary and "\n" not in title:
                title += "\n" + textwrap.fill(summary["stand_in"], 100)
    if bars:
        plots.save_class_bars(bars, path, title, means, paper.CLASS_NAMES[dataset])
