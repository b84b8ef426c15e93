"""Networks follow the tables: sizes, forward passes, initial weights, dropout, positions of spectral norm."""

from __future__ import annotations

import random
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from reference import TINY, Reference, draw, randomise, without_dropout
from small_networks import pair_widths, table_of
from tolerances import assert_close, assert_within, of_network

import architectures
from alad_tf.experiments import models
from alad_tf.model import keras_versions, layers, networks, spectral_norm
from alad_tf.model.weights import get_arrays, set_arrays
from architectures.rows import Dense, Joint, Xavier

# Trainable, without spectral normalisation, which adds none.
PARAMETERS = {
    "kdd99": {"G": 26041, "E": 9888, "Dxz": 53121, "Dxx": 31233, "Dzz": 2113},
    "arrhythmia": {"G": 111762, "E": 111552, "Dxz": 109825, "Dxx": 173569, "Dzz": 10369},
    "cifar10": {"G": 3449475, "E": 3449572, "Dxz": 11859329, "Dxx": 226177, "Dzz": 14977},
    "svhn": {"G": 3449475, "E": 3449572, "Dxz": 11859329, "Dxx": 226177, "Dzz": 14977},
    "toy": {"G": 132866, "E": 67074, "Dxz": 67329, "Dxx": 769, "Dzz": 769},
}


BASELINES = {  # trainable; b' is no layer's
    ("DSEBM", "kdd99"): {"h": 81664, "b'": 121},
    ("DSEBM", "arrhythmia"): {"h": 2772, "b'": 274},
    ("DSEBM", "cifar10"): {"h": 526208, "b'": 3072},
    ("DSEBM", "svhn"): {"h": 526208, "b'": 3072},
    ("DAGMM", "kdd99"): {"encoder": 9471, "decoder": 9591, "estimation": 84},
    ("DAGMM", "arrhythmia"): {"encoder": 2772, "decoder": 3044, "estimation": 72},
    ("AnoGAN", "kdd99"): {"G": 26041, "D": 80769},
    ("AnoGAN", "arrhythmia"): {"G": 111762, "D": 103425},
    ("AnoGAN", "cifar10"): {"G": 3449475, "D": 2638209},
    ("AnoGAN", "svhn"): {"G": 3449475, "D": 2638209},
}


IMAGES = {"E": 1792, "G": 1792, "Dxz": 1536}


MOVING_STATISTICS = {"kdd99": {"Dxz": 256}, "arrhythmia": {"Dxz": 256}, "cifar10": IMAGES, "svhn": IMAGES, "toy": {}}


TABULAR = ("kdd99", "arrhythmia", "toy")


NORMALISED = {"kdd99": {"E": 1, "Dxz": 3, "Dxx": 1, "Dzz": 1}, "arrhythmia": {"E": 2, "Dxz": 3, "Dxx": 2, "Dzz": 2}}


def floats(weights: list[tf.Variable]) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights if weight.dtype.is_floating)


def equal(a: networks.Networks, b: networks.Networks) -> dict[str, bool]:
    """Whether all weights and states are equal."""
    arrays = get_arrays(b)
    return {name: np.array_equal(array, arrays[name]) for name, array in get_arrays(a).items()}


