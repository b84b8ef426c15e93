"""Types shared by the loaders of data sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, NamedTuple

import numpy as np


class Split(NamedTuple):
    """Training and test rows of a data set."""

    x_train: np.ndarray  # [n_train, d] float32, or images [n_train, 32, 32, 3] uint8
    x_valid: np.ndarray | None
    x_test: np.ndarray  # [n_test, d] float32
    y_test: np.ndarray  # [n_test] uint8, 1 = anomaly
    stand_in: str | None = None  # how the data differ from those of Table I; None: no difference


class Halves(NamedTuple):
    """The two halves as released; the training half may still hold anomalies."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@dataclass(frozen=True)
class RawFile:
    """A published file, and the function that parses it into arrays."""

    name: str
    size: int  # bytes
    sha256: str
    urls: tuple[str, ...]  # mirrors, tried in this order
    parse: Callable[[bytes], Halves]


class Counts(NamedTuple):
    """Shapes and numbers of anomalies of the two halves."""

    train: tuple[int, ...]
    train_anomalies: int
    test: tuple[int, ...]
    test_anomalies: int
