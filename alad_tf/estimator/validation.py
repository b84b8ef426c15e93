"""Validation of arrays and frames: finite numbers, constant features, held-out rows; feature scaling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from alad_tf.errors import DataError, SettingsError, quoted, visible


def require_finite(X: np.ndarray, names: Sequence[str], purpose: str) -> None:
    """Refuse NaN and infinite values.

    Args:
        X: [n, d] rows.
        names: names of the d features.
        purpose: use of the rows, such as "to train on".

    Raises:
        DataError: the message names the first such cell and the number of further ones.
    """
    bad = ~np.isfinite(X)
    if not bad.any():
        return
    row, column = (int(place[0]) for place in np.nonzero(bad))
    kind = "NaN" if np.isnan(X[row, column]) else "infinity"
    more = np.count_nonzero(bad) - 1
    raise DataError(
        f"Expected finite numbers {purpose}. Received: {kind} in row {row} (of 0 to {len(X) - 1}), column "
        f"{names[column]!r}" + (f", and {more} more NaN or inf" if more else "") + "."
    )


def require_in_range(
    X: np.ndarray | None, center: np.ndarray, scale: np.ndarray, names: Sequence[str], purpose: str
) -> None:
    """Refuse rows X [n, d], if any, with numbers that float32 does not hold after scaling by center and scale [d].

    Raises:
        DataError: the message names the first such column.
    """
    if X is None:
        return
    extremes = np.stack([X.min(axis=0), X.max(axis=0)])
    with np.errstate(over="ignore", invalid="ignore"):
        sound = np.isfinite(((extremes - center) / scale).astype(np.float32)).all(axis=0) & np.isfinite(scale)
    if not sound.all():
        place = int(np.argmin(sound))
        raise DataError(
            f"Expected numbers {purpose} that float32 holds once they are scaled. Received: {extremes[0, place]:.6g} "
            f"to {extremes[1, place]:.6g} in column {quoted(names[place])}. Divide the column by a power of ten first."
        )


def require_valid(reasons: Sequence[str], purpose: str) -> None:
    """Refuse rows with a reason [n] why they are invalid, as of `Columns.reasons`.

    Raises:
        DataError: the message names the first such row, its columns, and the number of further rows.
    """
    bad = [row for row, reason in enumerate(reasons) if reason]
    if bad:
        raise DataError(
            f"Expected rows without missing or infinite cells {purpose}. Received: row {bad[0]} (of 0 to "
            f"{len(reasons) - 1}) with {visible(reasons[bad[0]])}"
            + (f", and {len(bad) - 1} more such rows" if bad[1:] else "")
            + "."
        )


def first_text(X: object) -> str | None:
    """Describe the first cell of a frame that is not a number; None for frames of numbers and for arrays."""
    if not (hasattr(X, "columns") and hasattr(X, "index")):
        return None
    frame: pd.DataFrame = X
    for name, column in frame.items():
        if column.dtype.kind in "fiub":
            continue
        for row, value in column.items():
            try:
                float(value)
            except (OverflowError, TypeError, ValueError):
                return f"{quoted(value)} in row {quoted(row)}, column {quoted(name)}"
    return None


def nan_for_missing(X: npt.ArrayLike) -> npt.ArrayLike:
    """Rows with NaN in place of None, NA and NaT in the columns of objects of a frame.

    Raises:
        DataError: dates or times, which NumPy would convert to numbers.
    """
    if not isinstance(X, pd.DataFrame):
        _refuse_times(X, "")
        return X
    if all(dtype.kind in "biuf" for dtype in X.dtypes):
        return X
    rows = X.copy(deep=False)
    for place, (name, column) in enumerate(X.items()):
        _refuse_times(column, f" in column {quoted(name)}")
        if column.dtype == object:
            rows.isetitem(place, column.where(column.notna(), np.nan))
    return rows


def _refuse_times(X: npt.ArrayLike, place: str) -> None:
    dtype = getattr(X, "dtype", None)
    if getattr(dtype, "kind", "") in ("m", "M"):
        raise DataError(f"Expected numbers. Received: {dtype}{place}. Encode or drop dates and times.")


def hold_out(X: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split X [n, d] at random into training rows and a fraction of held-out rows.

    Raises:
        SettingsError: the fraction is outside (0, 1) or leaves fewer than two training rows.
    """
    if not 0.0 < share < 1.0:
        raise SettingsError(f"Expected a share of X above 0 and below 1. Received: {share}.")
    if len(X) - math.ceil(share * len(X)) < 2:
        raise SettingsError(
            f"Expected at least 2 rows to train on beside those held out. Received: {len(X)} rows, with a fraction of "
            f"{share} to be held out."
        )
    training, held_out = train_test_split(X, test_size=share, random_state=seed)
    return training, held_out


def constant_features(X: np.ndarray, names: Sequence[str]) -> str | None:
    """Describe the features with a single value in all rows of X [n, d]; None if there are none."""
    constant = [name for name, spread in zip(names, np.ptp(X, axis=0)) if spread == 0]
    if not constant:
        return None
    listed = ", ".join(map(repr, constant[:10])) + (", ..." if len(constant) > 10 else "")
    return (
        f"{len(constant)} columns hold one value in all training rows: {listed}. Nothing is learnt from them, "
        "and another value there makes a row anomalous."
    )


def fit_scaling(kind: str | None, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (center, scale), [d] each, such that (X - center) / scale is scaled by `kind`, one of `SCALINGS`."""
    if kind == "standard":
        with np.errstate(over="ignore", invalid="ignore"):  # a scale that is not finite is refused with the rows
            scaler = StandardScaler().fit(X)
        return np.asarray(scaler.mean_, np.float64), np.asarray(scaler.scale_, np.float64)
    if kind == "minmax":
        scaler = MinMaxScaler().fit(X)
        return np.asarray(scaler.data_min_, np.float64), 1.0 / np.asarray(scaler.scale_, np.float64)
    return np.zeros(X.shape[1]), np.ones(X.shape[1])
