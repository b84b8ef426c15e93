"""Training dynamics of the released code, compared with arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from reference import TINY, draw, narrow_images, power_iteration
from small_images import images
from tolerances import bound

from alad_tf.errors import SettingsError
from alad_tf.experiments.baseline_settings import of_method
from alad_tf.experiments.protocol import METHODS
from alad_tf.experiments.settings import Settings
from alad_tf.model import keras_versions, networks
from alad_tf.model.adam import Adam
from alad_tf.model.alad_trainer import Trainer
from alad_tf.model.spectral_norm import SpectralNormalization
from alad_tf.report import paper
from architectures import rows


def test_the_powers_of_adam_advance_with_every_loss() -> None:
    table = rows.Adam(0.1, beta1=0.5, beta2=0.9, epsilon=1e-8)
    weights = [tf.Variable([1.0]), tf.Variable([1.0])]
    adam, gradient = Adam(table, weights, counts=[2, 5], period=5), 0.25
    expected, m, v = np.ones(2), 0.0, 0.0
    for iteration in range(3):
        adam.apply([tf.constant([gradient])] * 2, weights)
        m = 0.5 * m + 0.5 * gradient
        v = 0.9 * v + 0.1 * gradient**2
        t = 5 * iteration + np.array([2, 5])
        expected -= 0.1 * np.sqrt(1 - 0.9**t) / (1 - 0.5**t) * m / (np.sqrt(v) + 1e-8)
    # About ten operations in each of three updates of a weight near 1.
    np.testing.assert_allclose([weight.numpy()[0] for weight in weights], expected, rtol=0, atol=bound(30, 1.0))
    assert np.ptp(expected) > 100 * bound(30, 1.0)


@pytest.mark.parametrize("latent", [True, False])
def test_a_network_counts_the_losses_before_its_own(latent: bool) -> None:
    built = networks.build(TINY, latent_discriminator=latent)
    names = [name for name in ("Dxz", "Dxx", "Dzz") if name in built.models]
    trainer = Trainer(built, TINY, draw(0, 16, TINY.n_features), seed=0, jit=False, dynamics="released")
    trainer.train(1)
    losses = len(names) + 2
    for optimizer, networks_ in (("d", names), ("ge", ["G", "E"])):
        order = [*names, "G", "E"]
        first = [order.index(name) + 1 for name in networks_ for _ in keras_versions.trained(built.models[name])]
        adam = trainer.optimizers[optimizer]
        t = [adam.period * int(adam.iterations) + count - adam.period for count in adam.counts]
        assert t == first and adam.period == losses


def test_batch_norm_statistics_change_only_in_the_own_update() -> None:
    table = narrow_images()
    built = networks.build(table)
    trainer = Trainer(built, table, images(64), seed=0, jit=False, dynamics="released")
    x, z = networks.as_input(images(table.batch_size)), draw(1, table.batch_size, table.latent_dim)

    def statistics(names: tuple[str, ...]) -> list[np.ndarray]:
        return [
            variable.numpy()
            for name in names
            for layer in keras_versions.layers(built.models[name])
            if isinstance(layer, tf.keras.layers.BatchNormalization)
            for variable in keras_versions.state(layer)
        ]

    d, ge = ("Dxz", "Dxx", "Dzz"), ("G", "E")
    for update, own, others in (
        (trainer.discriminator_update, d, ge),
        (trainer.generator_encoder_update, ge, d),
    ):
        before, kept = statistics(own), statistics(others)
        update(x, tf.constant(z, tf.float32))
        assert before and not any(np.array_equal(a, b) for a, b in zip(before, statistics(own)))
        assert all(np.array_equal(a, b) for a, b in zip(kept, statistics(others)))


def test_the_gradient_flows_through_u_and_v() -> None:
    kernel, u = draw(2, 5, 4).astype(np.float32), draw(3, 1, 4).astype(np.float32)
    gradients = {}
    for constant in (True, False):
        layer = SpectralNormalization(tf.keras.layers.Dense(4), constant_u=constant)
        layer.build((None, 5))
        layer.layer.kernel.assign(kernel)
        layer.u.assign(u)
        with tf.GradientTape() as tape:
            sigma = layer.sigma()
        (weight,) = [weight for weight in keras_versions.trained(layer) if weight.shape == kernel.shape]
        gradients[constant] = tape.gradient(sigma, weight).numpy()

    def sigma_of(matrix: np.ndarray) -> float:
        return power_iteration(matrix, u.astype(np.float64))[2]

    step, expected = 1e-5, np.empty(kernel.shape)
    for place in np.ndindex(*kernel.shape):
        change = np.zeros(kernel.shape)
        change[place] = step
        expected[place] = (sigma_of(kernel + change) - sigma_of(kernel - change)) / (2 * step)
    # Two products of 5 x 4, a norm each way, their derivatives: 4 * 20 terms of the size of the kernel's largest value.
    np.testing.assert_allclose(gradients[False], expected, rtol=0, atol=bound(80, float(np.abs(kernel).max())))
    assert np.abs(gradients[True] - expected).max() > 1e-3


def test_settings_of_released_dynamics() -> None:
    """They are the default of images, and part of the name there too."""
    released = Settings.of_protocol("cifar10", normal_class=1)
    assert (released.method, released.patience, released.weights) == ("ALAD-releasedDynamics", 11, "last")
    assert Settings.of_protocol("cifar10", normal_class=1, dynamics="released") == released
    paper = Settings.of_protocol("cifar10", normal_class=1, dynamics=None)
    assert (paper.method, paper.patience, paper.weights) == ("ALAD", 10, "best")
    changed = Settings.of_protocol("svhn", "ALAD-noSN", normal_class=1, weights="best")
    assert changed.method == "ALAD-noSN-bestWeights-releasedDynamics"
    assert Settings.of_protocol("kdd99", dynamics="released").method == "ALAD-releasedDynamics"
    assert Settings.of_protocol("kdd99").method == "ALAD"


@pytest.mark.parametrize("dataset", [*paper.TABLE_II, *paper.TABLE_III])
@pytest.mark.parametrize("method", METHODS)
def test_tables_show_the_runs_of_the_protocol(dataset: str, method: str) -> None:
    try:
        name = of_method(dataset, method).method
    except SettingsError:  # the method does not exist there
        return
    assert paper.run_name(dataset, method) == name


def test_no_released_dynamics_with_several_updates_in_a_step() -> None:
    with pytest.raises(SettingsError, match="Expected one update of G and E.*Received: 5 on toy"):
        Settings.of_protocol("toy", dynamics="released")


def test_unknown_dynamics() -> None:
    with pytest.raises(SettingsError, match="Received: 'ours'. Allowed: None, released"):
        Settings.of_protocol("svhn", dynamics="ours")
