"""Profiles of the training columns, stored with a model, and the drift of new rows from them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from scipy.stats import chi2

from alad_tf.columns.schema import Columns
from alad_tf.errors import DataError
from alad_tf.report.page import Drift
from alad_tf.typing import Document

LEVELS = np.linspace(0.0, 1.0, 51)  # quantile levels in a profile
TENTHS = np.arange(0.1, 0.95, 0.1)
RARE = 0.01  # categories with a smaller fraction of the training rows share a bin
MOST_COLUMNS = 4000  # wider tables have no profile
BY_CHANCE = 0.001
SMOOTHING = 0.5  # rows added to each bin, so that an empty bin has a finite PSI


def describe(cells: pd.DataFrame, columns: Columns) -> Document:
    """Profile of training cells as JSON: cumulative counts at quantiles of numbers, and counts of categories.

    Args:
        cells: result of `Columns.training_rows`.
        columns: schema of the table.
    """
    if len(columns.names) > MOST_COLUMNS:
        return {}
    numeric, categorical = {}, {}
    for name in columns.numeric:
        values = np.sort(cells[name].dropna().to_numpy(np.float64))
        edges = np.unique(np.quantile(values, LEVELS, method="lower"))
        numeric[name] = {
            "edges": edges.tolist(),
            "up_to": np.searchsorted(values, edges, side="right").tolist(),
            "missing": int(len(cells) - len(values)),
        }
    for name in columns.categorical:
        known = cells[name].dropna()
        counts = {str(value): int(count) for value, count in known.value_counts().items()}
        categorical[name] = {"counts": counts, "missing": int(len(cells) - len(known))}
    return {"numeric": numeric, "categorical": categorical}


class DriftCounter:
    """Counts new rows in the bins of a profile, chunk by chunk.

    Args:
        profile: result of `describe`.
        columns: schema of the table.

    Raises:
        DataError: the profile is damaged, or of other columns.
    """

    def __init__(self, profile: Document, columns: Columns) -> None:
        try:
            self._numbers = {name: _NumberBins(**bins) for name, bins in profile["numeric"].items()}
            self._texts = {name: _TextBins(**bins) for name, bins in profile["categorical"].items()}
            if not set(self._numbers) <= {*columns.numeric} or not set(self._texts) <= {*columns.categorical}:
                raise ValueError("columns that the model does not have")
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise DataError(f"Expected the profile of training rows. Received: damaged: {error!r:.200}.") from error

    def add(self, cells: pd.DataFrame) -> None:
        """Count the cells of a chunk, a result of `Columns.scoring_rows`."""
        for name, numbers in self._numbers.items():
            numbers.add(cells[name].to_numpy(np.float64))
        for name, texts in self._texts.items():
            texts.add(cells[name])

    def drift(self) -> list[Drift]:
        """Drift of the columns, largest first."""
        found = [numbers.drift(name) for name, numbers in self._numbers.items()]
        found += [texts.drift(name) for name, texts in self._texts.items()]
        return sorted(found, key=lambda drift: -drift.psi)


class _NumberBins:
    """Histogram of a numeric column in the training rows and in new rows."""

    def __init__(self, edges: list[float], up_to: list[int], missing: int) -> None:
        self.edges, self.up_to, self.missing = np.array(edges, np.float64), np.array(up_to, np.int64), int(missing)
        if not len(self.edges) == len(self.up_to) > 0 or not (np.diff(self.edges) > 0).all():
            raise ValueError("edges that do not rise")
        if not np.isfinite(self.edges).all() or (np.diff(self.up_to, prepend=0) < 0).any():
            raise ValueError("counts that fall")
        _require_count(self.missing)
        self.new = np.zeros(len(self.edges) + 2, np.int64)  # below the first edge, up to each edge, above the last
        self.new_missing = 0

    def add(self, values: np.ndarray) -> None:
        known = values[~np.isnan(values)]
        self.new_missing += len(values) - len(known)
        places = np.where(known < self.edges[0], 0, np.searchsorted(self.edges, known, side="left") + 1)
        self.new += np.bincount(places, minlength=len(self.new))

    def drift(self, name: str) -> Drift:
        trained = np.concatenate([[0], np.diff(self.up_to, prepend=0), [0]])
        last = np.unique(np.searchsorted(self.up_to, TENTHS * self.up_to[-1]))  # last edge of each tenth
        starts = np.unique([0, 1, *(last + 2), len(trained) - 1])
        before, now = (np.add.reduceat(counts, starts) for counts in (trained, self.new))
        psi, by_chance = _psi([*before, self.missing], [*now, self.new_missing])
        shares = [np.cumsum(counts) / max(counts.sum(), 1) for counts in (trained, self.new)]
        ks = float(np.abs(shares[0] - shares[1]).max()) if self.new.sum() else None
        words = [
            f"median {self._median(counts)}{_missing(missing, counts.sum())}" if counts.sum() else "no value"
            for counts, missing in ((trained, self.missing), (self.new, self.new_missing))
        ]
        return Drift(name, "numeric", psi, by_chance, ks, *words)

    def _median(self, counts: np.ndarray) -> str:
        """Upper edge of the bin that holds the median; only a bound for values outside the training rows' range."""
        place = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
        if place == 0:
            return f"below {self.edges[0]:.4g}"
        return f"{self.edges[place - 1]:.4g}" if place <= len(self.edges) else f"above {self.edges[-1]:.4g}"


