"""Deprecated module paths that forward to the new ones."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Callable


def moved(old: str, new: str) -> Callable[[str], object]:
    """Return a module's `__getattr__` that looks names up in another module, with a DeprecationWarning.

    Args:
        old: dotted name of the deprecated module.
        new: dotted name of the module that now has the names.
    """

    def attribute(name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        warnings.warn(f"{old} has moved: import {name} from {new}.", DeprecationWarning, stacklevel=2)
        return getattr(import_module(new), name)

    return attribute
