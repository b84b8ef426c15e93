"""Spectral normalisation (Section IV-B) as a re-parametrisation, and a layer that overwrites the kernel."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any, Callable

import tensorflow as tf
from tensorflow.python.framework.ops import gradient_registry

from alad_tf.model import keras_versions
from alad_tf.model.layers import SpectralNormalized, first_u

logger = logging.getLogger(__name__)

KINDS = ("paper", "tfa", "released")
_joined = ContextVar("_joined", default=False)


class _PowerIterated(SpectralNormalized, tf.keras.layers.Wrapper):
    """Wraps a Dense layer, convolution or `PairDense`; u [1, units] estimates the first singular vector of its kernel.

    With several replicas, which all have the same W, the u of the first replica is kept.
    """

    def __init__(self, layer: tf.keras.layers.Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.power_iterations = power_iterations

    def build(self, input_shape: Any) -> None:
        """Build the wrapped layer and u."""
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        self.u = keras_versions.add_state(self, "sn_u", (1, self.layer.kernel.shape[-1]), first_u())
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the wrapped layer's outputs."""
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "power_iterations": self.power_iterations}

    def _matrix(self, kernel: tf.Tensor | None = None) -> tf.Tensor:
        """The kernel, or an equal tensor, as [inputs, units]."""
        kernel = tf.convert_to_tensor(self.layer.kernel if kernel is None else kernel)
        return kernel if len(kernel.shape) == 2 else tf.reshape(kernel, [-1, kernel.shape[-1]])


@tf.keras.utils.register_keras_serializable(package="alad_tf")
class TfaSpectralNormalization(_PowerIterated):
    """Computes the same as the layer of tensorflow-addons 0.23: a training call overwrites W with W / sigma.

    It replaces that layer where tensorflow-addons cannot be imported; a test compares the two on TensorFlow 2.15.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Apply the layer; in training, do a power iteration and replace W by W / sigma first."""
        if training:
            kernel, u = self._matrix(), tf.convert_to_tensor(self.u)
            for _ in range(self.power_iterations):
                v = tf.math.l2_normalize(tf.matmul(u, kernel, transpose_b=True))
                u = tf.math.l2_normalize(tf.matmul(v, kernel))
            sigma = tf.matmul(tf.matmul(v, kernel), u, transpose_b=True)
            self.u.assign(u)
            self.layer.kernel.assign(tf.reshape(kernel / sigma, self.layer.kernel.shape))
        return self.layer(inputs)


