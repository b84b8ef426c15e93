"""Scores of many rows as a histogram with a slider for the threshold."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from alad_tf import metrics
from alad_tf.report import svg
from alad_tf.report.plots import bin_edges

TOP_SCORES = 200  # largest scores, each of which is a step of the slider
BINS = 60


@dataclass(frozen=True)
class ScoreView:
    """Scores of rows and their threshold.

    Args:
        scores: [n] finite, larger = more anomalous.
        threshold: rows with a larger score are flagged.
        anomalous: [n] bool, from the labels; None without labels.
        rows_of: description of the rows, such as "rows of new.csv".
    """

    scores: np.ndarray
    threshold: float
    anomalous: np.ndarray | None
    rows_of: str

    def steps(self) -> np.ndarray:
        """Thresholds of the slider, ascending: quantiles, a grid, the largest scores, and the current threshold."""
        ordered = np.unique(self.scores.astype(np.float64))
        grid = np.linspace(ordered[0], ordered[-1], 300)
        quantiles = np.quantile(self.scores.astype(np.float64), np.linspace(0, 1, 400))
        return np.unique(np.concatenate([grid, quantiles, ordered[-TOP_SCORES:], [self.threshold]]))

    def flagged(self, thresholds: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
        """Number of rows with a larger score than each threshold, [k] int; `among` [n] bool: only these rows."""
        scores = np.sort((self.scores if among is None else self.scores[among]).astype(np.float64))
        return len(scores) - np.searchsorted(scores, thresholds, side="right")

    def metrics(self) -> dict[str, float] | None:
        """AUROC, average precision, and precision, recall and F1 at the threshold; None unless there are both kinds."""
        if self.anomalous is None or self.anomalous.all() or not self.anomalous.any():
            return None
        y = self.anomalous.astype(np.uint8)
        return {**metrics.ranking(y, self.scores), **metrics.threshold_metrics(y, self.scores, self.threshold)}

    def chart(self) -> tuple[str, str]:
        """(histogram as SVG, steps of the slider as JSON that is safe in a script element)."""
        scores = self.scores.astype(np.float64)
        edges, logarithmic = bin_edges(scores, BINS)
        kinds = {"rows": np.ones(len(self.scores), bool)}
        if self.anomalous is not None:
            kinds = {"normal rows by label": ~self.anomalous, "anomalies by label": self.anomalous}
        clipped = np.clip(scores, edges[0], edges[-1])
        counts = {kind: np.histogram(clipped[rows], edges)[0] for kind, rows in kinds.items()}
        axis = svg.Axis(float(edges[0]), float(edges[-1]), svg.LEFT, svg.WIDTH - svg.RIGHT, logarithmic)
        steps = self.steps()
        content = {
            "threshold": steps.tolist(),
            "x": [axis.place(value) for value in steps],
            "flagged": self.flagged(steps).tolist(),
            "hits": None if self.anomalous is None else self.flagged(steps, self.anomalous).tolist(),
            "rows": len(self.scores),
            "anomalies": None if self.anomalous is None else int(self.anomalous.sum()),
            "start": int(np.searchsorted(steps, self.threshold)),
        }
        return svg.histogram(edges, counts, axis, self.threshold), script_json(content)


def script_json(content: object) -> str:
    """JSON with escapes that make it safe in a script element, also for old JavaScript engines."""
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}  # U+2028 and U+2029 are escaped as all non-ASCII is
    document = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return "".join(escapes.get(character, character) for character in document)
