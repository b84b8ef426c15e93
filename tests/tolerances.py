"""Bounds for the difference of two computations of one quantity: the derivation of all numeric tolerances of the tests.

A processor's vector width, its fused multiply-add, the number of threads and the library decide in which order a sum
is taken, and so how it is rounded. Two right answers therefore differ, and by how much follows from what was added:

* Each rounding is wrong by at most eps / 2 of the number that is rounded; there are two computations, hence eps.
* What is rounded is a partial sum, which is as large as the terms, not as the result: 1000.1 - 1000.0 has the error of
  1000. The magnitude of a sum is that of the sum of |terms|, also where the terms cancel.
* n roundings add up to at most n times one of them. Their signs are as good as random, so they add as the steps of a
  random walk: 4 sqrt(n) is eight standard deviations, for a rounding error is uniform within eps / 2 and less.
* A layer passes an error on in the proportion in which it passes its inputs on; every activation has a slope of at most
  1. The roundings of a network are thus those of all its layers together, in units of its largest sum of |terms|.

So `bound(terms, magnitude)` = min(n, 4 sqrt(n)) * eps * magnitude. What changes the answer for a real reason (a
weight, an epsilon, an axis, a sign) changes it by whole parts of it, thousands of times this.

Training multiplies differences: a unit of LeakyReLU that is at zero up to rounding takes the one slope or the other,
and Adam moves a weight by the learning rate however small its gradient. So few steps are compared, with an epsilon of
Adam that makes a step proportional to a small gradient (`of_adam`), or what is alike whatever the path was.

Comparisons in float64 with Python's numbers keep pytest's own 1e-6, which is a billion roundings. Statistical ones
(a share, a mean of draws) have bounds in standard deviations where they stand; their draws are the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Union

import numpy as np
import pandas as pd
import tensorflow as tf

from alad_tf.estimator.alad import ALAD
from alad_tf.model.networks import Networks
from alad_tf.tabular.model import Model
from architectures import Alad
from architectures.rows import Adam

Array = Union[np.ndarray, tf.Tensor, float]
Tensors = Union[Array, list[Array]]  # inputs of a Keras model


def added(terms: int) -> float:
    """Return the error of a sum of this many terms, in units of the error of one term."""
    return min(float(terms), 4.0 * math.sqrt(terms))


def bound(terms: int, magnitude: float, dtype: type[np.floating] = np.float32) -> float:
    """Return the largest difference of two computations of a sum of this many terms.

    Args:
        terms: additions and products one after the other on the longest way from inputs to outputs.
        magnitude: the largest sum of |terms| on that way.
        dtype: what is computed in.
    """
    return added(terms) * float(np.finfo(dtype).eps) * magnitude


def largest(values: Array) -> float:
    """Return the largest finite |value|, 0 if there is none."""
    sizes = np.abs(np.asarray(values, np.float64))
    return float(sizes[np.isfinite(sizes)].max(initial=0.0))


def assert_close(
    actual: Array,
    expected: Array,
    terms: int,
    magnitude: float | None = None,
    *,
    dtype: type[np.floating] = np.float32,
    err_msg: str = "",
) -> None:
    """Assert that arrays differ by less than `bound`, whose magnitude is the largest of `expected` unless given."""
    size = largest(expected) if magnitude is None else magnitude
    np.testing.assert_allclose(actual, expected, rtol=0.0, atol=bound(terms, size, dtype), err_msg=err_msg)


@dataclass(frozen=True)
class Work:
    """Size of a computation: the roundings on its longest path, and the largest sum of |terms| on it."""

    terms: int
    magnitude: float

    def __add__(self, after: Work) -> Work:
        """Return the work of both in sequence."""
        return Work(self.terms + after.terms, max(self.magnitude, after.magnitude))

    def __mul__(self, times: float) -> Work:
        """Return the work of a multiple."""
        return Work(self.terms, self.magnitude * times)

    @property
    def bound(self) -> float:
        """Largest difference of two computations."""
        return bound(self.terms, self.magnitude)


def assert_within(actual: Array, expected: Array, work: Work, err_msg: str = "") -> None:
    """Assert that arrays differ by less than the bound of their work."""
    assert_close(actual, expected, work.terms, work.magnitude, err_msg=err_msg)


def sensitivity(answer: Callable[[np.ndarray], Array], x: np.ndarray, terms: int) -> float:
    """Return the bound of a function with small divisors: how much it changes with its inputs.

    float32 gives the exact answer for inputs that are off in their last digits; `answer`, in float64, is asked for some
    of those.
    """
    random, exact = np.random.default_rng(0), np.asarray(answer(x), np.float64)
    off = added(terms) * float(np.finfo(np.float32).eps)
    moved = [answer(x * (1.0 + off * random.choice([-1.0, 1.0], x.shape))) for _ in range(16)]
    return 2.0 * largest(np.asarray(moved, np.float64) - exact)


def steady(table: Alad) -> Alad:
    """Return the table with an epsilon of Adam at which a small gradient makes a small step."""
    return replace(table, optimizer=replace(table.optimizer, epsilon=1e-2))


def of_adam(optimizer: Adam, steps: int, gradient: Work, weight: float = 2.0) -> float:
    """Return the bound of weights of at most this size after some steps of Adam.

    A step's slope is at most learning rate / epsilon, and a step is at most about the learning rate.
    """
    step = optimizer.learning_rate * min(2.0, gradient.bound / optimizer.epsilon)
    return steps * step + bound(2 * steps, weight)


def of_training(networks: Networks, table: Alad, x: np.ndarray, z: np.ndarray, steps: int) -> tuple[float, float]:
    """Return the bounds of weights and of losses after steps of networks without batch norm, with gradients up to 1.

    A logit moves with each weight on its way, by what that is multiplied with.
    """
    terms = terms_of(*networks.models.values())
    gradient = Work(2 * terms + len(x), 1.0)  # forwards and backwards, and the mean over the batch
    weight = of_adam(table.optimizer, steps * table.ge_steps, gradient)
    logits = of_logits(networks, x, z).values()
    return weight, sum(2.0 * (work.bound + weight * terms * work.magnitude) for work in logits)


# Networks ----------------------------------------------------------------------------------------------------------


def of_network(model: tf.keras.Model, inputs: Tensors, training: bool = False) -> Work:
    """Return the work of a Keras model on given inputs; its weights and statistics stay as they are."""
    layers = [layer for layer in model.layers if _has_kernel(layer) or _is_batch_norm(layer)]
    inputs = tf.nest.map_structure(tf.convert_to_tensor, inputs)
    taken = model.inputs if isinstance(inputs, list) else model.inputs[0]
    probe = tf.keras.Model(taken, [tf.nest.flatten(layer.input) for layer in layers])
    weights = model.get_weights()
    seen = iter(tf.nest.flatten(probe(inputs, training=training)))
    model.set_weights(weights)
    work = Work(0, max(largest(part) for part in tf.nest.flatten(inputs)))
    for layer in layers:
        given = [next(seen).numpy() for _ in tf.nest.flatten(layer.input)]
        work += _of_batch_norm(layer, given[0], training) if _is_batch_norm(layer) else _of_linear(layer, given)
    return work


def of_logits(networks: Networks, x: np.ndarray, z: np.ndarray) -> dict[str, Work]:
    """Return the work of the logits of each discriminator in training mode, of "real" and of "fake" pairs."""
    E, G = networks.E, networks.G
    both = [E(x), G(z)]
    pairs: dict[str, tuple[Tensors, Tensors]] = {
        "Dxz": ([x, both[0]], [both[1], z]),
        "Dxx": ([x, x], [x, G(both[0])]),
        "Dzz": ([z, z], [z, E(both[1])]),
    }
    ways = of_network(E, x, True) + of_network(G, z, True) + of_network(G, both[0], True) + of_network(E, both[1], True)
    return {
        name: ways + of_network(D, pairs[name][0], True) + of_network(D, pairs[name][1], True)
        for name, D in networks.models.items()
        if name in pairs
    }


def terms_of(*models: tf.keras.Model) -> int:
    """Return the number of terms that a pass through Keras models sums."""
    kernels = [linear.kernel.shape for model in models for linear in map(_linear, model.layers) if _has_kernel(linear)]
    return sum(math.prod(shape[:-1]) + 1 for shape in kernels)


def _linear(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
    return getattr(layer, "layer", layer)


def _has_kernel(layer: tf.keras.layers.Layer) -> bool:
    return hasattr(_linear(layer), "kernel")


def _is_batch_norm(layer: tf.keras.layers.Layer) -> bool:
    return isinstance(layer, tf.keras.layers.BatchNormalization)


def _of_batch_norm(layer: tf.keras.layers.Layer, a: np.ndarray, training: bool) -> Work:
    """Small variation is magnified."""
    axes = tuple(range(a.ndim - 1))
    mean, variance = (a.mean(axes), a.var(axes)) if training else (layer.moving_mean, layer.moving_variance)
    slope = np.abs(layer.gamma) / np.sqrt(variance + layer.epsilon)
    terms = 6 + training * a.size // a.shape[-1]
    return Work(terms, largest((np.abs(a) + np.abs(mean)) * slope + np.abs(layer.beta)))


def _of_linear(layer: tf.keras.layers.Layer, given: list[np.ndarray]) -> Work:
    linear = _linear(layer)
    kernel, bias = np.abs(linear.kernel.numpy()), 0.0 if linear.bias is None else largest(linear.bias)
    terms = 1
    if hasattr(layer, "sigma"):  # two products with the kernel come before it
        kernel, terms = kernel / float(layer.sigma()), 1 + kernel.size // kernel.shape[-1] + kernel.shape[-1]
    if kernel.ndim == 2:
        a = np.abs(np.concatenate(_tiled(given), axis=-1))
        return Work(terms + len(kernel), largest(a @ kernel) + bias)
    axes = (0, 1, 3) if isinstance(linear, tf.keras.layers.Conv2DTranspose) else (0, 1, 2)
    terms += math.prod(kernel.shape[axis] for axis in axes)
    return Work(terms, largest(given) * float(kernel.sum(axes).max()) + bias)


def _tiled(given: list[np.ndarray]) -> list[np.ndarray]:
    """Members of a pair with equal numbers of rows, if one first member stands for several second ones."""
    rows = max(map(len, given))
    return [np.tile(part, [rows // max(len(part), 1), *[1] * (part.ndim - 1)]) for part in given]


def of_scores(networks: Networks, x: np.ndarray, scaling: Work = Work(1, 0.0)) -> dict[str, float]:
    """Return the bound of each of the four scores of rows as the networks see them.

    A score is a sum of differences of features or cells: its error is that of the features, however small the score.

    Args:
        networks: trained ones.
        x: [n, ...] rows, or images in [-1, 1].
        scaling: the work that made x of the user's rows.
    """
    x = tf.convert_to_tensor(x)
    z = networks.E(x, training=False)
    x_hat = networks.G(z, training=False)
    logits, features = networks.Dxx([x, x_hat], training=False)
    cells = scaling + of_network(networks.E, x) + of_network(networks.G, z)
    unit = (cells + of_network(networks.Dxx, [x, x_hat])).bound
    difference = np.abs((x - x_hat).numpy())
    count, width = math.prod(difference.shape[1:]), features.shape[1]
    l1 = largest(difference.sum(axis=tuple(range(1, difference.ndim))))
    return {
        "features": added(width) * 2.0 * unit + bound(width, 2.0 * width * largest(features)),
        "l1": added(count) * cells.bound + bound(count, l1),
        "l2": math.sqrt(count) * cells.bound + bound(count, l1),
        "logits": unit + bound(4, largest(logits)),  # the slope of softplus is at most 1
    }


def of_estimator(model: ALAD, rows: np.ndarray, *, single: bool = False) -> dict[str, float]:
    """Return the bound of each score of rows in the user's units; `single`: their centre is rounded to float32."""
    x = np.asarray(rows, np.float64)
    finite = x[np.isfinite(x).all(axis=1)]
    scaled = (finite - model.center_) / model.scale_
    size = largest(scaled) + single * largest(model.center_ / model.scale_)
    bounds = of_scores(model.networks_, scaled.astype(np.float32), Work(4, size))
    if model.score_name == "neighbours":
        bounds["neighbours"] = _of_neighbours(model, finite, bounds["l2"], bound(4, size))
    return bounds


