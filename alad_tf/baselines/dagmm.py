"""DAGMM (Zong et al., ICLR 2018): energy of an autoencoder's code and reconstruction errors in a Gaussian mixture.

z = [z_c, relative Euclidean distance, cosine similarity of x and x'], where z_c is the code of x and x' is its
reconstruction. A second network estimates the membership of z in each Gaussian.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from alad_tf.model import keras_versions, networks, trainer
from alad_tf.model.adam import Adam
from alad_tf.model.batching import Score, in_graph
from architectures.rows import Dagmm

SCORES = ("energy",)
VALIDATION: str | None = None
COSTLY = False
COVARIANCE_FLOOR = 1e-6  # added to the variances, so that a Gaussian at a single point has a density
NORM_FLOOR = 1e-12  # added to squared norms, because the square root has no gradient at zero


class Mixture(NamedTuple):
    """K Gaussians of D dimensions: weights phi [K], means mu [K, D], covariances Sigma [K, D, D]."""

    phi: tf.Tensor
    mu: tf.Tensor
    sigma: tf.Tensor


class Networks(keras_versions.Module):
    """Compression and estimation networks of a table with random initial weights, and the mixture used for scoring."""

    def __init__(self, table: Dagmm, seed: int) -> None:
        super().__init__(name="DAGMM")
        self.plan = networks.Plan("DAGMM", table)
        layers = networks.Layers(table, None, seed)
        code = table.encoder[-1].units
        gaussians, dimensions = table.estimation[-1].units, code + 2
        self.encoder = layers.network("encoder", table.data_shape, table.encoder)
        self.decoder = layers.network("decoder", (code,), table.decoder)
        self.estimation = layers.network("estimation", (dimensions,), table.estimation)
        self.mixture = Mixture(
            tf.Variable(tf.fill([gaussians], tf.constant(1.0 / gaussians, tf.float64)), trainable=False),
            tf.Variable(tf.zeros([gaussians, dimensions], tf.float64), trainable=False),
            tf.Variable(tf.eye(dimensions, batch_shape=[gaussians], dtype=tf.float64), trainable=False),
        )

    def compress(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """z [n, D] and x' [n, d] of x [n, d]."""
        code = self.encoder(x)
        x_hat = self.decoder(code)
        norm, norm_hat = _norm(x), _norm(x_hat)
        distance = _norm(x - x_hat) / norm
        cosine = tf.reduce_sum(x * x_hat, axis=1) / (norm * norm_hat)
        return tf.concat([code, distance[:, None], cosine[:, None]], axis=1), x_hat

    def scores(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Score "energy" [n] of x [n, d] in the mixture of the training set; larger = more anomalous."""
        z, _ = self.compress(x)
        return {"energy": energy(_double(z), Mixture(*map(tf.convert_to_tensor, self.mixture)))}

    def take_mixture_of(self, x_train: tf.Tensor) -> None:
        """Set the mixture used for scoring from all training rows [n, d] and their current memberships."""
        z, _ = self.compress(x_train)
        gamma = self.estimation(z, training=False)
        for variable, value in zip(self.mixture, mixture(_double(z), _double(gamma))):
            variable.assign(value)


class Trainer(trainer.Loop):
    """Minimises mean ||x - x'||^2 + lambda_1 mean energy + lambda_2 sum of 1 / Sigma_kjj, with the batch's mixture."""

    table: Dagmm

    def __init__(self, model: Networks, table: Dagmm, x_train: np.ndarray, *, seed: int, jit: bool = False) -> None:
        names = ("loss", "reconstruction", "energy", "singularity")
        super().__init__(table, x_train, seed=seed, names=names, jit=jit)
        self.model = model
        self.optimizers = {"adam": Adam(table.optimizer, model.trainable_variables)}

    def before_scoring(self) -> None:
        """Set the mixture used for scoring from all training rows."""
        self.model.take_mixture_of(self.x_train)

    def update(self, x: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """One step on x [1, batch, d]; returns the loss and its three unweighted terms."""
        weights = self.model.trainable_variables
        with tf.GradientTape() as tape:
            z, x_hat = self.model.compress(x[0])
            gamma = self.model.estimation(z, training=True)
            batch = mixture(_double(z), _double(gamma))
            reconstruction = tf.reduce_mean(tf.reduce_sum((x[0] - x_hat) ** 2, axis=1))
            mean_energy = tf.cast(tf.reduce_mean(energy(_double(z), batch)), tf.float32)
            singularity = tf.cast(tf.reduce_sum(1.0 / tf.linalg.diag_part(batch.sigma)), tf.float32)
            loss = reconstruction + self.table.energy_weight * mean_energy + self.table.singularity_weight * singularity
        self.optimizers["adam"].apply(tape.gradient(loss, weights), weights)
        return tf.stack([loss, reconstruction, mean_energy, singularity])


def scorer(model: Networks, seed: int) -> Score:
    """Return a function that computes `Networks.scores` of arrays of any length."""
    return in_graph(model.scores, model)


def mixture(z: tf.Tensor, gamma: tf.Tensor) -> Mixture:
    """Gaussian mixture of rows z [n, D] with memberships gamma [n, K] (equation 5)."""
    counts = tf.reduce_sum(gamma, axis=0)
    mu = tf.matmul(gamma, z, transpose_a=True) / counts[:, None]
    centred = z[None] - mu[:, None]  # [K, n, D]
    sigma = tf.matmul(centred * tf.transpose(gamma)[:, :, None], centred, transpose_a=True) / counts[:, None, None]
    floor = COVARIANCE_FLOOR * tf.eye(z.shape[1], dtype=z.dtype)
    return Mixture(counts / tf.reduce_sum(counts), mu, sigma + floor)


def energy(z: tf.Tensor, gaussians: Mixture) -> tf.Tensor:
    """Negative log density [n] of the mixture at z [n, D] (equation 6), by Cholesky factors and log-sum-exp."""
    phi, mu, sigma = gaussians
    factor = tf.linalg.cholesky(sigma)
    centred = tf.transpose(z[None] - mu[:, None], [0, 2, 1])  # [K, D, n]
    mahalanobis = tf.reduce_sum(tf.linalg.triangular_solve(factor, centred) ** 2, axis=1)
    log_determinant = 2.0 * tf.reduce_sum(tf.math.log(tf.linalg.diag_part(factor)), axis=1)
    constant = z.shape[1] * math.log(2.0 * math.pi) + log_determinant
    log_density = tf.math.log(phi)[:, None] - 0.5 * (mahalanobis + constant[:, None])
    return -tf.reduce_logsumexp(log_density, axis=0)


def _double(x: tf.Tensor) -> tf.Tensor:
    """Cast to float64: covariances are nearly singular, because distance and cosine similarity are correlated."""
    return tf.cast(x, tf.float64)


def _norm(x: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(x**2, axis=1) + NORM_FLOOR)
