"""TensorFlow in forked processes, which lack its threads: a call would hang."""

from __future__ import annotations

import os

from alad_tf.errors import ForkError

_used = False  # in this process or in the one that it was forked from
_forked = False


def require_threads() -> None:
    """Record that this process uses TensorFlow, or refuse it.

    Raises:
        ForkError: this process was forked from one that had used TensorFlow.
    """
    global _used
    if _forked:
        raise ForkError(
            "Expected a process that has started by itself. Received: one forked after TensorFlow was used, whose "
            "threads are missing. Start it with multiprocessing.get_context('spawn'), or load the model in it only."
        )
    _used = True


def _in_child() -> None:
    global _forked
    _forked = _used


os.register_at_fork(after_in_child=_in_child)
