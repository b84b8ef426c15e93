"""The two stacks: that of the paper's time (TensorFlow 2.15, Keras 2) and the current one (TensorFlow 2.21, Keras 3).

Nothing here imports TensorFlow.
"""

from __future__ import annotations

import platform

from alad_tf.typing import Document

NAMES = ("paper", "current")


def name() -> str:
    """Return "paper" or "current": the stack that is installed here."""
    from importlib import metadata  # it takes as long as the start of a quick command

    return NAMES[not metadata.version("keras").startswith("2.")]


def described() -> dict[str, str]:
    """The stack and the versions that figures depend on, for result.json."""
    from importlib import metadata

    versions = {part: metadata.version(part) for part in ("tensorflow", "keras", "numpy")}
    return {"name": name(), "python": platform.python_version(), **versions}


def of_result(result: Document) -> str:
    """Name of the stack of a result.json. Results that name none are older than the current stack."""
    named = result.get("stack")
    return NAMES[isinstance(named, dict) and named.get("name") == NAMES[1]]
