"""Growth of memory when one process fits, refits, scores, loads or exports many times.

    python benchmarks/memory.py
    python benchmarks/memory.py --rounds 10 --actions fit export

Each action is repeated in a separate process, on 300 rows of 20 features for two epochs, each time with another seed.
Its objects are deleted and collected every time. Growth after the first five repetitions must stay below 100 MB.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Callable

import yardstick

WARM = 5  # repetitions after which memory should be flat
ROWS, FEATURES = 300, 20
Action = Callable[[int], object]


def rows(seed: int = 0) -> Any:
    """[300, 20] normal rows."""
    import numpy as np

    return np.random.default_rng(seed).standard_normal((ROWS, FEATURES))


def fitted(seed: int = 0, **options: Any) -> Any:
    """An estimator trained for two epochs."""
    from alad_tf import ALAD

    return ALAD(epochs=2, random_state=seed, verbose=0, **options).fit(rows())


def fit(folder: Path) -> Action:
    """Fit a new estimator each time."""
    return fitted


def refit(folder: Path) -> Action:
    """Continue the training of one estimator each time (warm_start)."""
    model = fitted(warm_start=True)
    return lambda number: model.fit(rows())


def score(folder: Path) -> Action:
    """Score other rows, and another number of them, each time."""
    model = fitted()
    return lambda number: model.anomaly_score(rows(number)[: ROWS - number])


def load(folder: Path) -> Action:
    """Load a model folder and score with it each time."""
    from alad_tf import ALAD

    fitted().save(folder / "model")
    return lambda number: ALAD.load(folder / "model").anomaly_score(rows())


def export(folder: Path) -> Action:
    """Write the next version of an export each time."""
    from alad_tf.serving import sources
    from alad_tf.serving.export import export as write

    source = sources.of_estimator(fitted())
    return lambda number: write(source, folder / "exported")


ACTIONS: dict[str, Callable[[Path], Action]] = {each.__name__: each for each in (fit, refit, score, load, export)}


def resident() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def repeated(name: str, times: int) -> list[float]:
    """MB after each repetition of an action; meant for a separate process."""
    with tempfile.TemporaryDirectory(prefix="alad-memory-") as folder:
        action, after = ACTIONS[name](Path(folder)), []
        for number in range(times):
            action(number)
            gc.collect()
            after.append(resident())
    return after


def in_process(name: str, times: int) -> list[float]:
    """`repeated` in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(repeated, name, times).result()


def row(name: str, after: list[float]) -> yardstick.Row:
    """Row of the report: the maximum after the first five repetitions counts, because memory fluctuates."""
    rest = after[WARM:]
    return {
        "action": name,
        "rounds": len(after),
        f"MB after {WARM}": after[WARM - 1],
        f"MB after {len(after)}": after[-1],
        "growth MB": max(rest) - max(after[:WARM]),
        "MB each": (after[-1] - after[WARM - 1]) / len(rest),
    }


def main() -> None:
    """Measure and print."""
    parser = yardstick.parser(__doc__, rounds=50)
    parser.add_argument("--actions", nargs="+", choices=[*ACTIONS], default=[*ACTIONS], help="default: all")
    options = parser.parse_args()
    if options.rounds <= WARM:
        parser.error(f"Expected more than {WARM} rounds. Received: {options.rounds}.")
    found = [row(name, in_process(name, options.rounds)) for name in options.actions]
    yardstick.publish(f"Memory of a process, {ROWS} rows of {FEATURES} features", found, options.json)


if __name__ == "__main__":
    main()
