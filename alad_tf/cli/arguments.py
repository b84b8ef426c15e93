"""Click commands, options and types shared by the verbs of `alad`: parsing, checks and help."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Callable, NoReturn, TypeVar, Union

import click

from alad_tf.experiments.protocol import PROTOCOLS
from alad_tf.options import CLASSES
from alad_tf.paths import default_out

Decorated = TypeVar("Decorated", bound=Union[Callable[..., object], click.Command])

FILES = (
    ".csv, .tsv, .txt, .jsonl, .ndjson (also .gz), .xlsx, .parquet (also a folder), .feather, .npy or .npz; - for "
    "standard input"
)
TABULAR = tuple(name for name, protocol in PROTOCOLS.items() if protocol.metric == "f1")
OF_TABLES = tuple(name for name in PROTOCOLS if name != "toy")  # data sets of Tables II to VIII
GOES_ON = "run the same command again to resume: finished runs are kept, the others continue from their last checkpoint"
UNCHANGED = "nothing has changed"
_NUMBER = r"-\d+|-\d*\.\d+"  # negative numbers are values, not options


# Commands ---------------------------------------------------------------------------------------------------------


class Argument(click.Argument):
    """A positional argument that is documented in the help."""

    def __init__(self, *args: Any, help: str, **others: Any) -> None:
        super().__init__(*args, **others)
        self.help = help


class Option(click.Option):
    """An option that the help lists under the title of its group."""

    def __init__(self, *args: Any, group: str = "Options", **others: Any) -> None:
        super().__init__(*args, **others)
        self.group = group


class Command(click.Command):
    """One verb.

    An option declared with `multiple=True` takes one or more values and may be repeated: `--drop a b` is the same as
    `--drop a --drop b`. Options can be abbreviated to an unambiguous prefix. A token that starts with a dash is an
    option unless it is a negative number; pass values that start with a dash as `--option=-value`.

    Args:
        examples: lines at the end of the help.
        interrupted: state on disk after Ctrl-C, for the message.
        exclusive: groups of mutually exclusive parameter names.
    """

    def __init__(
        self,
        *args: Any,
        examples: str,
        interrupted: str = GOES_ON,
        exclusive: Sequence[tuple[str, ...]] = (),
        **others: Any,
    ) -> None:
        super().__init__(*args, **others)
        self.context_settings["help_option_names"] = ["-h", "--help"]
        self.examples, self.interrupted, self.exclusive = examples, interrupted, exclusive

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the tokens after the verb."""
        options, positional = self._split(ctx, args)
        rest = super().parse_args(ctx, [*options, "--", *positional])
        for names in self.exclusive:
            given = [param.opts[0] for param in self.params if param.name in names and is_given(ctx, param.name)]
            if len(given) > 1:
                ctx.fail(f"Expected at most one of {', '.join(given)}. Received: {len(given)} of them.")
        return rest

    def _split(self, ctx: click.Context, tokens: Sequence[str]) -> tuple[list[str], list[str]]:
        """Split tokens into options (`--name=value` or flags) and positional arguments; fail on unknown options."""
        known = _by_name(self.get_params(ctx))
        options: list[str] = []
        positional: list[str] = []
        rest = list(tokens)
        while rest:
            token = rest.pop(0)
            if token == "--":
                positional += rest
                break
            if not _is_option(token):
                positional.append(token)
                continue
            written, equals, value = token.partition("=")
            name = full_name(ctx, written, known)
            option = known[name]
            if option.is_flag and equals:
                ctx.fail(f"Expected {name} without a value. Received: {value!r}.")
            if option.is_flag:
                options.append(name)
                if name in ctx.help_option_names:
                    return [name], []
                continue
            values = [value] if equals else _values(rest, option.multiple)
            if not values:
                ctx.fail(f"Expected a value for {name}. Received: none.")
            options += [f"{name}={value}" for value in values]
        self._require(ctx, options, positional)
        return options, positional

    def _require(self, ctx: click.Context, options: Sequence[str], positional: Sequence[str]) -> None:
        """Fail if a required option or argument is missing, or if there are too many arguments."""
        arguments = [param for param in self.params if isinstance(param, click.Argument)]
        given = {option.partition("=")[0] for option in options}
        missing = [param.make_metavar() for param in arguments[len(positional) :] if param.required]
        missing += [
            f"{param.opts[0]} {param.metavar}"
            for param in self.params
            if isinstance(param, click.Option) and param.required and not given.intersection(param.opts)
        ]
        if missing:
            ctx.fail(f"Expected {' and '.join(missing)}. Received: none.")
        extra = positional[len(arguments) :]
        if extra:
            wanted = " ".join(param.make_metavar() for param in arguments) or "no argument"
            ctx.fail(f"Expected {wanted}. Received also: {' '.join(map(repr, extra))}.")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments, then the options by group."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if isinstance(param, Argument):
                sections.setdefault("Arguments", []).append((param.make_metavar(), param.help))
            else:
                record = param.get_help_record(ctx)
                if record:
                    sections.setdefault(getattr(param, "group", "Options"), []).append(record)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples without wrapping."""
        write_examples(formatter, self.examples)


def write_examples(formatter: click.HelpFormatter, lines: str) -> None:
    """Write examples at the end of a help page without wrapping."""
    formatter.write_paragraph()
    formatter.write("Examples:\n")
    formatter.write("".join(f"  {line}\n" if line else "\n" for line in lines.strip().splitlines()))


def full_name(ctx: click.Context, written: str, known: Iterable[str]) -> str:
    """Return the option for a name or an unambiguous prefix; fail with the list of options otherwise."""
    names = sorted(known)
    found = (
        [written]
        if written in names
        else [name for name in names if written[:2] == "--" and name[2:].startswith(written[2:])]
    )
    if len(found) != 1:
        allowed = ", ".join(found or [name for name in names if name.startswith("--")])
        ctx.fail(f"Expected an option of {ctx.command_path}: {allowed}. Received: {written}.")
    return found[0]


def is_given(ctx: click.Context, name: str | None) -> bool:
    """Whether the call sets a parameter explicitly, possibly to its default."""
    return name is not None and ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _by_name(params: Iterable[click.Parameter]) -> dict[str, click.Option]:
    options = [param for param in params if isinstance(param, click.Option)]
    return {name: option for option in options for name in (*option.opts, *option.secondary_opts)}


def _is_option(token: str) -> bool:
    if len(token) < 2 or token[0] != "-" or re.fullmatch(_NUMBER, token):
        return False
    return " " not in token.partition("=")[0]


def _values(rest: list[str], several: bool) -> list[str]:
    """Take the values of an option from the tokens after it."""
    values: list[str] = []
    while rest and not _is_option(rest[0]) and (several or not values):
        values.append(rest.pop(0))
    return values


# Types ------------------------------------------------------------------------------------------------------------


class Value(click.ParamType):
    """A parameter type defined by a parsing function.

    Args:
        wanted: description of valid values for the error message.
        parse: converts text to the value; raises ValueError for invalid text.
    """

    name = "value"

    def __init__(self, wanted: str, parse: Callable[[str], object]) -> None:
        self.wanted, self.parse = wanted, parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Parse text; return other values (defaults) unchanged."""
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except ValueError:
            self._refuse(value, param, ctx)

    def _refuse(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> NoReturn:
        option = isinstance(param, click.Option)
        name = param and (param.opts[0] if option else param.make_metavar())
        self.fail(f"Expected {self.wanted} for {name}. Received: {value!r}.", param, ctx)


def one_of(names: Iterable[str]) -> Value:
    """Return the type for one of several names."""
    allowed = tuple(names)

    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError
        return text

    return Value(f"one of {', '.join(allowed)}", parse)


def whole(smallest: int, largest: int | None = None) -> Value:
    """Return the type for a whole number from `smallest` to `largest`."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit()):
            raise ValueError
        number = int(text)
        if number < smallest or (largest is not None and number > largest):
            raise ValueError
        return number

    return Value(
        f"a whole number {f'of at least {smallest}' if largest is None else f'from {smallest} to {largest}'}", parse
    )


def number(wanted: str, fits: Callable[[float], bool]) -> Value:
    """Return the type for a number that satisfies a condition."""

    def parse(text: str) -> float:
        value = float(text)
        if not fits(value):
            raise ValueError
        return value

    return Value(wanted, parse)


def _dataset_names(text: str) -> list[str]:
    names = text.split(",")
    if not set(names) <= set(OF_TABLES):
        raise ValueError
    return [name for name in OF_TABLES if name in names]


def _path(text: str) -> Path:
    if not text:
        raise ValueError
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        raise click.BadParameter(
            f"Expected a path on this machine. Received: a URL, {text!r}. Download it first, or upload the output."
        )
    return Path(text)


def _results(text: str) -> Path:
    from alad_tf.io.model_folder import require_outside  # imports NumPy, which --help does not need

    require_outside(folder := _path(text))
    return folder


def _class_numbers(text: str) -> list[int]:
    if text == "all":
        return list(range(CLASSES))
    numbers = text.split(",")
    if not all(number.isascii() and number.isdigit() and int(number) < CLASSES for number in numbers):
        raise ValueError
    return sorted({int(number) for number in numbers})


PATH = Value("a path", _path)
RESULTS = Value("a results folder outside of model folders", _results)
POSITIVE = whole(1)
NOT_NEGATIVE = whole(0)
SEED = whole(0, 2**32 - 1)
ABOVE_ZERO = number("a number above 0", lambda value: 0.0 < value < float("inf"))
ANY_NUMBER = number("a number", lambda value: value == value)
SHARE = number("a fraction of at least 0 and below 1", lambda share: 0.0 <= share < 1.0)
ABOVE_ZERO_SHARE = number("a fraction above 0 and below 1", lambda share: 0.0 < share < 1.0)
HALF_AT_MOST = number("a fraction above 0 and at most 0.5", lambda share: 0.0 < share <= 0.5)
DATASET_NAMES = Value(f"names from {', '.join(OF_TABLES)}", _dataset_names)
CLASS_NUMBERS = Value(f"classes from 0 to {CLASSES - 1} or all", _class_numbers)


# Parameters -------------------------------------------------------------------------------------------------------


def argument(
    name: str, kind: click.ParamType, metavar: str, help: str, required: bool = True
) -> Callable[[Decorated], Decorated]:
    """Return the decorator that adds a positional argument."""
    return click.argument(name, cls=Argument, type=kind, metavar=metavar, help=help, required=required)


def option(
    name: str, kind: click.ParamType, metavar: str, help: str, **others: Any
) -> Callable[[Decorated], Decorated]:
    """Return the decorator that adds an option with a value; `show_default` may be the text to show."""
    if isinstance(others.get("show_default"), str):
        help = f"{help}  [default: {others.pop('show_default')}]"
    return click.option(name, cls=Option, type=kind, metavar=metavar, help=help, **others)


def flag(name: str, help: str, **others: Any) -> Callable[[Decorated], Decorated]:
    """Return the decorator that adds an option without a value."""
    return click.option(name, cls=Option, is_flag=True, help=help, **others)


def labels(help: str, group: str = "Options") -> Callable[[Decorated], Decorated]:
    """Return the decorator that adds `--label` and `--normal`."""

    def add(function: Decorated) -> Decorated:
        function = option(
            "--normal", click.STRING, "VALUE ...", "values of --label in normal rows", multiple=True, group=group
        )(function)
        return option("--label", click.STRING, "COL", f"column with the labels; {help}", group=group)(function)

    return add


def components(group: str = "Options") -> Callable[[Decorated], Decorated]:
    """Return the decorator that adds the options for the components of ALAD: spectral normalisation and Dzz."""
    kinds = "reparametrise weights as W / sigma, or use the layer of tensorflow_addons"

    def add(function: Decorated) -> Decorated:
        function = flag("--no-dzz", "leave out the latent discriminator Dzz (DL)", group=group)(function)
        function = flag("--no-spectral-norm", "leave out spectral normalisation (SN)", group=group)(function)
        named = option(
            "--spectral-norm", one_of(("paper", "tfa")), "paper|tfa", kinds, show_default="paper", group=group
        )
        return named(function)

    return add


data_dir = option(
    "--data-dir",
    PATH,
    "DIR",
    "folder of the raw data",
    show_default="$ALAD_DATA_DIR, data/, ../shared/data, the user's cache",
)
out = option(
    "--out",
    RESULTS,
    "DIR",
    "results folder",
    default=default_out,
    show_default="results/ in the checkout, else in the current directory",
)
jobs = option(
    "--jobs", POSITIVE, "N", "parallel processes of one thread each (toy: two)", show_default="the number of cores"
)
