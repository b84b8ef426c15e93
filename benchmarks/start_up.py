"""Start-up time of a run (imports, data, networks, compilation), and the time of small fits.

    python benchmarks/start_up.py
    python benchmarks/start_up.py --no-jit --json start_up.json

Each round measures the stages in a new process, and `alad --help` in another one. The data are those of KDD99 if the
raw file exists, cached by an earlier call. A third process fits `ALAD(epochs=2)` to 300 rows of 20 features (12 steps),
five times with different seeds. The first of these fits traces the graphs.
"""

from __future__ import annotations

import multiprocessing
import statistics
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import yardstick

HELP = "alad --help"


def stages(jit: bool) -> dict[str, float]:
    """Seconds of each stage of a run, in order; meant for a process that has not imported TensorFlow."""
    watch = yardstick.Stopwatch()
    from alad_tf.experiments import run  # noqa: F401

    watch.end("import alad_tf.experiments.run")
    from alad_tf.experiments.settings import Settings
    from alad_tf.model import alad_trainer, networks, scores

    split, _ = yardstick.kdd99()
    watch.end("load the data")
    table = Settings.of_protocol("kdd99").table
    trained, average = (networks.build(table) for _ in range(2))
    watch.end("build the networks")
    trainer = alad_trainer.Trainer(trained, table, split.x_train, seed=0, average=average, jit=jit)
    scorer = scores.Scorer(trainer.scoring_networks)
    watch.end("make the trainer")
    trainer.train(1)
    watch.end("trace, compile, first step")
    scorer(split.x_test[: table.batch_size])
    watch.end("first scores")
    return watch.seconds


def fits() -> dict[str, float]:
    """Seconds of the import, the first fit and four later fits (median); for a process without TensorFlow."""

    def imported() -> None:
        from alad_tf import ALAD  # noqa: F401

    seconds = {"import of ALAD": yardstick.time_of(imported)}
    import numpy as np

    from alad_tf import ALAD

    rows = np.random.default_rng(0).standard_normal((300, 20))
    first, *later = (
        yardstick.time_of(lambda seed=seed: ALAD(epochs=2, random_state=seed, verbose=0).fit(rows))  # type: ignore[misc]
        for seed in range(5)
    )
    return {**seconds, "first fit": first, "later fit": statistics.median(later)}


def help_text() -> None:
    """Run `alad --help` in a separate process."""
    subprocess.run([sys.executable, "-m", "alad_tf", "--help"], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measure and print."""
    parser = yardstick.parser(__doc__, rounds=3)
    parser.add_argument("--no-jit", action="store_true")
    options = parser.parse_args()

    _, source = yardstick.kdd99()  # parses and caches the raw file
    rounds = []
    for _ in range(options.rounds):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
            of_run = fresh.submit(stages, not options.no_jit).result()
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
            of_fits = fresh.submit(fits).result()
        of_help = yardstick.time_of(help_text)
        rounds.append({HELP: of_help, **of_run, "a run in all": sum(of_run.values()), **of_fits})
    yardstick.publish(
        "Start-up of a run of KDD99, and small fits",
        [
            {
                "stage": stage,
                "median s": statistics.median(of_round[stage] for of_round in rounds),
                "lowest s": min(of_round[stage] for of_round in rounds),
                "highest s": max(of_round[stage] for of_round in rounds),
            }
            for stage in rounds[0]
        ],
        options.json,
        jit=not options.no_jit,
        data=source,
    )


if __name__ == "__main__":
    main()
