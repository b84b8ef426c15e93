"""Types shared by several folders; quick to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    import numpy as np

Document = dict[str, Any]  # an object of a JSON file, as `json` reads it
Options = dict[str, Any]  # keyword arguments by name
Arrays = dict[str, "np.ndarray"]  # arrays by name


class Rule(TypedDict):
    """How a threshold was set."""

    rule: str  # contamination, false_positive_rate, top_fraction or value
    value: float
    scores: str  # the rows whose scores the rule was applied to