def test_every_table_has_its_parameter_counts() -> None:
    pages = {page.name for page in iter_modules(architectures.__path__)}
    with_tables = {page for page in pages if hasattr(import_module(f"architectures.{page}"), "ALAD")}
    assert set(PARAMETERS) == set(MOVING_STATISTICS) == with_tables == set(architectures.DATASETS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts(name: str) -> None:
    plain = networks.build(table_of(name), spectral_norm=None)
    assert {key: floats(keras_versions.trained(model)) for key, model in plain.models.items()} == PARAMETERS[name]
    moving = {key: floats(keras_versions.state(model)) for key, model in plain.models.items()}
    assert {key: count for key, count in moving.items() if count} == MOVING_STATISTICS[name]
    assert floats(plain.state) == sum(moving.values())
    normalised = networks.build(table_of(name), spectral_norm="paper")
    assert {key: floats(keras_versions.trained(model)) for key, model in normalised.models.items()} == PARAMETERS[name]


def test_every_table_of_a_baseline_has_its_parameter_counts() -> None:
    named = {(method, name) for method in models.DEEP for name in architectures.DATASETS}
    missing = {(method, "toy") for method in models.DEEP} | {("DAGMM", "svhn"), ("DAGMM", "cifar10")}
    assert set(BASELINES) == named - missing


@pytest.mark.parametrize(("method", "name"), BASELINES)
def test_parameter_counts_of_baselines(method: str, name: str) -> None:
    expected = BASELINES[method, name]
    built = models.DEEP[method].Networks(architectures.load(name, method), 0)
    counts = {part: floats(keras_versions.trained(getattr(built, part))) for part in expected if part != "b'"}
    if "b'" in expected:
        counts["b'"] = floats([built.b])
    assert counts == expected
    assert floats(built.trainable_variables) == sum(expected.values())


def test_every_weight_is_in_exactly_one_group() -> None:
    built = networks.build(TINY)
    groups = [built.discriminator_weights, built.generator_encoder_weights, built.state]
    references = [weight.ref() for group in groups for weight in group]
    assert len(references) == len(set(references)) == len(get_arrays(built))
    owned = {weight.ref() for name in ("G", "E") for weight in keras_versions.trained(built.models[name])}
    assert {weight.ref() for weight in built.generator_encoder_weights} == owned
    assert [w.ref() for w in built.trained_weights] == references[: -len(built.state)]


@pytest.mark.parametrize("name", NORMALISED)
def test_spectral_norm_is_on_hidden_layers_of_encoder_and_discriminators_only(name: str) -> None:
    table, built = table_of(name), networks.build(table_of(name), spectral_norm="paper")
    for key, model in built.models.items():
        kinds = [type(layer) for layer in model.layers if hasattr(layer, "kernel") or hasattr(layer, "u")]
        hidden = NORMALISED[name].get(key, 0)
        assert kinds.count(spectral_norm.SpectralNormalization) == hidden
        plain = [layer for layer in model.layers if type(layer) is tf.keras.layers.Dense]
        assert len(plain) == (len(table.G) if key == "G" else 1)
        if key != "G":
            assert plain == [layer for layer in model.layers if hasattr(layer, "kernel") or hasattr(layer, "u")][-1:]


@pytest.mark.parametrize("kind", ["paper", "tfa", None])
def test_kind_of_spectral_norm_is_obeyed(kind: str | None) -> None:
    built = networks.build(TINY, spectral_norm=kind)
    expected = {type(spectral_norm.wrapper(kind)(tf.keras.layers.Dense(1)))}
    assert {type(layer) for layer in built.Dxx.layers if hasattr(layer, "u")} == (set() if kind is None else expected)


def test_unknown_kind_of_spectral_norm_is_refused() -> None:
    with pytest.raises(ValueError, match="Received: 'on'"):
        networks.build(TINY, spectral_norm="on")


@pytest.mark.parametrize("kind", ["paper", None])
@pytest.mark.parametrize("name", ["tiny", *TABULAR])
def test_forward_pass_equals_the_reference(name: str, kind: str | None) -> None:
    table = table_of(name)
    built = networks.build(table, spectral_norm=kind, seed=3)
    if name == "tiny":
        randomise(built, seed=4)
    else:
        built.Dxz.set_weights([array + 0.1 * draw(5, *array.shape) ** 2 for array in built.Dxz.get_weights()])
    reference = Reference(built, table, normalised=kind is not None)
    x, z = draw(1, 6, table.n_features), draw(2, 6, table.latent_dim)
    assert_within(built.E(x), reference.E(x), of_network(built.E, x))
    assert_within(built.G(z), reference.G(z), of_network(built.G, z))
    for key, widths in pair_widths(table).items():
        a, b = draw(3, 6, widths[0]), draw(4, 6, widths[1])
        logits, features = built.models[key]([a, b], training=False)
        expected_logits, expected_features = reference.discriminators[key](a, b)
        assert logits.shape == (6, 1)
        assert features.shape == (6, getattr(table, key).joint[-2].units)
        work = of_network(built.models[key], [a, b])
        assert_within(logits, expected_logits, work)
        assert_within(features, expected_features, work)


@pytest.mark.parametrize("kind", ["paper", None])
def test_training_pass_uses_batch_statistics(kind: str | None) -> None:
    table = without_dropout(TINY)
    built = networks.build(table, spectral_norm=kind, seed=3)
    randomise(built, seed=4)
    reference = Reference(built, table, normalised=kind is not None)
    x, z = draw(1, 6, 5), draw(2, 6, 3)
    work = of_network(built.Dxz, [x, z], training=True)
    for _ in range(2):
        for got, expected in zip(built.Dxz([x, z], training=True), reference.discriminators["Dxz"](x, z, True)):
            assert_within(got, expected, work)


def test_moving_statistics_move_by_a_hundredth_in_training_only() -> None:
    built = networks.build(TINY, spectral_norm=None)
    randomise(built, seed=4)
    norm = next(layer for layer in built.Dxz.layers if isinstance(layer, tf.keras.layers.BatchNormalization))
    weights = Reference(built, TINY, normalised=False).discriminators["Dxz"].only_x.weights[0]
    x, z = draw(1, 6, 5), draw(2, 6, 3)
    built.Dxz([x, z], training=False)
    np.testing.assert_array_equal(norm.moving_mean, weights["mean"])
    built.Dxz([x, z], training=True)
    before_norm = x @ weights["kernel"] + weights["bias"]
    mean = 0.99 * weights["mean"] + 0.01 * before_norm.mean(axis=0)
    variance = 0.99 * weights["variance"] + 0.01 * before_norm.var(axis=0)
    terms, size = 5 + 6, np.abs(before_norm).max()  # of a unit, and over the rows
    assert_close(norm.moving_mean, mean, terms, np.abs(mean).max() + 0.01 * size)
    assert_close(norm.moving_variance, variance, terms, np.abs(variance).max() + 0.01 * size**2)


@pytest.mark.parametrize("name", PARAMETERS)
def test_lrelu_slope_of_the_tables(name: str) -> None:
    slopes = {
        float(-layer(tf.constant([-1.0]))[0])
        for model in networks.build(table_of(name)).models.values()
        for layer in model.layers
        if isinstance(layer, tf.keras.layers.LeakyReLU)
    }
    assert slopes == (set() if name == "toy" else {float(np.float32(0.2))})


@pytest.mark.parametrize("kind", ["paper", None])
def test_kernels_are_glorot_uniform_and_biases_zero(kind: str | None) -> None:
    built, kernels = networks.build(table_of("kdd99"), spectral_norm=kind, seed=5), 0
    for model in built.models.values():
        for weight in keras_versions.trained(model):
            value = weight.numpy()
            if value.ndim == 2:
                bound = np.sqrt(6.0 / sum(value.shape))
                assert np.abs(value).max() <= bound
                kernels += 1
                if value.size > 2000:
                    assert np.abs(value).max() > 0.99 * bound
                    assert abs(value.mean()) < 5 * bound / np.sqrt(3 * value.size)
                    assert value.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)
            elif "bias" in weight.name:
                assert not value.any()
    assert kernels == 13


