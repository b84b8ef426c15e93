"""Slow, simple NumPy versions (float64) of the computations of alad_tf, and the small table that the tests train.

A reference follows the architecture table, not the Keras graph: it takes only the weights from the network under test.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import permutations
from typing import Any, Callable

import numpy as np
import tensorflow as tf
from scipy.signal import convolve2d, correlate2d

import architectures
from alad_tf.model import keras_versions
from alad_tf.model.networks import Networks
from alad_tf.typing import Arrays
from architectures import Alad
from architectures.rows import (
    Adam,
    Concatenate,
    Conv2D,
    Dense,
    Flatten,
    Joint,
    MaxPool,
    Row,
    TransConv2D,
    Xavier,
)
from architectures.rows import Stack as TableRows

Shape = tuple[int, ...]

# fmt: off
TINY = Alad(
    name="Tiny", source="none", data_dim=5,
    E=(Dense(7, "LReLU"), Dense(3, "None")),
    G=(Dense(6, "ReLU"), Dense(5, "None")),
    Dxz=Joint(
        only_x=(Dense(6, "LReLU", batch_norm=True),),
        only_z=(Dense(9, "LReLU", dropout=0.5),),
        joint=(Dense(8, "LReLU", dropout=0.5), Dense(1, "Sigmoid")),
    ),
    Dxx=Joint(joint=(Dense(10, "LReLU", dropout=0.2), Dense(4, "LReLU", dropout=0.2), Dense(1, "Sigmoid"))),
    Dzz=Joint(joint=(Dense(4, "LReLU", dropout=0.2), Dense(1, "Sigmoid"))),
    optimizer=Adam(1e-2, beta1=0.5), batch_size=8, latent_dim=3, epochs=2, lrelu_slope=0.3, initializer=Xavier(),
)
# fmt: on


def without_dropout(table: Alad) -> Alad:
    """The table without dropout."""
    return _with_rows(table, lambda row: replace(row, dropout=0.0) if hasattr(row, "dropout") else row)


def narrow_images() -> Alad:
    """The table of images with few feature maps: images, kernels, strides and padding are the table's."""
    table = architectures.load("cifar10")
    assert isinstance(table, Alad)
    few = {128: 4, 256: 5, 512: 6, 100: 7, 1024: 8, 64: 3}
    narrow = _with_rows(table, lambda row: replace(row, maps=few[row.maps]) if getattr(row, "maps", 0) > 3 else row)
    return replace(narrow, latent_dim=7, batch_size=4)


def _with_rows(table: Alad, change: Callable[..., Row]) -> Alad:
    def stack(rows: TableRows) -> TableRows:
        return tuple(map(change, rows))

    def joint(rows: Joint) -> Joint:
        return Joint(stack(rows.joint), stack(rows.only_x), stack(rows.only_z))

    pairs = joint(table.Dxz), joint(table.Dxx), joint(table.Dzz)
    return replace(table, E=stack(table.E), G=stack(table.G), Dxz=pairs[0], Dxx=pairs[1], Dzz=pairs[2])


@contextmanager
def eagerly() -> Iterator[None]:
    """Run eagerly, which is equally exact and faster for a few steps."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def draw(seed: int, *shape: int) -> np.ndarray:
    """Draw standard normal float32 numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def randomise(networks: Networks, seed: int) -> None:
    """Set all weights and statistics to random values, so that a test notices when one is left out."""
    random = np.random.default_rng(seed)
    for model in networks.models.values():
        for weight in keras_versions.weights(model):
            value = 0.5 * random.standard_normal(weight.shape)
            if weight.dtype.is_floating:
                weight.assign(np.abs(value) + 0.5 if "variance" in weight.name else value)


def converge(networks: Networks) -> None:
    """Set every u of spectral normalisation to the singular vector of its kernel."""
    for model in networks.models.values():
        for layer in model.layers:
            if hasattr(layer, "u"):
                kernel = layer.layer.kernel.numpy().astype(np.float64)
                layer.u.assign(np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]))[2][:1])


# Section IV-B: spectral normalisation


def power_iteration(kernel: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """One iteration from u [units]: (v, new u, sigma), with the kernel seen as a matrix [everything else, units]."""
    matrix = np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])
    v = matrix @ np.asarray(u, np.float64).ravel()
    v /= np.linalg.norm(v)
    u = matrix.T @ v
    sigma = float(np.linalg.norm(u))
    return v, u / sigma, sigma


