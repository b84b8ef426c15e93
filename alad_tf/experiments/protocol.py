"""The protocol of each data set (Section V-A) and the ablations of Tables V and VI."""

from __future__ import annotations

from typing import NamedTuple

import architectures
from alad_tf.options import BASELINE_NAMES
from architectures import Alad

ABLATIONS = {  # Tables V and VI: method -> (spectral norm, Dzz)
    "ALAD": (True, True),
    "ALAD-noSN": (False, True),
    "ALAD-noDzz": (True, False),
    "ALAD-baseline": (False, False),
}
METHODS = (*ABLATIONS, *BASELINE_NAMES)


class Protocol(NamedTuple):
    """How runs on a data set are done and evaluated."""

    top_fraction: float  # fraction of the test rows flagged as anomalies
    runs: int
    spectral_norm: str | None = "paper"
    ema_decay: float | None = 0.999  # None: score with the trained weights, not with their average
    threads: int = 1  # of each run; only large batches gain from a second one
    jit: bool = True  # compile the training step with XLA, faster for small batches
    beside: tuple[str, ...] = ()  # other methods in the same table
    metric: str = "f1"  # the metric that the paper reports
    dynamics: str | None = None  # training dynamics of ALAD: "released" (D17 to D21), or None for the paper's


# The paper reports AUROC; nine of ten classes are anomalies.
_IMAGES = Protocol(
    0.9, runs=3, jit=False, beside=("ALAD-noSN", "ALAD-noDzz", "ALAD-baseline"), metric="auroc", dynamics="released"
)


PROTOCOLS = {
    "kdd99": Protocol(0.20, runs=10, beside=("ALAD-noSN",)),
    "arrhythmia": Protocol(0.15, runs=10, beside=("ALAD-noSN", "ALAD-noDzz", "ALAD-baseline")),
    "svhn": _IMAGES,
    "cifar10": _IMAGES,
    "toy": Protocol(100 / 2148, runs=1, spectral_norm=None, ema_decay=None, threads=2, jit=False),
}


def of_images(dataset: str) -> bool:
    """Whether a data set consists of images."""
    return isinstance(alad_table(dataset).data_dim, tuple)


def alad_table(dataset: str) -> Alad:
    """The architecture table of ALAD for a data set."""
    table = architectures.load(dataset)
    assert isinstance(table, Alad)
    return table
