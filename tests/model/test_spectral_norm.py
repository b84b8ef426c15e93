"""Spectral normalisation is the re-parametrisation W / sigma(W), with one power iteration per training call."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from reference import draw, power_iteration
from tolerances import Work, assert_close, assert_within, of_network

from alad_tf.model import keras_versions, spectral_norm
from alad_tf.model.layers import PairDense, SpectralNormalized

SHAPES = {"Dense": (6, 5), "Conv2D": (4, 4, 3)}
OF_SIGMA = 2 * (12 + 4)  # terms of W u and of W^T v, and of their norms; W is at most [12, 4]
OF_U = 4.0  # the sums of |terms| in units of what they sum up to: terms of any sign, 12 of them


def wrapped(kind: str = "Dense", seed: int = 0) -> Any:
    """A wrapped layer with random kernel and bias."""
    layer = tf.keras.layers.Dense(4) if kind == "Dense" else tf.keras.layers.Conv2D(4, 2, strides=2)
    outer = spectral_norm.SpectralNormalization(layer)
    outer.build((None, *SHAPES[kind][1:]) if kind == "Dense" else (None, *SHAPES[kind]))
    layer.kernel.assign(draw(seed, *layer.kernel.shape))
    layer.bias.assign(draw(seed + 1, 4))
    outer.u.assign(draw(seed + 2, 1, 4))
    return outer


def rows(kind: str = "Dense") -> np.ndarray:
    return draw(9, *SHAPES[kind]) if kind == "Dense" else draw(9, 3, *SHAPES[kind])


@pytest.mark.parametrize("kind", SHAPES)
def test_sigma_becomes_the_largest_singular_value(kind: str) -> None:
    layer = wrapped(kind)
    for _ in range(100):
        layer(rows(kind), training=True)
    matrix = layer.layer.kernel.numpy().reshape(-1, 4)
    assert_close(layer.sigma(), np.linalg.svd(matrix, compute_uv=False)[0], OF_SIGMA)


@pytest.mark.parametrize("kind", SHAPES)
def test_a_training_call_is_one_power_iteration_and_keeps_the_kernel(kind: str) -> None:
    layer = wrapped(kind)
    kernel, bias, u = layer.layer.kernel.numpy(), layer.layer.bias.numpy(), layer.u.numpy()
    for step in (1, 2, 3):
        _, u, sigma = power_iteration(kernel, u)
        output = layer(rows(kind), training=True)
        assert_close(layer.u[0], u, step * OF_SIGMA, OF_U)
        size = np.abs(rows(kind)).max() * np.abs(kernel / sigma).reshape(-1, 4).sum(axis=0).max() + np.abs(bias).max()
        if kind == "Dense":
            assert_close(output, rows() @ (kernel / sigma) + bias, (step + 1) * OF_SIGMA, size)
        else:
            convolved = tf.nn.conv2d(rows(kind), kernel / sigma, strides=2, padding="VALID") + bias
            assert_close(output, convolved, (step + 1) * OF_SIGMA, size)
        np.testing.assert_array_equal(layer.layer.kernel, kernel)


def test_more_power_iterations_in_a_call() -> None:
    layer = spectral_norm.SpectralNormalization(tf.keras.layers.Dense(4), power_iterations=3)
    layer.build((None, 5))
    kernel, u = layer.layer.kernel.numpy(), layer.u.numpy()
    for _ in range(3):
        _, u, _ = power_iteration(kernel, u)
    layer(rows(), training=True)
    assert_close(layer.u[0], u, 3 * OF_SIGMA, OF_U)


@pytest.mark.parametrize("kind", SHAPES)
def test_inference_leaves_u_alone(kind: str) -> None:
    layer = wrapped(kind)
    u = layer.u.numpy()
    first = layer(rows(kind), training=False)
    np.testing.assert_array_equal(layer.u, u)
    np.testing.assert_array_equal(layer(rows(kind)), first)
    _, _, sigma = power_iteration(layer.layer.kernel.numpy(), u)
    assert_close(layer.sigma(), sigma, OF_SIGMA)
    assert not np.allclose(layer(rows(kind), training=True), layer(rows(kind), training=True))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("joined", [True, False])
def test_gradient_flows_through_sigma(training: bool, joined: bool) -> None:
    """With u and v constant: dL/dW = A / sigma - <A, W> / sigma^2 * v u^T, where A is the gradient at W / sigma."""
    layer, x, weights = wrapped(), rows(), draw(20, 6, 4).astype(np.float64)
    kernel = layer.layer.kernel.numpy().astype(np.float64)
    v, u, sigma = power_iteration(kernel, layer.u.numpy())
    with spectral_norm.joined_gradients(joined), tf.GradientTape() as tape:
        x_tensor = tf.constant(x)
        tape.watch(x_tensor)
        loss = tf.reduce_sum(layer(x_tensor, training=training) * weights.astype(np.float32))
    got = tape.gradient(loss, [layer.layer.kernel, layer.layer.bias, x_tensor])
    at_normalised = x.T.astype(np.float64) @ weights
    through_sigma = np.sum(at_normalised * kernel) / sigma**2 * np.outer(v, u)
    assert np.abs(through_sigma).max() > 0.1
    size = np.abs(x).T @ np.abs(weights)
    through = np.sum(size * np.abs(kernel)) / sigma**2
    assert_close(got[0], at_normalised / sigma - through_sigma, OF_SIGMA + 6 + 20, size.max() / sigma + through)
    assert_close(got[1], weights.sum(axis=0), 6, np.abs(weights).sum(axis=0).max())
    assert_close(got[2], weights @ (kernel / sigma).T, OF_SIGMA + 4, (np.abs(weights) @ np.abs(kernel / sigma).T).max())


def test_gradient_equals_finite_differences_where_u_has_converged() -> None:
    layer, x, weights = wrapped(), rows(), draw(21, 6, 4)
    kernel = layer.layer.kernel.numpy().astype(np.float64)
    layer.u.assign(np.linalg.svd(kernel)[2][:1])

    def loss(kernel: np.ndarray) -> float:
        return float(np.sum(weights * (x @ (kernel / np.linalg.svd(kernel, compute_uv=False)[0]))))

    expected = np.zeros_like(kernel)
    for index in np.ndindex(kernel.shape):
        step = np.zeros_like(kernel)
        step[index] = 1e-6
        expected[index] = (loss(kernel + step) - loss(kernel - step)) / 2e-6
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(x, training=True) * weights)
    size, sigma = np.abs(x).T @ np.abs(weights), np.linalg.svd(kernel, compute_uv=False)[0]
    through = np.sum(size * np.abs(kernel)) / sigma**2  # the differences are exact to 1e-8 of it
    assert_close(tape.gradient(total, layer.layer.kernel), expected, OF_SIGMA + 6 + 20, size.max() / sigma + through)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("constant_u", [True, False])
@pytest.mark.parametrize("joined", [True, False])
def test_a_kernel_of_zeros_is_survived(kind: str, constant_u: bool, joined: bool) -> None:
    layer = wrapped(kind)
    layer.constant_u = constant_u
    kernel, u = layer.layer.kernel.numpy(), layer.u.numpy()
    layer.layer.kernel.assign(tf.zeros_like(kernel))
    with spectral_norm.joined_gradients(joined), tf.GradientTape() as tape:
        output = layer(rows(kind), training=True)
        loss = tf.reduce_sum(output**2)
    np.testing.assert_array_equal(output, np.broadcast_to(layer.layer.bias, output.shape))
    assert np.isfinite(tape.gradient(loss, layer.layer.kernel)).all()
    np.testing.assert_array_equal(layer.u, u)
    layer.layer.kernel.assign(kernel)
    layer(rows(kind), training=True)
    assert_close(layer.u[0], power_iteration(kernel, u)[1], OF_SIGMA, OF_U)


def test_stock_tfa_overwrites_the_kernel() -> None:
    paper, dense = wrapped(), tf.keras.layers.Dense(4)
    stock = spectral_norm.wrapper("tfa")(dense)
    stock.build((None, 5))
    for target, source in zip(keras_versions.weights(stock), keras_versions.weights(paper)):
        target.assign(source)
    kernel = paper.layer.kernel.numpy()
    v, u, _ = power_iteration(kernel, paper.u.numpy())
    stock(rows(), training=True)
    assert_close(dense.kernel, kernel / (v @ kernel @ u), OF_SIGMA)
    assert not np.allclose(dense.kernel, kernel)


@pytest.mark.skipif(not keras_versions.has_addons(), reason="no tensorflow-addons for this TensorFlow")
@pytest.mark.parametrize("kind", ["dense", "convolution", "pairs"])
def test_own_layer_equals_that_of_tensorflow_addons(kind: str) -> None:
    rows = {"dense": draw(0, 7, 5), "convolution": draw(0, 7, 6, 6, 2), "pairs": [draw(0, 7, 5), draw(1, 7, 3)]}
    made = {
        "dense": tf.keras.layers.Dense,
        "pairs": PairDense,
        "convolution": partial(tf.keras.layers.Conv2D, kernel_size=3),
    }
    x, layers = rows[kind], [made[kind](4) for _ in range(2)]
    stock = spectral_norm.wrapper("tfa")(layers[0])
    own = spectral_norm.TfaSpectralNormalization(layers[1])
    assert type(stock) is not type(own)
    stock(x), own(x)
    for target, source in zip(keras_versions.weights(own), keras_versions.weights(stock)):
        target.assign(source)
    for _ in range(10):
        results = []
        for layer in (stock, own):
            with tf.GradientTape() as tape:
                outputs = layer(x, training=True)
            gradients = tape.gradient(outputs, layer.trainable_variables)
            results.append([outputs, *gradients, *map(np.array, keras_versions.weights(layer))])
        for theirs, ours in zip(*results):
            np.testing.assert_array_equal(ours, theirs)


def test_tfa_without_tensorflow_addons_is_the_equal_layer_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on the current stack; each process logs it once."""
    monkeypatch.setattr(keras_versions, "has_addons", lambda: False)
    spectral_norm._addons_layer.cache_clear()
    try:
        assert [spectral_norm.wrapper("tfa") for _ in range(2)] == 2 * [spectral_norm.TfaSpectralNormalization]
    finally:
        spectral_norm._addons_layer.cache_clear()
    (message,) = caplog.messages
    assert message == (
        f"tensorflow-addons does not run with TensorFlow {tf.__version__}: 'tfa' is an equal layer of alad_tf"
    )


