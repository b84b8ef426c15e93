"""Row and table types of the paper's architecture tables (appendix), and rendering of a table as text.

Standard library only. Each module of this package (`architectures.kdd99`, ...) is a literal of these types.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar, Union

Activation = Literal["LReLU", "ReLU", "Sigmoid", "Softmax", "Softplus", "Tanh", "None"]
Padding = Literal["same", "valid"]


@dataclass(frozen=True)
class Dense:
    """A row "Dense": units, non-linearity, batch norm, and dropout rate of the output."""

    units: int
    activation: Activation
    batch_norm: bool = False
    dropout: float = 0.0


@dataclass(frozen=True)
class Convolution:
    """Columns of a convolution: kernel and strides (both square), padding, feature maps, and those of `Dense`.

    Its input may be flat, [n, d], which stands for maps of one pixel, [n, 1, 1, d].
    """

    kernel: int
    strides: int
    padding: Padding
    maps: int
    batch_norm: bool
    activation: Activation
    dropout: float = 0.0


@dataclass(frozen=True)
class Conv2D(Convolution):
    """A row "Conv2D"."""

    operation: str = field(default="Conv2D", init=False)


@dataclass(frozen=True)
class TransConv2D(Convolution):
    """A row "TransConv2D", a transposed convolution."""

    operation: str = field(default="TransConv2D", init=False)


@dataclass(frozen=True)
class Flatten:
    """A row "Flatten": maps [n, h, w, c] become rows [n, h w c]."""

    operation: str = field(default="Flatten", init=False)


@dataclass(frozen=True)
class MaxPool:
    """A row "MaxPool": the maximum over non-overlapping squares of `size` x `size` pixels."""

    size: int
    operation: str = field(default="MaxPool", init=False)


@dataclass(frozen=True)
class Concatenate:
    """A row "Concatenate": concatenates the two images of a pair along the height or the channels.

    It comes first. Without it, the units of both members are concatenated.
    """

    along: Literal["height", "channels"]
    operation: str = field(default="Concatenate", init=False)


Row = Union[Dense, Conv2D, TransConv2D, Flatten, MaxPool, Concatenate]
Stack = tuple[Any, ...]  # of Row; each table has its own kinds of rows
Shape = Union[int, tuple[int, ...]]  # number of features, or (height, width, channels)
OPERATIONS = {kind.__name__: kind for kind in (Conv2D, TransConv2D, Flatten, MaxPool, Concatenate)}


@dataclass(frozen=True)
class Joint:
    """A discriminator of pairs: a stack for each member ("only x", "only z"; may be empty), then a joint stack.

    The last row of `joint` is the probability; the output of the row before it is the feature layer f of Section IV-C.
    """

    joint: Stack
    only_x: Stack = ()
    only_z: Stack = ()

    def __post_init__(self) -> None:
        if sum(not isinstance(row, Concatenate) for row in self.joint) < 2:
            raise ValueError(
                f"Expected a feature row and the probability in the rows of both members. Received: {self.joint}"
            )

    @property
    def logits(self) -> Row:
        """The last row without non-linearity."""
        return replace(self.joint[-1], activation="None")


@dataclass(frozen=True)
class Adam:
    """Adam: learning rate and beta1 from the table, beta2 and epsilon as in TensorFlow 1."""

    learning_rate: float
    beta1: float
    beta2: float = 0.999
    epsilon: float = 1e-8


@dataclass(frozen=True)
class Xavier:
    """Kernels by Glorot's uniform initialisation, biases constant."""

    bias: float = 0.0


@dataclass(frozen=True)
class Normal:
    """Kernels from N(0, stddev^2), biases constant."""

    stddev: float
    bias: float = 0.0


class Samples:
    """Base class of all tables: `data_dim` is the number of features, or (height, width, channels) of an image."""

    data_dim: Shape

    @property
    def data_shape(self) -> tuple[int, ...]:
        """Shape of one sample: (features,) or (height, width, channels)."""
        return self.data_dim if isinstance(self.data_dim, tuple) else (self.data_dim,)

    @property
    def n_features(self) -> int:
        """Number of values in one sample."""
        return math.prod(self.data_shape)


@dataclass(frozen=True)
class Alad(Samples):
    """A table of ALAD: encoder E, generator G, the three discriminators, and hyper-parameters in printed order."""

    name: str
    source: str
    data_dim: Shape
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
    initializer: Xavier | Normal
    ge_steps: int = 1


