"""ALAD as a scikit-learn outlier detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alad_tf.estimator.alad import ALAD as ALAD


def __getattr__(name: str) -> object:
    """Import ALAD, and TensorFlow with it, on first use."""
    if name == "ALAD":
        from alad_tf.estimator.alad import ALAD

        return ALAD
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
