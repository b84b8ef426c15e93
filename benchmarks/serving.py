"""Speed of an export of KDD99's networks in TensorFlow's C++ loader, compared with its matrix products in NumPy.

Measured alternately in one process on one thread, without TensorFlow's Python API, for 50 rows, the paper's batch, and
for 4,096 rows. The weights are untrained, because the time does not depend on them; a separate process makes the
export.

    python benchmarks/serving.py
    python benchmarks/serving.py --rounds 15 --json serving.json
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable

import yardstick  # before NumPy: it sets the number of threads

# isort: split

import numpy as np

from alad_tf.experiments.settings import Settings
from alad_tf.serving.c_api import SavedModel

SIZES = {50: 400, 4096: 10}  # rows -> calls per round
EXPORT = """
import sys
import numpy as np
from alad_tf.experiments.settings import Settings
from alad_tf.model import networks
from alad_tf.serving import export, signatures, sources

built = networks.build(Settings.of_protocol("kdd99").table)
detector = signatures.Detector(built, "features", 1.0, np.zeros(121), np.ones(121))
export.export(sources.Source(detector, {}, None, {}), sys.argv[1])
"""


def main() -> None:
    """Measure and print."""
    options = yardstick.parser(__doc__, rounds=11).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "kdd99"
        subprocess.run([sys.executable, "-c", EXPORT, str(base)], check=True)
        model = SavedModel(base / "1")
    table, random = Settings.of_protocol("kdd99").table, np.random.default_rng(0)
    rows = []
    for size, calls in SIZES.items():
        x = random.random((size, table.n_features), np.float32)
        sizes = yardstick.products(table, size)[:-1]  # without the logits
        operands = [(random.random((m, k), np.float32), random.random((k, n), np.float32)) for m, k, n in sizes]

        def score(x: np.ndarray = x, calls: int = calls) -> None:
            for _ in range(calls):
                model.run("serving_default", {"x": x})

        def multiply(operands: list[tuple[np.ndarray, np.ndarray]] = operands, calls: int = calls) -> None:
            for _ in range(calls):
                for a, b in operands:
                    a @ b

        what: dict[str, Callable[[], object]] = {"export": score, "products, NumPy": multiply}
        times = yardstick.alternate(what, options.rounds, parts=dict.fromkeys(what, calls))
        milliseconds = [1e3 * yardstick.time_of(lambda x=x: score(x, 1)) for _ in range(calls)]  # type: ignore[misc]
        rows.append(
            {
                "rows": size,
                "median, ms": statistics.median(milliseconds),
                "rows a second": size / times.median("export"),
                "products, ms": 1e3 * times.median("products, NumPy"),
                "export / products": times.ratio("export", "products, NumPy"),
                "MFLOP": yardstick.flop(sizes) / 1e6,
            }
        )
    yardstick.publish("An export of KDD99, C++ loader, one thread", rows, options.json)


if __name__ == "__main__":
    main()