@dataclass(frozen=True)
class Gan(Samples):
    """A table of the standard GAN of AnoGAN: generator G, discriminator D and hyper-parameters."""

    name: str
    source: str
    data_dim: Shape
    G: Stack
    D: Stack
    optimizer: Adam
    batch_size: int
    latent_dim: int
    epochs: int
    lrelu_slope: float
    initializer: Xavier | Normal


@dataclass(frozen=True)
class Dsebm(Samples):
    """A table of DSEBM, a deep structured energy-based model: the hidden layers h of its energy, and hyper-parameters.

    `noise` is the standard deviation of the Gaussian noise of denoising score matching.
    """

    name: str
    source: str
    data_dim: Shape
    h: Stack
    noise: float
    optimizer: Adam
    batch_size: int
    epochs: int
    initializer: Xavier | Normal


@dataclass(frozen=True)
class Dagmm(Samples):
    """A table of DAGMM: compression network (encoder, decoder), estimation network of memberships, hyper-parameters.

    `energy_weight` and `singularity_weight` are lambda_1 and lambda_2 in the objective.
    """

    name: str
    source: str
    data_dim: Shape
    encoder: Stack
    decoder: Stack
    estimation: Stack
    energy_weight: float
    singularity_weight: float
    optimizer: Adam
    batch_size: int
    epochs: int
    initializer: Xavier | Normal


Table = Union[Alad, Gan, Dsebm, Dagmm]
AnyTable = TypeVar("AnyTable", bound=Table)
Document = dict[str, Any]  # an object of a JSON file


def of_width(table: AnyTable, n_features: int) -> AnyTable:
    """Adapt a tabular architecture to another number of features, which is also the number of units of x'.

    Args:
        table: a table of dense rows.
        n_features: number of features.
    """
    changes: Document = {"data_dim": n_features}
    if not isinstance(table, Dsebm):
        name = "decoder" if isinstance(table, Dagmm) else "G"
        *hidden, last = getattr(table, name)
        changes[name] = (*hidden, replace(last, units=n_features))
    return replace(table, **changes)


def alad(document: Document) -> Alad:
    """Restore a table from `dataclasses.asdict` of it, after a round trip through JSON.

    Raises:
        TypeError, KeyError, ValueError: not the document of a table, or a size is not a positive whole number.
    """

    def row(columns: Document) -> Row:
        kind = OPERATIONS.get(columns.get("operation", ""), Dense)
        for name in {"units", "maps", "kernel", "strides", "size"} & set(columns):
            _require_positive(name, columns[name])
        return kind(**{name: value for name, value in columns.items() if name != "operation"})

    def stack(rows: list[Document]) -> Stack:
        return tuple(map(row, rows))

    for name in ("latent_dim", "batch_size", "epochs", "ge_steps"):
        _require_positive(name, document.get(name, 1))
    shape = document["data_dim"]
    for size in shape if isinstance(shape, (list, tuple)) else [shape]:
        _require_positive("data_dim", size)
    parts: Document = {name: stack(document[name]) for name in ("E", "G")}
    for name in ("Dxz", "Dxx", "Dzz"):
        parts[name] = Joint(**{part: stack(rows) for part, rows in document[name].items()})
    parts["optimizer"] = Adam(**document["optimizer"])
    parts["initializer"] = (Normal if "stddev" in document["initializer"] else Xavier)(**document["initializer"])
    if isinstance(document["data_dim"], list):
        parts["data_dim"] = tuple(document["data_dim"])
    return Alad(**{**document, **parts})


def _require_positive(name: str, size: object) -> None:
    if type(size) is not int or size < 1:
        raise ValueError(f"Expected a positive whole number for {name}. Received: {size!r:.80}.")


def n_layers(table: Alad) -> int:
    """Number of rows in all stacks of a table."""
    pairs = (table.Dxz, table.Dxx, table.Dzz)
    stacks = [table.E, table.G, *(stack for rows in pairs for stack in (rows.only_x, rows.only_z, rows.joint))]
    return sum(map(len, stacks))


def n_weights(table: Alad) -> int:
    """Number of weights (kernels and biases) of a table of dense rows, without building the networks."""
    x, z = table.n_features, table.latent_dim
    pairs = ((x, z, table.Dxz), (x, x, table.Dxx), (z, z, table.Dzz))
    return (
        _n_weights(x, table.E)
        + _n_weights(z, table.G)
        + sum(_n_weights(a, rows.only_x) + _n_weights(b, rows.only_z) for a, b, rows in pairs)
        + sum(_n_weights(_width(a, rows.only_x) + _width(b, rows.only_z), rows.joint) for a, b, rows in pairs)
    )


