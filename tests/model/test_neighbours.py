"""Mean distance to the nearest references, compared with scikit-learn's search in float64."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors
from tolerances import bound, largest

from alad_tf.model import neighbours

POINTS = np.random.default_rng(0).normal(0.0, 1.0, (1100, 6)).astype(np.float32)
REFERENCES = np.random.default_rng(1).normal(0.0, 1.0, (300, 6)).astype(np.float32)
# An error of squared distances moves a distance by itself over that distance; no pair here is nearer than 0.1.
CLOSE = 10.0 * bound(6 + 2, largest(POINTS) ** 2 * 6 * 4)


def nearest(points: np.ndarray, count: int) -> np.ndarray:
    found: np.ndarray = NearestNeighbors(n_neighbors=count).fit(REFERENCES.astype(np.float64)).kneighbors(points)[0]
    return found


def test_mean_of_five_without_the_nearest_over_several_chunks() -> None:
    expected = nearest(POINTS, 6)[:, 1:]
    assert expected.min() > 0.1 and len(POINTS) > 2 * neighbours.CHUNK_ROWS
    np.testing.assert_allclose(neighbours.score(POINTS, REFERENCES), expected.mean(axis=1), rtol=0.0, atol=CLOSE)


@pytest.mark.parametrize("offset", [10.0, 1000.0])
def test_rows_that_are_repeated_have_distance_zero(offset: float) -> None:
    repeated = np.repeat(REFERENCES[:10] + np.float32(offset), 7, axis=0)
    assert (neighbours.score(repeated, repeated) == 0.0).all()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_fewer_references_than_neighbours(count: int) -> None:
    few = REFERENCES[:count].astype(np.float64)
    expected = np.sort(np.linalg.norm(POINTS[:, None] - few, axis=2), axis=1)[:, 1:].sum(axis=1) / max(count - 1, 1)
    np.testing.assert_allclose(neighbours.score(POINTS, REFERENCES[:count]), expected, rtol=0.0, atol=CLOSE)


def test_references_are_all_rows_or_as_many_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert neighbours.choose(50, 3, seed=1).tolist() == [*range(50)]
    some = neighbours.choose(9_000, 3, seed=1)
    assert len(some) == neighbours.MOST_REFERENCES and (np.diff(some) > 0).all() and some[-1] < 9_000
    monkeypatch.setattr(neighbours, "MOST_NUMBERS", 600)
    assert len(neighbours.choose(9_000, 3, seed=1)) == 100 and len(neighbours.choose(9_000, 300, seed=1)) == 6
