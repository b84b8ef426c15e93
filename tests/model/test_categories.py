"""Votes of near training rows for the usual category, counted by hand; unseen categories."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tolerances import assert_close

from alad_tf.model.categories import SAME, VOTERS, Categories, unseen

BLOCKS = ((1, 3), (4, 7))


def rows(count: int, seed: int) -> np.ndarray:
    """A number, two categories that depend on its sign, a constant, and three random categories."""
    random = np.random.default_rng(seed)
    x = np.zeros((count, 7), np.float32)
    x[:, 0] = random.choice([-1.0, 1.0], count)
    x[np.arange(count), 1 + (x[:, 0] > 0)] = 1.0
    x[np.arange(count), 4 + random.integers(0, 3, count)] = 1.0
    return x


KEPT = rows(200, seed=0)
KNOWN = Categories.of_rows(KEPT, BLOCKS)


def test_unseen_categories_are_counted() -> None:
    x = rows(4, seed=1)
    x[1, 1:3], x[2, 1:3], x[2, 4:7] = 0.0, 0.0, 0.0
    assert unseen(tf.constant(x), BLOCKS).numpy().tolist() == [0, 1, 2, 0]
    assert unseen(tf.constant(x), ()).numpy().tolist() == [0, 0, 0, 0]


def test_a_swapped_category_is_surprising_and_an_unseen_one_more() -> None:
    x = rows(50, seed=1)
    (chance, surprise), (_, at_random) = KNOWN.chances(tf.constant(x))
    np.testing.assert_array_equal(chance.numpy().argmax(axis=1), x[:, 1:3].argmax(axis=1))
    assert np.all(surprise == 0.0) and np.all(at_random < np.log(2.0 * VOTERS))
    swapped, never = x.copy(), x.copy()
    swapped[:, 1:3], never[:, 1:3] = x[:, 2:0:-1], 0.0
    of_swapped, of_never = (KNOWN.chances(tf.constant(rows))[0][1].numpy() for rows in (swapped, never))
    share = (KEPT[:, 1:3].sum(axis=0) + 1.0) / (len(KEPT) + 3.0)  # of the one vote that is shared
    assert np.all(of_swapped > np.log(VOTERS / share.max())) and np.all(of_never > of_swapped + 3.0)


def test_chances_by_hand() -> None:
    """With a single categorical column, all rows are equally near, and all vote."""
    kept = np.repeat(np.eye(3, dtype=np.float32), [60, 30, 10], axis=0)
    ((chance, surprise),) = Categories.of_rows(kept, ((0, 3),)).chances(tf.constant(np.eye(3, dtype=np.float32)))
    counts = np.array([60.0, 30.0, 10.0])
    for row in range(3):
        votes = counts - (np.arange(3) == row) + (counts + 1.0) / 104.0  # a row of training does not vote for itself
        assert_close(chance[row], votes / votes.sum(), 20, 1.0 / SAME)
        assert_close(surprise[row], np.log(votes.max() / votes[row]), 20, 1.0 / SAME)


def test_contributions_by_hand() -> None:
    """-log of the fraction of normal rows with such a surprise; 40 of 100 stored rows have one."""
    kept = np.repeat(np.eye(3, dtype=np.float32), [60, 30, 10], axis=0)
    known = Categories.of_rows(kept, ((0, 3),))
    x = tf.constant(np.concatenate([np.eye(3, dtype=np.float32), np.zeros((1, 3), np.float32)]))
    chances = known.chances(x)
    surprise = chances[0][1].numpy()
    assert surprise[0] == 0.0
    rarity = -np.log(41.0 / 101.0)
    assert 30.0 * surprise[1] + 10.0 * surprise[2] < 100.0 and known.usual.tolist() == [1.0]
    assert_close(known.rarity, [rarity], 4, 1.0)
    (part,) = known.contributions(x, chances)
    expected = surprise + (1.0 - np.exp(-surprise)) * rarity
    assert_close(tf.reduce_sum(part, axis=1), expected, 4, 10.0)
    assert part[0, 0] == 0.0 and part[3, 0] > part[2, 2] > part[1, 1] > rarity / 2.0


def test_stored_rows_know_what_is_usual() -> None:
    """A category that follows from the others is rarely surprising; one at random often is."""
    assert_close(KNOWN.rarity[0], np.log(201.0), 4, 10.0)
    assert KNOWN.usual.tolist() == [1.0, 1.0]
    assert np.log(3.0 / 2.5) < KNOWN.rarity[1] < np.log(3.0 / 1.5)
    of_all = [surprise.numpy() for _, surprise in KNOWN.chances(tf.constant(KEPT))]
    assert_close(KNOWN.rarity, [-np.log((np.sum(each > 0.0) + 1.0) / 201.0) for each in of_all], 4, 10.0)


def test_usual_surprises_of_many_categories_at_random() -> None:
    """The mean is above 1 there, and divides the surprise."""
    random = np.random.default_rng(0)
    kept = np.eye(200, dtype=np.float32)[np.minimum(random.geometric(0.05, 400), 200) - 1]
    known = Categories.of_rows(kept, ((0, 200),))
    chances = known.chances(tf.constant(kept))
    surprise = chances[0][1].numpy()
    assert surprise.mean() > 1.0
    assert_close(known.usual, [surprise.mean()], 400, 10.0)
    (part,) = known.contributions(tf.constant(kept), chances)
    expected = surprise / known.usual + (1.0 - np.exp(-surprise)) * known.rarity
    assert_close(tf.reduce_sum(part, axis=1), expected, 4, 10.0)


def test_the_rows_themselves_do_not_vote() -> None:
    """Stored rows with a wrong category are as surprising as new ones."""
    kept = KEPT.copy()
    kept[0, 1:3] = kept[0, 2:0:-1]
    known = Categories.of_rows(kept, BLOCKS)
    assert_close(known.rarity[0], np.log(201.0 / 2.0), 4, 10.0)
    fresh = kept[:1] + np.array([0, 0, 0, 0.5, 0, 0, 0], np.float32)
    (_, surprise), _ = known.chances(tf.constant(np.concatenate([kept[:1], fresh])))
    assert np.all(surprise > 2.0)


def test_features_are_replaced() -> None:
    x = tf.constant(rows(3, seed=2))
    assert np.array_equal(KNOWN.put_into(x, KNOWN.of(x)), x)
    chances = KNOWN.chances(x)
    earlier = Categories(BLOCKS, KEPT, np.ones(2, np.float32), np.zeros(2, np.float32))  # a model without rarities
    for part, (_, surprise), own in zip(earlier.contributions(x, chances), chances, KNOWN.of(x)):
        assert_close(tf.reduce_sum(part, axis=1), surprise, 2, 10.0)
        assert np.all((part.numpy() > 0) <= (own.numpy() > 0))
    assert [part.shape for part in KNOWN.likelier(x, chances)] == [(3, 2), (3, 3)]
