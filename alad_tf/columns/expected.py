"""Cells that a model expects: reconstructed features in the units of the columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer


def expected_cells(transformer: ColumnTransformer, x_hat: np.ndarray) -> pd.DataFrame:
    """Convert reconstructed features to cells: numbers in their units, and the most likely category.

    Args:
        transformer: fitted transformer of `preprocessing.of_columns`.
        x_hat: [n, d] reconstructed features.

    Returns:
        A frame of n rows with the columns of the transformer.
    """
    cells: dict[str, np.ndarray] = {}
    for part, columns in ((name, columns) for name, _, columns in transformer.transformers_ if name != "remainder"):
        fitted, features = transformer.named_transformers_[part], x_hat[:, transformer.output_indices_[part]]
        if part == "numeric":
            scaler = fitted.named_steps["scale"]
            scaled = hasattr(scaler, "inverse_transform") and len(features) > 0
            with np.errstate(over="ignore"):  # of features far outside the training range
                numbers = scaler.inverse_transform(features) if scaled else features
            cells.update({name: numbers[:, k] for k, name in enumerate(columns)})
            continue
        start = 0
        for name, categories in zip(columns, fitted.categories_):
            block = features[:, start : start + len(categories)]
            cells[name] = categories[block.argmax(axis=1)].astype(object)
            cells[name][~block.any(axis=1)] = None
            start += len(categories)
    return pd.DataFrame(cells)
