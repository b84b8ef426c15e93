"""Image networks follow Table IX: shapes layer by layer; convolutions, losses and scores compared with SciPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from reference import (
    Reference,
    anomaly_scores,
    converge,
    discriminator_loss,
    draw,
    generator_encoder_loss,
    narrow_images,
    pair_logits,
    randomise,
    without_dropout,
)
from tolerances import (
    Work,
    assert_close,
    assert_scores,
    assert_within,
    largest,
    of_adam,
    of_logits,
    of_network,
    of_scores,
    terms_of,
)

import architectures
from alad_tf.model import alad_trainer, keras_versions, losses, networks, scores, spectral_norm
from architectures import Alad
from architectures.rows import Adam, Concatenate

pytestmark = pytest.mark.minutes(0.7)

# Output shapes of the layers with weights, by network, as Table IX gives them for an image of 32 x 32 x 3.
SHAPES: dict[str, list[tuple[int, ...]]] = {
    "E": [(16, 16, 128), (8, 8, 256), (4, 4, 512), (1, 1, 100)],
    "G": [(4, 4, 512), (8, 8, 256), (16, 16, 128), (32, 32, 3)],
    "Dxz": [(16, 16, 128), (8, 8, 256), (4, 4, 512), (512,), (512,), (1024,), (1,)],
    "Dxx": [(32, 16, 64), (16, 8, 128), (1,)],
    "Dzz": [(64,), (32,), (1,)],
}
# Weights and biases of the same layers, without batch norm.
WEIGHTS = {
    "E": [6_272, 524_544, 2_097_664, 819_300],
    "G": [819_712, 2_097_408, 524_416, 6_147],
    "Dxz": [6_272, 524_544, 2_097_664, 51_712, 262_656, 8_913_920, 1_025],
    "Dxx": [4_864, 204_928, 16_385],
    "Dzz": [12_864, 2_080, 33],
}


def table_of_images() -> Alad:
    table = architectures.load("cifar10")
    assert isinstance(table, Alad)
    return table


@pytest.fixture(scope="module")
def built() -> networks.Networks:
    return networks.build(table_of_images(), spectral_norm=None)


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_and_weights_layer_by_layer(built: networks.Networks, name: str) -> None:
    layers = [layer for layer in built.models[name].layers if hasattr(layer, "kernel")]
    found = sorted((tuple(layer.output.shape[1:]), layer.count_params()) for layer in layers)
    assert found == sorted(zip(SHAPES[name], WEIGHTS[name]))


def test_moving_variance_of_images_is_unbiased() -> None:
    """As Keras 2 takes it in, with n / (n - 1) for n positions; Keras 3 leaves this factor out."""
    inputs = tf.keras.Input((3, 3, 2))
    norm = keras_versions.BatchNormalization(momentum=0.9, epsilon=1e-3)
    model, x = tf.keras.Model(inputs, norm(inputs)), draw(0, 2, 3, 3, 2).astype(np.float64) + 5.0
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    outputs = model(tf.constant(x, tf.float32), training=True)
    terms, size = x[..., 0].size + 6, largest(x)
    assert_close(outputs, (x - mean) / np.sqrt(variance + 1e-3), terms, 2.0 * size / np.sqrt(variance.min()))
    assert_close(norm.moving_mean, 0.1 * mean, terms, size)
    assert_close(norm.moving_variance, 0.9 + 0.1 * variance * 18 / 17, terms, size)
    assert not np.allclose(norm.moving_variance, 0.9 + 0.1 * variance, rtol=1e-3)
    kept = (0.1 * mean, 0.9 + 0.1 * variance * 18 / 17)
    outputs = model(tf.constant(x, tf.float32), training=False)
    assert_close(outputs, (x - kept[0]) / np.sqrt(kept[1] + 1e-3), terms, 2.0 * size)
    assert_close(norm.moving_variance, kept[1], terms, size)


def test_inputs_and_outputs(built: networks.Networks) -> None:
    assert (built.E.input_shape, built.E.output_shape) == ((None, 32, 32, 3), (None, 100))
    assert (built.G.input_shape, built.G.output_shape) == ((None, 100), (None, 32, 32, 3))
    features = {name: model.output_shape for name, model in built.models.items() if name[0] == "D"}
    assert features == {
        "Dxz": [(None, 1), (None, 1024)],
        "Dxx": [(None, 1), (None, 16384)],
        "Dzz": [(None, 1), (None, 32)],
    }


def test_images_in_depth_have_half_the_features() -> None:
    table = table_of_images()
    deep = replace(table, Dxx=replace(table.Dxx, joint=(Concatenate("channels"), *table.Dxx.joint[1:])))
    assert networks.build(deep).Dxx.output_shape == [(None, 1), (None, 8192)]


def test_spectral_norm_is_on_the_hidden_layers_of_encoder_and_discriminators_only() -> None:
    normalised = {
        name: sum(isinstance(layer, spectral_norm.SpectralNormalization) for layer in model.layers)
        for name, model in networks.build(narrow_images()).models.items()
    }
    assert normalised == {"G": 0, "E": 3, "Dxz": 6, "Dxx": 2, "Dzz": 2}


def test_kernels_are_normal_and_biases_zero(built: networks.Networks) -> None:
    for model in built.models.values():
        for weight in keras_versions.trained(model):
            value = weight.numpy()
            if "kernel" in weight.name and value.size > 2000:
                assert value.std() == pytest.approx(0.01, rel=0.05)
                assert abs(value.mean()) < 5 * 0.01 / np.sqrt(value.size)
            elif "bias" in weight.name:
                assert not value.any()


# Held to SciPy


@pytest.fixture(params=[(kind, along) for kind in ("paper", None) for along in ("height", "channels")])
def narrow(request: pytest.FixtureRequest) -> tuple[Alad, networks.Networks, Reference]:
    """The table with few maps and no dropout, networks with random weights, and their reference."""
    kind, along = request.param
    table = without_dropout(narrow_images())
    table = replace(table, Dxx=replace(table.Dxx, joint=(Concatenate(along), *table.Dxx.joint[1:])))
    networks_ = networks.build(table, spectral_norm=kind, seed=3)
    randomise(networks_, seed=4)
    for model in networks_.models.values():  # lest every Tanh ends at 1
        model.set_weights([array * 0.5 if array.ndim == 4 else array for array in model.get_weights()])
    return table, networks_, Reference(networks_, table, normalised=kind is not None)


def images(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 32, 32, 3), np.uint8)


def test_forward_passes(narrow: tuple[Alad, networks.Networks, Reference]) -> None:
    table, built, reference = narrow
    x, z = images(1, 3) / 127.5 - 1.0, draw(2, 3, table.latent_dim)
    assert_within(built.E(x), reference.E(x), of_network(built.E, x))
    assert_within(built.G(z), reference.G(z), of_network(built.G, z))
    for name, pair in {"Dxz": (x, z), "Dxx": (x, x[::-1]), "Dzz": (z, z[::-1])}.items():
        logits, features = built.models[name](list(pair), training=False)
        expected_logits, expected_features = reference.discriminators[name](*pair)
        work = of_network(built.models[name], list(pair))
        assert_within(logits, expected_logits, work)
        assert_within(features, expected_features, work)


def test_losses_in_training_mode(narrow: tuple[Alad, networks.Networks, Reference]) -> None:
    """Batch norm uses the statistics of each batch separately: x and G(z) in E, z and E(x) in G."""
    table, built, reference = narrow
    x, z = images(1, 4) / 127.5 - 1.0, draw(2, 4, table.latent_dim)
    for name in reference.discriminators:  # logits far from 0 lose digits
        kernel = built.models[name].layers[-1].kernel
        kernel.assign(0.01 * kernel)
    converge(built)  # for the reference calls E and G more often
    reference = Reference(built, table, normalised=any(hasattr(layer, "u") for layer in built.E.layers))
    real, fake = losses.pair_logits(built, tf.constant(x, tf.float32), tf.constant(z))
    expected_real, expected_fake = pair_logits(reference, x, z)
    gains = {name: float(np.abs(built.models[name].layers[-1].kernel).sum()) for name in real}  # of features to logits
    work = {name: of * min(1.0, gains[name]) for name, of in of_logits(built, x.astype(np.float32), z).items()}
    for name in real:
        assert_within(real[name], expected_real[name], work[name])
        assert_within(fake[name], expected_fake[name], work[name])
    for ours, theirs in (
        (losses.discriminator_loss, discriminator_loss),
        (losses.generator_encoder_loss, generator_encoder_loss),
    ):
        expected = theirs(expected_real, expected_fake)
        for name, loss in ours(real, fake).items():  # whose slopes are at most 1 for a logit
            assert_within(loss, expected[name], work[name] * 2.0)


def test_scores(narrow: tuple[Alad, networks.Networks, Reference], monkeypatch: pytest.MonkeyPatch) -> None:
    _, built, reference = narrow
    x = images(1, 4)
    expected = anomaly_scores(reference, x / 127.5 - 1.0)
    monkeypatch.setattr(scores, "CHUNK_IMAGES", 3)
    got = scores.Scorer(built)(x)
    assert list(got) == list(expected)
    assert_scores(got, expected, of_scores(built, (x / 127.5 - 1.0).astype(np.float32)))


def test_bytes_are_mapped_to_the_range_of_tanh() -> None:
    mapped = networks.as_input(np.array([0, 51, 255], np.uint8)).numpy()
    assert_close(mapped, [-1.0, -0.6, 1.0], 2)
    floats = tf.constant([0.0, 255.0])
    assert networks.as_input(floats) is floats


# Training and bad input


def trainer(x_train: np.ndarray, seed: int = 0, table: Alad | None = None) -> alad_trainer.Trainer:
    table = table or narrow_images()
    average = networks.build(table, seed=seed)
    return alad_trainer.Trainer(networks.build(table, seed=seed), table, x_train, seed=seed, average=average, jit=False)


def test_training_takes_bytes_as_it_takes_their_pixels() -> None:
    x_train = images(0, 12)
    table = replace(narrow_images(), optimizer=Adam(1e-4, beta1=0.5, epsilon=1e-2))
    of_bytes, of_floats = (
        trainer(x_train, table=table),
        trainer((x_train / 127.5 - 1.0).astype(np.float32), table=table),
    )
    assert of_bytes.x_train.dtype == tf.uint8
    terms = 2 * terms_of(*of_bytes.networks.models.values()) + 4
    close = of_adam(table.optimizer, 4, Work(terms, 1.0)) * terms  # no gradient is above 1
    expected = of_floats.train(4)
    assert of_bytes.train(4) == pytest.approx(expected, rel=0.0, abs=close)


def test_training_is_repeated_by_its_seed_and_goes_on_from_its_variables(tmp_path: Any) -> None:
    x_train = images(0, 12)
    whole, first, second = (trainer(x_train) for _ in range(3))
    whole.train(2)
    expected = whole.train(3)
    first.train(2)
    path = first.variables.write(str(tmp_path / "variables"))
    second.variables.read(path).assert_consumed()
    assert second.train(3) == expected
    for one, other in zip(whole.networks.trained_weights, second.networks.trained_weights):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(12, 28, 28, 3), (12, 32, 32), (12, 3072), (3, 32, 32, 3)])
def test_training_images_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"Expected training rows \[at least 4, 32, 32, 3\]. Received: \["):
        trainer(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    ("x", "received"),
    [
        (np.zeros((2, 28, 28, 3), np.uint8), "uint8 [2, 28, 28, 3]"),
        (np.zeros((2, 3072), np.uint8), "uint8 [2, 3072]"),
        (np.zeros((2, 32, 32, 3), np.float32), "float32 [2, 32, 32, 3]"),
    ],
)
def test_scored_images_of_another_size_or_type_are_refused(x: np.ndarray, received: str) -> None:
    scorer = scores.Scorer(networks.build(narrow_images()))
    with pytest.raises(ValueError) as refused:
        scorer(x)
    assert str(refused.value) == f"Expected images of bytes of shape [n, 32, 32, 3]. Received: {received}"
