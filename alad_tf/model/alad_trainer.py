"""Training of ALAD (Section IV): alternating updates of the discriminators and of G and E."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Callable

import numpy as np
import tensorflow as tf

from alad_tf.errors import SettingsError, listed
from alad_tf.model import distribution, losses, trainer
from alad_tf.model.dynamics import optimizers, unchanged_statistics
from alad_tf.model.networks import DISCRIMINATORS, Networks
from alad_tf.model.spectral_norm import joined_gradients
from alad_tf.model.weights import get_arrays, set_arrays
from architectures.rows import Alad


class Trainer(trainer.Loop):
    """Trains the networks on rows held on the device.

    A step is one update of the discriminators on a batch, then `table.ge_steps` updates of G and E, each on a batch of
    an independently shuffled copy of the training set, with new z every time. The last incomplete batch of an epoch
    is dropped. Row order and z are functions of (seed, epoch) and (seed, step); dropout has its own counters.

    Args:
        networks: the networks, trained in place.
        table: hyper-parameters.
        x_train: [n, d] float32, or images [n, height, width, channels] uint8.
        seed: governs row order and z.
        average: networks of the same table that hold the exponential moving average of the trained weights, for
            scoring. None: no average.
        ema_decay: decay of the average per step.
        jit: compile the step with XLA.
        strategy: strategy in whose scope the networks were built: each replica processes a part of every batch. Losses
            and gradients are those of the whole batch; batch norm uses the statistics of a replica's part.
        dynamics: "released": Adam's bias correction (D17) and batch-norm statistics (D20) of the released code. None:
            the paper's.

    Raises:
        ValueError: x_train has another shape than the table's samples, or fewer than one batch.
        SettingsError: a batch cannot be divided equally among the replicas.
    """

    table: Alad

    def __init__(
        self,
        networks: Networks,
        table: Alad,
        x_train: np.ndarray,
        *,
        seed: int,
        average: Networks | None = None,
        ema_decay: float = 0.999,
        jit: bool = True,
        strategy: tf.distribute.Strategy | None = None,
        dynamics: str | None = None,
    ) -> None:
        replicas_ = 1 if strategy is None else strategy.num_replicas_in_sync
        if table.batch_size % replicas_:
            raise SettingsError(
                f"Expected a batch that {replicas_} replicas share equally. Received: {table.batch_size}"
            )
        self.networks = self.model = networks
        self.average, self.ema_decay, self.dynamics = average, ema_decay, dynamics
        super().__init__(
            table,
            x_train,
            seed=seed,
            names=("loss_d", "loss_ge", *self._discriminators),
            draws=1 + table.ge_steps,
            jit=jit,
            strategy=strategy,
        )
        with distribution.scope(strategy):
            self.optimizers = optimizers(networks, table.optimizer, dynamics)
        if average is not None:
            _copy(networks.trained_weights + networks.state, average.trained_weights + average.state)

    @property
    def scoring_networks(self) -> Networks:
        """Networks used for scoring: the average, if there is one."""
        return self.networks if self.average is None else self.average

    @property
    def variables(self) -> tf.train.Checkpoint:
        """Complete state of training; after restoring it, training continues with bit-identical results."""
        average = {} if self.average is None else {"average": self.average.named_variables}
        networks = self.networks.named_variables
        return tf.train.Checkpoint(step=self.step, networks=networks, **self.optimizers, **average)

    @property
    def scoring_variables(self) -> tf.train.Checkpoint:
        """The part of `variables` that scores depend on."""
        return tf.train.Checkpoint(networks=self.scoring_networks.named_variables)

    def get_arrays(self) -> dict[str, np.ndarray]:
        """State of training as arrays: weights and state of the networks, their average, Adam, step."""
        arrays = {f"networks/{name}": array for name, array in get_arrays(self.networks).items()}
        if self.average is not None:
            arrays.update({f"average/{name}": array for name, array in get_arrays(self.average).items()})
        for name, optimizer in self.optimizers.items():
            arrays.update({f"{name}/{position}": array for position, array in enumerate(optimizer.get_arrays())})
        return {**arrays, "step": np.asarray(self.step.numpy())}

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore `get_arrays` of a trainer of the same table and continue at the beginning of an epoch of these rows.

        Raises:
            ValueError: an array is missing, left over or of another shape.
        """
        parts: dict[str, dict[str, np.ndarray]] = {}
        for name, array in arrays.items():
            part, _, rest = name.partition("/")
            parts.setdefault(part, {})[rest] = array
        set_arrays(self.networks, parts["networks"])
        if (self.average is None) != ("average" not in parts):
            raise ValueError("Expected an average of the weights on both sides, or on none. Received: one on one side.")
        if self.average is not None:
            set_arrays(self.average, parts["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.set_arrays([parts[name][str(position)] for position in range(len(parts[name]))])
        self.step.assign(-(-int(arrays["step"]) // self.steps_per_epoch) * self.steps_per_epoch)

    def _alike(self) -> Hashable | None:
        alike, average = super()._alike(), self.average
        if alike is None or (average is not None and average.plan != self.networks.plan):
            return None
        return alike, self.dynamics, None if average is None else self.ema_decay

    @property
    def _average_variables(self) -> Sequence[tf.Variable]:
        return () if self.average is None else self.average.variables

    @property
    def _discriminators(self) -> list[str]:
        return [name for name in DISCRIMINATORS if name in self.networks.models]

    def after_steps(self) -> None:
        """Copy the state of the networks to their average."""
        if self.average is not None:
            _copy(self.networks.state, self.average.state)

    def not_finite(self, losses: dict[str, float]) -> list[str]:
        """Describe non-finite mean losses and weights."""
        return trainer.not_finite(losses, {name: model.get_weights() for name, model in self.networks.models.items()})

    def update(self, x: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Take one step: the D update, the G/E updates, then the average.

        Args:
            x: [1 + ge_steps, batch, d] rows of the D update, then of each G/E update.
            step: scalar int32, addresses z.

        Returns:
            [2 + discriminators]: loss_d, the last loss_ge, and the part of loss_d of each discriminator.
        """
        if self.strategy is None:
            losses_ = self._updates(x, step)
        else:
            shares = self.strategy.run(self._updates, args=(x, step))
            losses_ = self.strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)
        if self.average is not None:
            share = tf.constant(1.0 - self.ema_decay, tf.float32)
            for shadow, weight in zip(self.average.trained_weights, self.networks.trained_weights):
                shadow.assign_sub(share * (shadow - weight))
        return losses_

    def _updates(self, x: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """The updates of a step on this replica's part of x; returns its contribution to the losses of the batch."""
        x = distribution.share(x, axis=1)
        d_loss = self.discriminator_update(x[0], self._prior(step, draw=0))
        for k in range(self.table.ge_steps):
            ge_loss = self.generator_encoder_update(x[1 + k], self._prior(step, draw=1 + k))
        parts = [d_loss[name] for name in self._discriminators]
        return tf.stack([_sum(parts), _sum(ge_loss.values()), *parts])

    def discriminator_update(self, x: tf.Tensor, z: tf.Tensor) -> losses.Logits:
        """Update the discriminators on x [batch, d] and z [batch, latent]; return the loss of each."""
        weights = self.networks.discriminator_weights
        return self._minimise("d", losses.discriminator_loss, weights, x, z, others=("G", "E"))

    def generator_encoder_update(self, x: tf.Tensor, z: tf.Tensor) -> losses.Logits:
        """Update G and E on x [batch, d] and z [batch, latent]; return the loss against each discriminator."""
        weights = self.networks.generator_encoder_weights
        return self._minimise("ge", losses.generator_encoder_loss, weights, x, z, others=self._discriminators)

    def _minimise(
        self,
        optimizer: str,
        loss: Callable[[losses.Logits, losses.Logits], losses.Logits],
        weights: list[tf.Variable],
        x: tf.Tensor,
        z: tf.Tensor,
        others: Sequence[str],
    ) -> losses.Logits:
        """Take a step of an optimizer on the given weights; `others` names the networks without such weights.

        Raises SettingsError if the loss does not depend on one of the weights, in custom networks.
        """
        models = [self.networks.models[name] for name in others] if self.dynamics else []
        tape = tf.GradientTape(watch_accessed_variables=False)
        with unchanged_statistics(models), joined_gradients(not self.jit), tape:
            tape.watch(weights)
            parts = loss(*losses.pair_logits(self.networks, x, z))
            if distribution.count() > 1:
                parts = {name: part / distribution.count() for name, part in parts.items()}
            total = _sum(parts.values())
        gradients = tape.gradient(total, weights)
        unused = [weight.name for weight, gradient in zip(weights, gradients) if gradient is None]
        if unused:
            raise SettingsError(
                f"Expected networks with logits that depend on all trained weights. Received: {listed(unused)} without "
                "an effect on the loss."
            )
        self.optimizers[optimizer].apply(gradients, weights)
        return parts

    def _prior(self, step: tf.Tensor, draw: int) -> tf.Tensor:
        """This replica's part of z [batch, latent] from N(0, I)."""
        return distribution.share(self._normal([self.table.batch_size, self.table.latent_dim], "prior", step, draw))


def set_precision(kind: str | None) -> None:
    """Set the precision of convolutions and matrix products in this process: "bfloat16", or None for float32.

    Weights and updates stay float32. oneDNN rewrites graphs on CPUs, but not code compiled by XLA.

    Raises:
        SettingsError: unknown precision, or there are GPUs, which the rewriting ignores.
    """
    if kind not in (None, "bfloat16"):
        raise SettingsError(f"Expected a precision. Received: {kind!r}. Allowed: bfloat16, None.")
    if kind and tf.config.list_physical_devices("GPU"):
        raise SettingsError(f"Expected CPUs alone with precision {kind!r}. Received: a GPU. Hide it or leave it out.")
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": kind is not None})


def _sum(parts: Iterable[tf.Tensor]) -> tf.Tensor:
    """Sum in the order of the parts; `tf.add_n` has no fixed one."""
    return tf.reduce_sum(tf.stack(list(parts)))


def _copy(source: list[tf.Variable], target: list[tf.Variable]) -> None:
    for variable, value in zip(target, source):
        variable.assign(value)
