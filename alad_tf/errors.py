"""Faults that a user can cause and mend; the command line prints them as one line."""

from __future__ import annotations

import re


class AladError(Exception):
    """Base of every error that alad_tf raises on purpose: the message is one clear line."""


class DataError(AladError, ValueError):
    """A data file or array that is missing, damaged or not what was expected."""


class SettingsError(AladError, ValueError):
    """An option, name or value that is not allowed, or that contradicts what is on disk."""


class Stopped(AladError):  # noqa: N818  # no fault
    """A run that was asked to stop, and did so with its state in a checkpoint."""


def one_line(error: Exception, most: int = 300) -> str:
    """Kind and message of an error in one line of at most so many characters, without names of operations."""
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*?\]", "", f"{type(error).__name__}: {error}")
    return " ".join(text.split())[:most].rstrip(" .:")
