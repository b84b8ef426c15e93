"""Time of a training step on images, compared with its convolutions and matrix products alone; sources of its images.

Measured alternately in one process:

    alad_tf                       the step of `alad reproduce cifar10` with all components, as in training_step.py
    alad_tf, bfloat16             the same with `--precision bfloat16`
    convolutions and products     those in the graph of the step: forward, gradients by kernels and by inputs
    one by one                    the same, each in a separate call
    PyTorch                       the same in PyTorch, channels last: pip install .[benchmark]
    PyTorch, bfloat16             with operands and results in bfloat16
    images, bytes                 the images of a step: gathered as bytes in the graph, then scaled
    images, floats                the same, stored as float32
    images, tf.data               the same from a shuffled tf.data pipeline of bytes, read in Python

    python benchmarks/image_step.py
    python benchmarks/image_step.py --threads 1 --no-spectral-norm --json step.json

Times are processor seconds of all threads, which depend little on other work on the machine.
"""

from __future__ import annotations

import time
from typing import Callable

import yardstick  # before NumPy: it sets the number of threads

# isort: split

import numpy as np
import tensorflow as tf

from alad_tf.experiments import models
from alad_tf.experiments.settings import Settings
from alad_tf.model import alad_trainer, networks

STEPS = 4  # per call
IMAGES = 3_600  # in a class of CIFAR-10
LINEAR = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", "MatMul")
Call = Callable[[], object]


def linear_operations(trainer: alad_trainer.Trainer) -> list[tf.Operation]:
    """The convolutions and matrix products of a step: of its graph without the operations that nothing needs."""
    table = trainer.table
    x = tf.TensorSpec([1 + table.ge_steps, table.batch_size, *table.data_shape], tf.float32)
    graph = tf.function(trainer.update).get_concrete_function(x, tf.TensorSpec([], tf.int32)).graph
    needed: set[tf.Operation] = set()
    left = [*graph.control_outputs, *(tensor.op for tensor in graph.outputs)]
    while left:
        operation = left.pop()
        if operation not in needed:
            needed.add(operation)
            left += [*operation.control_inputs, *(tensor.op for tensor in operation.inputs)]
    return [operation for operation in graph.get_operations() if operation in needed and operation.type in LINEAR]


def multiplications(operation: tf.Operation) -> int:
    """Multiplications of an operation: size of the kernel times number of its positions."""
    a, b, out = (tuple(tensor.shape) for tensor in (*operation.inputs[:2], operation.outputs[0]))
    if operation.type == "MatMul":
        inner = a[0] if operation.get_attr("transpose_a") else a[1]
        return int(np.prod(out)) * int(inner)
    if operation.type == "Conv2D":
        return int(np.prod(out[:3]) * np.prod(b))
    gradient = tuple(operation.inputs[2].shape)
    kernel = b if operation.type == "Conv2DBackpropInput" else out
    return int(np.prod(gradient[:3]) * np.prod(kernel))


def alone(operation: tf.Operation, random: np.random.Generator) -> Callable[[], tf.Tensor]:
    """The operation on separate operands, which are variables because TensorFlow would fold constants."""

    def operand(position: int) -> tf.Variable:
        return tf.Variable(random.standard_normal(operation.inputs[position].shape).astype(np.float32))

    if operation.type == "MatMul":
        a, b = operand(0), operand(1)
        flags = {name: operation.get_attr(name) for name in ("transpose_a", "transpose_b")}
        return lambda: tf.matmul(a.value(), b.value(), **flags)
    common = {"strides": operation.get_attr("strides"), "padding": operation.get_attr("padding").decode()}
    sizes = tf.constant(operation.outputs[0].shape.as_list())
    if operation.type == "Conv2D":
        a, b = operand(0), operand(1)
        return lambda: tf.raw_ops.Conv2D(input=a.value(), filter=b.value(), **common)
    if operation.type == "Conv2DBackpropInput":
        b, c = operand(1), operand(2)
        return lambda: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=sizes, filter=b.value(), out_backprop=c.value(), **common
        )
    a, c = operand(0), operand(2)
    return lambda: tf.raw_ops.Conv2DBackpropFilter(
        input=a.value(), filter_sizes=sizes, out_backprop=c.value(), **common
    )


def together(operations: list[tf.Operation]) -> Call:
    """Return a call that does all operations for some steps in one graph and reads one element of each result."""
    random = np.random.default_rng(1)
    calls = [alone(operation, random) for operation in operations]

    @tf.function
    def graph(steps: tf.Tensor) -> tf.Tensor:
        total = tf.zeros([])
        for _ in tf.range(steps):
            total += tf.add_n([tf.reshape(call(), [-1])[0] for call in calls])
        return total

    return lambda: graph(tf.constant(STEPS)).numpy()


