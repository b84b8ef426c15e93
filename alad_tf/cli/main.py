"""The command line `alad`: the group of all verbs, exit codes, and errors printed in one line."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from alad_tf import stack
from alad_tf._version import __version__
from alad_tf.cli import compare, report, reproduce, serving, tabular
from alad_tf.cli.arguments import GOES_ON, Command, full_name, write_examples
from alad_tf.cli.terminal import say, tell
from alad_tf.errors import AladError, one_line

EXAMPLES = """
alad show kdd99                              print Table XI
alad reproduce kdd99                         the paper's 10 runs, then the table of results
alad reproduce kdd99 --runs 1 --epochs 1     a quick look
alad table 5                                 Table V from the results so far
alad tables --budget 8                       do missing runs for eight hours, then write all tables and figures
alad fit train.csv --model model             your own data: train on normal rows
alad score new.csv --model model --output scored.csv
alad report model new.csv --output report.html   scores and explanations as a web page
alad compare train.csv --label kind --normal benign --test test.csv --output comparison
alad export model served/fraud               a SavedModel for TensorFlow Serving
"""
FAMILIES = {
    "The paper's experiments": reproduce.FAMILY,
    "Your own data": (*tabular.FAMILY, *report.FAMILY, *compare.FAMILY),
    "Models for other programs": serving.FAMILY,
}
PARTS = {"TensorFlow": "tensorflow", "Keras": "keras", "NumPy": "numpy"}
INTERRUPTED = 128 + signal.SIGINT  # exit codes by the shell's convention
LONGEST = 4000  # characters of an error message
BROKEN_PIPE = 128 + 13  # SIGPIPE


class Alad(click.Group):
    """The group of all verbs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the tokens before the verb."""
        if args[:1] == ["--"]:
            args = args[1:]
        if args and args[0].startswith("-"):
            args = [full_name(ctx, args[0], ["-h", "--help", "--version"]), *args[1:]]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Look up the verb."""
        if args[0] not in self.commands:
            ctx.fail(f"Expected a command: {', '.join(self.commands)}. Received: {args[0]!r}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs by family."""
        for title, commands in FAMILIES.items():
            with formatter.section(title):
                formatter.write_dl([(str(verb.name), (verb.help or "").split("\n\n")[0]) for verb in commands])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples without wrapping."""
        write_examples(formatter, EXAMPLES)


def _show_version(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    if asked:
        say("\n".join(versions()))
        ctx.exit()


@click.group(cls=Alad, context_settings={"help_option_names": ["-h", "--help"]}, subcommand_metavar="COMMAND ...")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show versions and exit."
)
def alad() -> None:
    """Adversarially learned anomaly detection (ALAD; Zenati et al., ICDM 2018)."""


for _commands in FAMILIES.values():
    for _command in _commands:
        alad.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Global state of the calling process is restored.

    Returns:
        0: done. 1: an error, explained in one line on standard error. 2: wrong usage, explained likewise.
        130: interrupted by Ctrl-C, SIGTERM or SIGHUP. 141: standard output was closed (`alad ... | head`).
    """
    context: click.Context | None = None
    with _one_line_each(), _ended_like_an_interrupt():
        try:
            if sys.stdout is None:
                raise AladError("Expected an open standard output. Received: a closed one.")
            context = alad.make_context("alad", list(sys.argv[1:] if arguments is None else arguments))
            with context:
                alad.invoke(context)
            sys.stdout.flush()
        except click.exceptions.Exit as end:
            return end.exit_code
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "alad"
            return _failed(error.message, 2, path)
        except KeyboardInterrupt:
            tell(f"alad: interrupted; {_state_on_disk(context)}")
            return INTERRUPTED
        except BrokenPipeError:
            return BROKEN_PIPE
        except (AladError, OSError) as error:
            return _failed(error)
        except UnicodeEncodeError as error:
            return _failed(f"Expected an output in UTF-8. Received: {error}. Set PYTHONIOENCODING=utf-8.")
        except MemoryError as error:
            return _failed(f"Expected enough memory for this command. Received: {one_line(error)}.")
        except ImportError as error:
            return _failed(f"Expected the libraries of this command. Received: {one_line(error)}.")
    return 0


def versions() -> Iterator[str]:
    """Yield the version of this package and of each library of the stack, without importing them."""
    from importlib import metadata, util  # slow to import

    yield f"alad_tf {__version__}"
    yield f"Python {'.'.join(map(str, sys.version_info[:3]))}"
    for name, distribution in PARTS.items():
        try:
            yield f"{name} {metadata.version(distribution)}"
        except metadata.PackageNotFoundError:
            yield f"{name}: not installed"
    if util.find_spec("keras") is not None:
        yield f"stack: {stack.name()}"


def _failed(message: object, code: int = 1, path: str = "alad") -> int:
    tell(f"{path}: error: {_joined(message)}")
    return code


def _joined(message: object) -> str:
    """Join a message into one line and truncate it: it may quote line breaks and long cells."""
    line = " ".join(str(message).splitlines())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."


def _state_on_disk(context: click.Context | None) -> str:
    """Describe the state on disk after an interrupted command."""
    command = alad.commands.get(context.invoked_subcommand or "") if context else None
    return command.interrupted if isinstance(command, Command) else GOES_ON


class _Lines(logging.Handler):
    """Print log records on standard error: warnings with a prefix, information without."""

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        tell(f"alad: {record.levelname.lower()}: {_joined(message)}" if record.levelno > logging.INFO else message)


@contextmanager
def _one_line_each() -> Iterator[None]:
    """Print the package's log records while a command runs."""
    logger, handler = logging.getLogger("alad_tf"), _Lines()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


@contextmanager
def _ended_like_an_interrupt() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt while a command runs, so that runs save their state.

    An ignored SIGHUP (nohup) stays ignored. Python allows signal handlers in the main thread only.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, getattr(signal, "SIGHUP", None)):
            if number is not None and (number == signal.SIGTERM or signal.getsignal(number) != signal.SIG_IGN):
                before[number] = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: it was not installed from Python
                signal.signal(number, handler)
