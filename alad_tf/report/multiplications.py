"""Multiplications of matrix products and convolutions for one sample, counted from the architecture tables.

AnoGAN / ALAD is the ratio of Table IV on a machine whose speed does not depend on the size of an operation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import architectures
from alad_tf.options import SEARCH_STEPS
from architectures import Alad, Gan
from architectures.rows import Concatenate, Conv2D, Dense, Flatten, MaxPool, Row, Stack, TransConv2D

_Shape = tuple[int, ...]  # (width,) or (height, width, channels) of one sample


def search_over_alad(dataset: str, steps: int = SEARCH_STEPS) -> float:
    """AnoGAN's search with `steps` steps over one pass of ALAD."""
    gan, table = architectures.load(dataset, "AnoGAN"), architectures.load(dataset)
    if not isinstance(gan, Gan) or not isinstance(table, Alad):
        raise TypeError(f"Expected tables of a GAN and of ALAD. Received: {type(gan)}, {type(table)}.")
    return of_search(gan, steps) / of_alad(table)


def of_alad(table: Alad) -> int:
    """One pass: E, G, and Dxx on the pairs (x, x) and (x, x')."""
    x = table.data_shape
    first = table.Dxx.joint[0]
    pair = (2 * x[0], *x[1:]) if not isinstance(first, Concatenate) or first.along == "height" else (*x[:2], 2 * x[2])
    return of_stack(table.E, x) + of_stack(table.G, (table.latent_dim,)) + 2 * of_stack(table.Dxx.joint, pair)


def of_search(table: Gan, steps: int = SEARCH_STEPS) -> int:
    """AnoGAN's search: in each step, forward through G and f, and backward for the gradient of z."""
    return steps * 2 * (of_stack(table.G, (table.latent_dim,)) + of_stack(table.D[:-1], table.data_shape))


def of_stack(stack: Stack, shape: _Shape) -> int:
    """All rows of a stack for inputs of the given shape. Positions of a kernel beyond the border count."""
    return sum(_of_rows(stack, shape))


def _of_rows(stack: Stack, shape: _Shape) -> Iterator[int]:
    for row in stack:
        if isinstance(row, (Conv2D, TransConv2D)):
            before = shape if len(shape) == 3 else (1, 1, *shape)
            shape = (*(_size(row, side) for side in before[:2]), row.maps)
            positions = math.prod((shape if isinstance(row, Conv2D) else before)[:2])
            yield positions * row.kernel**2 * before[2] * row.maps
        elif isinstance(row, Dense):
            yield shape[-1] * row.units
            shape = (*shape[:-1], row.units)
        else:
            shape = _reshaped(row, shape)


def _size(row: Conv2D | TransConv2D, side: int) -> int:
    """Height or width of the output of a convolution."""
    if isinstance(row, TransConv2D):
        return side * row.strides + (max(row.kernel - row.strides, 0) if row.padding == "valid" else 0)
    return -(-(side if row.padding == "same" else side - row.kernel + 1) // row.strides)


def _reshaped(row: Row, shape: _Shape) -> _Shape:
    if isinstance(row, Flatten):
        return (math.prod(shape),)
    if isinstance(row, MaxPool):
        return (shape[0] // row.size, shape[1] // row.size, shape[2])
    return shape  # Concatenate: the input is the concatenated pair
