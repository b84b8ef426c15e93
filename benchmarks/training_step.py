"""A training step beside its own matrix products done alone in NumPy, alternately in one process on one thread.

    python benchmarks/training_step.py [--dataset kdd99] [--no-spectral-norm] [--no-jit] [--rounds 40]

The step is the one of `alad reproduce`: D update, G/E update, spectral norm, Dzz, average. The products are those
of its forward passes and gradients, on contiguous float32 operands that stay in the caches. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
os.environ.update({**dict.fromkeys(ONE_THREAD, "1"), "TF_CPP_MIN_LOG_LEVEL": "3"})

import numpy as np  # noqa: E402

from alad_tf import networks, training  # noqa: E402
from alad_tf.settings import Settings  # noqa: E402
from architectures import Alad  # noqa: E402
from architectures.rows import Joint, Stack  # noqa: E402

STEPS = 25  # of a round
Product = tuple[int, int, int]  # [rows, inner] times [inner, columns]


def products(table: Alad) -> list[Product]:
    """The matrix products of one step, D update and one G/E update."""
    n, x_dim, z_dim = table.batch_size, table.data_dim, table.latent_dim

    def stack(width: int, rows: Stack, *, weights: bool = False, inputs: bool = False) -> Iterator[Product]:
        """Forward; gradients with respect to the kernels; to the layers' inputs, the first one's only with `inputs`."""
        for position, row in enumerate(rows):
            yield n, width, row.units
            if weights:
                yield width, n, row.units
            if inputs or (weights and position):
                yield n, row.units, width
            width = row.units

    def pair(a: int, b: int, rows: Joint, *, weights: bool = False, inputs: tuple[bool, bool]) -> Iterator[Product]:
        widths = [
            stack_rows[-1].units if stack_rows else width for width, stack_rows in ((a, rows.only_x), (b, rows.only_z))
        ]
        yield from stack(a, rows.only_x, weights=weights, inputs=inputs[0])
        yield from stack(b, rows.only_z, weights=weights, inputs=inputs[1])
        branches = bool(rows.only_x or rows.only_z)
        yield from stack(sum(widths), rows.joint, weights=weights, inputs=any(inputs) or (weights and branches))

    def discriminators(
        *, weights: bool, real: tuple[bool, bool], fake: tuple[bool, bool], cycle: tuple[bool, bool]
    ) -> Iterator[Product]:
        none = (False, False)
        for first, second, rows, of_real, of_fake in (
            (x_dim, z_dim, table.Dxz, real, fake),
            (x_dim, x_dim, table.Dxx, none, cycle),
            (z_dim, z_dim, table.Dzz, none, cycle),
        ):
            yield from pair(first, second, rows, weights=weights, inputs=of_real)
            yield from pair(first, second, rows, weights=weights, inputs=of_fake)

    def generators(*, weights: bool) -> Iterator[Product]:
        yield from stack(x_dim, table.E, weights=weights)
        yield from stack(z_dim, table.G, weights=weights)
        yield from stack(z_dim, table.G, weights=weights, inputs=weights)
        yield from stack(x_dim, table.E, weights=weights, inputs=weights)

    none = (False, False)
    return [
        *generators(weights=False),
        *discriminators(weights=True, real=none, fake=none, cycle=none),
        *generators(weights=True),
        *discriminators(weights=False, real=(False, True), fake=(True, False), cycle=(False, True)),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="kdd99", choices=("kdd99", "arrhythmia"))
    parser.add_argument("--no-spectral-norm", action="store_true")
    parser.add_argument("--no-jit", action="store_true")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()

    table = Settings.of_protocol(options.dataset).table
    spectral_norm = None if options.no_spectral_norm else "paper"
    trained, average = (networks.build(table, spectral_norm=spectral_norm) for _ in range(2))
    x_train = np.random.default_rng(0).random((400 * table.batch_size, table.data_dim), np.float32)
    trainer = training.Trainer(trained, table, x_train, seed=0, average=average, jit=not options.no_jit)
    started = time.perf_counter()
    trainer.train(STEPS)
    compile_seconds = time.perf_counter() - started

    sizes = products(table)
    random = np.random.default_rng(1)
    operands = [(random.random((m, k), np.float32), random.random((k, n), np.float32)) for m, k, n in sizes]
    step_times, product_times = [], []
    for _ in range(options.rounds):
        started = time.perf_counter()
        trainer.train(STEPS)
        step_times.append((time.perf_counter() - started) / STEPS)
        started = time.perf_counter()
        for _ in range(STEPS):
            for a, b in operands:
                a @ b
        product_times.append((time.perf_counter() - started) / STEPS)
    report = {
        "dataset": options.dataset,
        "spectral_norm": spectral_norm,
        "jit": not options.no_jit,
        "products": len(sizes),
        "mflop": round(sum(2 * m * k * n for m, k, n in sizes) / 1e6, 1),
        "step_ms": round(1e3 * statistics.median(step_times), 3),
        "products_ms": round(1e3 * statistics.median(product_times), 3),
        "ratio": round(statistics.median(s / p for s, p in zip(step_times, product_times)), 3),
        "compile_seconds": round(compile_seconds, 1),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
