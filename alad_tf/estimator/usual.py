"""Usual values of each feature: expected values of a row, and how unusual each of its cells is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Callable

import numpy as np
import tensorflow as tf

from alad_tf.estimator.thresholds import LARGEST
from alad_tf.model.categories import Categories

TAIL = 0.005  # fraction of the rows below `Usual.low` and above `Usual.high`
LEAST = 0.05  # smallest usual error of a feature, as a fraction of the median feature's
CHUNK_ROWS = 512  # rows per chunk with categories, whose distances to all stored rows are in memory
CHUNK_NUMBERS = 1 << 16  # rows per chunk without categories

Reconstruct = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Usual:
    """Usual range and error of each feature on normal rows, in scaled units.

    The expected values of a row are the reconstruction of the row after its unusual cells are replaced: numbers are
    clipped to [low, high], and an unlikely category is moved towards the categories of near training rows. Without
    this, one wrong cell would spoil the reconstruction of all other cells and would not stand out.

    The contribution of a number is its difference from the expected value divided by `error`: its surprise in nats, if
    differences had a Laplace distribution. The contribution of a category is in nats too: the negative logarithm of the
    fraction of normal rows with such a surprise (`Categories.chances`). It is assigned to the feature of the category,
    or of the most likely one if the category is unseen.

    Args:
        low, high: [d] quantiles of the values.
        error: [d] mean absolute difference between a cell and its expected value.
        categories: usual categories; None: no categorical columns, or a model of an earlier release.
    """

    low: np.ndarray
    high: np.ndarray
    error: np.ndarray
    categories: Categories | None = None

    @classmethod
    def of_rows(cls, x: np.ndarray, reconstruct: Reconstruct, categories: Categories | None = None) -> Usual:
        """Learn usual values from normal rows x [n, d], in scaled units."""
        low, high = (np.quantile(x, tail, axis=0).astype(np.float32) for tail in (TAIL, 1.0 - TAIL))
        usual = cls(low, high, np.ones_like(low), categories)
        error = np.abs(x - usual.explain(x, reconstruct)[0]).mean(axis=0)
        floor = max(LEAST * float(np.median(error)), float(np.finfo(np.float32).tiny))
        return replace(usual, error=np.clip(error, floor, LARGEST).astype(np.float32))

    @property
    def known(self) -> bool:
        """Whether the values were learnt from rows."""
        return bool((self.high < LARGEST).any())

    @classmethod
    def unknown(cls, d: int) -> Usual:
        """Create for models of earlier releases: no clipping; contributions are absolute differences."""
        return cls(np.full(d, -LARGEST, np.float32), np.full(d, LARGEST, np.float32), np.ones(d, np.float32))

    def explain(self, x: np.ndarray, reconstruct: Reconstruct) -> tuple[np.ndarray, np.ndarray]:
        """Expected values and contributions of any number of rows x [n, d]: [n, d] each."""
        parts = [self.explained(tf.constant(chunk), reconstruct) for chunk in self._chunks(x)]
        expected, contributions = (np.concatenate(part) for part in zip(*parts))
        return expected, contributions

    def explained(self, x: tf.Tensor, reconstruct: Reconstruct) -> tuple[tf.Tensor, tf.Tensor]:
        """Expected values and contributions of one batch."""
        moved = self._moved(x)
        if self.categories is None:
            expected = reconstruct(moved)
            return expected, tf.abs(x - expected) / self.error
        chances = self.categories.chances(moved)
        expected = reconstruct(self.categories.put_into(moved, self.categories.likelier(x, chances)))
        contribution = tf.abs(x - expected) / self.error
        return (
            self.categories.put_into(expected, [chance for chance, _ in chances]),
            self.categories.put_into(contribution, self.categories.contributions(x, chances)),
        )

    def _moved(self, x: tf.Tensor) -> tf.Tensor:
        """Rows with numbers in [low, high], and their own categories."""
        moved = tf.clip_by_value(x, self.low, self.high)
        return moved if self.categories is None else self.categories.put_into(moved, self.categories.of(x))

    def _chunks(self, x: np.ndarray) -> Iterator[np.ndarray]:
        size = CHUNK_NUMBERS if self.categories is None else CHUNK_ROWS
        return (x[start : start + size] for start in range(0, max(len(x), 1), size))
