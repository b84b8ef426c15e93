"""Convolutions of E with the data formats NHWC and NCHW, measured alternately in one process.

    python benchmarks/data_format.py

Each is a convolution and both of its gradients, with batch size 32 on one thread. The networks use NHWC.
"""

from __future__ import annotations

import yardstick  # before NumPy: it sets the number of threads

# isort: split

from typing import Callable

import tensorflow as tf

from architectures.cifar10 import ALAD
from architectures.rows import Conv2D

FORMATS = ("NHWC", "NCHW")


def sizes() -> list[tuple[int, int, Conv2D]]:
    """Input size (height and width, maps) of each "same" convolution of E, and its row."""
    height, _, maps = ALAD.data_shape
    found = []
    for row in ALAD.E[:-1]:
        found.append((height, maps, row))
        height, maps = height // row.strides, row.maps
    return found


def gradients_of(data_format: str, height: int, maps: int, row: Conv2D) -> Callable[[], object]:
    """Return a call that computes a convolution of random images and both gradients of its squared outputs."""
    outside = data_format == "NCHW"
    x = tf.random.normal([ALAD.batch_size, *([maps, height, height] if outside else [height, height, maps])])
    w = tf.random.normal([row.kernel, row.kernel, maps, row.maps])
    strides = [1, 1, row.strides, row.strides] if outside else [1, row.strides, row.strides, 1]

    @tf.function
    def gradients(x: tf.Tensor, w: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = tf.nn.conv2d(x, w, strides, "SAME", data_format=data_format)
            total = tf.reduce_sum(y * y)
        return [tf.reduce_sum(gradient) for gradient in tape.gradient(total, [x, w])]

    return lambda: [total.numpy() for total in gradients(x, w)]


def main() -> None:
    """Measure and print."""
    options = yardstick.parser(__doc__, rounds=7).parse_args()
    rows = []
    for height, maps, row in sizes():
        calls = {name: gradients_of(name, height, maps, row) for name in FORMATS}
        times = yardstick.alternate(calls, options.rounds)
        rows.append(
            {
                "what": f"{height}x{height}x{maps} to {row.maps} maps",
                **{f"{name} ms": 1e3 * times.median(name) for name in FORMATS},
                "NCHW / NHWC": times.ratio("NCHW", "NHWC"),
            }
        )
    yardstick.publish("Convolutions of E by data format", rows, options.json)


if __name__ == "__main__":
    main()
