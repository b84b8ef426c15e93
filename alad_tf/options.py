"""Allowed values of options: methods, scores, scalings, spectral norms, strategies, precisions."""

from __future__ import annotations

CLASSICAL = ("OC-SVM", "SGD-OC-SVM", "IF", "mean", "kNN")  # baselines without networks and epochs
BASELINE_NAMES = (*CLASSICAL, "DSEBM", "DAGMM", "AnoGAN")
COMPARED = ("ALAD", "kNN", "LOF", "IF", "OC-SVM", "DSEBM", "DAGMM")  # default methods of `alad compare`
COMPARABLE = (*COMPARED, "SGD-OC-SVM", "mean")
SEARCH_STEPS = 500  # of AnoGAN's search for z
NEIGHBOURS = 5  # k of kNN and of the score "neighbours"
SCALINGS = ("standard", "minmax", None)  # scaling of features; None: raw values
PROTOCOL_SCALINGS = (None, "minmax")  # scalings of the paper's data sets
SCALING_NAMES = tuple(kind or "none" for kind in SCALINGS)  # on the command line and in model folders
SPECTRAL_NORMS = ("paper", "tfa", None)
WEIGHTS = ("best", "last")
STRATEGIES = (None, "mirrored", "multi-worker")
PRECISIONS = (None, "bfloat16")
DYNAMICS = (None, "released")  # training dynamics; None: the paper's
CLASSES = 10  # classes of each image data set
SCORES = ("features", "l1", "l2", "logits")  # Section V-F, in the order of reports
FIGURE_SUFFIXES = (".png", ".pdf", ".svg")  # formats in which each figure is written
ROW_SCORES = ("neighbours", *SCORES)  # scores of ALAD; the first is this package's own and the default
