"""Folded networks: the same outputs with plain Keras layers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from exported_models import ROWS, array_model, table_folder, table_model
from reference import TINY, draw, randomise
from tolerances import assert_within, of_network

import alad_tf
from alad_tf.errors import SettingsError
from alad_tf.model import inference, keras_versions, networks, spectral_norm, weights
from alad_tf.model.layers import PairDense
from alad_tf.model.networks import Networks


def trained(kind: str | None = "paper") -> Networks:
    built = networks.build(TINY, spectral_norm=kind)
    randomise(built, 5)
    return built


@pytest.mark.parametrize("kind", ["paper", "tfa", None])
@pytest.mark.parametrize("pairs", [False, True])
def test_every_network_computes_the_same(kind: str | None, pairs: bool) -> None:
    built = trained(kind)
    x, z = tf.constant(draw(1, 9, 5)), tf.constant(draw(2, 9, 3))
    inputs = {"G": z, "E": x, "Dxz": [x, z], "Dxx": [x, -x], "Dzz": [z, -z]}
    folded = inference.fold(built, pairs=pairs)
    assert list(folded.models) == list(built.models)
    for name, model in folded.models.items():
        expected, got = (tf.nest.flatten(m(inputs[name], training=False)) for m in (built.models[name], model))
        assert len(got) == len(expected)
        for a, b in zip(got, expected):
            assert_within(a, b, of_network(built.models[name], inputs[name]))


def test_only_layers_of_keras_remain() -> None:
    layers = [layer for model in inference.fold(trained()).models.values() for layer in model.layers]
    assert {type(layer).__module__.split(".")[0] for layer in layers} == {"keras"}
    assert sum(isinstance(layer, tf.keras.layers.Dropout) for layer in layers) == 5
    assert sum(isinstance(layer, tf.keras.layers.Concatenate) for layer in layers) == 3
    assert sum(isinstance(layer, PairDense) for layer in inference.fold(trained(), pairs=True).Dxx.layers) == 1


def test_the_trained_networks_stay_as_they_are() -> None:
    built = trained()
    before = weights.get_arrays(built)
    for name, model in inference.fold(built).models.items():
        assert (model is built.models[name]) == (name == "G"), "G has no layer of the package"
        for weight in keras_versions.weights(model) if name != "G" else ():
            weight.assign(weight + tf.cast(1, weight.dtype))
    for name, array in weights.get_arrays(built).items():
        np.testing.assert_array_equal(array, before[name])


def test_ablation_without_Dzz() -> None:
    assert inference.fold(networks.build(TINY, latent_discriminator=False)).Dzz is None


@pytest.mark.parametrize("bias", [True, False])
def test_convolution(bias: bool) -> None:
    x = tf.keras.Input((6, 6, 2))
    layer = spectral_norm.SpectralNormalization(tf.keras.layers.Conv2D(3, 3, strides=2, padding="same", use_bias=bias))
    model = tf.keras.Model(x, tf.keras.layers.Flatten()(layer(x)))
    folded = inference._folded(model, pairs=False)
    images = tf.constant(draw(0, 4, 6, 6, 2))
    assert_within(folded(images), model(images, training=False), of_network(model, images))
    assert [type(layer).__name__ for layer in folded.layers] == ["InputLayer", "Conv2D", "Flatten"]


WITHOUT_THE_PACKAGE = """
import sys, warnings
warnings.simplefilter("error")
sys.modules.update({"alad_tf": None, "tensorflow_addons": None, "architectures": None})
import numpy as np
import tensorflow as tf
folder, inputs = sys.argv[1], np.load(sys.argv[2])
x, z = inputs["x"], inputs["z"]
answers = {}
for name, given in {"G": z, "E": x, "Dxz": [x, z], "Dxx": [x, -x], "Dzz": [z, -z]}.items():
    model = tf.keras.models.load_model(f"{folder}/{name}.keras")
    for k, output in enumerate(tf.nest.flatten(model(given, training=False))):
        answers[f"{name}{k}"] = output.numpy()
np.savez(sys.argv[3], **answers)
"""


def test_files_open_without_the_package(tmp_path: Path) -> None:
    built, inputs = trained(), {"x": draw(1, 9, 5), "z": draw(2, 9, 3)}
    inference.save(built, tmp_path / "keras")
    assert sorted(path.name for path in (tmp_path / "keras").iterdir()) == sorted(f"{n}.keras" for n in built.models)
    np.savez(tmp_path / "inputs.npz", **inputs)
    arguments = [str(tmp_path / name) for name in ("keras", "inputs.npz", "answers.npz")]
    subprocess.run([sys.executable, "-c", WITHOUT_THE_PACKAGE, *arguments], cwd=tmp_path, check=True)
    x, z = tf.constant(inputs["x"]), tf.constant(inputs["z"])
    with np.load(tmp_path / "answers.npz") as answers:
        assert len(answers) == 2 + 3 * 2
        for name, given in {"G": z, "E": x, "Dxz": [x, z], "Dxx": [x, -x], "Dzz": [z, -z]}.items():
            for k, output in enumerate(tf.nest.flatten(built.models[name](given, training=False))):
                assert_within(answers[f"{name}{k}"], output, of_network(built.models[name], given))


def test_estimator_saves_what_scores(tmp_path: Path) -> None:
    model = array_model()
    model.save(tmp_path / "model")
    with pytest.raises(SettingsError, match="outside the model folder"):
        model.save_keras(tmp_path / "model" / "keras")
    model.save_keras(tmp_path)
    E = tf.keras.models.load_model(tmp_path / "E.keras")
    scaled = ((ROWS[:9] - model.center_) / model.scale_).astype(np.float32)
    assert_within(E(scaled), model.encoder(scaled), of_network(model.encoder, scaled))


def test_networks_of_a_model_folder() -> None:
    loaded = alad_tf.load_networks(table_folder("strict"))
    expected = weights.get_arrays(table_model("strict").estimator.networks_)
    for name, array in weights.get_arrays(loaded).items():
        np.testing.assert_array_equal(array, expected[name])


def test_models_without_own_layers_are_passed_on() -> None:
    plain = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(2)])
    assert inference._folded(plain, pairs=False) is plain
