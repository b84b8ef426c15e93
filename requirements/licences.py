"""Write licences.md: the licences that the locked packages declare, as installed in the environments of both stacks.

.venv/bin/python requirements/licences.py        # after ./reproduce.sh --stack paper|current test --version
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
TITLES = {"base": "## What alad_tf needs", "test": "## Tools for tests and docs"}
ENVIRONMENTS = {"paper": ".venv", "current": ".venv-current"}


def declared(package: Distribution) -> str:
    """Licence of a package: its expression, else its classifiers, else its licence field or file, by the first line."""
    metadata = package.metadata
    classifiers = [text.split(" :: ")[-1] for text in metadata.get_all("Classifier", []) if text.startswith("License")]
    named = [text for text in classifiers if text != "OSI Approved"]
    stated = metadata.get("License-Expression") or ", ".join(named)
    text = stated or metadata.get("License") or _file(package) or "not declared"
    return text.strip().splitlines()[0].split(" :: ")[-1]


def _file(package: Distribution) -> str:
    """What the licence file says from the words "Licensed under" on; nothing where it lacks them."""
    text = package.read_text("licenses/LICENSE") or ""
    return text.partition("Licensed under the ")[2].partition(" (")[0]


def installed(environment: Path) -> dict[str, Distribution]:
    """The packages of an environment by their names as the lock file writes them."""
    folders = list(map(str, environment.glob("lib/python3*/site-packages")))
    if not folders:
        sys.exit(f"Expected the environment {environment}. Received: none. Make it as the head of this file says.")
    found = distributions(path=folders)
    return {re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower(): package for package in found}


def table(names: list[str], stacks: dict[str, dict[str, Distribution]]) -> list[str]:
    """Rows of the packages that a stack has here, a row a version; the others are for other Pythons or systems."""
    lines = ["| package | version | stack | licence |", "| --- | --- | --- | --- |"]
    for name in dict.fromkeys(names):
        versions: dict[str, list[str]] = {}
        for stack, packages in stacks.items():
            if name in packages:
                versions.setdefault(packages[name].version, []).append(stack)
        for version, users in versions.items():
            stack = "both" if len(users) == len(stacks) else users[0]
            lines.append(f"| {name} | {version} | {stack} | {declared(stacks[users[0]][name])} |")
    return lines


def main() -> None:
    """Write the page."""
    stacks = {stack: installed(FOLDER.parent / environment) for stack, environment in ENVIRONMENTS.items()}
    lines = ["# Licences of the locked packages", ""]
    lines += [f"As the packages declare them, on {sys.platform}, on both stacks. Written by `licences.py`.", ""]
    text = (FOLDER / "lock.txt").read_text(encoding="utf-8")
    for part, title in TITLES.items():
        section, text = text.split(f"# end of {part}\n")
        lines += [title, "", *table(re.findall(r"^([\w.-]+)==", section, re.M), stacks), ""]
    (FOLDER / "licences.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
