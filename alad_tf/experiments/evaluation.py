"""Scores and metrics of a run's test rows."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from alad_tf import metrics
from alad_tf.data import base
from alad_tf.errors import one_line
from alad_tf.experiments import models
from alad_tf.experiments.baseline_settings import AnySettings
from alad_tf.experiments.protocol import PROTOCOLS
from alad_tf.io import archives
from alad_tf.model.batching import Parts, Watch, unwatched
from alad_tf.typing import Document

logger = logging.getLogger(__name__)


class Judge:
    """Evaluates a model on the test rows of a split."""

    def __init__(self, settings: AnySettings, split: base.Split, model: models.Model) -> None:
        self.settings, self.split, self.model = settings, split, model
        self.top_fraction = PROTOCOLS[settings.dataset].top_fraction

    def __call__(self, score: np.ndarray) -> dict[str, float]:
        """All metrics of one score [n] of the test rows."""
        return metrics.evaluate(self.split.y_test, score, self.top_fraction)

    def of_test_rows(self, test_scores: Mapping[str, np.ndarray]) -> Document:
        """Metrics on the test rows for result.json, by score."""
        return {
            **({} if self.split.stand_in is None else {"stand_in": self.split.stand_in}),
            "n_anomalies": int(self.split.y_test.sum()),
            "top_fraction": self.top_fraction,
            "scores": {name: self(score) for name, score in test_scores.items()},
        }

    def now(self) -> dict[str, float]:
        """Metrics of the current model: all for its first score, AUROC for the others; empty if scoring is slow."""
        if self.model.search:
            return {}
        judged = {name: self(score) for name, score in self.model.scores(self.split.x_test, unwatched).items()}
        return {**judged[self.settings.scores[0]], **{f"auroc_{name}": judged[name]["auroc"] for name in judged}}

    def validation(self) -> float | None:
        """Mean score of the validation rows; None without validation rows."""
        if self.split.x_valid is None or self.model.validation is None:
            return None
        return float(self.model.scores(self.split.x_valid, unwatched)[self.model.validation].mean())


def unshared_rows(x_train: np.ndarray, split: base.Split, test_scores: Mapping[str, np.ndarray]) -> Document:
    """Metrics without the test rows that also occur in the training set; empty without such rows and for images."""
    if split.x_test.ndim > 2:
        return {}
    seen = {row.tobytes() for row in x_train}
    new = np.array([row.tobytes() not in seen for row in split.x_test])
    y = split.y_test[new]
    if new.all() or len(set(y.tolist())) < 2:
        return {}
    scores = {name: metrics.ranking(y, score[new]) for name, score in test_scores.items()}
    return {"unshared": {"n_test": len(y), "n_anomalies": int(y.sum()), "scores": scores}}


def score_test_rows(model: models.Model, x: np.ndarray, kept: Path, watch: Watch) -> dict[str, np.ndarray]:
    """Score the test rows x; warn if all of them have the same score.

    AnoGAN's search resumes from the parts that an earlier call wrote to the file `kept`.
    """
    scores = _scores(model, x, kept, watch)
    for name, score in scores.items():
        if np.ptp(score) == 0.0:
            logger.warning("all test rows have the same score %r", name)
    return scores


def _scores(model: models.Model, x: np.ndarray, kept: Path, watch: Watch) -> dict[str, np.ndarray]:
    if model.search is None:
        return model.scores(x, watch if model.trainer is None else unwatched)
    parts: Parts = {}
    if kept.exists():
        try:
            parts = archives.arrays(kept)
        except (OSError, *archives.DAMAGE) as error:
            logger.warning("scores so far in %s are damaged, %s; scoring again", kept, one_line(error))
    return model.search(x, watch, _Kept(kept, parts))


class _Kept(Parts):
    """Parts that are written to a file as soon as they are set."""

    def __init__(self, path: Path, parts: Parts) -> None:
        super().__init__(parts)
        self._path = path

    def __setitem__(self, name: str, part: np.ndarray) -> None:
        super().__setitem__(name, part)
        archives.write(self._path, self)
