"""Spectral normalisation (Section IV-B) as a re-parametrisation; the only module that imports tensorflow_addons."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Callable

import tensorflow as tf

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # its end-of-life notice; the versions are pinned
    import tensorflow_addons as tfa

KINDS = ("paper", "tfa")


@tf.keras.utils.register_keras_serializable(package="alad_tf")
class TfaSpectralNormalization(tfa.layers.SpectralNormalization):
    """The layer of tensorflow_addons, extended to layers on pairs: a list of two inputs.

    Of several replicas, which all see the same W, the first one's u is kept.
    """

    def add_weight(self, *args: Any, **kwargs: Any) -> tf.Variable:
        """Create u."""
        return super().add_weight(*args, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA, **kwargs)

    def build(self, input_shape: Any) -> None:
        """Build the wrapped layer, and u."""
        if not isinstance(input_shape, list):
            return super().build(input_shape)
        self.layer.build(input_shape)
        self.layer.built = True
        super().build([None, *self.layer.kernel.shape[:-1]])
        self.input_spec = None
        return None


@tf.keras.utils.register_keras_serializable(package="alad_tf")
class SpectralNormalization(TfaSpectralNormalization):
    """Use W / sigma(W) in the wrapped Dense or convolution and keep the trained W; the gradient flows through sigma.

    tensorflow_addons overwrites W with W / sigma at every training call. Here the output of the linear operation is
    divided by sigma, which is the same as dividing W. One power iteration refines u at each training call; inference
    uses u as it stands. A kernel of zeros gives sigma = 0: the division is then guarded, u is kept and training can go
    on.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Apply the layer with its kernel divided by sigma; inputs and outputs are those of the wrapped layer."""
        linear = getattr(self.layer, "convolution_op", tf.matmul)
        outputs = linear(inputs, self.layer.kernel) / self.sigma(update=bool(training))
        if self.layer.use_bias:
            outputs = tf.nn.bias_add(outputs, self.layer.bias)
        return self.layer.activation(outputs)

    def sigma(self, update: bool = False) -> tf.Tensor:
        """Largest singular value of the kernel as seen by u: a positive scalar, differentiable with respect to W."""
        kernel = tf.reshape(self.w, [-1, self.w_shape[-1]])
        u = self.u.value()
        for _ in range(self.power_iterations):
            v = tf.stop_gradient(tf.math.l2_normalize(tf.linalg.matvec(kernel, u[0])))
            projection = tf.linalg.matvec(kernel, v, transpose_a=True)
            norm = tf.stop_gradient(tf.norm(projection))
            u = tf.where(norm > 0.0, tf.stop_gradient(projection)[None] / tf.maximum(norm, 1e-12), u)
        if update:
            self.u.assign(u)
        return tf.maximum(tf.tensordot(projection, u[0], 1), 1e-12)


def draw_u(model: tf.keras.Model, seeds: Iterator[int]) -> None:
    """Draw u of every normalised layer from N(0, 1): tensorflow_addons gives it an initial value without a seed."""
    for layer in model.layers:
        if isinstance(layer, tfa.layers.SpectralNormalization):
            layer.u.assign(tf.random.stateless_normal(layer.u.shape, [next(seeds), 0]))


def wrapper(kind: str | None) -> Callable[..., tf.keras.layers.Layer]:
    """Return the wrapper for the hidden layers of E and of the discriminators.

    Args:
        kind: "paper" (`SpectralNormalization`), "tfa" (stock tensorflow_addons, overwrites W) or None (no wrapping).

    Raises:
        ValueError: unknown kind.
    """
    wrappers: dict[str | None, Any] = {
        "paper": SpectralNormalization,
        "tfa": TfaSpectralNormalization,
        None: lambda layer, name=None: layer,
    }
    if kind not in wrappers:
        raise ValueError(
            f"Expected a kind of spectral normalisation. Received: {kind!r}. Allowed: {', '.join(KINDS)}, None"
        )
    return wrappers[kind]
