"""The objective of Section IV-B: min over G, E and max over Dxz, Dxx, Dzz of the value function

    V(Dxz, Dxx, Dzz, E, G) = E[log Dxz(x, E(x))] + E[log(1 - Dxz(G(z), z))]       joint distribution
                           + E[log Dxx(x, x)]    + E[log(1 - Dxx(x, G(E(x))))]    cycle consistency of x
                           + E[log Dzz(z, z)]    + E[log(1 - Dzz(z, E(G(z))))]    cycle consistency of z

where x is drawn from the data and z from the prior N(0, I). The first pair of each line is called "real", the second
"fake". A discriminator returns the logits l of D = sigmoid(l): -log D = softplus(-l) and -log(1 - D) = softplus(l).
"""

from __future__ import annotations

import tensorflow as tf

from alad_tf.model import joint_calls
from alad_tf.model.networks import Networks

Logits = dict[str, tf.Tensor]


def pair_logits(networks: Networks, x: tf.Tensor, z: tf.Tensor) -> tuple[Logits, Logits]:
    """Logits of each discriminator for its "real" and its "fake" pairs, in training mode.

    Args:
        networks: the five networks; without Dzz, both results lack its key.
        x: [n, d] rows of data, or images [n, height, width, channels].
        z: [n, latent] samples from the prior.

    Returns:
        (real, fake): each maps "Dxz", "Dxx", "Dzz" to logits [n, 1].
    """
    z_hat = networks.E(x, training=True)
    x_tilde, x_hat = joint_calls.call_on_batches(networks.G, (z,), (z_hat,))
    z_tilde = networks.E(x_tilde, training=True)
    real = {"Dxz": (x, z_hat), "Dxx": (x, x), "Dzz": (z, z)}
    fake = {"Dxz": (x_tilde, z), "Dxx": (x, x_hat), "Dzz": (z, z_tilde)}
    names = [name for name in real if name in networks.models]
    outputs = {name: joint_calls.call_on_batches(networks.models[name], real[name], fake[name]) for name in names}
    real_logits, fake_logits = ({name: outputs[name][which][0] for name in names} for which in (0, 1))
    return real_logits, fake_logits


def discriminator_loss(real: Logits, fake: Logits) -> Logits:
    """-V by discriminator: mean cross-entropy of "real" pairs with label 1 plus that of "fake" pairs with label 0."""
    return {
        name: tf.reduce_mean(tf.nn.softplus(-real[name])) + tf.reduce_mean(tf.nn.softplus(fake[name])) for name in real
    }


def generator_encoder_loss(real: Logits, fake: Logits) -> Logits:
    """Non-saturating loss of G and E by discriminator: the cross-entropy with swapped labels of the pairs."""
    return discriminator_loss(fake, real)
