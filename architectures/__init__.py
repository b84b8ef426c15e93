"""The paper's architecture tables (appendix) as data: one module per data set. Never imports TensorFlow.

Baselines from other papers have a module each (`dsebm`, `dagmm`).
"""

from __future__ import annotations

from importlib import import_module

from architectures.rows import Alad, Dagmm, Dsebm, Gan, Table, render

DATASETS = ("kdd99", "arrhythmia", "svhn", "cifar10", "toy")
METHODS = ("ALAD", "AnoGAN", "DSEBM", "DAGMM")

__all__ = ["DATASETS", "METHODS", "Alad", "Dagmm", "Dsebm", "Gan", "Table", "load", "render"]


def load(name: str, method: str = "ALAD") -> Table:
    """Return the architecture table of a method for a data set.

    Args:
        name: one of `DATASETS`.
        method: one of `METHODS`; for "AnoGAN", the table of its GAN.

    Raises:
        ValueError: unknown data set or method, or no such table.
    """
    if name not in DATASETS:
        raise ValueError(
            f"Expected a data set with an architecture table. Received: {name!r}. Allowed: {', '.join(DATASETS)}"
        )
    if method not in METHODS:
        raise ValueError(
            f"Expected a method with an architecture table. Received: {method!r}. Allowed: {', '.join(METHODS)}"
        )
    table = _table(name, method)
    if table is None:
        allowed = ", ".join(other for other in METHODS if _table(name, other))
        raise ValueError(f"Expected a table of {method} for {name}, but there is none. Allowed for {name}: {allowed}")
    return table


def _table(name: str, method: str) -> Table | None:
    page, variable = {
        "ALAD": (name, "ALAD"),
        "AnoGAN": (name, "GAN"),
        "DSEBM": ("dsebm", name.upper()),
        "DAGMM": ("dagmm", name.upper()),
    }[method]
    return getattr(import_module(f"architectures.{page}"), variable, None)