def test_initial_kernels_are_the_same_with_and_without_spectral_norm() -> None:
    plain, *others = (networks.build(TINY, spectral_norm=kind, seed=1) for kind in (None, "paper", "tfa"))
    for other in others:
        for a, b in zip(plain.trained_weights, other.trained_weights):
            np.testing.assert_array_equal(a, b)


def test_initial_bias_is_the_tables() -> None:
    built = networks.build(replace(TINY, initializer=Xavier(bias=0.25)))
    biases = [w.numpy() for model in built.models.values() for w in keras_versions.trained(model) if "bias" in w.name]
    assert len(biases) == 13
    assert all((bias == 0.25).all() for bias in biases)


@pytest.mark.parametrize("kind", ["paper", "tfa", None])
def test_seed_governs_every_initial_value(kind: str | None) -> None:
    first = networks.build(TINY, spectral_norm=kind, seed=1)
    again = equal(first, networks.build(TINY, spectral_norm=kind, seed=1))
    assert [name for name, same in again.items() if not same] == []
    other = equal(first, networks.build(TINY, spectral_norm=kind, seed=2))
    drawn = {
        f"{key}/{position}"
        for key, model in first.models.items()
        for position, weight in enumerate(keras_versions.weights(model))
        if "kernel" in weight.name or "sn_u" in weight.name
    }
    assert {name for name, same in other.items() if not same} == drawn


