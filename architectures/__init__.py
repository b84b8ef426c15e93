"""The paper's appendix as data: one page per data set, read beside the paper's tables. Never imports TensorFlow."""

from __future__ import annotations

from importlib import import_module

from architectures.rows import Alad, Gan, render

DATASETS = ("kdd99", "arrhythmia", "svhn", "cifar10", "toy")
METHODS = {"ALAD": "ALAD", "AnoGAN": "GAN"}

__all__ = ["DATASETS", "METHODS", "Alad", "Gan", "load", "render"]


def load(name: str, method: str = "ALAD") -> Alad | Gan:
    """Return the table of a data set.

    Args:
        name: one of `DATASETS`.
        method: one of `METHODS`; "AnoGAN" gives the table of the GAN that AnoGAN searches.

    Raises:
        ValueError: unknown data set or method, or the paper has no such table.
    """
    if name not in DATASETS:
        raise ValueError(
            f"Expected a data set with an architecture table. Received: {name!r}. Allowed: {', '.join(DATASETS)}"
        )
    if method not in METHODS:
        raise ValueError(
            f"Expected a method with an architecture table. Received: {method!r}. Allowed: {', '.join(METHODS)}"
        )
    page = import_module(f"architectures.{name}")
    if not hasattr(page, METHODS[method]):
        raise ValueError(f"Expected a table of {method} for {name}, but there is none. Allowed for {name}: ALAD")
    table: Alad | Gan = getattr(page, METHODS[method])
    return table