class _TextBins:
    """Counts of the categories of a column in the training rows and in new rows."""

    def __init__(self, counts: dict[str, int], missing: int) -> None:
        self.counts, self.missing = {str(name): int(count) for name, count in counts.items()}, int(missing)
        for count in (self.missing, *self.counts.values(), sum(self.counts.values())):
            _require_count(count)
        self.new: Counter[str] = Counter()
        self.new_missing = self.unseen = 0

    def add(self, values: pd.Series) -> None:
        known = values.dropna()
        self.new_missing += len(values) - len(known)
        for name, count in known.value_counts().items():
            if str(name) in self.counts:
                self.new[str(name)] += int(count)
            else:
                self.unseen += int(count)

    def drift(self, name: str) -> Drift:
        rows = sum(self.counts.values())
        common = [category for category, count in self.counts.items() if count >= RARE * rows]
        before, now = ([counts[category] for category in common] for counts in (self.counts, self.new))
        total = sum(self.new.values())
        psi, by_chance = _psi(
            [*before, rows - sum(before), 0, self.missing],
            [*now, total - sum(now), self.unseen, self.new_missing],
        )
        words = [_most_common(counts, missing) for counts, missing in ((self.counts, self.missing), (self.new, 0))]
        if self.unseen:
            words[1] += f"; never seen in training: {self.unseen / (total + self.unseen):.1%}"
        words[1] += _missing(self.new_missing, total + self.unseen)
        return Drift(name, "categorical", psi, by_chance, None, *words)


def _require_count(count: int) -> None:
    if not 0 <= count < 1 << 53:
        raise ValueError("counts that no rows have")


def _psi(before: list[int], now: list[int]) -> tuple[float, float]:
    """Population stability index of two histograms, and the value it exceeds by chance with probability `BY_CHANCE`.

    The index is the sum of (q - p) ln(q / p) over the bins that hold a row. Without drift, the index divided by
    1/n + 1/m is approximately chi-squared with (number of bins - 1) degrees of freedom.
    """
    both = np.array([before, now], np.float64)
    both = both[:, both.sum(axis=0) > 0]
    n, m = both.sum(axis=1)
    if not n or not m or both.shape[1] < 2:
        return 0.0, 0.0
    p, q = (counts + SMOOTHING for counts in both)
    p, q = p / p.sum(), q / q.sum()
    chance = float(chi2.isf(BY_CHANCE, both.shape[1] - 1)) * (1 / n + 1 / m)
    return float(((q - p) * np.log(q / p)).sum()), chance


def _most_common(counts: dict[str, int], missing: int) -> str:
    total = sum(counts.values())
    if not total:
        return "no known category"
    name = max(counts, key=lambda category: counts[category])
    return (
        f"{len([c for c in counts.values() if c])} categories, most often {name!r:.40} ({counts[name] / total:.1%})"
        + (_missing(missing, total))
    )


def _missing(missing: int, known: int) -> str:
    return f", missing {missing / (missing + known):.1%}" if missing else ""
