"""V(Dxz, Dxx, Dzz, E, G) of Section IV-B: the pairs that each discriminator tells apart, and the two losses."""

from __future__ import annotations

import tensorflow as tf

from alad_tf.networks import Networks

Logits = dict[str, tf.Tensor]


def pair_logits(networks: Networks, x: tf.Tensor, z: tf.Tensor) -> tuple[Logits, Logits]:
    """Logits of every discriminator on its "real" and on its "fake" pairs, in training mode.

    Args:
        networks: the five networks; without Dzz its key is missing from both answers.
        x: [n, d] rows of data.
        z: [n, latent] draws of the prior.

    Returns:
        (real, fake): each maps "Dxz", "Dxx", "Dzz" to logits [n, 1].
    """
    z_hat = networks.E(x, training=True)
    x_tilde = networks.G(z, training=True)
    x_hat = networks.G(z_hat, training=True)
    z_tilde = networks.E(x_tilde, training=True)
    real = {"Dxz": (x, z_hat), "Dxx": (x, x), "Dzz": (z, z)}
    fake = {"Dxz": (x_tilde, z), "Dxx": (x, x_hat), "Dzz": (z, z_tilde)}
    if networks.Dzz is None:
        del real["Dzz"], fake["Dzz"]

    def logits(pairs: dict[str, tuple[tf.Tensor, tf.Tensor]]) -> Logits:
        return {name: networks.models[name](list(pair), training=True)[0] for name, pair in pairs.items()}

    return logits(real), logits(fake)


def discriminator_loss(real: Logits, fake: Logits) -> Logits:
    """-V, one scalar for each discriminator: mean cross-entropy of "real" pairs as 1 plus that of "fake" pairs as 0."""
    return {
        name: tf.reduce_mean(tf.nn.softplus(-real[name])) + tf.reduce_mean(tf.nn.softplus(fake[name])) for name in real
    }


def generator_encoder_loss(real: Logits, fake: Logits) -> Logits:
    """The non-saturating loss of G and E, one scalar for each discriminator: the labels of the pairs swapped."""
    return discriminator_loss(fake, real)
