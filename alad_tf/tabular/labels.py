"""Labels of rows, and metrics based on them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from alad_tf import metrics
from alad_tf.columns.schema import as_text
from alad_tf.errors import listed, quoted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labels:
    """A column that tells which rows are normal.

    Args:
        column: name of the column.
        normal: values of normal rows, as text; rows with any other value are anomalies.
    """

    column: str
    normal: tuple[str, ...]

    def is_anomaly(self, frame: pd.DataFrame) -> np.ndarray:
        """Whether each row of the frame is an anomaly: [n] bool."""
        return ~as_text(frame[self.column]).isin(self.normal).to_numpy()

    def is_known(self, frame: pd.DataFrame) -> np.ndarray:
        """Whether each row of the frame has a label: [n] bool. Empty text is none, as in text files."""
        text = as_text(frame[self.column])
        known: np.ndarray = (text.notna() & (text != "")).to_numpy()
        return known


def warn_of_unlabelled(rows: int, path: Path) -> None:
    """Warn that rows of a file have no label, if there are any."""
    if rows:
        logger.warning("%d rows of %s have no label and are left out", rows, path)


class LabelledScores:
    """Scores and labels of rows, for metrics; rows without a label or a score are left out.

    Args:
        labels: label column.
    """

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._anomaly: list[np.ndarray] = []
        self._scores: list[np.ndarray] = []
        self._left_out = 0
        self._values: dict[str, None] = {}  # in chunks without a normal row

    def add(self, frame: pd.DataFrame, scored: pd.DataFrame) -> None:
        """Add rows and the result of `Model.scored` for them."""
        used = self._labels.is_known(frame) & scored["is_valid"].to_numpy(bool)
        anomaly = self._labels.is_anomaly(frame)[used]
        if anomaly.all():
            self._values.update(dict.fromkeys(as_text(frame[self._labels.column][used]).unique()))
        self._anomaly.append(anomaly)
        self._scores.append(scored["score"].to_numpy()[used])
        self._left_out += int((~used).sum())

    def described(self) -> str:
        """Describe the metrics in one line."""
        anomaly = np.concatenate(self._anomaly)
        told = describe_metrics(anomaly, np.concatenate(self._scores))
        if len(anomaly) and anomaly.all():
            told += f"; column {quoted(self._labels.column)} holds {listed(self._values)}"
        return told + (f"; {self._left_out} rows without a label or a score left out" if self._left_out else "")


def describe_metrics(anomaly: np.ndarray, scores: np.ndarray) -> str:
    """Describe metrics in one line; F1 is for as many flagged rows as there are anomalies."""
    if anomaly.all() or not anomaly.any():
        return (
            f"{int(anomaly.sum())} anomalies of {len(anomaly)} rows by label: no metrics, because they need both kinds"
        )
    values = metrics.by_labels(anomaly.astype(np.uint8), scores)
    return f"{int(anomaly.sum())} anomalies by label: AUROC {values['auroc']:.4f}, average precision " + (
        f"{values['average_precision']:.4f}, F1 {values['f1']:.4f} with as many rows flagged"
    )