def _of_neighbours(model: ALAD, rows: np.ndarray, l2: float, cell: float) -> float:
    """Bound of a mean distance: of the points, of the references, and of neighbours that are as near but for rounding.

    Args:
        rows: finite, in the user's units.
        l2: bound of a row's norm of x - x'.
        cell: bound of a scaled cell.
    """
    width = 2 * model.n_features_in_
    points = largest(np.linalg.norm(model._points(rows), axis=1)) + largest(np.linalg.norm(model.references_, axis=1))
    product = bound(width + 2, points**2)  # in squared distances, by which neighbours are found
    return 2.0 * (l2 + math.sqrt(width) * cell) + product / float(model._score(rows).min()) + bound(width, points)


def of_table(model: Model, frame: pd.DataFrame) -> float:
    """Return the bound of the score of a file's rows, missing cells and new categories included."""
    x, _ = model.features(frame)
    return of_estimator(model.estimator, x)[model.estimator.score_name]


def assert_scores(actual: Mapping[str, Array], expected: Mapping[str, Array], bounds: dict[str, float]) -> None:
    """Assert that every score in `actual` equals that in `expected` up to its bound."""
    for name, score in actual.items():
        np.testing.assert_allclose(score, expected[name], rtol=0.0, atol=bounds[name], err_msg=name)
