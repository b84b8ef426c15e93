"""Figures: curves and scores over the runs of an experiment, bars by class, images, and the toy data of Figure 2.

They use matplotlib's Figure objects instead of pyplot, which has global state. (scikit-learn's curve displays import
pyplot.)
The colours are those of Okabe and Ito, which colour-blind readers can tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Callable, NamedTuple

import numpy as np
from sklearn.metrics import auc, precision_recall_curve, roc_curve

from alad_tf.errors import DataError
from alad_tf.io import archives
from alad_tf.options import SCORES
from alad_tf.report import figure_files
from alad_tf.report.rendering import mean_std
from alad_tf.report.results import mean_and_std, read_history, unusable_file
from alad_tf.typing import Document

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray

CURVE_POINTS = 2000
_TOP = 1.27  # of the axis of AUROC: the legend stands above 1
_ABSENT = 0.025  # height of the cross of a class without runs

_BLUE, _VERMILION, _GREEN, _PURPLE, _GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"
_BARS = (_BLUE, _VERMILION, _GREEN, _PURPLE, "#E69F00", "#56B4E9")  # colours of adjacent bars
_STYLES = {"features": (_BLUE, "-"), "l1": (_VERMILION, "--"), "l2": (_GREEN, "-."), "logits": (_PURPLE, ":")}
_DEFINITIONS = {
    "features": r"features: $\|f_{xx}(x, x) - f_{xx}(x, \hat{x})\|_1$",
    "l1": r"l1: $\|x - \hat{x}\|_1$",
    "l2": r"l2: $\|x - \hat{x}\|_2$",
    "logits": r"logits: $-\log\,D_{xx}(x, \hat{x})$",
}


class _Line(NamedTuple):
    """A curve on a common grid: mean, minimum and maximum over runs."""

    x: Array
    mean: Array
    low: Array
    high: Array


def roc(y: Array, score: Array) -> tuple[Array, Array]:
    """False and true positive rates at every threshold, from (0, 0) to (1, 1); tied scores form one step.

    y: [n], 1 for anomalous; score: [n], larger for more anomalous.
    """
    false, true, _ = roc_curve(y, score, drop_intermediate=False)
    return false, true


def precision_recall(y: Array, score: Array) -> tuple[Array, Array]:
    """Recall and precision at every threshold, in the order of increasing recall; tied scores form one step.

    y: [n], 1 for anomalous; score: [n], larger for more anomalous.
    """
    precision, recall, _ = precision_recall_curve(y, score)
    return recall[-2::-1], precision[-2::-1]  # without the artificial point at recall 0


def thin(x: Array, y: Array, limit: int = CURVE_POINTS) -> tuple[Array, Array]:
    """At most `limit` points of a curve with non-decreasing x, including both ends, evenly spaced along the curve.

    The length is measured in units of the range of each axis, so that steep parts keep their shape.
    """
    if len(x) <= limit:
        return x, y
    spans = [float(np.ptp(values)) or 1.0 for values in (x, y)]
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x) / spans[0], np.diff(y) / spans[1]))])
    keep = np.unique(np.searchsorted(length, np.linspace(0.0, length[-1], limit - 1)))
    keep = np.union1d(keep, [len(x) - 1])
    return x[keep], y[keep]


def bin_edges(values: Array, bins: int = 80) -> tuple[Array, bool]:
    """Edges [bins + 1] for a histogram of finite `values`, and whether its axis should be logarithmic.

    The axis is logarithmic if no value is negative and the bulk of the positive values spans more than a factor of 100.
    The edges cover the bulk, from the 0.1 % to the 99.9 % quantile; callers clip the rest, including zeros, to the
    outer bins.
    """
    positive = values[values > 0]
    if len(positive) and values.min() >= 0:
        low, high = np.quantile(positive, [0.001, 0.999])
        if high > 100 * low:
            return np.geomspace(low, high, bins + 1), True
    low, high = np.quantile(values, [0.001, 0.999])
    if low == high:
        margin = abs(low) * 0.1 or 1.0
        low, high = low - margin, high + margin
    return np.linspace(low, high, bins + 1), False


def save_run_figures(
    run_dirs: Sequence[Path], figure_dir: Path, title: str, paper_mean: float | None = None, metric: str = "f1"
) -> list[Path]:
    """Draw the runs of one experiment into `figure_dir` and return the paths of the PNG files written.

    scores.npz gives roc.png, precision_recall.png and scores.png; history.jsonl gives losses.png and f1.png or
    auroc.png, depending on `metric` (with `paper_mean` as a horizontal line). Runs without a file are left out of its
    figures; empty figures are not written, and none at all if no run has scores. Raises DataError, naming the file, for
    a damaged file.
    """
    runs = [_read_scores(folder / "scores.npz") for folder in run_dirs if (folder / "scores.npz").exists()]
    if not runs:
        return []
    histories = [read_history(folder / "history.jsonl") for folder in run_dirs if (folder / "history.jsonl").exists()]
    figures = {
        "roc.png": _roc_figure(runs, title),
        "precision_recall.png": _precision_recall_figure(runs, title),
        "scores.png": _scores_figure(runs, title),
    }
    losses = {name: _courses(histories, name) for name in ("loss_d", "loss_ge")}
    if any(losses.values()):
        figures["losses.png"] = _losses_figure(losses, title)
    courses = _courses(histories, metric)
    if courses:
        figures[f"{metric}.png"] = _metric_figure(courses, metric, paper_mean, title)
    return [figure_files.save(figure, figure_dir / name) for name, figure in figures.items()]


def save_toy_figure(x_test: Array, x_hat: Array, z: Array, y_test: Array, path: Path) -> Path:
    """Draw Figure 2 as a PNG: inputs x, encodings E(x) and reconstructions G(E(x)), outliers as crosses.

    x_test, x_hat and z: [n, 2]; y_test: [n], 1 for outliers. Inputs and reconstructions share their axes. Raises
    DataError for other shapes and for non-finite values.
    """
    shapes = [np.shape(array) for array in (x_test, x_hat, z, y_test)]
    if len(shapes[3]) != 1 or shapes[:3] != [(shapes[3][0], 2)] * 3:
        received = ", ".join(str(shape) for shape in shapes)
        raise DataError(f"Expected x_test, x_hat and z [n, 2] and y_test [n]. Received: {received}. Pass 2-D toy data.")
    if not all(np.isfinite(array).all() for array in (x_test, x_hat, z)):
        raise DataError(
            "Expected finite points to draw. Received: NaN or infinity. This run has diverged: train again."
        )
    data_reach, latent_reach = (1.06 * float(np.abs(points).max()) for points in (np.stack([x_test, x_hat]), z))
    panels = [
        ("Inputs x", x_test, "x", data_reach),
        ("Encodings E(x)", z, "z", latent_reach),
        ("Reconstructions G(E(x))", x_hat, r"\hat{x}", data_reach),
    ]
    figure = _figure(10.4, 3.7)
    outlier = np.asarray(y_test) == 1
    for axes, (name, points, symbol, reach) in zip(figure.subplots(1, 3), panels):
        _finish(axes, name, f"${symbol}_1$", f"${symbol}_2$")
        axes.plot(*points[~outlier].T, "o", color=_BLUE, markersize=2.5, markeredgewidth=0, alpha=0.45, label="normal")
        axes.plot(*points[outlier].T, "x", color=_VERMILION, markersize=5.0, markeredgewidth=1.1, label="outlier")
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    figure.axes[0].legend(loc="upper right", fontsize=8, framealpha=0.9, edgecolor="none", markerscale=1.6)
    return figure_files.save(figure, path)


def save_class_bars(
    groups: Mapping[str, Mapping[int, Sequence[float]]],
    path: Path,
    title: str,
    means: Mapping[str, float | None],
    classes: Sequence[str],
) -> Path:
    """Draw bars of AUROC for each normal class: Figures 3, 4 and 7 to 10.

    Args:
        groups: name of a method or score (at most six) -> class -> AUROC of each run; a cross marks a class without.
        path: PNG file to write.
        title: title of the figure.
        means: name -> the paper's mean over all classes, drawn as a horizontal line in the colour of the bars.
        classes: names of all classes.
    """
    figure = _figure(min(max(7.0, 0.17 * len(classes) * len(groups) + 3.0), 12.0), 4.4)
    axes, width, missing = figure.subplots(), 0.8 / len(groups), False
    for number, ((name, tasks), colour) in enumerate(zip(groups.items(), _BARS)):
        middle = np.arange(len(classes)) + (number - (len(groups) - 1) / 2) * width
        there = [label for label in range(len(classes)) if tasks.get(label)]
        absent = [label for label in range(len(classes)) if not tasks.get(label)]
        heights = [float(np.mean(tasks[label])) for label in there]
        spread = [float(np.std(tasks[label], ddof=1)) if len(tasks[label]) > 1 else 0.0 for label in there]
        mean = means.get(name)
        label = name if mean is None else f"{name} (paper's mean {mean:.3f})"
        axes.bar(
            middle[there], heights, 0.9 * width, color=colour, yerr=spread, error_kw={"linewidth": 0.8}, label=label
        )
        axes.plot(middle[absent], [_ABSENT] * len(absent), "x", color=colour, markersize=4)
        missing = missing or bool(absent)
        if mean is not None:
            axes.axhline(mean, color=colour, linewidth=1.0, linestyle="--", zorder=0)
    axes.axhline(0.5, color=_GREY, linewidth=0.8, label="chance")
    if missing:
        axes.plot([], [], "x", color=_GREY, markersize=4, label="no run yet")
    axes.set_xticks(range(len(classes)), classes)
    axes.set(xlim=(-0.6, len(classes) - 0.4), ylim=(0.0, _TOP), yticks=np.linspace(0.0, 1.0, 6))
    _finish(axes, title, "Normal class", "AUROC")
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper center", ncols=3, fontsize=8, framealpha=0.9, edgecolor="none", borderaxespad=0.1)
    return figure_files.save(figure, path)


def save_methods_figure(
    curves: Mapping[str, tuple[Array, Array]], seconds: Mapping[str, float], areas: Mapping[str, float], path: Path
) -> Path:
    """Draw ROC curves (false, true positive rates) and AUROC over seconds of fit and scoring, all by method."""
    figure = _figure(11.0, 4.6)
    left, right = figure.subplots(1, 2)
    for number, (method, (false, true)) in enumerate(curves.items()):
        colour, style = _BARS[number % len(_BARS)], "-" if number < len(_BARS) else "--"
        left.plot(*thin(false, true), color=colour, linestyle=style, label=f"{method}: {areas[method]:.3f}")
        place = (max(seconds[method], 1e-3), areas[method])
        right.scatter(*place, color=colour, zorder=3)
        right.annotate(method, place, (5, 4), textcoords="offset points")
    _finish(left, "ROC", "Share of normal rows flagged", "Share of anomalies flagged", "AUROC")
    _finish(right, "Detection and time", "Seconds of fit and scoring", "AUROC")
    right.set_xscale("log")
    right.margins(x=0.2, y=0.1)
    return figure_files.save(figure, path)


def save_images_figure(shown: Mapping[str, tuple[Array, Array, Array]], path: Path) -> Path:
    """Draw images above their reconstructions, with scores: Figures 5 and 6, one pair of rows for each kind.

    Args:
        shown: kind ("normal", "anomalous") -> images and reconstructions [n, height, width, channels] uint8, A(x) [n].
        path: PNG file to write.
    """
    columns = max(len(images) for images, _, _ in shown.values())
    figure = _figure(0.8 * columns + 0.4, 1.9 * len(shown))
    axes = figure.subplots(2 * len(shown), columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for block, (kind, (images, reconstructions, scores)) in enumerate(shown.items()):
        for column, (x, x_hat, score) in enumerate(zip(images, reconstructions, scores)):
            axes[2 * block, column].imshow(x)
            axes[2 * block, column].set_title(f"{score:.4g}", fontsize=7, pad=2)
            axes[2 * block + 1, column].imshow(x_hat)
        axes[2 * block, 0].text(-0.15, 0.0, f"{kind}, A(x)", transform=axes[2 * block, 0].transAxes, rotation=90,
                                ha="right", va="center", fontsize=8)  # fmt: skip
    return figure_files.save(figure, path)


def _roc_figure(runs: Sequence[Mapping[str, Array]], title: str) -> Figure:
    figure = _curves_figure(runs, roc, auc, "AUROC", (title, "False positive rate", "True positive rate"))
    figure.axes[0].plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle=(0, (2, 3)))
    return figure


def _precision_recall_figure(runs: Sequence[Mapping[str, Array]], title: str) -> Figure:
    figure = _curves_figure(runs, precision_recall, _steps_area, "average precision", (title, "Recall", "Precision"))
    axes, share = figure.axes[0], float(np.mean([np.mean(run["y_test"] == 1) for run in runs]))
    label = f"fraction of anomalies {share:.3f}"
    axes.axhline(share, color=_GREY, linewidth=0.8, linestyle=(0, (2, 3)), label=label)
    _legend(axes, _runs_text(len(runs)))
    return figure


def _curves_figure(
    runs: Sequence[Mapping[str, Array]],
    curve: Callable[[Array, Array], tuple[Array, Array]],
    area: Callable[[Array, Array], float],
    area_name: str,
    labels: tuple[str, str, str],
) -> Figure:
    """Draw the curve of each score, averaged over the runs, with its mean area; `labels`: title and axes."""
    figure = _figure(5.6, 5.2)
    axes = figure.subplots()
    for score, (colour, style) in _STYLES.items():
        curves = [curve(run["y_test"], run[score]) for run in runs]
        areas = [float(area(*points)) for points in curves]
        _draw(axes, _average(curves), colour, style, f"{score}  {area_name} {_mean_of(areas)}")
    _finish(axes, *labels, _runs_text(len(runs)))
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    return figure


def _steps_area(x: Array, y: Array) -> float:
    return float(np.sum(np.diff(x, prepend=0.0) * y))


def _scores_figure(runs: Sequence[Mapping[str, Array]], title: str) -> Figure:
    """Draw histograms of A(x) for normal and anomalous rows of all runs together, one for each of the four scores."""
    figure = _figure(9.0, 6.4)
    rows = "one run" if len(runs) == 1 else f"rows of {len(runs)} runs together"
    name, *notes = title.split("\n")
    lines = [f"{name}, {rows} (values beyond an axis, zeros too, are in its outer bins)", *notes]
    figure.suptitle("\n".join(lines), fontsize=11)
    anomalous = np.concatenate([run["y_test"] for run in runs]) == 1
    for axes, score in zip(figure.subplots(2, 2).flat, SCORES):
        values = np.concatenate([run[score] for run in runs])
        edges, logarithmic = bin_edges(values, bins=int(np.clip(np.sqrt(len(values)), 20, 80)))
        clipped = np.clip(values, edges[0], edges[-1])
        shares = [np.histogram(clipped[rows], edges)[0] / np.count_nonzero(rows) for rows in (~anomalous, anomalous)]
        for share, name, colour in zip(shares, ("normal", "anomalous"), (_BLUE, _VERMILION)):
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.35)
            axes.stairs(share, edges, color=colour, linewidth=1.2, label=name)
        _finish(axes, _DEFINITIONS[score], "A(x)", "Share of the class's rows per bin")
        if logarithmic:
            axes.set_xscale("log")
        # One bin may hold most rows (KDD99 has many equal rows), and the other bins should still be visible.
        if np.max(shares) > 0.25:
            axes.set_yscale("log")
            axes.set_ylim(0.5 / len(values), 2.0)
        else:
            axes.set_ylim(bottom=0)
    figure.axes[0].legend(frameon=False)
    return figure


def _losses_figure(losses: Mapping[str, Sequence[tuple[Array, Array]]], title: str) -> Figure:
    figure = _figure(6.6, 4.2)
    axes = figure.subplots()
    names = {"loss_d": ("discriminators", _BLUE), "loss_ge": ("generator and encoder", _VERMILION)}
    for loss, (name, colour) in names.items():
        for number, (epochs, values) in enumerate(losses[loss]):
            axes.plot(epochs, values, color=colour, linewidth=0.9, alpha=0.75, label=name if number == 0 else None)
    finite = np.concatenate([values[np.isfinite(values)] for courses in losses.values() for _, values in courses])
    if len(finite) and finite.min() > 0 and finite.max() > 100 * finite.min():
        axes.set_yscale("log")
    runs = max(len(courses) for courses in losses.values())
    _finish(axes, title, "Epoch", "Loss", f"{runs} run{'s' * (runs > 1)}")
    return figure


def _metric_figure(courses: Sequence[tuple[Array, Array]], metric: str, paper_mean: float | None, title: str) -> Figure:
    figure = _figure(6.6, 4.2)
    axes = figure.subplots()
    # A run that was evaluated once is a single point, which is only visible with a marker.
    for number, (epochs, values) in enumerate(courses):
        marker = "o" if len(epochs) < 30 else ""
        label = "ours, one line per run" if number == 0 else None
        axes.plot(epochs, values, color=_BLUE, linewidth=1.0, alpha=0.75, marker=marker, markersize=3, label=label)
    if paper_mean is not None:
        label = f"paper's mean, {paper_mean:.4g}"
        axes.axhline(paper_mean, color=_VERMILION, linewidth=1.2, linestyle="--", label=label)
    _finish(axes, title, "Epoch", f"{metric.upper()} on the test rows", f"{len(courses)} run{'s' * (len(courses) > 1)}")
    return figure


def _average(curves: Sequence[tuple[Array, Array]]) -> _Line:
    """Average curves over x in [0, 1]; a single curve is only thinned."""
    if len(curves) == 1:
        x, mean = thin(*curves[0])
        return _Line(x, mean, mean, mean)
    # More points at the left, where the curve of a good detector bends.
    x = np.linspace(0.0, 1.0, CURVE_POINTS // 2) ** 2
    heights = np.stack([np.interp(x, *curve) for curve in curves])
    return _Line(x, heights.mean(axis=0), heights.min(axis=0), heights.max(axis=0))


def _courses(histories: Sequence[Sequence[Document]], name: str) -> list[tuple[Array, Array]]:
    """Epochs and values of a quantity for each run that has it; several values in an epoch are averaged."""
    courses = []
    for history in histories:
        points = [(float(line["epoch"]), float(line[name])) for line in history if line.get(name) is not None]
        if points:
            epochs, values = np.array(points).T
            distinct, position = np.unique(epochs, return_inverse=True)
            courses.append((distinct, np.bincount(position, values) / np.bincount(position)))
    return courses


def _read_scores(path: Path) -> dict[str, Array]:
    """Read y_test [n] and the four scores [n] as floats."""
    try:
        stored = archives.arrays(path)
        arrays = {name: stored[name] for name in ("y_test", *SCORES)}
    except DataError:
        raise
    except (OSError, KeyError, *archives.DAMAGE) as error:
        raise unusable_file(path, str(error)) from error
    labels = arrays["y_test"]
    if labels.ndim != 1 or set(np.unique(labels)) != {0, 1}:
        raise unusable_file(path, "y_test does not consist of zeros and ones, with both present")
    for score in SCORES:
        if arrays[score].shape != labels.shape:
            raise unusable_file(path, f"{score} has shape {arrays[score].shape}, y_test {labels.shape}")
        arrays[score] = arrays[score].astype(np.float64)
        if not np.isfinite(arrays[score]).all():
            raise unusable_file(path, f"{score} is not finite everywhere")
    return arrays


def _figure(width: float, height: float) -> Figure:
    """An empty figure; sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _draw(axes: Axes, line: _Line, colour: str, style: str, label: str) -> None:
    if not np.array_equal(line.low, line.high):
        axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(line.x, line.mean, color=colour, linestyle=style, linewidth=1.6, label=label)


def _finish(axes: Axes, title: str, x: str, y: str, legend: str | None = None) -> None:
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if legend is not None:
        _legend(axes, legend)


def _legend(axes: Axes, title: str) -> None:
    axes.legend(title=title, fontsize=9, title_fontsize=9, framealpha=0.9, edgecolor="none")


def _runs_text(runs: int) -> str:
    return "one run" if runs == 1 else f"{runs} runs: mean, band from lowest to highest"


def _mean_of(values: Sequence[float]) -> str:
    return mean_std(**mean_and_std(values), places=3, sign=" ± ")
