"""The command line `alad`: parse, call one function, print. `python -m alad_tf` is the same."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import architectures
from alad_tf.errors import AladError, SettingsError
from alad_tf.settings import ABLATIONS, PROTOCOLS, Settings, default_out, published_results
from architectures.tabular import KDD99_ROWS, tabular

EXAMPLES = """examples:
  alad show kdd99                              the architecture table, to hold beside the paper's
  alad reproduce kdd99                         the paper's 10 runs, then the table
  alad reproduce kdd99 --runs 1 --epochs 1     a quick look
  alad reproduce arrhythmia --no-dzz           a row of the ablation
  alad table 5                                 Table V from the results that exist
"""


GOES_ON = "the same command goes on: complete runs are kept, the others continue from their last checkpoint"


class _Parser(argparse.ArgumentParser):
    """Prints one line for a wrong call instead of the usage and a line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 for a fault that the message explains, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like an interrupt: the runs' processes with it
    try:
        options.command(options)
        sys.stdout.flush()
    except (AladError, OSError) as error:
        sys.stdout = None  # what is left in it could fail once more at exit
        print(f"alad: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"alad: interrupted; {GOES_ON}", file=sys.stderr)
        return 130
    return 0


def show(options: argparse.Namespace) -> None:
    """`alad show`: print an architecture table."""
    try:
        if options.dataset == "tabular":
            if not options.features:
                raise ValueError("Expected --features N with tabular. Received: none")
            table: Any = tabular(options.features, n_rows=options.rows or KDD99_ROWS)
        elif options.features or options.rows:
            raise ValueError(f"Expected --features and --rows with tabular only. Received: them with {options.dataset}")
        else:
            table = architectures.load(options.dataset, options.method)
        print(architectures.render(table))
    except ValueError as error:
        raise SettingsError(str(error)) from None


def reproduce(options: argparse.Namespace) -> None:
    """`alad reproduce`: make the runs that are missing, draw figures and print the table beside the paper's."""
    from alad_tf import runs

    settings = _settings(options)
    first = options.seed
    seeds = range(first, first + (options.runs or PROTOCOLS[settings.dataset].runs))
    jobs = options.jobs or os.cpu_count() or 1
    runs.run_all(settings, seeds, options.out, jobs=jobs, data_dir=options.data_dir)
    print(runs.sum_up(settings, options.out))


def table(options: argparse.Namespace) -> None:
    """`alad table`: print a table of the paper from the results that exist."""
    from alad_tf import report

    print(report.table(options.number, options.out, published_results()).as_text())


def _settings(options: argparse.Namespace) -> Settings:
    changes: dict[str, Any] = {
        "scaling": options.scaling,
        "training_half": options.training_half,
    }
    if options.jit is not None:
        changes["jit"] = options.jit
    if options.epochs is not None:
        changes["epochs"] = options.epochs
    if options.spectral_norm is not None:
        changes["spectral_norm"] = options.spectral_norm
    if options.no_spectral_norm:
        changes["spectral_norm"] = None
    if options.no_dzz:
        changes["latent_discriminator"] = False
    if options.no_ema:
        changes["ema_decay"] = None
    return Settings.of_protocol(options.dataset, options.method, **changes)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="alad",
        description="ALAD (Zenati et al., ICDM 2018): adversarially learned anomaly detection.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")

    command = commands.add_parser("show", help="print an architecture table as the paper does")
    tables = (*architectures.DATASETS, "tabular")
    command.add_argument("dataset", choices=tables, metavar="DATASET", help=", ".join(tables))
    command.add_argument("--features", type=_positive, metavar="N", help="tabular: number of features")
    command.add_argument("--rows", type=_positive, metavar="N", help="tabular: training rows (default: KDD99's)")
    command.add_argument(
        "--method", choices=architectures.METHODS, default="ALAD", help="ALAD or AnoGAN (default: ALAD)"
    )
    command.set_defaults(command=show)

    command = commands.add_parser(
        "reproduce",
        help="train the paper's runs of a data set and print the results beside the paper's",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("dataset", choices=PROTOCOLS, metavar="DATASET", help=", ".join(PROTOCOLS))
    command.add_argument(
        "--method", choices=ABLATIONS, default="ALAD", metavar="METHOD", help=f"{', '.join(ABLATIONS)} (default: ALAD)"
    )
    command.add_argument("--runs", type=_positive, metavar="N", help="number of runs (default: the paper's)")
    command.add_argument(
        "--seed", type=_not_negative, default=0, metavar="S", help="seed of the first run (default: 0)"
    )
    command.add_argument("--epochs", type=_positive, metavar="N", help="epochs of a run (default: the table's)")
    command.add_argument(
        "--jobs", type=_positive, metavar="N", help="processes of one thread each (default: the cores)"
    )
    command.add_argument(
        "--spectral-norm", choices=("paper", "tfa"), help="W / sigma as re-parametrisation, or stock tensorflow_addons"
    )
    command.add_argument("--no-spectral-norm", action="store_true", help="leave out spectral normalisation (SN)")
    command.add_argument("--no-dzz", action="store_true", help="leave out the latent discriminator Dzz (DL)")
    command.add_argument("--no-ema", action="store_true", help="score with the trained weights, not with their average")
    command.add_argument("--scaling", choices=("minmax",), help="scale the features (default: raw, as released)")
    command.add_argument(
        "--training-half",
        choices=("clean", "released"),
        default="clean",
        help="arrhythmia: normal rows only, or as released with 34 anomalies (default: clean)",
    )
    command.add_argument(
        "--jit",
        action=argparse.BooleanOptionalAction,
        help="compile the training step with XLA, or not (default: yes; no for toy, whose batches are large)",
    )
    command.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="where the raw data are (default: $ALAD_DATA_DIR, data/, ../shared/data, the cache)",
    )
    _add_out(command)
    command.set_defaults(command=reproduce)

    command = commands.add_parser("table", help="print Table 2, 5 or 7 of the paper with our results beside it")
    command.add_argument("number", type=int, metavar="NUMBER", help="2, 5 or 7")
    _add_out(command)
    command.set_defaults(command=table)
    return parser


def _add_out(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--out", type=Path, default=default_out(), metavar="DIR", help="results folder (default: %(default)s)"
    )


def _positive(text: str) -> int:
    return _whole_number(text, smallest=1)


def _not_negative(text: str) -> int:
    return _whole_number(text, smallest=0)


def _whole_number(text: str, smallest: int) -> int:
    if not text.isdigit() or int(text) < smallest:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least {smallest}, received {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
