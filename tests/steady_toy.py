"""The table of the toy data with few units, and an epsilon of Adam at which a small gradient makes a small step.

Without batch norm and dropout, several devices train it as one does but for the order of sums. Imported as
`sitecustomize` by a process of its own (`take_its_place`), it replaces the table of the toy data there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from architectures import toy
from architectures.rows import Dense, Joint

UNIT = (Dense(1, "Sigmoid"),)
TABLE = replace(
    toy.ALAD,
    E=(Dense(16, "ReLU"), Dense(2, "None")),
    G=(Dense(16, "ReLU"), Dense(2, "None")),
    Dxz=Joint(joint=(Dense(16, "ReLU"), *UNIT)),
    Dxx=Joint(joint=(Dense(16, "ReLU"), *UNIT)),
    Dzz=Joint(joint=(Dense(8, "ReLU"), *UNIT)),
    optimizer=replace(toy.ALAD.optimizer, epsilon=1e-2),
    ge_steps=2,
)


def take_its_place(folder: Path) -> str:
    """Write the module that a process with this PYTHONPATH imports at its start; the path."""
    tests = Path(__file__).parent
    code = "from architectures import toy\nimport steady_toy\ntoy.ALAD = steady_toy.TABLE\n"
    (folder / "sitecustomize.py").write_text(code)
    return f"{folder}:{tests}:{tests.parent}"