def test_wrapper_names_the_kinds() -> None:
    layer = tf.keras.layers.Dense(4)
    assert spectral_norm.wrapper(None)(layer) is layer
    assert type(spectral_norm.wrapper("paper")(layer)) is spectral_norm.SpectralNormalization
    assert isinstance(spectral_norm.wrapper("tfa")(layer), SpectralNormalized)
    with pytest.raises(ValueError, match="Received: 'weights'. Allowed: paper, tfa, released, None"):
        spectral_norm.wrapper("weights")


@pytest.mark.parametrize("kind", [*SHAPES, "pairs"])
@pytest.mark.parametrize("constant_u", [True, False])
def test_joined_gradients_are_those_of_the_two_added(kind: str, constant_u: bool) -> None:
    """By W, by the inputs and by the bias; the outputs are the same bits."""
    if kind == "pairs":
        layer, x = spectral_norm.SpectralNormalization(PairDense(4)), [draw(9, 3, 5), draw(10, 6, 2)]
        layer.build([(None, 5), (None, 2)])
        layer.layer.kernel.assign(draw(0, 7, 4))
    else:
        layer, x = wrapped(kind), [rows(kind)]
    layer.constant_u = constant_u
    u = layer.u.numpy()
    results = {}
    for joined in (True, False):
        layer.u.assign(u)
        members = [tf.constant(member, tf.float32) for member in x]
        with spectral_norm.joined_gradients(joined), tf.GradientTape() as tape:
            tape.watch(members)
            outputs = layer(members if kind == "pairs" else members[0], training=True)
            loss = tf.reduce_sum(outputs**2)
        wanted = [layer.layer.kernel, layer.layer.bias, *members]
        results[joined] = [outputs, layer.u.numpy(), *tape.gradient(loss, wanted)]
    for got, expected in zip(results[True][:2], results[False][:2]):
        np.testing.assert_array_equal(got, expected)
    sizes = [np.abs(member).sum() * 2 * np.abs(outputs).max() for member in x]
    size = (sum(sizes) + 1.0) * (1.0 + np.abs(layer.layer.kernel).max()) / min(float(layer.sigma()), 1.0) ** 2
    for got, expected in zip(results[True][2:], results[False][2:]):
        assert_close(got, expected, 4 * OF_SIGMA + 20, size)