@tf.keras.utils.register_keras_serializable(package="alad_tf")
class SpectralNormalization(_PowerIterated):
    """Uses W / sigma(W) in the wrapped layer and keeps the trained W; the gradient flows through sigma.

    tensorflow-addons overwrites W with W / sigma in every training call. Here, the output of the linear operation is
    divided by sigma, which is the same as dividing W. Each training call refines u by a power iteration; inference uses
    the current u. If the kernel is zero, sigma = 0: the division is then guarded, u is kept, and training can continue.

    Args:
        layer: the Dense layer, convolution or `PairDense`.
        power_iterations: number of power iterations per training call.
        constant_u: the gradient treats u and v as constants, as in Miyato et al.; False: it also flows through their
            power iteration, as in the released code (D21).
    """

    def __init__(
        self, layer: tf.keras.layers.Layer, power_iterations: int = 1, constant_u: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(layer, power_iterations, **kwargs)
        self.constant_u = constant_u
        self.infers_shapes = False

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "constant_u": self.constant_u}

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Apply the layer with its kernel divided by sigma; inputs and outputs are those of the wrapped layer."""
        linear = getattr(self.layer, "convolution_op", tf.matmul)
        if self.infers_shapes:
            outputs = linear(inputs, self.layer.kernel)
        elif _joined.get():
            outputs = self._with_joined_gradient(linear, inputs, update=bool(training))
        else:
            outputs = linear(inputs, self.layer.kernel) / self.sigma(update=bool(training))
        if self.layer.use_bias:
            outputs = tf.nn.bias_add(outputs, self.layer.bias)
        return self.layer.activation(outputs)

    def _with_joined_gradient(self, linear: Callable[..., tf.Tensor], inputs: Any, update: bool) -> tf.Tensor:
        """The linear operation divided by sigma; its gradient by W is one tensor (see `joined_gradients`)."""

        @tf.custom_gradient
        def divided(kernel: tf.Tensor, *members: tf.Tensor) -> Any:
            with tf.GradientTape() as of_linear, tf.GradientTape() as of_sigma:
                of_linear.watch([kernel, *members])
                of_sigma.watch(kernel)
                product = linear(tf.nest.pack_sequence_as(inputs, members), kernel)
                sigma = self.sigma(update, kernel)
            outputs = product / sigma

            def gradient(upstream: tf.Tensor) -> list[tf.Tensor]:
                by_kernel, *by_members = of_linear.gradient(product, [kernel, *members], upstream / sigma)
                by_sigma = tf.reduce_sum(upstream * outputs) / sigma
                return [by_kernel - of_sigma.gradient(sigma, kernel, by_sigma), *by_members]

            return outputs, gradient

        return _unregistered(divided(tf.convert_to_tensor(self.layer.kernel), *tf.nest.flatten(inputs)))

    def sigma(self, update: bool = False, kernel: tf.Tensor | None = None) -> tf.Tensor:
        """Estimate by u of the largest singular value of the kernel, or of an equal tensor that a tape watches.

        Returns:
            A positive scalar, differentiable by W.
        """
        W, u = self._matrix(kernel), tf.reshape(self.u, [-1, 1])
        constant = tf.stop_gradient if self.constant_u else tf.identity
        for _ in range(self.power_iterations):
            v = constant(tf.math.l2_normalize(tf.matmul(W, u)))
            projection = tf.matmul(W, v, transpose_a=True)
            norm = constant(tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(projection)), 1e-24)))
            u = tf.where(norm > 1e-12, constant(projection) / norm, u)
        if update:
            self.u.assign(tf.reshape(u, self.u.shape))
        if not self.constant_u:
            return norm  # = projection^T u, with a single gradient by the projection
        return tf.maximum(tf.reshape(tf.matmul(projection, u, transpose_a=True), []), 1e-12)


def _unregistered(outputs: tf.Tensor) -> tf.Tensor:
    """Remove the gradient of a `tf.custom_gradient` in a graph from TensorFlow's registry; return the outputs.

    Its entry would keep the graph in memory as long as the process. `tf.gradients` needs it, a tape does not.
    """
    if not tf.executing_eagerly():
        gradient_registry._registry.pop(outputs.op.get_attr("_gradient_op_type").decode(), None)
    return outputs


@contextmanager
def joined_gradients(joined: bool) -> Iterator[None]:
    """Context in which a call of a normalised layer has one gradient by W, not one by W and one by sigma.

    A layer that is called twice in a loss then has two. Without XLA, TensorFlow sums more than two in an order that
    differs between processes. The subtraction inside the gradient keeps the graph optimizer from merging these sums.
    """
    token = _joined.set(joined)
    try:
        yield
    finally:
        _joined.reset(token)


@contextmanager
def inferring_shapes(layer: tf.keras.layers.Layer) -> Iterator[None]:
    """Context in which Keras calls a layer for the shape of its outputs: sigma would take half of that time."""
    if not isinstance(layer, SpectralNormalization):
        yield
        return
    layer.infers_shapes = True
    try:
        yield
    finally:
        layer.infers_shapes = False


def draw_u(model: tf.keras.Model, seeds: Iterator[int]) -> None:
    """Draw u of all normalised layers from N(0, 1) with the given seeds."""
    for layer in model.layers:
        if isinstance(layer, SpectralNormalized):
            layer.u.assign(tf.random.stateless_normal(layer.u.shape, [next(seeds), 0]))


def wrapper(kind: str | None) -> Callable[..., tf.keras.layers.Layer]:
    """Return the wrapper for the hidden layers of E and of the discriminators.

    Args:
        kind: "paper" (`SpectralNormalization`), "tfa" (tensorflow-addons, overwrites W), "released" (the gradient
            flows through u and v) or None (no wrapping).

    Raises:
        ValueError: unknown kind.
    """
    wrappers: dict[str | None, Callable[[], Any]] = {
        "paper": lambda: SpectralNormalization,
        "tfa": _addons_layer,
        "released": lambda: partial(SpectralNormalization, constant_u=False),
        None: lambda: lambda layer, **_: layer,
    }
    if kind not in wrappers:
        raise ValueError(
            f"Expected a kind of spectral normalisation. Received: {kind!r}. Allowed: {', '.join(KINDS)}, None"
        )
    return wrappers[kind]()


@cache
def _addons_layer() -> type[SpectralNormalized]:
    """The layer of tensorflow-addons, or the equivalent one if it cannot be imported, which is logged once."""
    if keras_versions.has_addons():
        from alad_tf.model.addons_norm import AddonsSpectralNormalization

        return AddonsSpectralNormalization
    logger.warning(
        "tensorflow-addons does not run with TensorFlow %s: 'tfa' is an equal layer of alad_tf", tf.__version__
    )
    return TfaSpectralNormalization
