"""The five networks of Figure 1, built from an architecture table; each is an ordinary tf.keras.Model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from alad_tf.model import forks, keras_versions
from alad_tf.model.layers import Dropout, PairDense
from alad_tf.model.spectral_norm import draw_u, inferring_shapes, wrapper
from architectures.rows import (
    Alad,
    Concatenate,
    Conv2D,
    Dense,
    Flatten,
    Joint,
    MaxPool,
    Normal,
    Stack,
    Table,
    TransConv2D,
    Xavier,
)

BATCH_NORM_MOMENTUM = 0.99
BATCH_NORM_EPSILON = 1e-3
DTYPE = "float32"  # of all layers, whatever Keras's own default is
DISCRIMINATORS = ("Dxz", "Dxx", "Dzz")


def as_input(x: tf.Tensor) -> tf.Tensor:
    """Convert x to the input of the networks: uint8 images are mapped to [-1, 1], floats are unchanged."""
    x = tf.convert_to_tensor(x)
    return tf.cast(x, tf.float32) * (2.0 / 255.0) - 1.0 if x.dtype == tf.uint8 else x


@dataclass(frozen=True)
class Plan:
    """Everything that networks are built from except the seed: those with equal plans differ only in their variables.

    Training hyper-parameters in the table are set to 1, so that tables that differ only in them have equal plans.
    """

    kind: str
    table: Table
    options: Hashable = None

    def __post_init__(self) -> None:
        adam = replace(self.table.optimizer, learning_rate=1.0)
        object.__setattr__(self, "table", replace(self.table, epochs=1, batch_size=1, optimizer=adam))


class Networks(keras_versions.Module):
    """G, E, Dxz, Dxx and Dzz of one model.

    G maps z [n, latent] to x [n, d], or to images [n, height, width, channels], and E maps x to z. A discriminator maps
    a pair of batches to (logits [n, 1], features [n, units]): the features are the activations of the layer before the
    logits, f of Section IV-C.
    Dzz is None in the ablation without the latent discriminator. `plan` is None for custom networks and for several
    devices, which have another kind of variables.
    """

    def __init__(
        self,
        G: tf.keras.Model,
        E: tf.keras.Model,
        Dxz: tf.keras.Model,
        Dxx: tf.keras.Model,
        Dzz: tf.keras.Model | None,
        plan: Plan | None = None,
    ) -> None:
        super().__init__(name="ALAD")
        self.plan = plan
        self.G, self.E, self.Dxz, self.Dxx, self.Dzz = G, E, Dxz, Dxx, Dzz

    def reconstruct(self, x: tf.Tensor) -> tf.Tensor:
        """x' = G(E(x)) in inference mode, for rows [n, d] or images in [-1, 1]."""
        return self.G(self.E(x, training=False), training=False)

    @property
    def models(self) -> dict[str, tf.keras.Model]:
        """The networks by the paper's symbol."""
        named = {"G": self.G, "E": self.E, "Dxz": self.Dxz, "Dxx": self.Dxx, "Dzz": self.Dzz}
        return {name: model for name, model in named.items() if model is not None}

    @property
    def discriminator_weights(self) -> list[tf.Variable]:
        """Trainable weights of the discriminators, changed by the D update."""
        models = [model for name, model in self.models.items() if name in DISCRIMINATORS]
        return [weight for model in models for weight in keras_versions.trained(model)]

    @property
    def generator_encoder_weights(self) -> list[tf.Variable]:
        """Trainable weights of G and E, changed by the G/E update."""
        return [*keras_versions.trained(self.G), *keras_versions.trained(self.E)]

    @property
    def trained_weights(self) -> list[tf.Variable]:
        """All trainable weights."""
        return [*self.discriminator_weights, *self.generator_encoder_weights]

    @property
    def state(self) -> list[tf.Variable]:
        """Non-trainable variables that training calls change: u of spectral norm, batch-norm statistics, counters."""
        return [weight for model in self.models.values() for weight in keras_versions.state(model)]


@tf.autograph.experimental.do_not_convert  # calls of layers need no loops or branches in the graph
def build(
    table: Alad, *, spectral_norm: str | None = "paper", latent_discriminator: bool = True, seed: int = 0
) -> Networks:
    """Build the networks of a table with random initial weights.

    Args:
        table: an ALAD architecture table.
        spectral_norm: "paper", "tfa", "released" or None, on the hidden layers of E and of the discriminators.
        latent_discriminator: False leaves out Dzz.
        seed: governs the initial weights, u of spectral norm and the dropout masks.

    Raises:
        ValueError: unknown kind of spectral normalisation.
    """
    layers = Layers(table, spectral_norm, seed)
    x, z = table.data_shape, (table.latent_dim,)
    networks = Networks(
        G=layers.network("G", z, table.G, normalised=False),
        E=layers.network("E", x, table.E, normalised=True),
        Dxz=layers.discriminator("Dxz", x, z, table.Dxz),
        Dxx=layers.discriminator("Dxx", x, x, table.Dxx),
        Dzz=layers.discriminator("Dzz", z, z, table.Dzz) if latent_discriminator else None,
        plan=None if tf.distribute.has_strategy() else Plan("ALAD", table, (spectral_norm, latent_discriminator)),
    )
    for model in networks.models.values():
        draw_u(model, layers.seeds)
    return networks


