"""ALAD, Adversarially Learned Anomaly Detection (Zenati et al., ICDM 2018), on TensorFlow and Keras.

Folders, in the direction of imports:

    cli           the command `alad`
    serving       export, convert, serve and score in batches
    experiments   the paper's protocol: runs, checkpoints, evaluation, summaries
    baselines     the methods that Section V-B compares with ALAD
    tabular       your own data files: `alad fit`, `score`, `inspect`, `report`
    estimator     ALAD as a scikit-learn outlier detector
    columns       schema of a table, and preprocessing of its columns to features
    model         Figure 1 and Section IV: networks, losses, training, scores
    data          Table I: raw files and splits
    report        tables and figures that compare our results with the paper's, and HTML pages
    io            atomic files, locks, manifests, archives

The architecture tables are in the package `architectures`.

Importing this package is quick. It sets TF_CPP_MIN_LOG_LEVEL to 3 (TensorFlow's C++ code logs fatal errors
only) unless the variable is set or TensorFlow is already imported; set it to 0 to see everything. Warnings of runs,
fits and scores go to the logger `alad_tf`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alad_tf import _tensorflow_log
from alad_tf._version import __version__

if TYPE_CHECKING:
    from alad_tf.estimator.alad import ALAD
    from alad_tf.serving.batch import BatchScorer
    from alad_tf.serving.sources import load_networks

__all__ = ["ALAD", "BatchScorer", "__version__", "load_networks"]

_tensorflow_log.quiet()


def __getattr__(name: str) -> object:
    """Import a public name, and TensorFlow with it, on first use."""
    if name == "ALAD":
        from alad_tf.estimator.alad import ALAD

        return ALAD
    if name == "BatchScorer":
        from alad_tf.serving.batch import BatchScorer

        return BatchScorer
    if name == "load_networks":
        from alad_tf.serving.sources import load_networks

        return load_networks
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, including those not imported yet."""
    return sorted({*globals(), *__all__})
