"""Labels of rows and metrics based on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from alad_tf import metrics
from alad_tf.columns.schema import as_text


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


def describe_metrics(anomaly: np.ndarray, scores: np.ndarray) -> str:
    """Describe metrics in one line; F1 is for as many flagged rows as there are anomalies."""
    if anomaly.all() or not anomaly.any():
        return (
            f"{int(anomaly.sum())} anomalies of {len(anomaly)} rows by label: no metrics, because they need both kinds"
        )
    values = metrics.evaluate(anomaly.astype(np.uint8), scores, float(anomaly.mean()))
    return f"{int(anomaly.sum())} anomalies by label: AUROC {values['auroc']:.4f}, average precision " + (
        f"{values['average_precision']:.4f}, F1 {values['f1']:.4f} with as many rows flagged"
    )
