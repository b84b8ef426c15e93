"""What is reconstructed worst is named first, with its share."""

from __future__ import annotations

import numpy as np
import pytest

from alad_tf.estimator import explanations


def test_largest_first_with_shares_of_the_sum() -> None:
    order, shares = explanations.worst(np.array([[1.0, 5.0, 2.0], [3.0, 3.0, 6.0]], np.float32), 2)
    assert order.tolist() == [[1, 2], [2, 0]]  # of equal ones, the first column
    assert shares.dtype == np.float32 and shares.tolist() == [pytest.approx([5 / 8, 2 / 8]), [0.5, 0.25]]


def test_nothing_to_share_and_too_much() -> None:
    order, shares = explanations.worst(np.array([[0.0, 0.0], [1.0, np.inf], [np.nan, np.inf]], np.float32), 5)
    assert order.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert shares.tolist() == [[0, 0], [1, pytest.approx(0, abs=1e-30)], [0.5, 0.5]]
