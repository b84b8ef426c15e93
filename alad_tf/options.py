"""Names that options take: scores, spectral norms, strategies, precisions."""

from __future__ import annotations

NEIGHBOURS = 5  # of kNN
SPECTRAL_NORMS = ("paper", "tfa", None)
WEIGHTS = ("best", "last")
STRATEGIES = (None, "mirrored", "multi-worker")
PRECISIONS = (None, "bfloat16")
CLASSES = 10  # of the image data sets
SCORES = ("features", "l1", "l2", "logits")  # Section V-F, in the order of reports
