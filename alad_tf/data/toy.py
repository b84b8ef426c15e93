"""The toy data of Figure 2."""

from __future__ import annotations

import numpy as np

from alad_tf.data.base import Halves


def toy_halves() -> Halves:
    """Figure 2: four Gaussians at (+-2, +-2), variance 0.02; test outliers uniform over [-4, 4]^2, which covers them.

    An outlier that falls inside a Gaussian is still labelled 1.
    """
    rng = np.random.default_rng(42)

    def mixture() -> np.ndarray:
        centres = rng.choice((-2.0, 2.0), size=(2048, 2))
        return rng.normal(centres, np.sqrt(0.02)).astype(np.float32)

    x_train, x_normal = mixture(), mixture()
    outliers = rng.uniform(-4.0, 4.0, size=(100, 2)).astype(np.float32)
    y_test = np.repeat(np.array([0, 1], np.uint8), [len(x_normal), len(outliers)])
    return Halves(x_train, np.zeros(len(x_train), np.uint8), np.concatenate([x_normal, outliers]), y_test)
