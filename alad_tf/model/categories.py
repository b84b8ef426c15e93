"""Categories among the features of a row: unseen ones, and how surprising a category is given the other columns.

A categorical column is a block of one-hot features; a category not seen in training is all zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

Blocks = Sequence[tuple[int, int]]  # (start, stop) of the features of each categorical column

VOTERS = 20  # number of nearest training rows with a full vote; votes fall to 0 at twice this number
CHUNK_ROWS = 512  # stored rows whose surprises are computed at a time
SAME = 1e-2  # squared distance below which a training row is the row itself; rounding errors of float32 are smaller


def unseen(x: tf.Tensor, blocks: Blocks) -> tf.Tensor:
    """Number of cells with a category not seen in training in each row of x [n, d]: [n] int32."""
    seen = [tf.reduce_sum(x[:, start:stop], axis=1) > 0.5 for start, stop in blocks]
    return sum(tf.cast(~each, tf.int32) for each in seen) if seen else tf.zeros(tf.shape(x)[:1], tf.int32)


@dataclass(frozen=True)
class Categories:
    """Stored training rows that tell the usual categories of a row.

    Args:
        blocks: (start, stop) of the features of the C categorical columns.
        rows: [m, d] training rows in scaled units.
        usual: [C] mean surprise of the training rows, at least 1.
        rarity: [C] -log of the fraction of the training rows with a surprise; 0 for models of earlier versions.
    """

    blocks: Blocks
    rows: np.ndarray
    usual: np.ndarray
    rarity: np.ndarray

    @classmethod
    def of_rows(cls, rows: np.ndarray, blocks: Blocks) -> Categories:
        """Create from stored training rows [m, d]; their own surprises tell which are usual."""
        known = cls(tuple(blocks), rows, np.ones(len(blocks), np.float32), np.zeros(len(blocks), np.float32))
        starts = range(0, len(rows), CHUNK_ROWS)
        chances = [known.chances(tf.constant(rows[start : start + CHUNK_ROWS])) for start in starts]
        surprises = np.concatenate([np.stack([surprise for _, surprise in chunk], axis=1) for chunk in chances])
        usual = np.maximum(surprises.mean(axis=0), 1.0)
        rarity = -np.log(((surprises > 0.0).sum(axis=0) + 1.0) / (len(rows) + 1.0))
        return replace(known, usual=usual.astype(np.float32), rarity=rarity.astype(np.float32))

    def chances(self, x: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Probability of each category of a column, given the other columns of the row.

        The nearest training rows by the other columns vote for their category, with numbers in units of their
        standard deviation. One additional vote, distributed like the categories of all stored rows plus one row for
        each category and one for unseen ones, smooths the result. A training row does not vote for itself.

        Args:
            x: [n, d] rows in scaled units.

        Returns:
            For each column (probabilities [n, k] of its k categories, which sum to 1, surprise [n]). The surprise is
            the logarithm of the ratio of the probabilities of the most likely category and the row's own.
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
        """Rows x with the features of the categorical columns replaced."""
        parts, behind = [], 0
        for (start, stop), block in zip(self.blocks, blocks):
            parts += [x[:, behind:start], block]
            behind = stop
        return tf.concat([*parts, x[:, behind:]], axis=1)

    def likelier(self, x: tf.Tensor, chances: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> list[tf.Tensor]:
        """The categories of a row, moved towards `chances` the more surprising they are: [n, k] each."""
        kept = [tf.exp(-surprise)[:, None] for _, surprise in chances]
        return [part * own + (1.0 - part) * chance for part, own, (chance, _) in zip(kept, self.of(x), chances)]

    def contributions(self, x: tf.Tensor, chances: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> list[tf.Tensor]:
        """-log P(S >= s) of a surprise s, at the feature of the category or of the most likely one: [n, k] each.

        S is the surprise of a normal row: positive in a fraction exp(-rarity) of the rows, and then exponential with
        the mean `usual`. So P(S >= s) = exp(-rarity - s / usual). The rarity is weighted by 1 - exp(-s), so that
        contributions have no step at 0.
        """
        found = []
        for own, (chance, surprise), usual, rarity in zip(self.of(x), chances, self.usual, self.rarity):
            seen = tf.reduce_sum(own, axis=1, keepdims=True) > 0.5
            place = tf.where(seen, own, tf.one_hot(tf.argmax(chance, axis=1), own.shape[1]))
            found.append(place * (surprise / usual + (1.0 - tf.exp(-surprise)) * rarity)[:, None])
        return found

    def _weight(self) -> np.ndarray:
        """Factors [d] of the features in distances: 1 for categories."""
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
    """Votes [n, m] of training rows by their squared distances, between 0 and 1, equal for equal distances."""
    count = squared.shape[1]
    smallest = -tf.math.top_k(-squared, min(2 * VOTERS, count)).values
    near, far = smallest[:, min(VOTERS, count) - 1, None], smallest[:, -1:]
    return tf.clip_by_value((far - squared + SAME) / (far - near + SAME), 0.0, 1.0)