def _n_weights(width: int, stack: Stack) -> int:
    widths = [width, *(row.units for row in stack)]
    return sum((before + 1) * after for before, after in zip(widths, widths[1:]))


def _width(width: int, stack: Stack) -> int:
    """Output width of a stack for inputs of the given width."""
    return stack[-1].units if stack else width


def render(table: Table) -> str:
    """Render a table in the paper's layout, for comparison with the paper.

    Args:
        table: table of any method.

    Returns:
        Text with one line per row and aligned columns.
    """
    layout = _columns_of(table)
    lines = [f"{table.name} {type(table).__name__.upper()} ({table.source})", _line(layout, {n: n for n in layout})]
    for title, stack in _sections(table):
        lines.append(title)
        lines += [_line(layout, _cells(row)) for row in stack if not isinstance(row, Concatenate)]
    return "\n".join([*lines, *(f"{name:<24}{value}" for name, value in _hyper_parameters(table))])


def _columns_of(table: Table) -> dict[str, int]:
    """Columns of a table and their widths: ALAD's tables have batch norm, those of images the columns of convolutions."""
    images = isinstance(table.data_dim, tuple)
    widths = {"Operation": 12, "Kernel": 8, "Strides": 9, "Padding": 9, "Units": 8, "Non-linearity": 16}
    widths |= {"Batch norm": 13, "Dropout": 8}
    left_out = () if images else ("Kernel", "Strides", "Padding", *(() if isinstance(table, Alad) else ("Batch norm",)))
    return {name: width for name, width in widths.items() if name not in left_out}


def _cells(row: Row) -> dict[str, str]:
    if isinstance(row, (Flatten, Concatenate)):
        return {"Operation": row.operation}
    if isinstance(row, MaxPool):
        size = f"{row.size}x{row.size}"
        return {"Operation": row.operation, "Kernel": size, "Strides": size}
    cells = {"Non-linearity": row.activation, "Dropout": str(row.dropout)}
    cells["Batch norm"] = "yes" if row.batch_norm else "no"
    if isinstance(row, Dense):
        return {**cells, "Operation": "Dense", "Units": str(row.units)}
    shape = {"Kernel": f"{row.kernel}x{row.kernel}", "Strides": f"{row.strides}x{row.strides}", "Padding": row.padding}
    return {**cells, **shape, "Operation": row.operation, "Units": str(row.maps)}


def _line(layout: dict[str, int], cells: dict[str, str]) -> str:
    return "  " + "".join(f"{cells.get(name, ''):<{width}}" for name, width in layout.items()).rstrip()


def _sections(table: Table) -> Iterator[tuple[str, Stack]]:
    if isinstance(table, Alad):
        yield from _alad_sections(table)
    elif isinstance(table, Gan):
        yield "G(z)", table.G
        yield "D(x)", table.D
    elif isinstance(table, Dsebm):
        yield "h(x)", table.h
    else:
        yield "Encoder(x)", table.encoder
        yield "Decoder(z_c)", table.decoder
        yield "Estimation(z)", table.estimation


def _alad_sections(table: Alad) -> Iterator[tuple[str, Stack]]:
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
        first, branches = discriminator.joint[0], discriminator.only_x or discriminator.only_z
        along = f" along {first.along}" if isinstance(first, Concatenate) else ""
        yield ("Concatenate outputs" if branches else f"Concatenate {pair}") + along, discriminator.joint


def _hyper_parameters(table: Table) -> Iterator[tuple[str, str]]:
    stacks = [row for _, stack in _sections(table) for row in stack]
    yield "Optimizer", f"Adam({table.optimizer.learning_rate}, beta1={table.optimizer.beta1})"
    yield "Batch size", str(table.batch_size)
    if isinstance(table, (Alad, Gan)):
        yield "Latent dimension", str(table.latent_dim)
    yield "Epochs", str(table.epochs)
    if isinstance(table, (Alad, Gan)) and any(getattr(row, "activation", None) == "LReLU" for row in stacks):
        yield "LReLU slope", str(table.lrelu_slope)
    if isinstance(table, Alad) and table.ge_steps != 1:
        yield "G/E steps per D step", str(table.ge_steps)
    if isinstance(table, Dsebm):
        yield "Noise", f"Normal(0, {table.noise})"
    if isinstance(table, Dagmm):
        yield "Lambda 1, energy", str(table.energy_weight)
        yield "Lambda 2, singularity", str(table.singularity_weight)
    kernels = f"Normal(0, {table.initializer.stddev})" if isinstance(table.initializer, Normal) else "Xavier"
    yield "Initializer", f"{kernels}, bias {table.initializer.bias:g}"
