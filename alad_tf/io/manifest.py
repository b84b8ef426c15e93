"""Manifests: sizes and SHA-256 sums of files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any


def entry(path: Path) -> dict[str, Any]:
    """Size in bytes and SHA-256 of a file, for a manifest; nothing for what is no plain file."""
    if path.is_symlink() or not path.is_file():
        return {}
    return {"size": path.stat().st_size, "sha256": sha256(path)}


def sha256(path: Path) -> str:
    """SHA-256 of a file of any size, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
