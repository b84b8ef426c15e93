"""The protocol of each data set (Section V-A) and the ablations of Tables V and VI."""

from __future__ import annotations

from typing import NamedTuple

import architectures
from architectures import Alad

ABLATIONS = {  # Tables V and VI: method -> (spectral norm, Dzz)
    "ALAD": (True, True),
    "ALAD-noSN": (False, True),
    "ALAD-noDzz": (True, False),
    "ALAD-baseline": (False, False),
}


class Protocol(NamedTuple):
    """How the runs of a data set are made and judged."""

    top_fraction: float  # share of the test rows flagged as anomalies
    runs: int
    spectral_norm: str | None = "paper"
    ema_decay: float | None = 0.999  # None: the trained weights score, not their average
    threads: int = 1  # of a run's process; only large batches gain from a second one
    jit: bool = True  # compile the step with XLA, which gains where batches are small
    beside: tuple[str, ...] = ()  # other methods shown in the same report
    metric: str = "f1"  # that the paper reports
    patience: int | None = None  # epochs without a better validation score before training stops


# AUROC is what the paper reports; nine classes of ten are anomalies.
_IMAGES = Protocol(
    0.9, runs=3, jit=False, beside=("ALAD-noSN", "ALAD-noDzz", "ALAD-baseline"), metric="auroc", patience=10
)


PROTOCOLS = {
    "kdd99": Protocol(0.20, runs=10, beside=("ALAD-noSN",)),
    "arrhythmia": Protocol(0.15, runs=10, beside=("ALAD-noSN", "ALAD-noDzz", "ALAD-baseline")),
    "svhn": _IMAGES,
    "cifar10": _IMAGES,
    "toy": Protocol(100 / 2148, runs=1, spectral_norm=None, ema_decay=None, threads=2, jit=False),
}


def of_images(dataset: str) -> bool:
    """Whether the samples of a data set are images."""
    return isinstance(alad_table(dataset).data_dim, tuple)


def alad_table(dataset: str) -> Alad:
    """The architecture table of ALAD for a data set."""
    table = architectures.load(dataset)
    assert isinstance(table, Alad)
    return table
