"""Anomaly scores: Algorithm 1 and the variants of Section V-F; larger = more anomalous for all of them."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from alad_tf.model.layers import PairDense
from alad_tf.model.networks import Networks, as_input
from alad_tf.model.shared_graphs import SharedGraph
from alad_tf.model.spectral_norm import SpectralNormalization
from alad_tf.options import SCORES

CHUNK_ROWS = 2048  # rows per pass; intermediate results fit into the CPU caches
CHUNK_IMAGES = 128
BLOCK_ROWS = 2**16  # rows per call of the graph; limits the copy of rows that are not contiguous float32


def anomaly_scores(networks: Networks, x: tf.Tensor) -> dict[str, tf.Tensor]:
    """The four scores of a batch in inference mode (no dropout, moving batch-norm statistics, current u).

    Args:
        networks: the trained networks.
        x: [n, d] rows of data, or images [n, height, width, channels], uint8 or in [-1, 1].

    Returns:
        name -> [n]: "features" ||f_xx(x, x) - f_xx(x, x')||_1 (Algorithm 1), "l1" and "l2" norms of x - x' and
        "logits" -log Dxx(x, x'), where x' = G(E(x)).
    """
    x = as_input(x)
    x_hat = networks.reconstruct(x)
    return _scores(_as_rows(x - x_hat), *_two_pairs(networks.Dxx, x, x_hat))


def scores_of(Dxx: tf.keras.Model, x: tf.Tensor, x_hat: tf.Tensor) -> dict[str, tf.Tensor]:
    """The four scores from x and its reconstructions, as inputs of the networks; shared parts are computed once."""
    (linear, *_), difference = _computing(Dxx), x - x_hat
    shares = isinstance(getattr(linear, "layer", linear), PairDense)  # Dxx has no branches
    pairs = _pairs(Dxx, x, difference) if shares else _two_pairs(Dxx, x, x_hat)
    return _scores(_as_rows(difference), *pairs)


def _two_pairs(Dxx: tf.keras.Model, x: tf.Tensor, x_hat: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """f_xx(x, x), f_xx(x, x') and the logits of (x, x')."""
    _, f_real = Dxx([x, x], training=False)
    logits, f_fake = Dxx([x, x_hat], training=False)
    return f_real, f_fake, logits


def _as_rows(x: tf.Tensor) -> tf.Tensor:
    """Flatten images to rows; return rows unchanged."""
    return x if len(x.shape) == 2 else tf.reshape(x, [-1, math.prod(x.shape[1:])])


def _scores(difference: tf.Tensor, f_real: tf.Tensor, f_fake: tf.Tensor, logits: tf.Tensor) -> dict[str, tf.Tensor]:
    return {
        "features": tf.norm(f_real - f_fake, ord=1, axis=1),
        "l1": tf.norm(difference, ord=1, axis=1),
        "l2": tf.norm(difference, ord=2, axis=1),
        "logits": tf.nn.softplus(-logits[:, 0]),
    }


class Scorer:
    """`anomaly_scores` of arrays of any length, in chunks; shared parts of the pairs of Dxx are computed once.

    Graphs are traced when rows are first scored, and use the current weights in later calls. Images are uint8.
    """

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._shape = networks.E.input_shape[1:]
        images = len(self._shape) > 1
        self._dtype: type = np.uint8 if images else np.float32
        self._size = CHUNK_IMAGES if images else CHUNK_ROWS
        rows = tf.TensorSpec([None, *self._shape], self._dtype)
        plan, variables = networks.plan, networks.variables
        self._one_chunk, self._many_chunks = (
            SharedGraph(function, [rows], variables, plan and (name, plan, self._size))
            for name, function in (("one chunk", self._chunk), ("many chunks", self._chunks))
        )

    def __call__(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Scores of x [n, d], or of images [n, height, width, channels] uint8: name -> [n] float32.

        Contiguous float32 rows and images are not copied.

        Raises:
            ValueError: rows of another width, images of another size or not uint8.
        """
        if x.shape[1:] != self._shape or (self._dtype == np.uint8 and x.dtype != np.uint8):
            shape = ", ".join(map(str, self._shape))
            kind = "images of bytes" if self._dtype == np.uint8 else "rows"
            raise ValueError(f"Expected {kind} of shape [n, {shape}]. Received: {x.dtype} {list(x.shape)}")
        blocks = [self._block(x[start : start + BLOCK_ROWS]) for start in range(0, max(len(x), 1), BLOCK_ROWS)]
        return dict(zip(SCORES, np.concatenate(blocks, axis=1)))

    def _block(self, x: np.ndarray) -> np.ndarray:
        """Scores [4, n] of at most BLOCK_ROWS rows."""
        scores = self._one_chunk if len(x) <= self._size else self._many_chunks  # the loop has an overhead of 0.1 ms
        # A raw operation uses the memory of the array; tf.constant would copy it.
        return scores(tf.raw_ops.Identity(input=np.ascontiguousarray(x, self._dtype))).numpy()

    def _chunks(self, x: tf.Tensor) -> tf.Tensor:
        """Scores [4, n] of many rows."""

        def one_chunk(start: tf.Tensor, chunks: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            end = start + self._size
            return end, chunks.write(chunks.size(), tf.transpose(self._chunk(x[start:end])))

        none = tf.TensorArray(tf.float32, 0, dynamic_size=True, infer_shape=False, element_shape=[None, len(SCORES)])
        _, chunks = tf.while_loop(lambda start, chunks: start < tf.shape(x)[0], one_chunk, (tf.constant(0), none))
        return tf.transpose(chunks.concat())

    def _chunk(self, x: tf.Tensor) -> tf.Tensor:
        """Scores [4, n] of few rows."""
        networks, x = self._networks, as_input(x)
        scores = scores_of(networks.Dxx, x, networks.reconstruct(x))
        return tf.stack([scores[name] for name in SCORES])


def _computing(network: tf.keras.Model) -> list[tf.keras.layers.Layer]:
    """The layers of a network without input layers, in the order of computation."""
    return [layer for layer in network.layers if not isinstance(layer, tf.keras.layers.InputLayer)]


def _pairs(Dxx: tf.keras.Model, x: tf.Tensor, difference: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """f_xx(x, x), f_xx(x, x') and the logits of (x, x'), where x' = x - difference, for a Dxx without branches.

    Its first layer is linear: x W_1 + x W_2 = x (W_1 + W_2) for (x, x), and that minus (x - x') W_2 for (x, x').
    """
    linear, *hidden, last = _computing(Dxx)
    dense = getattr(linear, "layer", linear)
    kernel = dense.kernel / linear.sigma() if isinstance(linear, SpectralNormalization) else dense.kernel
    W_1, W_2 = tf.split(kernel, 2)
    real = tf.nn.bias_add(x @ (W_1 + W_2), dense.bias)
    fake = real - difference @ W_2
    for layer in hidden:
        real, fake = layer(real, training=False), layer(fake, training=False)
    return real, fake, last(fake)