class Layers:
    """Turns table rows into Keras layers, with a new seed for each random initial value in the order of the table.

    Layers with weights are named by their kind and number, equally for each build of a table: TensorFlow keeps about
    45 KB for every variable name it has seen, so Keras's own ever-increasing names would be a memory leak.
    """

    def __init__(self, table: Table, spectral_norm: str | None, seed: int) -> None:
        forks.require_threads()
        self.lrelu_slope = getattr(table, "lrelu_slope", None)
        self.initializer = table.initializer
        self.normalise = wrapper(spectral_norm)
        self.seeds = _seeds(seed)
        self._named: Counter[str] = Counter()

    def network(self, name: str, shape: tuple[int, ...], stack: Stack, normalised: bool = False) -> tf.keras.Model:
        """A plain stack (G or E); the last row is the output layer, which has no spectral norm."""
        inputs = tf.keras.Input(shape, dtype=DTYPE)
        outputs = self.rows(self.rows(inputs, stack[:-1], normalised), stack[-1:], normalised=False)
        return tf.keras.Model(inputs, _without_single_pixels(outputs), name=name)

    def discriminator(
        self, name: str, shape_a: tuple[int, ...], shape_b: tuple[int, ...], rows: Joint
    ) -> tf.keras.Model:
        """A discriminator of pairs; the last row returns logits, because the loss includes the sigmoid."""
        pair = [tf.keras.Input(shape, dtype=DTYPE) for shape in (shape_a, shape_b)]
        branches = [self.rows(pair[0], rows.only_x, True), self.rows(pair[1], rows.only_z, True)]
        features = self.rows(branches, rows.joint[:-1], True)
        return tf.keras.Model(pair, [self.row(features, rows.logits, False), features], name=name)

    def rows(self, hidden: Any, stack: Stack, normalised: bool) -> tf.Tensor:
        """Apply each row (linear, batch norm, non-linearity, dropout), the first one to a batch or to pairs."""
        for row in stack:
            if isinstance(row, Concatenate):
                hidden = tf.keras.layers.Concatenate({"height": 1, "channels": 3}[row.along], dtype=DTYPE)(hidden)
            elif isinstance(row, Flatten):
                hidden = tf.keras.layers.Flatten(dtype=DTYPE)(hidden)
            elif isinstance(row, MaxPool):
                hidden = tf.keras.layers.MaxPool2D(row.size, dtype=DTYPE)(hidden)
            else:
                hidden = self.row(hidden, row, normalised)
        return hidden

    def row(self, hidden: Any, row: Any, normalised: bool) -> tf.Tensor:
        """Apply a row with weights. A 1x1 convolution of one pixel is a matrix product and built as Dense."""
        rows = isinstance(hidden, list) or len(hidden.shape) == 2
        if rows and not isinstance(row, Dense):  # D12
            if row.kernel == 1:
                row = Dense(row.maps, row.activation, row.batch_norm, row.dropout)
            else:
                hidden = tf.keras.layers.Reshape((1, 1, hidden.shape[-1]), dtype=DTYPE)(hidden)
        layer = self.linear(row, pairs=isinstance(hidden, list))
        if normalised:
            layer = self.normalise(layer, name=self._name("spectral_norm"), dtype=DTYPE)
        with inferring_shapes(layer):
            hidden = layer(hidden)
        if row.batch_norm:
            hidden = keras_versions.BatchNormalization(
                momentum=BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=self._name("batch_norm"), dtype=DTYPE
            )(hidden)
        if row.activation == "LReLU":
            hidden = tf.keras.layers.LeakyReLU(self.lrelu_slope, dtype=DTYPE)(hidden)
        elif row.activation != "None":
            hidden = tf.keras.layers.Activation(row.activation.lower(), dtype=DTYPE)(hidden)
        if row.dropout:
            hidden = Dropout(row.dropout, seed=next(self.seeds), name=self._name("dropout"), dtype=DTYPE)(hidden)
        return hidden

    def linear(self, row: Dense | Conv2D | TransConv2D, pairs: bool = False) -> tf.keras.layers.Layer:
        """The linear layer of a row, with the table's initialisation."""
        options = {
            "dtype": DTYPE,
            "name": self._name("dense" if isinstance(row, Dense) else "conv"),
            "kernel_initializer": _kernels(self.initializer, next(self.seeds)),
            "bias_initializer": tf.keras.initializers.Constant(self.initializer.bias),
        }
        if isinstance(row, Dense):
            return (PairDense if pairs else tf.keras.layers.Dense)(row.units, **options)
        kind = tf.keras.layers.Conv2D if isinstance(row, Conv2D) else tf.keras.layers.Conv2DTranspose
        return kind(row.maps, row.kernel, row.strides, row.padding, **options)

    def _name(self, kind: str) -> str:
        self._named[kind] += 1
        return f"{kind}_{self._named[kind]}"


def _kernels(initializer: Xavier | Normal, seed: int) -> Any:
    if isinstance(initializer, Normal):
        return tf.keras.initializers.RandomNormal(0.0, initializer.stddev, seed)
    return tf.keras.initializers.GlorotUniform(seed)


def _without_single_pixels(hidden: tf.Tensor) -> tf.Tensor:
    """Flatten maps of one pixel [n, 1, 1, d] to rows [n, d]; return others unchanged."""
    return tf.keras.layers.Flatten(dtype=DTYPE)(hidden) if hidden.shape[1:-1] == (1, 1) else hidden


def _seeds(seed: int) -> Iterator[int]:
    random = np.random.default_rng(seed)
    while True:
        yield int(random.integers(2**31 - 1))
