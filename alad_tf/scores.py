"""Anomaly scores: Algorithm 1 and the variants of Section V-F. Larger = more anomalous, for all of them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from alad_tf.networks import Networks
from alad_tf.settings import SCORES

CHUNK_ROWS = 8192


def anomaly_scores(networks: Networks, x: tf.Tensor) -> dict[str, tf.Tensor]:
    """The four scores of a batch in inference mode (no dropout, moving batch-norm statistics, u as it stands).

    Args:
        networks: the trained networks.
        x: [n, d] rows of data.

    Returns:
        name -> [n]: "features" ||f_xx(x, x) - f_xx(x, x')||_1 (Algorithm 1), "l1" and "l2" norms of x - x' and
        "logits" -log Dxx(x, x'), where x' = G(E(x)).
    """
    x_hat = networks.G(networks.E(x, training=False), training=False)
    _, f_real = networks.Dxx([x, x], training=False)
    logits, f_fake = networks.Dxx([x, x_hat], training=False)
    return {
        "features": tf.norm(f_real - f_fake, ord=1, axis=1),
        "l1": tf.norm(x - x_hat, ord=1, axis=1),
        "l2": tf.norm(x - x_hat, ord=2, axis=1),
        "logits": tf.nn.softplus(-logits[:, 0]),
    }


class Scorer:
    """Scores arrays of any length chunk by chunk, in one compiled pass for all four scores."""

    def __init__(self, networks: Networks) -> None:
        width = networks.E.input_shape[-1]
        signature = [tf.TensorSpec([None, width], tf.float32)]
        self._scores = tf.function(lambda x: anomaly_scores(networks, x), input_signature=signature)

    def __call__(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Scores of x [n, d] float32: name -> [n] float32."""
        chunks = [self._scores(x[start : start + CHUNK_ROWS]) for start in range(0, max(len(x), 1), CHUNK_ROWS)]
        return {name: np.concatenate([chunk[name].numpy() for chunk in chunks]) for name in SCORES}