# Figure 1: forward passes


class Stack:
    """Rows of a table, with weights taken from the first fitting layers of a Keras model."""

    def __init__(
        self, layers: list[tf.keras.layers.Layer], rows: TableRows, shape: Shape, normalised: bool, slope: float
    ) -> None:
        self.rows, self.slope = rows, slope
        self.weights: list[dict[str, np.ndarray]] = []
        for row in rows:
            kernel_shape, shape = _shapes(row, shape)
            if kernel_shape is None:
                self.weights.append({})
                continue
            found = next(layer for layer in layers if _kernel_shape(layer) == kernel_shape)
            layers.remove(found)
            linear = getattr(found, "layer", found)
            weights = {"kernel": to_float64(linear.kernel), "bias": to_float64(linear.bias)}
            if normalised:
                weights["u"] = to_float64(found.u)
            if row.batch_norm:
                norms = (layer for layer in layers if isinstance(layer, tf.keras.layers.BatchNormalization))
                norm = next(layer for layer in norms if layer.gamma.shape == shape[-1:])
                layers.remove(norm)
                weights.update(gamma=to_float64(norm.gamma), beta=to_float64(norm.beta))
                weights.update(mean=to_float64(norm.moving_mean), variance=to_float64(norm.moving_variance))
            self.weights.append(weights)
        self.shape = shape

    def __call__(self, hidden: np.ndarray, training: bool = False) -> np.ndarray:
        for row, weights in zip(self.rows, self.weights):
            if isinstance(row, Flatten):
                hidden = hidden.reshape(len(hidden), -1)
                continue
            if isinstance(row, MaxPool):
                hidden = max_pool(hidden, row.size)
                continue
            kernel = weights["kernel"]
            if "u" in weights:
                _, u, sigma = power_iteration(kernel, weights["u"])
                kernel = kernel / sigma
                if training:
                    weights["u"] = u
            hidden = linear(row, hidden, kernel) + weights["bias"]
            if row.batch_norm:
                axes = tuple(range(hidden.ndim - 1))
                mean = hidden.mean(axes) if training else weights["mean"]
                variance = hidden.var(axes) if training else weights["variance"]
                hidden = weights["gamma"] * (hidden - mean) / np.sqrt(variance + 1e-3) + weights["beta"]
            if row.activation == "LReLU":
                hidden = np.where(hidden > 0, hidden, self.slope * hidden)
            elif row.activation == "ReLU":
                hidden = np.where(hidden > 0, hidden, 0.0)
            elif row.activation == "Tanh":
                hidden = np.tanh(hidden)
            elif row.activation == "Softplus":
                hidden = np.log1p(np.exp(hidden))
            elif row.activation == "Softmax":
                hidden = np.exp(hidden) / np.exp(hidden).sum(axis=1, keepdims=True)
            assert not (training and row.dropout), "the reference has no dropout"
        return np.asarray(hidden)


