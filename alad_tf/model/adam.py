"""Adam (Kingma and Ba, 2015) as in TensorFlow 1, with TensorFlow's fused operation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from alad_tf.model import distribution
from architectures import rows


class Adam(tf.Module):
    """Adam that creates its counter and moments at once, before the first trace.

    Args:
        table: hyper-parameters.
        weights: variables to update.
        counts: for each weight, t of beta1^t and beta2^t in the bias correction of its first update; None: t = 1, as in
            the Adam paper.
        period: increase of t between two updates of a weight.
    """

    def __init__(
        self, table: rows.Adam, weights: Sequence[tf.Variable], counts: Sequence[int] | None = None, period: int = 1
    ) -> None:
        super().__init__(name="Adam")
        self.counts, self.period = counts or [1] * len(weights), period
        self._constants = {"beta1": table.beta1, "beta2": table.beta2, "epsilon": table.epsilon}
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.learning_rate = tf.Variable(table.learning_rate, trainable=False, aggregation=first)
        self.iterations = tf.Variable(0, trainable=False, dtype=tf.int64, aggregation=first)
        self.m = [tf.Variable(tf.zeros_like(weight), trainable=False) for weight in weights]
        self.v = [tf.Variable(tf.zeros_like(weight), trainable=False) for weight in weights]

    def apply(self, gradients: Sequence[tf.Tensor], weights: Sequence[tf.Variable]) -> None:
        """Take a step on the weights; several replicas sum their gradients first.

        A single replica skips the sum, because TensorFlow would register its gradient permanently: every graph traced
        with it would stay in memory.
        """
        if distribution.count() > 1:
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))
        settings = {name: tf.constant(value) for name, value in self._constants.items()}
        powers = {count: self._powers(settings, count) for count in set(self.counts)}
        rate = tf.convert_to_tensor(self.learning_rate)
        for weight, m, v, gradient, count in zip(weights, self.m, self.v, gradients, self.counts):
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle,
                m=m.handle,
                v=v.handle,
                grad=gradient,
                lr=rate,
                use_locking=True,
                **settings,
                **powers[count],
            )
        self.iterations.assign_add(1)

    def _powers(self, settings: dict[str, tf.Tensor], count: int) -> dict[str, tf.Tensor]:
        """beta1^t and beta2^t for the weights with a count."""
        t = tf.cast(self.period * self.iterations + count, tf.float32)
        return {f"{name}_power": tf.pow(settings[name], t) for name in ("beta1", "beta2")}

    def get_arrays(self) -> list[np.ndarray]:
        """Return the counter, then m, then v."""
        return [variable.numpy() for variable in self._changing]

    def set_arrays(self, arrays: Sequence[np.ndarray]) -> None:
        """Restore the state from `get_arrays`.

        Raises:
            ValueError: another number of arrays, or one of another shape.
        """
        if len(arrays) != len(self._changing):
            raise ValueError(f"Expected {len(self._changing)} arrays of Adam. Received: {len(arrays)}")
        for variable, array in zip(self._changing, arrays):
            variable.assign(array)

    @property
    def _changing(self) -> list[tf.Variable]:
        return [self.iterations, *self.m, *self.v]
