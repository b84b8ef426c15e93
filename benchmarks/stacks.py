"""The current stack beside the paper stack: processor time of a run's start, of its steps and of scoring.

    ./reproduce.sh --stack paper test --version && ./reproduce.sh --stack current test --version
    python benchmarks/stacks.py --json stacks.json

Each round measures one process of each environment, alternately, on one thread and in seconds of the processor, which
other work on the machine changes less than it changes seconds of a clock. The data are those of KDD99.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import yardstick  # before NumPy: it sets the number of threads

STEPS = 300
ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = {"paper": ROOT / ".venv", "current": ROOT / ".venv-current"}


def measured() -> dict[str, float]:
    """Processor seconds of this process, which has not imported TensorFlow, stage by stage."""
    watch = yardstick.Stopwatch(time.process_time)
    from alad_tf.experiments import models
    from alad_tf.experiments.settings import Settings

    watch.end("imports, s")
    split, _ = yardstick.kdd99()
    watch.start()
    model = models.build(Settings.of_protocol("kdd99"), 0, split.x_train)
    assert model.trainer is not None
    watch.end("networks and trainer, s")
    model.trainer.train(1)
    watch.end("trace, compile and first step, s")
    model.trainer.train(STEPS)
    watch.end("a step of 50 rows, ms", STEPS)
    rows = split.x_test[:65_536]
    model.scores(rows[:50], lambda done, of: None)
    watch.start()
    for _ in range(3):
        model.scores(rows, lambda done, of: None)
    watch.end("four scores of 65,536 rows, s", 3)
    return {name: value * (1000.0 if name.endswith("ms") else 1.0) for name, value in watch.seconds.items()}


def of_stack(environment: Path) -> dict[str, float]:
    """`measured` in an environment."""
    command = [str(environment / "bin/python"), __file__, "--here"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"Expected the environment {environment} to measure. Received: {done.stderr.strip()[-500:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure and print."""
    parser = yardstick.parser(__doc__, rounds=3)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measured()))
        return
    for environment in ENVIRONMENTS.values():
        if not (environment / "bin/python").exists():
            sys.exit(f"Expected the environment {environment}. Received: none. Make it as the head of this file says.")
    rounds = [
        {name: of_stack(environment) for name, environment in ENVIRONMENTS.items()} for _ in range(options.rounds)
    ]
    rows = []
    for stage in rounds[0]["paper"]:
        medians = {name: statistics.median(one[name][stage] for one in rounds) for name in ENVIRONMENTS}
        ratios = [one["current"][stage] / one["paper"][stage] for one in rounds]
        rows.append(
            {
                "processor time": stage,
                **medians,
                "current / paper": statistics.median(ratios),
                "lowest": min(ratios),
                "highest": max(ratios),
            }
        )
    yardstick.publish("The two stacks, KDD99", rows, options.json, rounds=options.rounds)


if __name__ == "__main__":
    main()
