"""Several devices or hosts: each replica takes its share of every batch (`tf.distribute`)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import tensorflow as tf

from alad_tf.errors import SettingsError


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
