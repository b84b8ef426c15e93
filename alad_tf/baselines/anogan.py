"""AnoGAN (Schlegl et al., IPMI 2017): train a GAN, then search for the z of each row by gradient descent.

The score is a weighted sum of the residual ||x - G(z)||_1 and the distance ||f(x) - f(G(z))||_1 at the z found by the
search, where f are the activations before the logits of D. The search minimises (1 - lambda) residual + lambda distance
with lambda = 0.1. The score "schlegl" is this loss; "released" swaps its weights, as the code released with ALAD does.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import tensorflow as tf

from alad_tf.model import keras_versions, networks, trainer
from alad_tf.model.adam import Adam
from alad_tf.model.batching import Parts, Score, Watch, unwatched
from alad_tf.model.networks import as_input
from alad_tf.model.shared_graphs import SharedGraph
from alad_tf.options import SEARCH_STEPS
from architectures import rows
from architectures.rows import Gan

SCORES = ("released", "schlegl")
VALIDATION: str | None = None
COSTLY = True
SEARCH_ADAM = rows.Adam(1e-3, beta1=0.9)
FEATURE_WEIGHT = 0.1  # lambda
SEARCH_ROWS = 2048  # rows per search
SEARCH_IMAGES = 64


class Networks(keras_versions.Module):
    """G and D of a table with random initial weights. D maps x to (logits [n, 1], features [n, units])."""

    def __init__(self, table: Gan, seed: int) -> None:
        super().__init__(name="GAN")
        self.plan = networks.Plan("GAN", table)
        layers = networks.Layers(table, None, seed)
        self.G = layers.network("G", (table.latent_dim,), table.G)
        inputs = tf.keras.Input(table.data_shape)
        features = layers.rows(inputs, table.D[:-1], normalised=False)
        logits = layers.row(features, replace(table.D[-1], activation="None"), normalised=False)
        self.D = tf.keras.Model(inputs, [logits, features], name="D")


class Trainer(trainer.Loop):
    """Trains with alternating updates of D and G on a batch, each with fresh z; G has the non-saturating loss."""

    table: Gan

    def __init__(self, model: Networks, table: Gan, x_train: np.ndarray, *, seed: int, jit: bool = True) -> None:
        super().__init__(table, x_train, seed=seed, names=("loss_d", "loss_g"), jit=jit)
        self.model = model
        self.optimizers = {
            name: Adam(table.optimizer, keras_versions.trained(network))
            for name, network in (("D", model.D), ("G", model.G))
        }

    def update(self, x: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """One step on x [1, batch, ...]; returns the losses of D and of G."""
        G, D = self.model.G, self.model.D
        of_G, of_D = keras_versions.trained(G), keras_versions.trained(D)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(of_D)
            x_hat = G(self._prior(step, draw=0), training=True)
            real, fake = (D(batch, training=True)[0] for batch in (x[0], x_hat))
            d_loss = tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake))
        self.optimizers["D"].apply(tape.gradient(d_loss, of_D), of_D)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(of_G)
            x_hat = G(self._prior(step, draw=1), training=True)
            g_loss = tf.reduce_mean(tf.nn.softplus(-D(x_hat, training=True)[0]))
        self.optimizers["G"].apply(tape.gradient(g_loss, of_G), of_G)
        return tf.stack([d_loss, g_loss])

    def _prior(self, step: tf.Tensor, draw: int) -> tf.Tensor:
        return self._normal([self.batch_size, self.table.latent_dim], "prior", step, draw)


class Search:
    """Search for the z of many rows in one call of a compiled graph.

    The z of a row does not depend on other rows, and equal rows start from the same z, so that they have equal scores.

    Args:
        model: a trained GAN.
        seed: governs the initial z.
        steps: steps of Adam.
        jit: compile with XLA.
    """

    def __init__(self, model: Networks, *, seed: int, steps: int = SEARCH_STEPS, jit: bool = False) -> None:
        self._model, self._seed, self._steps = model, seed, steps
        self._shape, self._latent_dim = model.D.input_shape[1:], model.G.input_shape[-1]
        self._rows = SEARCH_ROWS if len(self._shape) == 1 else SEARCH_IMAGES
        signature = [tf.TensorSpec([None, *shape], tf.float32) for shape in (self._shape, [self._latent_dim])]
        alike = ("search", model.plan, steps)
        self.search = SharedGraph(self._search, signature, model.variables, alike, jit=jit)

    def __call__(self, x: np.ndarray, watch: Watch = unwatched, parts: Parts | None = None) -> np.ndarray:
        """Residual and feature distance of each row of x [n, ...] at the z found for it: [2, n].

        `watch` is called after each block with the number of rows done and the total; an exception in it ends the
        search. `parts` holds the blocks of an earlier call for the same x and receives those of this call.
        """
        parts = {} if parts is None else parts
        distinct, place = (x, np.arange(len(x))) if x.ndim > 2 else np.unique(x, axis=0, return_inverse=True)
        z = self._starts(distinct)
        left = [np.empty((2, 0), np.float32)]
        for first in range(0, len(distinct), self._rows):
            last = min(first + self._rows, len(distinct))
            block = f"{first}-{last}"
            if block not in parts:
                rows = first + np.arange(self._rows) % (last - first)  # a short block is padded: one shape, one trace
                found = self.search(as_input(distinct[rows]), tf.constant(z[rows]))
                parts[block] = found[:, : last - first].numpy()
            left.append(parts[block])
            watch(last, len(distinct))
        return np.concatenate(left, axis=1)[:, place.ravel()]

    def scores(self, x: np.ndarray, watch: Watch = unwatched, parts: Parts | None = None) -> dict[str, np.ndarray]:
        """Scores "schlegl" and "released" of x [n, ...], [n] each, larger = more anomalous; `parts` as in a call."""
        residual, distance = self(x, watch, parts)
        return {"released": _weighed(distance, residual), "schlegl": _weighed(residual, distance)}

    def _starts(self, x: np.ndarray) -> np.ndarray:
        """Draw a z from N(0, I) for each row, [n, latent], as a function of the seed and the bytes of the row."""
        seeds = ([self._seed, zlib.crc32(row.tobytes())] for row in x)
        draws = [np.random.default_rng(seed).standard_normal(self._latent_dim) for seed in seeds]
        return np.array(draws, np.float32).reshape(len(x), self._latent_dim)

    def _search(self, x: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
        """Search from z [n, latent]; return residual and distance of x [n, ...], [2, n]."""
        f = self._model.D(x, training=False)[1]

        def one_step(
            step: tf.Tensor, z: tf.Tensor, m: tf.Tensor, v: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
            return step + 1, *self.adam_step(x, f, z, m, v, tf.cast(step, tf.float32))

        start = (tf.constant(1), z, tf.zeros_like(z), tf.zeros_like(z))
        _, z, *_ = tf.while_loop(lambda step, *_: step <= self._steps, one_step, start)
        return tf.stack(self.distances(x, f, z))

    def adam_step(
        self, x: tf.Tensor, f: tf.Tensor, z: tf.Tensor, m: tf.Tensor, v: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return z and its moments m and v, [n, latent] each, after one step of Adam; f: the features of x [n, ...]."""
        with tf.GradientTape() as tape:
            tape.watch(z)
            loss = _weighed(*self.distances(x, f, z))
        gradient, adam = tape.gradient(loss, z), SEARCH_ADAM
        m += (1.0 - adam.beta1) * (gradient - m)
        v += (1.0 - adam.beta2) * (gradient**2 - v)
        rate = adam.learning_rate * tf.sqrt(1.0 - adam.beta2**step) / (1.0 - adam.beta1**step)
        return z - rate * m / (tf.sqrt(v) + adam.epsilon), m, v

    def distances(self, x: tf.Tensor, f: tf.Tensor, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Residual and feature distance, [n] each, at z."""
        x_hat = self._model.G(z, training=False)
        return _l1(x - x_hat), _l1(f - self._model.D(x_hat, training=False)[1])


def scorer(model: Networks, seed: int) -> Score:
    """Return a function that scores arrays of any length by the search."""
    return Search(model, seed=seed).scores


def _weighed(heavy: tf.Tensor, light: tf.Tensor) -> tf.Tensor:
    return (1.0 - FEATURE_WEIGHT) * heavy + FEATURE_WEIGHT * light


def _l1(difference: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.abs(difference), axis=tuple(range(1, len(difference.shape))))
