"""A short run on the toy data with every kind of state, and a checkpoint after each chunk; also as a script.

`python tests/small_run.py DIR [EPOCHS]` makes the run, or goes on with it.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from blank_figures import blank_figures

from alad_tf.experiments import models, process, run
from alad_tf.experiments.settings import Settings
from alad_tf.typing import Options
from architectures import toy
from architectures.rows import Dense, Joint

# Figure 2's table, smaller, with every kind of state that a network can have.
TABLE = dataclasses.replace(
    toy.ALAD,
    E=(Dense(8, "LReLU"), Dense(2, "None")),
    G=(Dense(8, "ReLU"), Dense(2, "None")),
    Dxz=Joint(only_x=(Dense(8, "LReLU", True),), joint=(Dense(8, "LReLU", dropout=0.5), Dense(1, "Sigmoid"))),
    Dxx=Joint(joint=(Dense(8, "LReLU", dropout=0.2), Dense(1, "Sigmoid"))),
    Dzz=Joint(joint=(Dense(4, "LReLU", dropout=0.2), Dense(1, "Sigmoid"))),
    batch_size=512,
    ge_steps=1,
)
STEPS = 4  # an epoch


@contextmanager
def small(
    chunk: int = 3, seconds: float = 0.0, epoch_seconds: float = 0.0, epochs_a_record: int = 2, epochs: int = 6
) -> Iterator[None]:
    """Use the small table, chunks that end within epochs, checkpoints at this interval, and blank figures."""
    constants: Options = {
        "CHUNK_STEPS": chunk,
        "CHECKPOINT_SECONDS": seconds,
        "EPOCHS_END_SECONDS": epoch_seconds,
        "RECORDS": epochs // epochs_a_record,
    }
    with patch.multiple(run, **constants), patch.object(toy, "ALAD", TABLE), blank_figures():
        yield


def settings(epochs: int = 6, **options: Any) -> Settings:
    everything = {"spectral_norm": "paper", "ema_decay": 0.9, "jit": False, **options}
    return Settings.of_protocol("toy", epochs=epochs, **everything)


def trainer(seed: int, x: np.ndarray) -> Any:
    """The trainer of the settings, on rows x [n, 2]."""
    return models.build(settings(), seed, x).trainer


def outcome(run_dir: Path) -> dict[str, Any]:
    """Everything that must not depend on interruptions: weights, scores, history, result without seconds and date."""
    found: dict[str, Any] = {}
    for name in ("weights.npz", "scores.npz"):
        with np.load(run_dir / name, allow_pickle=False) as stored:
            found.update({f"{name}/{key}": stored[key].tobytes() for key in stored})
    found["history"] = [json.loads(line) for line in (run_dir / "history.jsonl").read_text().splitlines()]
    found["result"] = json.loads((run_dir / "result.json").read_text())
    for record in (*found["history"], found["result"]):
        del record["seconds"]
    del found["result"]["date"]
    return found


def work(run_dir: Path, writer: Any) -> None:
    """Main function of a process: a long run, as in the command line."""
    with small(epochs=1000):
        process._work(settings(1000), 3, run_dir, None, writer)


if __name__ == "__main__":
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 6
    with small(epochs=number):
        run.run(settings(number), 3, Path(sys.argv[1]))
