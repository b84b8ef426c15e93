"""Kill short training runs at random times, resume each until it is complete, and compare with an undisturbed run.

    python tests/robustness/kill_runs.py --kills 200

A run is made in a process of its own (`small_run.py`), stores a checkpoint after every chunk of three steps, and gets
SIGKILL again and again. In the end its weights, scores, history and result must equal bit for bit those of the run that
nobody killed, and after every kill each file under a final name must be whole.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tests"))  # called as a script

# isort: split

import numpy as np  # noqa: E402
import small_run  # noqa: E402

from alad_tf.experiments import checkpoints  # noqa: E402
from alad_tf.experiments.process import THREAD_VARIABLES  # noqa: E402

EPOCHS = 100
MOMENTS = ("training", "start", "training", "training", "results", "results", "results")  # of the kills of a run


@dataclass
class Outcome:
    """Numbers of kills and failures."""

    kills: Counter[str] = field(default_factory=Counter)  # by what the process was doing
    runs: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        moments = ", ".join(f"{count} in {moment}" for moment, count in sorted(self.kills.items()))
        return f"{sum(self.kills.values())} kills of {self.runs} runs, {moments}; problems: {len(self.problems)}"

    @classmethod
    def of_kills(cls, folder: Path, kills: int, seed: int, say: Callable[[str], None] = lambda line: None) -> Outcome:
        """Do runs below a folder until the given number of kills is reached, and report each."""
        outcome, chance = cls(), random.Random(seed)
        _complete(folder / "whole")
        whole = small_run.outcome(folder / "whole")
        while sum(outcome.kills.values()) < kills:
            run_dir = folder / f"run{outcome.runs}"
            for moment in MOMENTS[: kills - sum(outcome.kills.values())]:
                if not _kill(run_dir, moment, chance):
                    break
                outcome.kills[_killed_in(run_dir)] += 1
                outcome.problems += unreadable(run_dir)
            if not (run_dir / "result.json").exists():
                _complete(run_dir)
            outcome.runs += 1
            if small_run.outcome(run_dir) != whole:
                outcome.problems.append(f"{run_dir}: not the bits of the run that nobody killed")
            say(str(outcome))
        return outcome


def _command(run_dir: Path) -> list[str]:
    return [sys.executable, str(CHECKOUT / "tests" / "small_run.py"), str(run_dir), str(EPOCHS)]


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1"), "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"}


def _complete(run_dir: Path) -> None:
    subprocess.run(_command(run_dir), env=_environment(), check=True, stderr=subprocess.PIPE)


def _kill(run_dir: Path, moment: str, chance: random.Random) -> bool:
    """Start or resume a run and kill it at a random time around a moment; False: it was complete before."""
    before = _newest_step(run_dir)
    process = subprocess.Popen(_command(run_dir), env=_environment(), stderr=subprocess.DEVNULL)
    if moment == "start":
        time.sleep(chance.uniform(0.0, 6.0))
    elif moment == "training":
        _wait(process, lambda: _newest_step(run_dir) > before)
        time.sleep(chance.uniform(0.0, 0.5))
    else:
        _wait(process, lambda: _killed_in(run_dir) == "results")
        time.sleep(chance.uniform(0.0, 0.03))
    process.kill()
    return process.wait() < 0


def _wait(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
    while process.poll() is None and not ready():
        time.sleep(0.002)


def _killed_in(run_dir: Path) -> str:
    """What a process was doing when it was killed, judged by its files."""
    if any(run_dir.glob("*history.jsonl*")):
        return "results"
    if any(run_dir.glob("checkpoints/.step*")):
        return "checkpoint"
    return "training" if _newest_step(run_dir) else "start"


def _newest_step(run_dir: Path) -> int:
    return max((int(path.name[len("step") :]) for path in run_dir.glob("checkpoints/step*")), default=0)


def unreadable(run_dir: Path) -> list[str]:
    """Files and checkpoints with a final name that cannot be read."""
    problems = []
    for path in (*run_dir.glob("*.json*"), *run_dir.glob("*.npz"), *run_dir.glob("checkpoints/step*")):
        if path.name.startswith("."):
            continue
        try:
            if path.is_dir():
                checkpoints.verify(path)
            elif path.suffix == ".npz":
                with np.load(path) as stored:
                    _ = {name: stored[name] for name in stored}
            else:
                for line in [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines():
                    json.loads(line)
        except Exception as error:
            problems.append(f"{path}: {error}")
    return problems


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        done = Outcome.of_kills(Path(temporary), options.kills, options.seed, lambda line: print(line, flush=True))
    print("\n".join(done.problems), end="")
    sys.exit(bool(done.problems))
