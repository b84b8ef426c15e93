"""The command line `alad`: parse, call one function, print. `python -m alad_tf` is the same."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, NoReturn

import architectures
from alad_tf.errors import AladError, SettingsError
from alad_tf.experiments.baseline_settings import BASELINES, METHODS, AnySettings, of_method
from alad_tf.experiments.protocol import PROTOCOLS
from alad_tf.options import CLASSES, PRECISIONS, SCORES, STRATEGIES
from alad_tf.paths import default_out, published_results
from architectures.tabular import KDD99_ROWS, tabular

EXAMPLES = """examples:
  alad show kdd99                              the architecture table, to hold beside the paper's
  alad reproduce kdd99                         the paper's 10 runs, then the table
  alad reproduce kdd99 --runs 1 --epochs 1     a quick look
  alad reproduce arrhythmia --no-dzz           a row of the ablation
  alad reproduce cifar10 --normal-class 0,1    two of the ten tasks of an image data set
  alad table 5                                 Table V from the results that exist
  alad tables --budget 8                       all tables and figures, after eight hours of runs that are missing
  alad fit train.csv --model model             your own data: train on rows that are normal
  alad score new.csv --model model --output scored.csv
  alad export model served/fraud               the next version of a model for TensorFlow Serving
"""
TABLES_EXAMPLES = """examples:
  alad tables                                  from the results that exist
  alad tables --budget 8                       first make what is missing, the cheapest first, for eight hours
  alad tables --budget 0.5 --datasets kdd99,arrhythmia --runs 3

Writes OUT/tables/: every table as .txt, .md and .csv, its footnotes as .notes.txt, Figures 3, 4 and 7 to 10 as .png.
Published results count as there. The same command goes on where the budget ended.
"""
FIT_EXAMPLES = """examples:
  alad fit train.csv --model model
  alad fit train.csv --model model --drop id --categorical country --impute
  alad fit all.parquet --model model --label kind --normal benign --test test.parquet
  alad fit train.csv --model model --epochs 20 --validation 0.2 --false-positive-rate 0.01 --seed 0

All rows are trained on, or with --label those that are normal. Columns of numbers are numeric, the others categorical.
"""
SCORE_EXAMPLES = """examples:
  alad score new.csv --model model --output scored.csv
  alad score new.parquet --model model --output scored.parquet --explain 5
  alad score new.csv --model model --output scored.csv --id customer --label kind --normal benign
  alad score folder --engine ray --model served/fraud --output scores

Columns are matched by name, in any order. Output: row (from 1) or the --id column, score (larger = more anomalous),
p_value, is_anomaly, is_valid (False: a missing or infinite cell; such a row has the largest score), and with --explain
the columns that are reconstructed worst, each with its share.
"""
EXPORT_EXAMPLES = """examples:
  alad export model served/fraud
  alad export results/kdd99/ALAD/seed0 served/kdd99 --contamination 0.2
  tensorflow_model_server --model_name=fraud --model_base_path=$PWD/served/fraud --rest_api_port=8501

