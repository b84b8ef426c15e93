"""V(Dxz, Dxx, Dzz, E, G) of Section IV-B: the pairs that each discriminator tells apart, and the two losses."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from alad_tf.model.layers import PairDense
from alad_tf.model.networks import Networks

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
    x_tilde, x_hat = _outputs(networks.G, (z,), (z_hat,))
    z_tilde = networks.E(x_tilde, training=True)
    real = {"Dxz": (x, z_hat), "Dxx": (x, x), "Dzz": (z, z)}
    fake = {"Dxz": (x_tilde, z), "Dxx": (x, x_hat), "Dzz": (z, z_tilde)}
    names = [name for name in real if name in networks.models]
    outputs = {name: _outputs(networks.models[name], real[name], fake[name]) for name in names}
    of_real, of_fake = ({name: outputs[name][which][0] for name in names} for which in (0, 1))
    return of_real, of_fake


def _outputs(network: tf.keras.Model, *batches: tuple[tf.Tensor, ...]) -> list[Any]:
    """Outputs of a network for several batches, from one call where it `_takes_several`."""
    if not _takes_several(network):
        return [network(list(batch), training=True) for batch in batches]
    outputs = network([_joined(members) for members in zip(*batches)], training=True)
    if isinstance(outputs, tf.Tensor):
        return tf.split(outputs, len(batches))
    return list(zip(*(tf.split(output, len(batches)) for output in outputs)))


def _takes_several(network: tf.keras.Model) -> bool:
    """Whether batches can be joined: no batch norm ties their rows together, a member that pairs share may be short."""
    modules = network.submodules
    if any(isinstance(module, tf.keras.layers.BatchNormalization) for module in modules):
        return False
    return len(network.inputs) == 1 or any(isinstance(module, PairDense) for module in modules)


def _joined(members: tuple[tf.Tensor, ...]) -> tf.Tensor:
    """Members of several batches as one; what they share stands once, as the discriminators of pairs take it."""
    return members[0] if all(member is members[0] for member in members) else tf.concat(members, axis=0)


def discriminator_loss(real: Logits, fake: Logits) -> Logits:
    """-V, one scalar for each discriminator: mean cross-entropy of "real" pairs as 1 plus that of "fake" pairs as 0."""
    return {
        name: tf.reduce_mean(tf.nn.softplus(-real[name])) + tf.reduce_mean(tf.nn.softplus(fake[name])) for name in real
    }


def generator_encoder_loss(real: Logits, fake: Logits) -> Logits:
    """The non-saturating loss of G and E, one scalar for each discriminator: the labels of the pairs swapped."""
    return discriminator_loss(fake, real)
