"""The two supported stacks: "paper" (TensorFlow 2.15, Keras 2) and "current" (TensorFlow 2.21, Keras 3).

Nothing here imports TensorFlow.
"""

from __future__ import annotations

from alad_tf.typing import Document

NAMES = ("paper", "current")


def name() -> str:
    """Return the installed stack, "paper" or "current"."""
    from importlib import metadata  # slow to import, compared with a quick command

    return NAMES[not metadata.version("keras").startswith("2.")]


def described() -> dict[str, str]:
    """The stack and the versions that results depend on, for result.json."""
    import platform
    from importlib import metadata

    versions = {part: metadata.version(part) for part in ("tensorflow", "keras", "numpy")}
    return {"name": name(), "python": platform.python_version(), **versions}


def of_result(result: Document) -> str:
    """The stack that a result.json was made with. Results without this entry are from the paper stack."""
    named = result.get("stack")
    return NAMES[isinstance(named, dict) and named.get("name") == NAMES[1]]
