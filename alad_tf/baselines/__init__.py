"""Baselines of the paper (Section V-B).

    from alad_tf.baselines import DSEBM, DAGMM, AnoGAN, MeanDistance, NeighbourDistance


classical  scikit-learn's OC-SVM and Isolation Forest; distances to the mean and to the nearest neighbours
dsebm      deep structured energy-based models
dagmm      deep autoencoding Gaussian mixture models
anogan     a GAN and a search for the z of each row
estimators the three deep methods as scikit-learn outlier detectors
"""

from __future__ import annotations

from importlib import import_module

_DETECTORS = {
    **dict.fromkeys(("DSEBM", "DAGMM", "AnoGAN"), "estimators"),
    **dict.fromkeys(("MeanDistance", "NeighbourDistance"), "classical"),
}


def __getattr__(name: str) -> type:
    """Import a detector and its dependencies on first use."""
    if name not in _DETECTORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_DETECTORS[name]}"), name)
