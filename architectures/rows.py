"""The vocabulary of the paper's architecture tables (appendix) and how a table is printed.

Pure data: standard library only. Each page of this package (`architectures.kdd99`, ...) is a literal of these words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Activation = Literal["LReLU", "ReLU", "Sigmoid", "Tanh", "None"]


@dataclass(frozen=True)
class Dense:
    """One row "Dense": units, non-linearity, batch norm, dropout rate applied to the output."""

    units: int
    activation: Activation
    batch_norm: bool = False
    dropout: float = 0.0


Stack = tuple[Dense, ...]


@dataclass(frozen=True)
class Joint:
    """A discriminator of pairs: a stack for each member ("only x", "only z"; may be empty), then one on both together.

    The last row of `joint` is the probability; the output of the row before it is the feature layer f of Section IV-C.
    """

    joint: Stack
    only_x: Stack = ()
    only_z: Stack = ()

    def __post_init__(self) -> None:
        if len(self.joint) < 2:
            raise ValueError(
                f"Expected a feature row and the probability in the rows of both members. Received: {self.joint}"
            )


@dataclass(frozen=True)
class Adam:
    """Adam: learning rate and beta1 are the table's, beta2 and epsilon those of TensorFlow 1."""

    learning_rate: float
    beta1: float
    beta2: float = 0.999
    epsilon: float = 1e-8


@dataclass(frozen=True)
class Xavier:
    """Glorot's uniform initialisation of kernels, a constant for biases."""

    bias: float = 0.0


@dataclass(frozen=True)
class Alad:
    """An ALAD table: encoder E, generator G, the three discriminators and the hyper-parameters in printed order."""

    name: str
    source: str
    data_dim: int
    E: Stack
    G: Stack
    Dxz: Joint
    Dxx: Joint
    Dzz: Joint
    optimizer: Adam
    batch_size: int
    latent_dim: int
    epochs: int
    lrelu_slope: float
    initializer: Xavier
    ge_steps: int = 1


@dataclass(frozen=True)
class Gan:
    """A table of the standard GAN that AnoGAN searches: generator G, discriminator D and the hyper-parameters."""

    name: str
    source: str
    data_dim: int
    G: Stack
    D: Stack
    optimizer: Adam
    batch_size: int
    latent_dim: int
    epochs: int
    lrelu_slope: float
    initializer: Xavier


def alad(document: dict[str, Any]) -> Alad:
    """The table that `dataclasses.asdict` made a document of, as JSON gives it back.

    Raises:
        TypeError, KeyError, ValueError: it is no document of a table.
    """

    def stack(rows: list[dict[str, Any]]) -> Stack:
        return tuple(Dense(**row) for row in rows)

    parts: dict[str, Any] = {name: stack(document[name]) for name in ("E", "G")}
    for name in ("Dxz", "Dxx", "Dzz"):
        parts[name] = Joint(**{part: stack(rows) for part, rows in document[name].items()})
    parts["optimizer"] = Adam(**document["optimizer"])
    parts["initializer"] = Xavier(**document["initializer"])
    return Alad(**{**document, **parts})


def render(table: Alad | Gan) -> str:
    """Print a table back in the paper's columns, for holding beside the paper.

    Args:
        table: an ALAD or GAN table.

    Returns:
        Text of one line per row, columns aligned.
    """
    with_batch_norm = isinstance(table, Alad)
    header = ["Operation", "Units", "Non-linearity", *(["Batch norm"] if with_batch_norm else []), "Dropout"]
    method = "ALAD" if with_batch_norm else "GAN"
    lines = [f"{table.name} {method} ({table.source})", _columns(header)]
    for title, stack in _sections(table):
        lines.append(title)
        for row in stack:
            batch_norm = ["yes" if row.batch_norm else "no"] if with_batch_norm else []
            lines.append(_columns(["Dense", str(row.units), row.activation, *batch_norm, str(row.dropout)]))
    return "\n".join([*lines, *_hyper_parameters(table)])


def _sections(table: Alad | Gan) -> Iterator[tuple[str, Stack]]:
    if isinstance(table, Gan):
        yield "G(z)", table.G
        yield "D(x)", table.D
        return
    yield "E(x)", table.E
    yield "G(z)", table.G
    for title, pair, discriminator in (
        ("Dxz(x, z)", "x and z", table.Dxz),
        ("Dxx(x, x')", "x and x'", table.Dxx),
        ("Dzz(z, z')", "z and z'", table.Dzz),
    ):
        yield title, ()
        if discriminator.only_x:
            yield "Only x", discriminator.only_x
        if discriminator.only_z:
            yield "Only z", discriminator.only_z
        branches = discriminator.only_x or discriminator.only_z
        yield "Concatenate outputs" if branches else f"Concatenate {pair}", discriminator.joint


def _hyper_parameters(table: Alad | Gan) -> Iterator[str]:
    stacks = [row for _, stack in _sections(table) for row in stack]
    yield f"{'Optimizer':<24}Adam({table.optimizer.learning_rate}, beta1={table.optimizer.beta1})"
    yield f"{'Batch size':<24}{table.batch_size}"
    yield f"{'Latent dimension':<24}{table.latent_dim}"
    yield f"{'Epochs':<24}{table.epochs}"
    if any(row.activation == "LReLU" for row in stacks):
        yield f"{'LReLU slope':<24}{table.lrelu_slope}"
    if isinstance(table, Alad) and table.ge_steps != 1:
        yield f"{'G/E steps per D step':<24}{table.ge_steps}"
    yield f"{'Initializer':<24}Xavier, bias {table.initializer.bias:g}"


def _columns(cells: list[str]) -> str:
    widths = (12, 8, 16, 13, 8)[: len(cells)]
    return "  " + "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths)).rstrip()
