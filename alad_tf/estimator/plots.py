"""Plots of the training and the scores of an estimator. matplotlib is imported on first use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LOSSES = ("loss_d", "loss_ge", "val_score")
BINS = 50


def draw_history(history: Mapping[str, Sequence[float]], ax: Any = None) -> Any:
    """Plot losses and the validation score by epoch.

    Args:
        history: name -> values by epoch.
        ax: Axes; None: new ones.
    """
    ax = _axes(ax)
    for name in LOSSES:
        if name in history:
            ax.plot(range(1, len(history[name]) + 1), history[name], label=name)
    ax.set_xlabel("epoch")
    ax.legend()
    return ax


def draw_scores(scores: Mapping[str, np.ndarray], threshold: float, ax: Any = None) -> Any:
    """Plot histograms of scores and the threshold.

    Args:
        scores: name -> [n].
        threshold: drawn as a line.
        ax: Axes; None: new ones.
    """
    ax = _axes(ax)
    highest = max(float(np.quantile(values, 0.99)) for values in scores.values())
    lowest = min(float(values.min()) for values in scores.values())
    above = max(highest, threshold)
    edges = np.linspace(lowest, above + max(0.1 * abs(above), 1e-3), BINS + 1)  # also where all scores are 0
    for name, values in scores.items():
        ax.hist(np.minimum(values, edges[-1]), edges, density=True, alpha=0.5, label=name)
    ax.axvline(threshold, color="black", linestyle="--", label="threshold")
    ax.set_xlabel("anomaly score")
    ax.legend()
    return ax


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots()[1]