@pytest.mark.parametrize("kind", ["paper", "tfa", None])
def test_the_random_numbers_of_python_are_left_alone(kind: str | None) -> None:
    before = random.getstate()
    networks.build(TINY, spectral_norm=kind)
    assert random.getstate() == before


def test_kernels_and_dropout_masks_of_one_network_are_drawn_apart() -> None:
    table = replace(TINY, Dxz=replace(TINY.Dxz, only_x=(Dense(9, "LReLU"),)), latent_dim=5)
    built = networks.build(replace(table, E=(*TINY.E[:-1], Dense(5, "None"))), spectral_norm=None)
    first, second = (w.numpy() for w in keras_versions.trained(built.Dxz) if w.shape == (5, 9))
    assert not np.isclose(first, second).any()
    seeds = [layer.seed for layer in dropouts(built)]
    assert len(seeds) == len(set(seeds)) == 5


def test_without_the_latent_discriminator() -> None:
    built = networks.build(TINY, latent_discriminator=False)
    assert built.Dzz is None
    assert list(built.models) == ["G", "E", "Dxz", "Dxx"]
    assert not [name for name in get_arrays(built) if name.startswith("Dzz")]


# Dropout


def dropouts(built: networks.Networks) -> list[layers.Dropout]:
    return [layer for model in built.models.values() for layer in model.layers if isinstance(layer, layers.Dropout)]


@pytest.mark.parametrize("name", PARAMETERS)
def test_dropout_rates_are_the_tables(name: str) -> None:
    table, built = table_of(name), networks.build(table_of(name))
    for key, model in built.models.items():
        rows = getattr(table, key)
        stack = (*rows.only_x, *rows.only_z, *rows.joint) if isinstance(rows, Joint) else rows
        rates = [layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)]
        assert rates == [row.dropout for row in stack if getattr(row, "dropout", 0.0)]
        assert not [layer for layer in model.layers if isinstance(layer, tf.keras.layers.Dropout)]


# Arrays


def test_arrays_go_round() -> None:
    source, target = networks.build(TINY, seed=1), networks.build(TINY, seed=1)
    randomise(source, seed=3)
    source.Dxx([draw(0, 4, 5)] * 2, training=True)  # moves u and the dropout counters
    set_arrays(target, get_arrays(source))
    assert all(equal(source, target).values())
    for output, expected in zip(
        target.Dxx([draw(0, 4, 5)] * 2, training=True), source.Dxx([draw(0, 4, 5)] * 2, training=True)
    ):
        np.testing.assert_array_equal(output, expected)


def changed(arrays: dict[str, np.ndarray], change: str) -> dict[str, np.ndarray]:
    if change == "missing":
        return {name: array for name, array in arrays.items() if name != "E/1"}
    return {**arrays, **({"E/9": np.zeros(2)} if change == "left over" else {"E/1": np.zeros(2)})}


@pytest.mark.parametrize(
    "change, message",
    [
        ("missing", r"weight E/1 of shape \(7,\). Received: None"),
        ("left over", r"weight E/9 of shape None. Received: \(2,\)"),
        ("shape", r"weight E/1 of shape \(7,\). Received: \(2,\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_and_nothing_is_set(change: str, message: str) -> None:
    built, before = networks.build(TINY, seed=1), networks.build(TINY, seed=1)
    set_arrays(before, get_arrays(built))
    arrays: dict[str, Any] = {name: array + 1 for name, array in get_arrays(built).items()}
    with pytest.raises(ValueError, match=message):
        set_arrays(built, changed(arrays, change))
    assert all(equal(built, before).values())


def test_layers_are_normalised_in_every_call_but_while_the_networks_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras calls the layers then, for their shapes alone."""
    calls: list[str] = []

    def sigma(layer: tf.keras.layers.Layer, update: bool = False) -> float:
        calls.append(layer.name)
        return 2.0

    monkeypatch.setattr(spectral_norm.SpectralNormalization, "sigma", sigma)
    built = networks.build(TINY)
    assert not calls
    built.E(draw(0, 2, 5))
    built.Dxz([draw(0, 2, 5), draw(0, 2, 3)], training=True)
    assert len(calls) == len(set(calls)) == 1 + 3
