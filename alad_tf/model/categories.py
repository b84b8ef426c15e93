"""Categories among the features of a row: which are unseen, and how surprising one is, given the other columns.

A categorical column is a block of one-hot features; a category that training did not have is all zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

Blocks = Sequence[tuple[int, int]]  # first feature of each categorical column, and the one behind its last

VOTERS = 20  # nearest training rows with a full vote; the vote falls to 0 at twice as many
SAME = 1e-2  # squared distance below which a training row is the row itself; what float32 loses is less


def unseen(x: tf.Tensor, blocks: Blocks) -> tf.Tensor:
    """Cells of each row x [n, d] whose category training did not have: [n] int32."""
    seen = [tf.reduce_sum(x[:, start:stop], axis=1) > 0.5 for start, stop in blocks]
    return sum(tf.cast(~each, tf.int32) for each in seen) if seen else tf.zeros(tf.shape(x)[:1], tf.int32)


@dataclass(frozen=True)
class Categories:
    """Kept training rows, among which the usual categories of a row are found.

    Args:
        blocks: features of each of the C categorical columns.
        rows: [m, d] training rows in scaled units.
        usual: [C] mean surprise on normal rows, at least 1.
    """

    blocks: Blocks
    rows: np.ndarray
    usual: np.ndarray

    @classmethod
    def of_rows(cls, rows: np.ndarray, blocks: Blocks) -> Categories:
        """Of kept training rows [m, d]; usual surprises are yet to be learnt."""
        return cls(tuple(blocks), rows, np.ones(len(blocks), np.float32))

    def chances(self, x: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """How likely each category of a column is, given the other columns of the row.

        The training rows nearest by the other columns vote for their category, numbers in units of their standard
        deviation. The vote is smoothed by one vote, shared as categories are among all kept rows with one more row for
        each category and one for those that are unseen. A training row does not vote for itself.

        Args:
            x: [n, d] rows in scaled units.

        Returns:
            For each column (chances [n, k] of its k categories that sum up to 1, surprise [n]). The surprise is the
            logarithm of how much more likely the most likely category is than the row's own.
        """
        center, weight = self.rows.mean(axis=0), self._weight()
        rows, points = tf.constant((self.rows - center) * weight), (x - center) * weight
        squared = _squared_distances(points, rows)
        own_votes = tf.minimum(tf.reduce_sum(tf.nn.relu(1.0 - squared / SAME), axis=1, keepdims=True), 1.0)
        found = []
        for start, stop in self.blocks:
            own, theirs = x[:, start:stop], tf.constant(self.rows[:, start:stop])
            votes = _votes(squared - _squared_distances(own, theirs))
            prior = (tf.reduce_sum(theirs, axis=0) + 1.0) / (len(self.rows) + stop - start + 1.0)
            total = tf.reduce_sum(votes, axis=1, keepdims=True) - own_votes + 1.0
            chance = (tf.nn.relu(votes @ theirs - own_votes * own) + prior) / total
            never = 1.0 / ((len(self.rows) + stop - start + 1.0) * total[:, 0])
            its_own = tf.where(tf.reduce_sum(own, axis=1) > 0.5, tf.reduce_sum(own * chance, axis=1), never)
            surprise = tf.math.log(tf.reduce_max(chance, axis=1) / tf.maximum(its_own, never))
            found.append((chance / tf.reduce_sum(chance, axis=1, keepdims=True), surprise))
        return found

    def of(self, x: tf.Tensor) -> list[tf.Tensor]:
        """The features of each categorical column, [n, k] each."""
        return [x[:, start:stop] for start, stop in self.blocks]

    def put_into(self, x: tf.Tensor, blocks: Sequence[tf.Tensor]) -> tf.Tensor:
        """Rows x with other features for the categorical columns."""
        parts, behind = [], 0
        for (start, stop), block in zip(self.blocks, blocks):
            parts += [x[:, behind:start], block]
            behind = stop
        return tf.concat([*parts, x[:, behind:]], axis=1)

    def likelier(self, x: tf.Tensor, chances: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> list[tf.Tensor]:
        """A row's categories, which give way to `chances` as far as the most likely one is likelier: [n, k] each."""
        kept = [tf.exp(-surprise)[:, None] for _, surprise in chances]
        return [part * own + (1.0 - part) * chance for part, own, (chance, _) in zip(kept, self.of(x), chances)]

    def contributions(self, x: tf.Tensor, chances: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> list[tf.Tensor]:
        """Surprise over the usual one, at the feature of the category or of the most likely one: [n, k] each."""
        found = []
        for own, (chance, surprise), usual in zip(self.of(x), chances, self.usual):
            seen = tf.reduce_sum(own, axis=1, keepdims=True) > 0.5
            place = tf.where(seen, own, tf.one_hot(tf.argmax(chance, axis=1), own.shape[1]))
            found.append(place * (surprise / usual)[:, None])
        return found

    def _weight(self) -> np.ndarray:
        """[d] by which features are multiplied for distances: 1 for categories."""
        spread = self.rows.astype(np.float64).std(axis=0)
        weight = 1.0 / np.where(spread > 0.0, spread, 1.0)
        for start, stop in self.blocks:
            weight[start:stop] = 1.0
        return weight.astype(np.float32)


def _squared_distances(points: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Squared distances [n, m] of points [n, w] to rows [m, w]."""
    lengths = tf.reduce_sum(points**2, axis=1)[:, None] + tf.reduce_sum(rows**2, axis=1)
    return lengths - 2.0 * tf.matmul(points, rows, transpose_b=True)


def _votes(squared: tf.Tensor) -> tf.Tensor:
    """Votes [n, m] of training rows by their squared distances, between 0 and 1; equal distances have equal votes."""
    count = squared.shape[1]
    smallest = -tf.math.top_k(-squared, min(2 * VOTERS, count)).values
    near, far = smallest[:, min(VOTERS, count) - 1, None], smallest[:, -1:]
    return tf.clip_by_value((far - squared + SAME) / (far - near + SAME), 0.0, 1.0)
