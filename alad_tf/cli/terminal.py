"""Output of all commands, with control characters escaped."""

from __future__ import annotations

import sys
from contextlib import suppress

from alad_tf.errors import visible


def say(text: str, end: str = "\n") -> None:
    """Print lines on standard output."""
    print(_lines(text), end=end, flush=True)


def tell(text: str) -> None:
    """Print lines on standard error, unless it is closed."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(_lines(text), file=sys.stderr, flush=True)


def _lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))
