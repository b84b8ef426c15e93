"""Keras layers of the networks: dropout with a counter, and dense layers on pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from alad_tf.model import distribution, keras_versions, philox


@tf.keras.utils.register_keras_serializable(package="alad_tf")
class Dropout(tf.keras.layers.Layer):
    """Inverted dropout with masks that are a function of (seed, number of the training call).

    Unlike in Keras's own layer, the random state is a weight: it is saved and restored, and masks are equal in eager
    and compiled code.
    """

    def __init__(self, rate: float, seed: int = 0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.seed = seed

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the counter of training calls."""
        self.calls = keras_versions.add_state(self, "calls", (), "zeros", tf.int32)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """In training, set a fraction `rate` of the entries to zero and scale up the others; else return `inputs`."""
        if not training:
            return inputs
        seed = tf.stack([self.seed + distribution.number(), tf.convert_to_tensor(self.calls)])
        self.calls.assign_add(1)
        keep = philox.words(inputs, seed) >= round(self.rate * 2**16)
        return tf.where(keep, inputs * (1.0 / (1.0 - self.rate)), 0.0)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@tf.keras.utils.register_keras_serializable(package="alad_tf")
class PairDense(tf.keras.layers.Dense):
    """A Dense layer on concatenated pairs, [a, b] W, computed as a W[:p] + b W[p:].

    If a [n, p] has fewer rows than b, each row of a belongs to several pairs: rows 0, n, 2n, ... of b are paired with
    row 0 of a. The product with a is then computed only once.
    """

    def __init__(self, units: int, **kwargs: object) -> None:
        super().__init__(units, **kwargs)
        self.input_spec = None  # Dense expects one input

    def build(self, input_shape: list[tf.TensorShape]) -> None:
        """Create the kernel [p + q, units] and the bias for members of widths p and q."""
        super().build([None, sum(shape[-1] for shape in input_shape)])
        self.input_spec = None

    def compute_output_shape(self, input_shape: Sequence[Sequence[int | None]]) -> tuple[int | None, ...]:
        """Shape of the outputs: [k n, units]."""
        return (input_shape[1][0], self.units)

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Map a [n, p] and b [k n, q] to [k n, units]."""
        return self.activation(tf.nn.bias_add(self.convolution_op(inputs, self.kernel), self.bias))

    def convolution_op(self, inputs: list[tf.Tensor], kernel: tf.Tensor) -> tf.Tensor:
        """The linear operation alone, named as in Keras's convolutions."""
        a, b = inputs
        W_a, W_b = tf.split(kernel, [a.shape[-1], b.shape[-1]])
        of_a, of_b = tf.matmul(a, W_a), tf.matmul(b, W_b)
        if a.shape[0] is not None and a.shape[0] == b.shape[0]:
            return of_a + of_b
        pairs_of_a = tf.shape(b)[0] // tf.maximum(tf.shape(a)[0], 1)
        return tf.tile(of_a, [pairs_of_a, 1]) + of_b


@contextmanager
def seeded(layers: Sequence[Dropout], seeds: tf.Tensor) -> Iterator[None]:
    """Make dropout layers use seeds [layers], an input of a graph, instead of their own."""
    own = [layer.seed for layer in layers]
    try:
        for number, layer in enumerate(layers):
            layer.seed = seeds[number]
        yield
    finally:
        for layer, seed in zip(layers, own):
            layer.seed = seed


def first_u() -> tf.keras.initializers.Initializer:
    """Initial u of a layer of its own; without a seed, Keras would draw one from Python's `random`."""
    return tf.keras.initializers.TruncatedNormal(stddev=0.02, seed=0)


class SpectralNormalized:
    """Base class of wrappers that normalise the kernel of a layer, with attributes `layer` and `u`."""

    layer: tf.keras.layers.Layer
    u: Any
