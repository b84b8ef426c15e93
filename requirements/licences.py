"""Write licences.md: the licences that the locked packages declare, as installed in the environment that runs this.

.venv/bin/python requirements/licences.py
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
TITLES = {"base": "## What alad_tf needs", "test": "## Tools for tests and docs"}


def declared(package: Distribution) -> str:
    """Licence of a package: its expression, else its classifiers, else the first line of its licence field."""
    metadata = package.metadata
    classifiers = [text.split(" :: ")[-1] for text in metadata.get_all("Classifier", []) if text.startswith("License")]
    named = [text for text in classifiers if text != "OSI Approved"]
    field = (metadata.get("License") or "not declared").strip().splitlines()[0].split(" :: ")[-1]
    return metadata.get("License-Expression") or ", ".join(named) or field


def table(names: list[str]) -> list[str]:
    """Rows of the packages that are installed here; the others are for other Pythons or systems."""
    lines = ["| package | version | licence |", "| --- | --- | --- |"]
    for name in dict.fromkeys(names):
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue
        lines.append(f"| {name} | {package.version} | {declared(package)} |")
    return lines


def main() -> None:
    """Write the page."""
    python = ".".join(map(str, sys.version_info[:2]))
    lines = ["# Licences of the locked packages", ""]
    lines += [f"As the packages declare them, on Python {python} and {sys.platform}. Written by `licences.py`.", ""]
    text = (FOLDER / "lock.txt").read_text(encoding="utf-8")
    for part, title in TITLES.items():
        section, text = text.split(f"# end of {part}\n")
        lines += [title, "", *table(re.findall(r"^([\w.-]+)==", section, re.M)), ""]
    (FOLDER / "licences.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