def test_eager_graph_and_xla_are_equal() -> None:
    eager, graph, compiled = wrapped(), wrapped(), wrapped()

    def two_calls(layer: Any) -> Any:
        def calls(x: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(layer(x, training=True) ** 2 + layer(x, training=True) ** 3)
            return layer(x, training=False), tape.gradient(loss, layer.layer.kernel)

        return calls

    expected = two_calls(eager)(tf.constant(rows()))
    outputs = np.abs(eager(rows(), training=False)).max() + 1.0
    size = np.abs(rows()).sum(axis=0).max() * (2.0 * outputs + 3.0 * outputs**2)  # of d/dW of outputs^2 + outputs^3
    for layer, function in (
        (graph, tf.function(two_calls(graph))),
        (compiled, tf.function(two_calls(compiled), jit_compile=True)),
    ):
        for got, wanted in zip(function(tf.constant(rows())), expected):
            assert_close(got, wanted, 4 * OF_SIGMA + 6, size)
        assert_close(layer.u, eager.u, 2 * OF_SIGMA, OF_U)


@pytest.mark.skipif(
    keras_versions.KERAS_3, reason="plain SavedModels of Keras 3 models hold no call; exports are modules"
)
def test_saved_model_gives_the_same_outputs(tmp_path: Path) -> None:
    model = tf.keras.Sequential([tf.keras.Input((5,)), wrapped()])
    model(rows(), training=True)
    tf.saved_model.save(model, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    work = of_network(model, rows())
    assert_within(loaded(rows(), training=False), model(rows(), training=False), work)
    assert_within(loaded(rows(), training=True), model(rows(), training=True), work + Work(OF_SIGMA, 0.0))


def test_layer_comes_back_from_its_config() -> None:
    layer = spectral_norm.SpectralNormalization(tf.keras.layers.Dense(4), power_iterations=2)
    again = tf.keras.layers.deserialize(tf.keras.layers.serialize(layer))
    assert type(again) is spectral_norm.SpectralNormalization
    assert (again.power_iterations, again.layer.units) == (2, 4)
