"""Several devices or hosts: each replica takes its share of every batch (`tf.distribute`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import tensorflow as tf

from alad_tf.errors import AladError, SettingsError


def strategy(kind: str | None) -> tf.distribute.Strategy | None:
    """How training is distributed.

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
    """`strategy`, in use: a process that the others can no longer reach, or that lost them, ends with one line.

    It is made before TensorFlow does anything else, and waits until all processes are there.

    Raises:
        AladError: one of several processes is gone.
    """
    try:
        yield strategy(kind)
    except tf.errors.OpError as error:
        if kind != "multi-worker":
            raise
        raise AladError(
            f"Expected every process of TF_CONFIG to go on. Received: {type(error).__name__}; the run's log says more. "
            "The same command in all of them goes on from the last checkpoint"
        ) from error


def anywhere(of: tf.distribute.Strategy | None, *facts: bool) -> list[bool]:
    """Whether each is true in one of the processes at least, which all learn here, and wait for each other."""
    if of is None:
        return list(facts)
    found = of.reduce(tf.distribute.ReduceOp.SUM, of.run(lambda: tf.constant(facts, tf.float32)), axis=None)
    return [count > 0.0 for count in found.numpy().tolist()]


def scope(of: tf.distribute.Strategy | None) -> AbstractContextManager[None]:
    """Where variables are made."""
    return nullcontext() if of is None else of.scope()


def number() -> tf.Tensor | int:
    """Which replica this is, from 0."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group


def count() -> int:
    """How many replicas there are."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def share(batch: tf.Tensor, axis: int = 0) -> tf.Tensor:
    """This replica's part of a batch along an axis whose length their number divides; all of it where it is alone."""
    if count() == 1:
        return batch
    size = batch.shape[axis] // count()
    return tf.gather(batch, number() * size + tf.range(size), axis=axis)
