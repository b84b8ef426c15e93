"""Several devices or hosts: each replica processes a part of every batch (`tf.distribute`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import tensorflow as tf

from alad_tf.errors import AladError, SettingsError


def strategy(kind: str | None) -> tf.distribute.Strategy | None:
    """Create the strategy that distributes training.

    Args:
        kind: "mirrored" (all GPUs of this machine, or else its CPU), "multi-worker" (the processes that TF_CONFIG
            names) or None (one device).

    Raises:
        SettingsError: unknown kind.
    """
    if kind is None:
        return None
    kinds = {"mirrored": tf.distribute.MirroredStrategy, "multi-worker": tf.distribute.MultiWorkerMirroredStrategy}
    if kind not in kinds:
        raise SettingsError(f"Expected a kind of distribution. Received: {kind!r}. Allowed: {', '.join(kinds)}, None.")
    return kinds[kind]()


@contextmanager
def together(kind: str | None) -> Iterator[tf.distribute.Strategy | None]:
    """Context with `strategy`, and a one-line error if a process loses contact with the others.

    The strategy is created before TensorFlow does anything else, and waits for all processes.

    Raises:
        AladError: one of the processes has died.
    """
    try:
        yield strategy(kind)
    except tf.errors.OpError as error:
        if kind != "multi-worker":
            raise
        raise AladError(
            f"Expected all processes in TF_CONFIG to keep running. Received: {type(error).__name__}; the run's log "
            "says more. Run the same command in each to resume from the last checkpoint"
        ) from error


def anywhere(of: tf.distribute.Strategy | None, *facts: bool) -> list[bool]:
    """Return for each condition whether it holds in any process; each process waits here for the others."""
    if of is None:
        return list(facts)
    found = of.reduce(tf.distribute.ReduceOp.SUM, of.run(lambda: tf.constant(facts, tf.float32)), axis=None)
    return [count > 0.0 for count in found.numpy().tolist()]


def scope(of: tf.distribute.Strategy | None) -> AbstractContextManager[None]:
    """Scope for creating variables."""
    return nullcontext() if of is None else of.scope()


def number() -> tf.Tensor | int:
    """Index of this replica, from 0."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group


def count() -> int:
    """Number of replicas."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def share(batch: tf.Tensor, axis: int = 0) -> tf.Tensor:
    """This replica's part of a batch along an axis; the whole batch for a single replica."""
    if count() == 1:
        return batch
    size = batch.shape[axis] // count()
    return tf.gather(batch, number() * size + tf.range(size), axis=axis)
