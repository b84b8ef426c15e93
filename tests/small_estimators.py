"""ALAD on a few rows of five features, with a tiny architecture and eager steps."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from reference import TINY, draw

from alad_tf.estimator.alad import ALAD

X = draw(0, 40, 5).astype(np.float64) * [1.0, 10.0, 100.0, 0.1, 1.0] + 5.0
NEW = draw(1, 30, 5).astype(np.float64) * [1.0, 10.0, 100.0, 0.1, 1.0] + 5.0
NAMES = ["age", "height", "weight", "share", "count"]
SMALL = dataclasses.replace(TINY, batch_size=20)  # two steps an epoch


def make(**options: Any) -> ALAD:
    return ALAD(**{"architecture": SMALL, "jit": False, "random_state": 3, "verbose": 0, **options})


def frame(x: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(x, columns=NAMES)


NEW_FRAME = frame(NEW)


@cache
def fitted() -> ALAD:
    """A fitted ALAD; tests must not change it."""
    return make().fit(frame(X), validation=NEW_FRAME)
