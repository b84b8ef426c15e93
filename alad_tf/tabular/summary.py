"""Summary of a training, printed by `alad fit`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from alad_tf.tabular.model import Model


def describe_fit(model: Model) -> Iterator[str]:
    """Yield a line each on the columns, the rows, the training and the threshold."""
    estimator, columns = model.estimator, model.columns
    made = sum(len(column.features) for column in columns.dates)
    of_dates = f" ({made} made of dates)" if made else ""
    yield (
        f"columns: {len(columns.numeric)} numeric{of_dates}, {len(columns.categorical)} categorical; "
        f"{estimator.n_features_in_} features"
    )
    held_out = len(estimator.reference_scores_) if estimator.reference_ == "validation rows" else 0
    yield f"rows: {estimator.n_samples_fit_} trained on, {held_out} held out"
    history = estimator.history_
    epochs, planned = len(history["loss_d"]), estimator.table_.epochs
    early = "" if epochs == planned else f" of {planned}, stopped early"
    if estimator.patience is not None:
        early += f", weights of epoch {int(np.argmin(history['val_l2'])) + 1}"
    losses = ", ".join(f"{name} {history[name][0]:.3g} to {history[name][-1]:.3g}" for name in ("loss_d", "loss_ge"))
    yield f"training: {epochs} epochs{early}; {losses}"
    kind, scores = ("held-out", estimator.reference_scores_) if held_out else ("training", estimator.training_scores_)
    share = np.mean(scores > estimator.threshold_)
    yield f"threshold: {estimator.threshold_:.6g}; {share:.2%} of the {kind} rows above"