Writes BASE/NAME/VERSION, which appears once it is complete and answers as this package does. See docs/deploy.md.
"""
FILES = ".csv, .tsv (also .gz), .parquet, .feather, .npy or .npz"
TABULAR = tuple(name for name, protocol in PROTOCOLS.items() if protocol.metric == "f1")
OF_TABLES = tuple(name for name in PROTOCOLS if name != "toy")  # data sets of Tables II to VIII
GOES_ON = "the same command goes on: complete runs are kept, the others continue from their last checkpoint"


class _Parser(argparse.ArgumentParser):
    """Prints one line for a wrong call instead of the usage and a line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {_one_line(message)}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 for a fault that the message explains, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like an interrupt: the runs' processes with it
    try:
        options.command(options)
        sys.stdout.flush()
    except (AladError, OSError) as error:
        sys.stdout = None  # what is left in it could fail once more at exit
        print(f"alad: error: {_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"alad: interrupted; {options.interrupted}", file=sys.stderr)
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
    from alad_tf.experiments import scheduler, summary, workers

    settings = _settings(options)
    seeds = range(options.seed, options.seed + (options.runs or PROTOCOLS[settings.dataset].runs))
    worker = workers.this(settings.strategy)
    jobs = options.jobs or (os.cpu_count() if worker.together == 1 else None) or 1
    classes = None if settings.normal_class is None else options.normal_class or list(range(CLASSES))
    scheduler.run_all(settings, seeds, options.out, jobs=jobs, data_dir=options.data_dir, classes=classes)
    if worker.chief:
        print(summary.sum_up(settings, options.out))


def table(options: argparse.Namespace) -> None:
    """`alad table`: print a table of the paper from the results that exist; of CSV the remarks go to standard error."""
    from alad_tf.report import comparison

    result = comparison.table(options.name, options.out, published_results())
    print(result.render(options.format), end="" if options.format == "csv" else "\n")
    if options.format == "csv":
        print("\n".join(result.remarks), file=sys.stderr)


def tables(options: argparse.Namespace) -> None:
    """`alad tables`: make missing runs within a budget of time, then print and write all tables and the figures."""
    from alad_tf.experiments import plan
    from alad_tf.report import tables

    failures = plan.carry_out(
        options.out,
        published_results(),
        datasets=options.datasets,
        n_runs=options.runs,
        hours=options.budget,
        jobs=options.jobs or os.cpu_count() or 1,
        data_dir=options.data_dir,
        say=lambda line: print(line, file=sys.stderr),
    )
    print(tables.write(options.out, published_results()), flush=True)
    if failures:
        raise AladError("; ".join(failures))


def latency(options: argparse.Namespace) -> None:
    """`alad latency`: measure Table IV's row of a data set, on one thread."""
    from alad_tf.experiments.process import THREAD_VARIABLES

    _quiet_tensorflow()
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    from alad_tf.experiments import latency as table_iv

    measured = table_iv.measure(options.dataset, options.out, data_dir=options.data_dir, rounds=options.rounds)
    print(
        "batch {batch}: ALAD {alad_ms:.3g} ms; AnoGAN with a call a step {anogan_ms:.4g} ms ({ratio:.0f} times), "
        "in one call {anogan_one_call_ms:.4g} ms ({ratio_one_call:.0f} times)".format(**measured)
    )


def fit(options: argparse.Namespace) -> None:
    """`alad fit`: train on a file of rows and write a model folder."""
    _quiet_tensorflow()
    from alad_tf.tabular.fit import Preparation, fit_file

    preparation = Preparation(
        drop=options.drop,
        categorical=options.categorical,
        numeric=options.numeric,
        scaling=options.scaling,
        impute=options.impute,
        labels=_labels(options),
    )
    changes = {
        "architecture": options.architecture,
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "patience": options.patience,
        "log_dir": options.log_dir,
        "random_state": options.seed,
        "score": options.score,
        "contamination": options.contamination,
        "spectral_norm": None if options.no_spectral_norm else options.spectral_norm,
        "latent_discriminator": not options.no_dzz,
    }
    report = fit_file(
        options.data,
        options.model,
        preparation=preparation,
        test=options.test,
        validation=options.validation,
        false_positive_rate=options.false_positive_rate,
        options={name: value for name, value in changes.items() if value is not None or name == "spectral_norm"},
        overwrite=options.overwrite,
        say=_warn,
    )
    print(report)


def score(options: argparse.Namespace) -> None:
    """`alad score`: score a file of rows with a model folder, or a folder of files with an export on Ray."""
    _quiet_tensorflow()
    if options.engine is not None:
        _score_folder(options)
        return
    if options.workers is not None:
        raise SettingsError("Expected --workers with --engine only. Received: it alone.")
    from alad_tf.tabular.score import score_file

    report = score_file(
        options.data,
        options.model,
        options.output,
        explain=options.explain,
        chunk_rows=options.chunk_rows,
        id_column=options.id,
        labels=_labels(options),
        overwrite=options.overwrite,
        say=_warn,
    )
    print(report)


def _score_folder(options: argparse.Namespace) -> None:
    from alad_tf.serving import ray_data

    given = {
        "--explain": options.explain,
        "--id": options.id,
        "--label": options.label,
        "--overwrite": options.overwrite,
    }
    named = [name for name, value in given.items() if value]
    if named:
        raise SettingsError(f"Expected --engine with --model, --output and --workers. Received: {', '.join(named)}.")
    print(ray_data.score_folder(options.data, options.model, options.output, workers=options.workers, say=_warn))


def inspect(options: argparse.Namespace) -> None:
    """`alad inspect`: say what a model folder holds."""
    _quiet_tensorflow()
    from alad_tf.tabular import model

    print(model.inspect_model(options.model))


def export(options: argparse.Namespace) -> None:
    """`alad export`: write the next version of a model for TensorFlow Serving."""
    _quiet_tensorflow()
    from alad_tf.serving.export import export as write

    source = _source(options)
    version = write(source, options.base, version=options.version)
    print(f"{_threshold(source)}\nexported: {version}")


def serve_config(options: argparse.Namespace) -> None:
    """`alad serve-config`: write the files that tensorflow_model_server reads."""
    from alad_tf.serving import server_config

    print(
        server_config.write(
            options.base,
            options.output,
            served_from=options.served_from,
            max_batch=options.max_batch,
            threads=options.threads,
        )
    )


def convert(options: argparse.Namespace) -> None:
    """`alad convert`: write a model's scorer as ONNX or TensorFlow Lite."""
    _quiet_tensorflow()
    from alad_tf.serving.convert import convert as write

    source = _source(options)
    write(source.detector, options.output)
    print(f"{_threshold(source)}\nconverted: {options.output}")


def _source(options: argparse.Namespace) -> Any:
    from alad_tf.serving import sources

    return sources.load(
        options.source, threshold=options.threshold, contamination=options.contamination, score=options.score
    )


def _threshold(source: Any) -> str:
    rule = source.rule
    name = f"{rule['rule'].replace('_', ' ')} {rule['value']:g}"
    return f"threshold {source.detector.threshold:.6g}; from: {name}, scores of: {rule['scores']}"


def _labels(options: argparse.Namespace) -> Any:
    from alad_tf.tabular.labels import Labels

    if (options.label is None) != (options.normal is None):
        given = "--label" if options.normal is None else "--normal"
        raise SettingsError(f"Expected both --label COL and --normal VALUE. Received: {given} alone.")
    return options.label and Labels(options.label, tuple(options.normal))


def _warn(line: str) -> None:
    print(f"alad: warning: {_one_line(line)}", file=sys.stderr)


def _one_line(message: object) -> str:
    """A message that may quote names with line breaks in them."""
    return " ".join(str(message).splitlines())


def _quiet_tensorflow() -> None:
    """Before it is imported: what it found on this machine is of no interest to who scores a file."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _settings(options: argparse.Namespace) -> AnySettings:
    changes: dict[str, Any] = {"training_half": options.training_half}
    if options.scaling is not None:
        changes["scaling"] = None if options.scaling == "none" else options.scaling
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
    if options.normal_class:
        changes["normal_class"] = options.normal_class[0]
    if options.patience is not None:
        changes["patience"] = options.patience
    if options.no_early_stopping:
        changes["patience"] = None
    if options.last_weights:
        changes["weights"] = "last"
    for name in ("strategy", "precision", "train_rows", "test_rows"):
        if getattr(options, name) is not None:
            changes[name] = getattr(options, name)
    return of_method(options.dataset, options.method, **changes)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="alad",
        description="ALAD (Zenati et al., ICDM 2018): adversarially learned anomaly detection.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(interrupted=GOES_ON)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")

    command = commands.add_parser("show", help="print an architecture table as the paper does")
    tables = (*architectures.DATASETS, "tabular")
    command.add_argument("dataset", choices=tables, metavar="DATASET", help=", ".join(tables))
    command.add_argument("--features", type=_positive, metavar="N", help="tabular: number of features")
    command.add_argument("--rows", type=_positive, metavar="N", help="tabular: training rows (default: KDD99's)")
    command.add_argument(
        "--method",
        choices=architectures.METHODS,
        default="ALAD",
        metavar="METHOD",
        help=f"{', '.join(architectures.METHODS)} (default: ALAD)",
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
        "--method", choices=METHODS, default="ALAD", metavar="METHOD", help=f"{', '.join(METHODS)} (default: ALAD)"
    )
    command.add_argument("--runs", type=_positive, metavar="N", help="number of runs (default: the paper's)")
    command.add_argument(
        "--seed", type=_not_negative, default=0, metavar="S", help="seed of the first run (default: 0)"
    )
    command.add_argument("--epochs", type=_positive, metavar="N", help="epochs of a run (default: the table's)")
    _add_jobs(command)
    command.add_argument(
        "--spectral-norm", choices=("paper", "tfa"), help="W / sigma as re-parametrisation, or stock tensorflow_addons"
    )
    command.add_argument("--no-spectral-norm", action="store_true", help="leave out spectral normalisation (SN)")
    command.add_argument("--no-dzz", action="store_true", help="leave out the latent discriminator Dzz (DL)")
    command.add_argument("--no-ema", action="store_true", help="score with the trained weights, not with their average")
    command.add_argument(
        "--scaling",
        choices=("minmax", "none"),
        help="of the features (default: none, as released; minmax for baselines but IF and AnoGAN)",
    )
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
        "--strategy",
        choices=tuple(name for name in STRATEGIES if name),
        help="what shares each batch, without XLA: mirrored: all GPUs of this machine; multi-worker: the processes of "
        "TF_CONFIG, each called like this (default: one device)",
    )
    command.add_argument(
        "--precision",
        choices=tuple(name for name in PRECISIONS if name),
        help="bfloat16: convolutions and products in it, on CPUs without XLA (default: float32)",
    )
    images = command.add_argument_group("images")
    images.add_argument(
        "--normal-class",
        type=_classes,
        metavar="K",
        help="0 to 9, several as in 0,3,5, or all: one task each (default: all)",
    )
    stopping = images.add_mutually_exclusive_group()
    stopping.add_argument(
        "--patience", type=_positive, metavar="N", help="epochs without a better validation score (default: 10)"
    )
    stopping.add_argument("--no-early-stopping", action="store_true", help="train for all epochs")
    images.add_argument(
        "--last-weights", action="store_true", help="score with the last weights, as released, not with the best"
    )
    baselines = command.add_argument_group(f"baselines ({', '.join(BASELINES)})")
    baselines.add_argument(
        "--train-rows",
        type=_positive,
        metavar="N",
        help="train on N rows, drawn at random (kdd99: OC-SVM 10000, kNN 20000)",
    )
    baselines.add_argument(
        "--test-rows",
        type=_positive,
        metavar="N",
        help="score N rows, drawn at random (AnoGAN on images: 256)",
    )
    _add_data_dir(command)
    _add_out(command)
    command.set_defaults(command=reproduce)

    command = commands.add_parser("table", help="print a table of the paper with our results beside it")
    command.add_argument("name", metavar="NAME", help="2 to 8, or protocol: metrics that need no share of anomalies")
    command.add_argument("--format", choices=("text", "markdown", "csv"), default="text", help="default: %(default)s")
    _add_out(command)
    command.set_defaults(command=table)
    command = commands.add_parser("latency", help="time ALAD beside AnoGAN on one batch: a row of Table IV")
    command.add_argument("dataset", choices=OF_TABLES, metavar="DATASET", help=", ".join(OF_TABLES))
    command.add_argument("--rounds", type=_positive, default=5, metavar="N", help="default: %(default)s")
    _add_data_dir(command)
    _add_out(command)
    command.set_defaults(command=latency, interrupted="nothing was written")

    _add_tables(commands)
    _add_fit(commands)
    _add_score(commands)

    command = commands.add_parser("inspect", help="say what a model folder holds, and check its files")
    command.add_argument("model", type=Path, metavar="DIR", help="model folder")
    command.set_defaults(command=inspect)
    _add_export(commands)
    return parser


def _add_tables(commands: Any) -> None:
    command = commands.add_parser(
        "tables",
        help="make the runs that the tables lack, within a time, then print and write all tables and figures",
        epilog=TABLES_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "--budget", type=_above_zero, metavar="HOURS", help="time for runs that are missing (default: none is made)"
    )
    command.add_argument("--runs", type=_positive, metavar="N", help="runs of a method (default: the paper's)")
    command.add_argument(
        "--datasets",
        type=_datasets,
        default=OF_TABLES,
        metavar="NAME,...",
        help=f"whose runs are made: {', '.join(OF_TABLES)} (default: all)",
    )
    _add_jobs(command)
    _add_data_dir(command)
    _add_out(command)
    command.set_defaults(command=tables)


def _add_fit(commands: Any) -> None:
    command = commands.add_parser(
        "fit",
        help="train on a file of your own rows and write a model folder",
        epilog=FIT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=fit, interrupted="no model was written")
    command.add_argument("data", type=Path, metavar="DATA", help=f"training rows: {FILES}")
    command.add_argument("--model", type=Path, required=True, metavar="DIR", help="folder to write, new")
    command.add_argument("--overwrite", action="store_true", help="replace a model that is there")

    columns = command.add_argument_group("columns")
    columns.add_argument("--drop", nargs="+", action="extend", default=[], metavar="COL", help="columns to leave out")
    columns.add_argument(
        "--categorical", nargs="+", action="extend", default=[], metavar="COL", help="to encode one-hot"
    )
    columns.add_argument("--numeric", nargs="+", action="extend", default=[], metavar="COL", help="to take as numbers")
    columns.add_argument(
        "--impute", action="store_true", help="allow missing cells: numbers by the median (default: refused)"
    )
    columns.add_argument(
        "--scaling",
        choices=("standard", "minmax", "none"),
        default="standard",
        help="of numeric columns (default: %(default)s)",
    )
    _add_label(columns, "train on normal rows only and leave the column out")
    columns.add_argument("--test", type=Path, metavar="FILE", help="rows with the label column, for AUROC and the like")

    training = command.add_argument_group("training")
    training.add_argument(
        "--architecture",
        choices=TABULAR,
        metavar="NAME",
        help=f"{', '.join(TABULAR)} (default: KDD99's for these columns)",
    )
    training.add_argument("--epochs", type=_positive, metavar="N", help="passes over the rows (default: the table's)")
    training.add_argument("--batch-size", type=_positive, metavar="N", help="rows of a step (default: the table's)")
    training.add_argument("--learning-rate", type=_above_zero, metavar="R", help="of Adam (default: the table's)")
    training.add_argument("--seed", type=_seed, metavar="S", help="default: drawn, and kept with the model")
    training.add_argument("--spectral-norm", choices=("paper", "tfa"), default="paper", help="default: %(default)s")
    training.add_argument("--no-spectral-norm", action="store_true", help="leave out spectral normalisation (SN)")
    training.add_argument("--no-dzz", action="store_true", help="leave out the latent discriminator Dzz (DL)")
    training.add_argument(
        "--validation",
        type=_share,
        default=0.1,
        metavar="FRACTION",
        help="of the rows, held out for p-values and --patience (default: %(default)s)",
    )
    training.add_argument("--patience", type=_positive, metavar="N", help="stop after N epochs without a better one")
    training.add_argument("--log-dir", type=Path, metavar="DIR", help="write scalars and histograms for TensorBoard")

    decision = command.add_argument_group("scores and threshold")
    decision.add_argument("--score", choices=SCORES, default="features", help="of Section V-F (default: %(default)s)")
    threshold = decision.add_mutually_exclusive_group()
    threshold.add_argument(
        "--contamination",
        type=_half_at_most,
        metavar="C",
        help="share of the training rows above the threshold (default: 0.1)",
    )
    threshold.add_argument(
        "--false-positive-rate",
        type=_above_zero_share,
        metavar="R",
        help="at most this share of the rows held out is above it",
    )


def _add_score(commands: Any) -> None:
    command = commands.add_parser(
        "score",
        help="score a file of rows with a model folder",
        epilog=SCORE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=score, interrupted="no scores were written")
    command.add_argument("data", type=Path, metavar="DATA", help=f"rows to score: {FILES}")
    command.add_argument("--model", type=Path, required=True, metavar="DIR", help="what `alad fit` wrote")
    command.add_argument("--output", type=Path, required=True, metavar="FILE", help="in .csv or .parquet")
    command.add_argument("--overwrite", action="store_true", help="replace an output that is there")
    command.add_argument("--explain", type=_not_negative, default=0, metavar="K", help="columns to name for each row")
    command.add_argument(
        "--chunk-rows",
        type=_positive,
        default=16384,
        metavar="N",
        help="rows in memory at a time (default: %(default)s)",
    )
    command.add_argument(
        "--engine", choices=("ray",), help="score a folder of .parquet files with what `alad export` wrote, on Ray Data"
    )
    command.add_argument("--workers", type=_positive, metavar="N", help="processes of --engine (default: the cores)")
    command.add_argument("--id", metavar="COL", help="a column to copy in place of row numbers")
    _add_label(command, "print AUROC and the like")


def _add_export(commands: Any) -> None:
    command = commands.add_parser(
        "export",
        help="write the next version of a model for TensorFlow Serving",
        epilog=EXPORT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=export, interrupted="nothing was exported")
    _add_source(command)
    command.add_argument("base", type=Path, metavar="BASE/NAME", help="where the versions of the model NAME are")
    command.add_argument("--version", type=_positive, metavar="N", help="a new number (default: the next one)")

    command = commands.add_parser("serve-config", help="write tensorflow_model_server's files for exported models")
    command.set_defaults(command=serve_config, interrupted="files may be missing")
    command.add_argument("base", type=Path, metavar="BASE", help="the folder of the models that `alad export` wrote")
    command.add_argument("output", type=Path, metavar="DIR", help="where the files go")
    command.add_argument("--served-from", metavar="PATH", help="BASE as the server sees it (default: the same path)")
    command.add_argument(
        "--max-batch", type=_positive, default=1024, metavar="N", help="rows of merged requests (default: %(default)s)"
    )
    command.add_argument(
        "--threads", type=_positive, default=4, metavar="N", help="batches at a time (default: %(default)s)"
    )

    command = commands.add_parser("convert", help="write a model's scorer for ONNX or TensorFlow Lite")
    command.set_defaults(command=convert, interrupted="nothing was written")
    _add_source(command)
    command.add_argument("output", type=Path, metavar="FILE", help="in .onnx (the extra `onnx`) or .tflite")


def _add_source(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", type=Path, metavar="MODEL_OR_RUN", help="what `alad fit` or a run wrote")
    command.add_argument("--score", choices=SCORES, help="of a run (default: features); a model has its own")
    threshold = command.add_mutually_exclusive_group()
    threshold.add_argument("--threshold", type=float, metavar="A", help="rows of a larger score are anomalies")
    threshold.add_argument(
        "--contamination",
        type=_half_at_most,
        metavar="C",
        help="share above the threshold: of a model's training rows, of a run's test rows (default: the model's own "
        "threshold; the protocol's share)",
    )


def _add_label(parser: Any, help_text: str) -> None:
    parser.add_argument("--label", metavar="COL", help=f"column that says what a row is: {help_text}")
    parser.add_argument("--normal", nargs="+", metavar="VALUE", help="its values of normal rows")


def _add_data_dir(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="where the raw data are (default: $ALAD_DATA_DIR, data/, ../shared/data, the cache)",
    )


def _add_out(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--out", type=Path, default=default_out(), metavar="DIR", help="results folder (default: %(default)s)"
    )


def _add_jobs(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--jobs", type=_positive, metavar="N", help="processes of one thread each (default: the cores)"
    )


def _datasets(text: str) -> list[str]:
    names = text.split(",")
    if not set(names) <= set(OF_TABLES):
        raise argparse.ArgumentTypeError(f"expected names from {', '.join(OF_TABLES)}, received {text!r}")
    return [name for name in OF_TABLES if name in names]


def _classes(text: str) -> list[int]:
    if text == "all":
        return list(range(CLASSES))
    numbers = text.split(",")
    if not all(number.isdigit() and int(number) < CLASSES for number in numbers):
        raise argparse.ArgumentTypeError(f"expected classes from 0 to {CLASSES - 1} or all, received {text!r}")
    return sorted({int(number) for number in numbers})


def _positive(text: str) -> int:
    return _whole_number(text, smallest=1)


def _not_negative(text: str) -> int:
    return _whole_number(text, smallest=0)


def _seed(text: str) -> int:
    seed = _not_negative(text)
    if seed >= 2**32:
        raise argparse.ArgumentTypeError(f"expected a whole number below 2**32, received {text!r}")
    return seed


def _above_zero(text: str) -> float:
    return _number(text, lambda number: 0.0 < number < float("inf"), "a number above 0")


def _share(text: str) -> float:
    return _number(text, lambda share: 0.0 <= share < 1.0, "a share of at least 0 and below 1")


def _above_zero_share(text: str) -> float:
    return _number(text, lambda share: 0.0 < share < 1.0, "a share above 0 and below 1")


def _half_at_most(text: str) -> float:
    return _number(text, lambda share: 0.0 < share <= 0.5, "a share above 0 and at most 0.5")


def _number(text: str, fits: Callable[[float], bool], wanted: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not fits(number):
        raise argparse.ArgumentTypeError(f"expected {wanted}, received {text!r}")
    return number


def _whole_number(text: str, smallest: int) -> int:
    if not text.isdigit() or int(text) < smallest:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least {smallest}, received {text!r}")
    return int(text)