def one_by_one(operations: list[tf.Operation]) -> Call:
    """Return a call that does the operations one after the other, each in a separate graph, for some steps."""
    random = np.random.default_rng(1)
    calls = [tf.function(alone(operation, random)).get_concrete_function() for operation in operations]

    def call() -> None:
        for _ in range(STEPS):
            for one in calls:
                one()

    return call


def step(settings: Settings) -> alad_trainer.Trainer:
    """Trainer of a run on random images."""
    x_train = np.random.default_rng(0).integers(0, 256, (IMAGES, *settings.table.data_shape), np.uint8)
    trainer = models.build(settings, 0, x_train).trainer
    assert isinstance(trainer, alad_trainer.Trainer)
    return trainer


def in_bfloat16(settings: Settings) -> Call:
    """Return a call that takes some steps with `--precision bfloat16`, which TensorFlow looks up in every call."""
    trainer = step(settings)

    def call() -> None:
        alad_trainer.set_precision("bfloat16")
        trainer.train(STEPS)
        alad_trainer.set_precision(None)

    return call


def pytorch(operations: list[tf.Operation], threads: int) -> dict[str, Call]:
    """Return calls that do the operations for some steps with PyTorch; none if it is not installed."""
    try:
        import pytorch_convolutions
    except ImportError:
        return {}
    return {
        name: pytorch_convolutions.one_by_one(operations, STEPS, threads, bfloat16=bfloat16)
        for name, bfloat16 in (("PyTorch", False), ("PyTorch, bfloat16", True))
    }


def image_sources(trainer: alad_trainer.Trainer) -> dict[str, Call]:
    """Return calls that fetch the images of some steps."""
    rows = (1 + trainer.table.ge_steps) * trainer.table.batch_size
    floats = networks.as_input(trainer.x_train)

    @tf.function
    def gathered(x: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        total = tf.zeros([])
        for first in tf.range(steps):
            order = tf.random.stateless_uniform([rows], [0, first], 0, IMAGES, tf.int32)
            total += networks.as_input(tf.gather(x, order))[0, 0, 0, 0]
        return total

    pipeline = tf.data.Dataset.from_tensor_slices(trainer.x_train).shuffle(IMAGES, seed=0).repeat()
    batches = iter(pipeline.batch(rows).map(networks.as_input).prefetch(2))
    return {
        "images, bytes": lambda: gathered(trainer.x_train, tf.constant(STEPS)).numpy(),
        "images, floats": lambda: gathered(floats, tf.constant(STEPS)).numpy(),
        "images, tf.data": lambda: [next(batches) for _ in range(STEPS)],
    }


def main() -> None:
    """Measure and print."""
    parser = yardstick.parser(__doc__, rounds=7)
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="TensorFlow threads (default: %(default)s)")
    parser.add_argument("--no-spectral-norm", action="store_true")
    parser.add_argument("--dynamics", choices=("paper", "released"), default="released")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)

    ablation = "ALAD-noSN" if options.no_spectral_norm else "ALAD"
    dynamics = None if options.dynamics == "paper" else options.dynamics
    settings = Settings.of_protocol("cifar10", ablation, normal_class=0, dynamics=dynamics)
    trainer = step(settings)
    operations = linear_operations(trainer)
    counts = {kind: sum(one.type == kind for one in operations) for kind in LINEAR}
    calls: dict[str, Call] = {
        "alad_tf": lambda: trainer.train(STEPS),
        "alad_tf, bfloat16": in_bfloat16(settings),
        "convolutions and products": together(operations),
        "one by one": one_by_one(operations),
        **pytorch(operations, options.threads),
        **image_sources(trainer),
    }
    times = yardstick.alternate(calls, options.rounds, parts=dict.fromkeys(calls, STEPS), clock=time.process_time)
    flop = 2 * sum(map(multiplications, operations))
    facts: dict[str, object] = {
        "operations": ", ".join(f"{count} {kind}" for kind, count in counts.items()),
        "gflop_of_a_step": flop / 1e9,
        "gflop_per_second": flop / 1e9 / times.median("alad_tf"),
        "threads": options.threads,
        "spectral_norm": not options.no_spectral_norm,
        "dynamics": options.dynamics,
        "time": "processor seconds",
    }
    yardstick.publish("One training step on images", times.rows("alad_tf"), options.json, **facts)


if __name__ == "__main__":
    main()
