"""Training loop inside the graph, shared by all methods that train with Adam."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Callable

import numpy as np
import tensorflow as tf

from alad_tf.model import distribution, philox
from alad_tf.model.adam import Adam
from alad_tf.model.layers import Dropout, seeded
from alad_tf.model.networks import as_input
from alad_tf.model.shared_graphs import SharedGraph
from architectures.rows import Table

Body = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
COMPILED_STEPS = 20  # per call of compiled code; passing the variables in every step would take a third of its time
COMPILED_CELLS = 2**22  # of the rows of such a call, which has fewer steps if they are larger
PURPOSES = ("order", "prior", "noise")  # of random numbers; each has a separate stream


class Loop:
    """Runs many training steps per call of the graph, on rows held on the device.

    A subclass defines a step (`update`) and sets `model` and `optimizers`. Every step gets a batch from each of `draws`
    independently shuffled copies of the rows; the last incomplete batch of an epoch is dropped. Row order is a function
    of (seed, epoch); z and noise are functions of (seed, step).

    Args:
        table: shape of the rows and batch size.
        x_train: [n, d] float32, or images [n, height, width, channels] uint8.
        seed: governs row order, z and noise.
        names: names of the losses that `update` returns.
        draws: batches per step.
        jit: compile the step with XLA.
        strategy: strategy in whose scope the networks were built.

    Raises:
        ValueError: x_train does not have the shape of the table's samples, or has fewer rows than one batch.
    """

    model: Any  # a keras_versions.Module with a `plan`
    table: Table
    optimizers: dict[str, Adam]

    def __init__(
        self,
        table: Table,
        x_train: np.ndarray,
        *,
        seed: int,
        names: Sequence[str],
        draws: int = 1,
        jit: bool = True,
        strategy: tf.distribute.Strategy | None = None,
    ) -> None:
        if x_train.shape[1:] != table.data_shape or len(x_train) < table.batch_size:
            expected = f"[at least {table.batch_size}, {', '.join(map(str, table.data_shape))}]"
            raise ValueError(f"Expected training rows {expected}. Received: {list(x_train.shape)}")
        self.seed, self.batch_size, self.draws, self.names = seed, table.batch_size, draws, tuple(names)
        self.strategy = strategy
        self.x_train = tf.constant(x_train, tf.uint8 if x_train.dtype == np.uint8 else tf.float32)
        self.steps_per_epoch = len(x_train) // table.batch_size
        with distribution.scope(strategy):
            self.step = tf.Variable(0, trainable=False)
        streams = _streams(seed, 1 + draws)
        self._streams = tf.Variable(streams, trainable=False, name="streams") if strategy is None else streams
        self.table, self.jit = table, jit
        self._compiled = tf.function(self._several, jit_compile=True, autograph=False) if jit else None
        cells = draws * table.batch_size * math.prod(table.data_shape)
        self._steps_in_a_call = max(min(COMPILED_STEPS, COMPILED_CELLS // cells), 1)

    @property
    def variables(self) -> tf.train.Checkpoint:
        """Complete state of training; after restoring it, training continues with bit-identical results."""
        return tf.train.Checkpoint(step=self.step, model=self.model.named_variables, **self.optimizers)

    @property
    def scoring_variables(self) -> tf.train.Checkpoint:
        """The part of `variables` that scores depend on."""
        return tf.train.Checkpoint(model=self.model.named_variables)

    def update(self, x: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """One step.

        Args:
            x: [draws, batch, d] rows.
            step: scalar int32, selects z and noise.

        Returns:
            [len(names)] losses.
        """
        raise NotImplementedError

    def after_steps(self) -> None:
        """Hook: called at the end of each call of `train`."""

    def before_scoring(self) -> None:
        """Hook: called before the networks score."""

    def not_finite(self, losses: dict[str, float]) -> list[str]:
        """Describe non-finite mean losses and weights."""
        return not_finite(losses, {self.model.name: [variable.numpy() for variable in self.model.variables]})

    def train(self, steps: int) -> dict[str, float]:
        """Run steps in one call of the graph; stop at a non-finite loss.

        Returns:
            Mean losses over the steps, by name.
        """
        means = self._train(tf.constant(steps), self.x_train, self._mask_seeds).numpy()
        return dict(zip(self.names, means.tolist()))

    @cached_property
    def _train(self) -> SharedGraph:
        """`_loop` as a graph shared by equal trainers."""
        signature = [
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([None, *self.table.data_shape], self.x_train.dtype),
            tf.TensorSpec([None], tf.int32),
        ]
        streams = [self._streams] if isinstance(self._streams, tf.Variable) else []
        variables = [self.step, *streams, *self.model.variables, *self._average_variables]
        for optimizer in self.optimizers.values():
            variables += optimizer.variables
        return SharedGraph(self._loop, signature, variables, self._alike())

    def _alike(self) -> Hashable | None:
        """Everything that the graph depends on; trainers with equal values share it. None: no sharing."""
        if self.strategy is not None or self.model.plan is None:
            return None
        adam = replace(self.table.optimizer, learning_rate=1.0)  # a variable, like the epochs
        return type(self), self.model.plan, replace(self.table, epochs=1, optimizer=adam), self.jit

    @property
    def _average_variables(self) -> Sequence[tf.Variable]:
        return ()

    @cached_property
    def _dropouts(self) -> list[Dropout]:
        """Dropout layers whose seeds are inputs of the graph; empty if the graph is not shared."""
        if self._alike() is None:
            return []
        layers = [layer for layer in self.model.layers if isinstance(layer, Dropout)]
        return sorted(layers, key=lambda layer: layer.name)

    @cached_property
    def _mask_seeds(self) -> tf.Tensor:
        return tf.constant([layer.seed for layer in self._dropouts], tf.int32)

    def _loop(self, steps: tf.Tensor, x_train: tf.Tensor, mask_seeds: tf.Tensor) -> tf.Tensor:
        """Run steps on rows x_train and return mean losses [len(names)]; mask_seeds has a seed per dropout layer."""
        rows = tf.shape(x_train)[0]
        first, steps_per_epoch = self.step.value(), rows // self.batch_size
        last, start = first + steps, (first, tf.zeros([len(self.names)]))

        def steps_of_epoch(first: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            epoch = first // steps_per_epoch
            epoch_start, orders = epoch * steps_per_epoch, self._orders(rows, epoch)
            end = tf.minimum(last, epoch_start + steps_per_epoch)

            def some_steps(step: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                x = self._rows(x_train, orders, step - epoch_start)
                if not self._compiled:
                    return step + 1, total + self.update(x, step)
                reached: tuple[tf.Tensor, tf.Tensor] = self._compiled(
                    x, step, tf.minimum(end - step, self._steps_in_a_call), total
                )
                return reached

            return _while_finite(end, some_steps, (first, total))

        with seeded(self._dropouts, mask_seeds):
            first, total = _while_finite(last, steps_of_epoch, start)
        self.step.assign(first)
        self.after_steps()
        return total / tf.cast(steps, tf.float32)

    def _several(
        self, x: tf.Tensor, first: tf.Tensor, steps: tf.Tensor, total: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Steps on rows x [draws, at least steps, batch, d]: the step reached, sums of losses.

        The index of the rows does not depend on `first`: XLA would then compile again for each value of it.
        """

        def one_step(number: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return number + 1, total + self.update(x[:, number], first + number)

        taken, total = _while_finite(steps, one_step, (tf.constant(0), total))
        return first + taken, total

    def _orders(self, n: tf.Tensor, epoch: tf.Tensor) -> tf.Tensor:
        """Row numbers of an epoch, [draws, n]; for compiled steps more follow, which no step uses."""
        rows = tf.range(n)
        orders = tf.stack([philox.shuffled(rows, self._random("order", epoch, draw)) for draw in range(self.draws)])
        return tf.pad(orders, [[0, 0], [0, self._steps_in_a_call * self.batch_size]]) if self._compiled else orders

    def _rows(self, x_train: tf.Tensor, orders: tf.Tensor, step_of_epoch: tf.Tensor) -> tf.Tensor:
        """Training rows of a step, [draws, batch, d]; of compiled steps, [draws, steps, batch, d]."""
        steps = [self._steps_in_a_call] if self._compiled else []
        size = math.prod(steps) * self.batch_size
        rows = tf.slice(orders, [0, step_of_epoch * self.batch_size], [self.draws, size])
        rows = tf.reshape(rows, [self.draws, *steps, self.batch_size]) if steps else rows
        return as_input(tf.gather(x_train, rows))

    def _normal(self, shape: Sequence[int], purpose: str, step: tf.Tensor, draw: int = 0) -> tf.Tensor:
        """Draws from N(0, 1), computed from random bits because XLA and TensorFlow's kernels draw different floats."""
        bits = philox.bits(shape, self._random(purpose, step, draw))
        level = tf.cast(tf.bitwise.right_shift(bits, 64 - 23), tf.float32)  # -2**22 ... 2**22 - 1
        return tf.math.ndtri((level + (2.0**22 + 0.5)) / 2.0**23)

    def _random(self, purpose: str, index: tf.Tensor, draw: int) -> tf.Tensor:
        """Seed [2] of a sample: each (seed, purpose, draw) has a separate stream, indexed by epoch or step."""
        return tf.stack([tf.convert_to_tensor(self._streams)[PURPOSES.index(purpose), draw], index])


def _streams(seed: int, draws: int) -> np.ndarray:
    """First word of the seeds of every stream, [purposes, draws]."""
    words = [
        [np.random.SeedSequence([seed, purpose, draw]).generate_state(1)[0] for draw in range(draws)]
        for purpose in range(len(PURPOSES))
    ]
    return (np.array(words) % 2**31).astype(np.int32)


def not_finite(losses: dict[str, float], weights: dict[str, Sequence[np.ndarray]]) -> list[str]:
    """Describe non-finite losses, or else networks with non-finite weights."""
    bad = [f"{name} is {loss}" for name, loss in losses.items() if not math.isfinite(loss)]
    return bad or [  # the losses do not reflect the last update
        f"a weight of {name} is not finite"
        for name, arrays in weights.items()
        if not all(np.isfinite(array).all() for array in arrays)
    ]


def _while_finite(last: tf.Tensor, body: Body, start: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Apply a body to (step, sums of losses) up to a last step or a non-finite loss."""

    def goes_on(step: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
        return tf.logical_and(step < last, tf.math.is_finite(tf.reduce_sum(total)))

    reached: tuple[tf.Tensor, tf.Tensor] = tf.while_loop(goes_on, body, start)
    return reached
