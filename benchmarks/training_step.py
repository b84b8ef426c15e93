"""Time of a training step, compared with its matrix products alone and with the same step in PyTorch and in JAX.

Measured alternately, on one thread each, in processor seconds:

    alad_tf                the step of `alad reproduce`: D update, G/E update, spectral norm, Dzz, average; compiled
    products, NumPy        the matrix products of its forward passes and gradients, on contiguous float32 operands
    products, TensorFlow   the same in a loop in the graph
    PyTorch, eager         the same networks, losses and updates (pytorch_step.py): pip install .[benchmark]
    PyTorch, compiled      the same with both losses in `torch.compile`; with --torch-compile and a C++ compiler
    JAX                    the same in one `lax.scan` (jax_step.py), in the environment of --jax PYTHON

    python benchmarks/training_step.py
    python benchmarks/training_step.py --torch-compile --jax /tmp/jax/bin/python
    python benchmarks/training_step.py --dataset arrhythmia --no-spectral-norm --json step.json
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Callable

import yardstick  # before NumPy: it sets the number of threads

# isort: split

import numpy as np
import tensorflow as tf

from alad_tf.experiments.settings import Settings
from alad_tf.model import alad_trainer, networks
from architectures import Alad
from architectures.rows import Joint, Stack

STEPS = 200  # per call; runs take up to 1,000
Product = tuple[int, int, int]  # [rows, inner] times [inner, columns]
Call = Callable[[], object]


def products(table: Alad) -> list[Product]:
    """The matrix products of one step, D update and one G/E update."""
    n, x_dim, z_dim = table.batch_size, table.n_features, table.latent_dim

    def stack(width: int, rows: Stack, *, weights: bool = False, inputs: bool = False) -> Iterator[Product]:
        """Products of the forward pass and of gradients by kernels and inputs (those of the first layer: `inputs`)."""
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


def products_in_numpy(sizes: list[Product]) -> Call:
    """Return a call that does the products of some steps."""
    operands = _operands(sizes)

    def call() -> None:
        for _ in range(STEPS):
            for a, b in operands:
                a @ b

    return call


def products_in_tensorflow(sizes: list[Product]) -> Call:
    """The same in one call of a graph.

    TensorFlow prunes products that nobody reads and folds products of constants. Therefore each product is summed up,
    and its operands are variables that are read every time. The cost of the sums is not measurable.
    """
    operands = [(tf.Variable(a), tf.Variable(b)) for a, b in _operands(sizes)]

    @tf.function
    def graph(steps: tf.Tensor) -> tf.Tensor:
        total = tf.zeros([])
        for _ in tf.range(steps):
            total += tf.add_n([tf.reduce_sum(a.value() @ b.value()) for a, b in operands])
        return total

    return lambda: graph(tf.constant(STEPS)).numpy()


def _operands(sizes: list[Product]) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(1)
    return [(random.random((m, k), np.float32), random.random((k, n), np.float32)) for m, k, n in sizes]


def alad_tf(table: Alad, x_train: np.ndarray, spectral_norm: str | None, jit: bool) -> Call:
    """Return a call that takes some steps with alad_tf."""
    trained, average = (networks.build(table, spectral_norm=spectral_norm) for _ in range(2))
    trainer = alad_trainer.Trainer(trained, table, x_train, seed=0, average=average, jit=jit)
    return lambda: trainer.train(STEPS)


def pytorch(table: Alad, x_train: np.ndarray, spectral_norm: str | None, compiled: bool) -> dict[str, Call]:
    """Return calls that take some steps with PyTorch; none if it is not installed."""
    try:
        import torch
    except ImportError:
        return {}
    import pytorch_step

    torch.set_num_threads(1)
    make = partial(pytorch_step.Trainer, table, x_train, spectral_norm=spectral_norm is not None)
    trainers = {"PyTorch, eager": make(), **({"PyTorch, compiled": make(compiled=True)} if compiled else {})}
    return {name: partial(trainer.train, STEPS) for name, trainer in trainers.items()}


def jax_of(python: Path, dataset: str) -> yardstick.Peer:
    """The process that takes steps with JAX."""
    return yardstick.Peer([str(python), str(Path(__file__).with_name("jax_step.py")), dataset])


def main() -> None:
    """Measure and print."""
    parser = yardstick.parser(__doc__, rounds=20)
    parser.add_argument("--dataset", default="kdd99", choices=("kdd99", "arrhythmia"))
    parser.add_argument("--no-spectral-norm", action="store_true")
    parser.add_argument("--no-jit", action="store_true")
    parser.add_argument("--torch-compile", action="store_true", help="PyTorch also compiled")
    parser.add_argument("--jax", type=Path, metavar="PYTHON", help="the Python of an environment with JAX")
    options = parser.parse_args()
    if options.jax and options.no_spectral_norm:
        parser.error("--jax measures the step with spectral normalisation")

    table = Settings.of_protocol(options.dataset).table
    spectral_norm = None if options.no_spectral_norm else "paper"
    x_train = np.random.default_rng(0).random((400 * table.batch_size, table.n_features), np.float32)
    sizes = products(table)
    ours = alad_tf(table, x_train, spectral_norm, not options.no_jit)
    of_pytorch = pytorch(table, x_train, spectral_norm, options.torch_compile)
    peers = {"JAX": jax_of(options.jax, options.dataset)} if options.jax else {}
    calls: dict[str, Call] = {
        "alad_tf": ours,
        "products, NumPy": products_in_numpy(sizes),
        "products, TensorFlow": products_in_tensorflow(sizes),
        **of_pytorch,
        **{name: partial(peer.work, STEPS) for name, peer in peers.items()},
    }
    clock = partial(yardstick.processor_seconds, *peers.values())
    facts: dict[str, object] = {} if of_pytorch else {"pytorch": "not measured: pip install .[benchmark]"}
    facts["first_call_seconds"] = yardstick.time_of(ours, clock)
    yardstick.publish(
        f"One training step, {options.dataset}",
        yardstick.alternate(calls, options.rounds, parts=dict.fromkeys(calls, STEPS), clock=clock).rows("alad_tf"),
        options.json,
        spectral_norm=spectral_norm,
        jit=not options.no_jit,
        products=f"{len(sizes)}, {sum(2 * m * k * n for m, k, n in sizes) / 1e6:.1f} MFLOP",
        time="processor seconds",
        jax=", ".join(peer.version for peer in peers.values()) or "not measured: --jax",
        **facts,
    )
    for peer in peers.values():
        peer.end()


if __name__ == "__main__":
    main()
