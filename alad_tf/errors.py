"""Exceptions for invalid user input, which the command line prints as one line; text made safe for messages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from numbers import Integral

_UNSEEN = "[\x00-\x08\n-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"


class AladError(Exception):
    """Base class of the package's exceptions; the message is one line."""


class DataError(AladError, ValueError):
    """A data file or array is missing, damaged or unexpected."""


class SettingsError(AladError, ValueError):
    """An option, name or value is not allowed, or contradicts files on disk."""


class DivergedError(AladError):
    """A loss or a weight is not finite, so training cannot go on."""


class ForkError(AladError, RuntimeError):
    """A forked process lacks the threads of TensorFlow."""


class ConstantFeatureWarning(UserWarning):
    """Some features have the same value in all training rows."""


class Stopped(AladError):  # noqa: N818  # not an error
    """A run was stopped on request and saved its state in a checkpoint."""


def one_line(error: Exception) -> str:
    """Type and message of an exception in one line of at most 300 characters, without TensorFlow's node names."""
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*?\]", "", f"{type(error).__name__}: {error}")
    return " ".join(text.split())[:300].rstrip(" .:")


def visible(text: object) -> str:
    """Text with control characters and line breaks escaped as in Python, so that names cannot control a terminal.

    Characters that reverse the direction of text and lone surrogates are escaped too.
    """
    return re.sub(_UNSEEN, lambda found: repr(found[0])[1:-1], str(text))


def shown(message: object) -> str:
    """The first line of a message, text or bytes, truncated to 120 characters."""
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
    line = (text.strip().splitlines() or [""])[0]
    return line if len(line) <= 120 else line[:117] + "..."


def listed(names: Iterable[object]) -> str:
    """The first names of a list, escaped and truncated, and the number of further ones; blanks at an end are shown."""
    every = list(names)
    texts = [quoted(name) if str(name) != str(name).strip() else shown(visible(name)) for name in every[:8]]
    return ", ".join(texts) + (f" and {len(every) - 8} more" if every[8:] else "")


def quoted(value: object) -> str:
    """A name or a cell in quotes, truncated to 120 characters."""
    return shown(repr(value))


def row_name(label: object) -> str:
    """A row by its label in the index of a frame: numbers count from 1 in messages, other labels are quoted."""
    return str(int(label) + 1) if isinstance(label, Integral) else quoted(label)
