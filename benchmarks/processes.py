"""Training steps per second of one process and of several in parallel, which share only the memory-mapped data.

    python benchmarks/processes.py
    python benchmarks/processes.py --processes 2 --rounds 6 --seconds 4 --json processes.json

Each process trains KDD99 on one thread, as `alad reproduce` does. All are started and warmed up first; then, in each
round, one of them trains alone for a while, and after that all of them in the same time window. Two on two cores should
reach at least 1.9 times the steps of one.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from multiprocessing.connection import Connection

import yardstick  # before NumPy: it sets the number of threads

# isort: split

from alad_tf.experiments.process import cores

STEPS = 25  # between readings of the clock


def work(seed: int, pipe: Connection) -> None:
    """Body of a process: build and warm up, then answer each window (start, end) with its steps per second."""
    from alad_tf.experiments.settings import Settings
    from alad_tf.model import alad_trainer, networks

    split, _ = yardstick.kdd99()
    table = Settings.of_protocol("kdd99").table
    trained, average = (networks.build(table, seed=seed) for _ in range(2))
    trainer = alad_trainer.Trainer(trained, table, split.x_train, seed=seed, average=average)
    trainer.train(STEPS)
    pipe.send(None)
    while True:
        start, end = pipe.recv()
        time.sleep(max(0.0, start - time.monotonic()))
        started, steps = time.monotonic(), 0
        while time.monotonic() < end:
            trainer.train(STEPS)
            steps += STEPS
        pipe.send(steps / (time.monotonic() - started))


def rates(pipes: list[Connection], seconds: float) -> list[float]:
    """Steps per second of each of these processes in one window, with the others idle."""
    start = time.monotonic() + 0.1
    for pipe in pipes:
        pipe.send((start, start + seconds))
    return [pipe.recv() for pipe in pipes]


def start(count: int) -> list[Connection]:
    """Start processes and return pipes to them; they end with this process."""
    context = multiprocessing.get_context("spawn")
    pipes = []
    for seed in range(count):
        ours, theirs = context.Pipe()
        context.Process(target=work, args=(seed, theirs), daemon=True).start()
        theirs.close()  # so that a process that dies ends this one too
        pipes.append(ours)
    for pipe in pipes:
        pipe.recv()
    return pipes


def main() -> None:
    """Measure and print."""
    parser = yardstick.parser(__doc__, rounds=6)
    parser.add_argument("--processes", type=int, default=cores(), metavar="N", help="default: the cores")
    parser.add_argument(
        "--seconds", type=float, default=4.0, metavar="S", help="length of a window (default: %(default)s)"
    )
    options = parser.parse_args()

    _, source = yardstick.kdd99()  # parses and caches the raw file before the processes start
    pipes = start(options.processes)
    alone, together = [], []
    for round_ in range(options.rounds):
        alone.append(rates([pipes[round_ % len(pipes)]], options.seconds)[0])
        together.append(rates(pipes, options.seconds))
    sums = [sum(of_each) for of_each in together]
    yardstick.publish(
        f"Training steps a second, KDD99: one process and {options.processes} at once",
        [
            {"processes": 1, "steps/s of each": statistics.median(alone), "in all": statistics.median(alone)},
            {
                "processes": options.processes,
                "steps/s of each": statistics.median(rate for of_each in together for rate in of_each),
                "in all": statistics.median(sums),
            },
        ],
        options.json,
        ratio=statistics.median(both / one for both, one in zip(sums, alone)),
        data=source,
    )


if __name__ == "__main__":
    main()