def _shapes(row: Any, shape: tuple[int, ...]) -> tuple[tuple[int, ...] | None, tuple[int, ...]]:
    """Shapes of a row's kernel and output for a sample shape."""
    if isinstance(row, Flatten):
        return None, (int(np.prod(shape)),)
    if isinstance(row, MaxPool):
        return None, (shape[0] // row.size, shape[1] // row.size, shape[2])
    if isinstance(row, Dense):
        return (shape[-1], row.units), (row.units,)
    if len(shape) == 1 and row.kernel == 1:
        return (shape[-1], row.maps), (row.maps,)
    height, width, maps = shape if len(shape) == 3 else (1, 1, *shape)
    k, s, same = row.kernel, row.strides, row.padding == "same"
    if isinstance(row, TransConv2D):
        sizes = [n * s if same else (n - 1) * s + k for n in (height, width)]
        return (k, k, row.maps, maps), (*sizes, row.maps)
    sizes = [-(-n // s) if same else (n - k) // s + 1 for n in (height, width)]
    return (k, k, maps, row.maps), (*sizes, row.maps)


def linear(row: Any, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A matrix product or a (transposed) convolution, map by map with SciPy."""
    if kernel.ndim == 2:
        return x @ kernel
    x = x if x.ndim == 4 else x[:, None, None, :]
    return np.stack([(convolution if isinstance(row, Conv2D) else transposed)(row, image, kernel) for image in x])


def convolution(row: Conv2D, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """x [h, w, c] and kernel [k, k, c, maps]; "same" pads so that a stride s leaves 1 / s of the size, rounded up."""
    if row.padding == "same":
        pads = [max((-(-n // row.strides) - 1) * row.strides + row.kernel - n, 0) for n in x.shape[:2]]
        x = np.pad(x, [*((pad // 2, pad - pad // 2) for pad in pads), (0, 0)])
    maps = [
        sum(correlate2d(x[..., i], kernel[..., i, j], "valid") for i in range(x.shape[-1]))
        for j in range(kernel.shape[-1])
    ]
    return np.stack(maps, axis=-1)[:: row.strides, :: row.strides]


def transposed(row: TransConv2D, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """x [h, w, c] and kernel [k, k, maps, c]: zeros are put between the pixels, then the kernel is laid over each."""
    height, width, channels = x.shape
    spread = np.zeros(((height - 1) * row.strides + 1, (width - 1) * row.strides + 1, channels))
    spread[:: row.strides, :: row.strides] = x
    full = [
        sum(convolve2d(spread[..., i], kernel[..., j, i]) for i in range(channels)) for j in range(kernel.shape[-2])
    ]
    out = np.stack(full, axis=-1)
    if row.padding == "same":
        before = (row.kernel - row.strides) // 2
        out = out[before : before + height * row.strides, before : before + width * row.strides]
    return out


def max_pool(x: np.ndarray, size: int) -> np.ndarray:
    """Maximum of each square of maps [n, h, w, c]."""
    n, height, width, maps = x.shape
    out = np.empty((n, height // size, width // size, maps))
    for i in range(height // size):
        for j in range(width // size):
            out[:, i, j] = x[:, i * size : (i + 1) * size, j * size : (j + 1) * size].max(axis=(1, 2))
    return out


def _kernel_shape(layer: tf.keras.layers.Layer) -> tuple[int, ...]:
    kernel = getattr(getattr(layer, "layer", layer), "kernel", None)
    return () if kernel is None else tuple(kernel.shape)


def to_float64(weight: tf.Variable) -> np.ndarray:
    return weight.numpy().astype(np.float64)


class Discriminator:
    """A discriminator of pairs (a, b): (logits [n, 1], features of the last hidden row)."""

    def __init__(
        self, model: tf.keras.Model, rows: Joint, shapes: Sequence[Shape], normalised: bool, slope: float
    ) -> None:
        layers = list(model.layers)
        first, joint = rows.joint[0], rows.joint
        self.axis = -1
        if isinstance(first, Concatenate):
            self.axis, joint = {"height": 1, "channels": -1}[first.along], joint[1:]
        self.only_x = Stack(layers, rows.only_x, shapes[0], normalised, slope)
        self.only_z = Stack(layers, rows.only_z, shapes[1], normalised, slope)
        both = [np.zeros((1, *stack.shape)) for stack in (self.only_x, self.only_z)]
        shape = np.concatenate(both, axis=self.axis).shape[1:]
        self.hidden = Stack(layers, joint[:-1], shape, normalised, slope)
        self.logits = Stack(layers, (replace(joint[-1], activation="None"),), self.hidden.shape, False, slope)

    def __call__(self, a: np.ndarray, b: np.ndarray, training: bool = False) -> tuple[np.ndarray, np.ndarray]:
        branches = np.concatenate([self.only_x(a, training), self.only_z(b, training)], axis=self.axis)
        features = self.hidden(branches, training)
        return self.logits(features, training), features


class Reference:
    """The five networks with the current weights of the networks under test."""

    def __init__(self, networks: Networks, table: Alad, normalised: bool) -> None:
        x, z, slope = table.data_shape, (table.latent_dim,), table.lrelu_slope

        def network(
            model: tf.keras.Model, rows: TableRows, shape: Shape, normalised: bool
        ) -> Callable[..., np.ndarray]:
            layers = list(model.layers)
            hidden = Stack(layers, rows[:-1], shape, normalised, slope)
            output = Stack(layers, rows[-1:], hidden.shape, False, slope)

            def apply(inputs: np.ndarray, training: bool = False) -> np.ndarray:
                outputs = output(hidden(inputs, training), training)
                return outputs.reshape(len(outputs), -1) if output.shape[:-1] == (1, 1) else outputs

            return apply

        self.G = network(networks.G, table.G, z, False)
        self.E = network(networks.E, table.E, x, normalised)
        self.discriminators = {
            name: Discriminator(networks.models[name], rows, shapes, normalised, slope)
            for name, rows, shapes in (
                ("Dxz", table.Dxz, (x, z)),
                ("Dxx", table.Dxx, (x, x)),
                ("Dzz", table.Dzz, (z, z)),
            )
            if name in networks.models
        }


# Section IV: the losses


def pair_logits(reference: Reference, x: np.ndarray, z: np.ndarray) -> tuple[Arrays, Arrays]:
    """Logits in training mode of each discriminator on its "real" and on its "fake" pairs."""
    G, E = reference.G, reference.E
    real: Arrays = {}
    fake: Arrays = {}
    for name, D in reference.discriminators.items():
        if name == "Dxz":
            real[name], _ = D(x, E(x, True), True)
            fake[name], _ = D(G(z, True), z, True)
        elif name == "Dxx":
            real[name], _ = D(x, x, True)
            fake[name], _ = D(x, G(E(x, True), True), True)
        else:
            real[name], _ = D(z, z, True)
            fake[name], _ = D(z, E(G(z, True), True), True)
    return real, fake


def cross_entropy(logits: np.ndarray, label: int) -> float:
    """Mean binary cross-entropy of the probabilities sigmoid(logits); that of label 0 is 1 - sigmoid(logits)."""
    sign = 1.0 if label else -1.0
    return float(-np.mean(np.log(1.0 / (1.0 + np.exp(-sign * np.asarray(logits, np.float64))))))


def discriminator_loss(real: Arrays, fake: Arrays) -> dict[str, float]:
    """Real pairs are labelled 1, fake pairs 0."""
    return {name: cross_entropy(real[name], 1) + cross_entropy(fake[name], 0) for name in real}


def generator_encoder_loss(real: Arrays, fake: Arrays) -> dict[str, float]:
    """Real pairs are labelled 0, fake pairs 1."""
    return {name: cross_entropy(real[name], 0) + cross_entropy(fake[name], 1) for name in real}


# Training


class AdamReference:
    """Adam as in TensorFlow 1: epsilon is added to the root of the uncorrected second moment."""

    def __init__(self, table: Adam) -> None:
        self.table, self.t = table, 0
        self.m: dict[int, np.ndarray] = {}
        self.v: dict[int, np.ndarray] = {}

    def step(self, weights: list[np.ndarray], gradients: list[np.ndarray]) -> list[np.ndarray]:
        """The weights after one update."""
        beta1, beta2 = self.table.beta1, self.table.beta2
        self.t += 1
        rate = self.table.learning_rate * np.sqrt(1 - beta2**self.t) / (1 - beta1**self.t)
        updated = []
        for i, (weight, gradient) in enumerate(zip(weights, gradients)):
            self.m[i] = beta1 * self.m.get(i, 0.0) + (1 - beta1) * gradient
            self.v[i] = beta2 * self.v.get(i, 0.0) + (1 - beta2) * gradient**2
            updated.append(weight - rate * self.m[i] / (np.sqrt(self.v[i]) + self.table.epsilon))
        return updated


# Algorithm 1 and Section V-F: scores; Section V-A: metrics


def anomaly_scores(reference: Reference, x: np.ndarray) -> dict[str, np.ndarray]:
    """The four scores of each row."""
    x_hat = reference.G(reference.E(x))
    _, f_real = reference.discriminators["Dxx"](x, x)
    logits, f_fake = reference.discriminators["Dxx"](x, x_hat)
    x, x_hat = x.reshape(len(x), -1), x_hat.reshape(len(x), -1)
    return {
        "features": np.abs(f_real - f_fake).sum(axis=1),
        "l1": np.abs(x - x_hat).sum(axis=1),
        "l2": np.sqrt(((x - x_hat) ** 2).sum(axis=1)),
        "logits": -np.log(1.0 / (1.0 + np.exp(-logits[:, 0]))),
    }


def expected_metrics(y: list[int], scores: list[float], flagged: int) -> dict[str, float]:
    """Precision, recall and F1 averaged over every order of the rows in which scores do not increase."""
    totals, orders = np.zeros(3), 0
    for order in permutations(range(len(y))):
        if all(scores[a] >= scores[b] for a, b in zip(order, order[1:])):
            hits = sum(y[row] for row in order[:flagged])
            precision, recall = hits / flagged, hits / sum(y)
            f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
            totals, orders = totals + (precision, recall, f1), orders + 1
    return dict(zip(("precision", "recall", "f1"), (totals / orders).tolist()))
