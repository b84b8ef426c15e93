"""DSEBM (Zhai et al., ICML 2016): an energy network, trained by denoising score matching.

E(x) = 1/2 ||x - b'||^2 - sum_k h_k(x), where h is the stack of softplus layers of the table and b' is a bias with the
shape of a sample. The gradient gives the reconstruction f(x) = x - dE/dx = b' + d(sum_k h_k)/dx, whose weights are tied
to those of h by construction.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from alad_tf.model import keras_versions, networks, trainer
from alad_tf.model.adam import Adam
from alad_tf.model.batching import Score, in_graph
from architectures.rows import Dsebm

SCORES = ("energy", "reconstruction")
VALIDATION = "reconstruction"
COSTLY = False


class Networks(keras_versions.Module):
    """h and b' of a table with random initial weights, governed by `seed`."""

    def __init__(self, table: Dsebm, seed: int) -> None:
        super().__init__(name="DSEBM")
        self.plan = networks.Plan("DSEBM", table)
        self.h = networks.Layers(table, None, seed).network("h", table.data_shape, table.h)
        self.b = tf.Variable(tf.zeros(table.data_shape), name="b")

    def energy(self, x: tf.Tensor) -> tf.Tensor:
        """E(x) [n] of x [n, ...]."""
        return 0.5 * _sum_of_sample((x - self.b) ** 2) - _sum_of_sample(self.h(x))

    def reconstruct(self, x: tf.Tensor) -> tf.Tensor:
        """f(x) [n, ...] of x [n, ...]."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            total = tf.reduce_sum(self.h(x))
        return self.b + tape.gradient(total, x)

    def scores(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scores of x [n, ...], [n] each, larger = more anomalous: "energy" E(x), "reconstruction" ||x - f(x)||^2."""
        return {"energy": self.energy(x), "reconstruction": _sum_of_sample((x - self.reconstruct(x)) ** 2)}


class Trainer(trainer.Loop):
    """Minimises the mean of ||x - f(x + noise)||^2 over a batch."""

    table: Dsebm

    def __init__(self, model: Networks, table: Dsebm, x_train: np.ndarray, *, seed: int, jit: bool = True) -> None:
        super().__init__(table, x_train, seed=seed, names=("loss",), jit=jit)
        self.model = model
        self.optimizers = {"adam": Adam(table.optimizer, model.trainable_variables)}

    def update(self, x: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """One step on x [1, batch, ...]; returns the loss as [1]."""
        noise = self.table.noise * self._normal([self.batch_size, *self.table.data_shape], "noise", step)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(_sum_of_sample((x[0] - self.model.reconstruct(x[0] + noise)) ** 2))
        weights = self.model.trainable_variables
        self.optimizers["adam"].apply(tape.gradient(loss, weights), weights)
        return loss[None]


def scorer(model: Networks, seed: int) -> Score:
    """Return a function that computes `Networks.scores` of arrays of any length."""
    return in_graph(model.scores, model)


def _sum_of_sample(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(x, axis=tuple(range(1, len(x.shape))))
