"""The convolutions and products of a graph of TensorFlow in PyTorch, channels last: a yardstick of image_step.py."""

from __future__ import annotations

from typing import Any, Callable

import tensorflow as tf
import torch

Call = Callable[[], object]


def alone(operation: tf.Operation, dtype: torch.dtype) -> Call:
    """The operation in PyTorch on random operands; uneven padding is rounded up, which keeps sizes with strides of 2.

    Args:
        operation: Conv2D, one of its two gradients, or MatMul, of known shapes.
        dtype: of the operands and the result.
    """
    a, b, *c = (tuple(each.shape) for each in operation.inputs)
    out = tuple(operation.outputs[0].shape)
    if operation.type == "MatMul":
        left, right = (torch.randn(shape, dtype=dtype) for shape in (a, b))
        left = left.T if operation.get_attr("transpose_a") else left
        right = right.T if operation.get_attr("transpose_b") else right
        return lambda: left @ right
    if operation.type == "Conv2D":
        return _convolution(operation, a, b, out, dtype)
    forward = (out, b, c[0]) if operation.type == "Conv2DBackpropInput" else (a, out, c[0])
    return _gradient(operation, *forward, dtype)


def _convolution(operation: tf.Operation, *shapes: Any) -> Call:
    x, kernel, options = _operands(operation, *shapes)[:3]
    return lambda: torch.nn.functional.conv2d(x, kernel, **options)


def _gradient(operation: tf.Operation, *shapes: Any) -> Call:
    x, kernel, options, gradient = _operands(operation, *shapes)
    wanted = operation.type == "Conv2DBackpropInput"
    numbers = {"dilation": [1, 1], "transposed": False, "output_padding": [0, 0], "groups": 1}
    masks = {"output_mask": [wanted, not wanted, False], "bias_sizes": None}
    return lambda: torch.ops.aten.convolution_backward(gradient, x, kernel, **options, **numbers, **masks)


def _operands(operation: tf.Operation, x: Any, kernel: Any, out: Any, dtype: torch.dtype) -> tuple[Any, ...]:
    """Images, kernel, options and gradient, random; shapes are those of TensorFlow, [n, h, w, c] and [h, w, i, o]."""

    def last(shape: tuple[int, ...]) -> torch.Tensor:
        n, height, width, channels = shape
        made = torch.randn(n, channels, height, width, dtype=dtype)
        return made.contiguous(memory_format=torch.channels_last)

    strides = operation.get_attr("strides")[1:3]
    pads = [0, 0]
    if operation.get_attr("padding") == b"SAME":
        totals = [(out[1 + i] - 1) * strides[i] + kernel[i] - x[1 + i] for i in (0, 1)]
        pads = [max(total + 1, 0) // 2 for total in totals]
    options = {"stride": list(strides), "padding": pads}
    return last(x), last((kernel[3], *kernel[:3])), options, last(out)


def one_by_one(operations: list[tf.Operation], steps: int, threads: int, *, bfloat16: bool = False) -> Call:
    """Return a call that does all operations for some steps."""
    torch.set_num_threads(threads)
    calls = [alone(operation, torch.bfloat16 if bfloat16 else torch.float32) for operation in operations]

    @torch.no_grad()
    def call() -> None:
        for _ in range(steps):
            for one in calls:
                one()

    return call
