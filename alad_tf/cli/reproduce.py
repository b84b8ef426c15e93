"""The paper's experiments: `alad show`, `reproduce`, `table`, `tables` and `latency`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import architectures
from alad_tf.cli.arguments import (
    ABOVE_ZERO,
    CLASS_NUMBERS,
    DATASET_NAMES,
    OF_TABLES,
    POSITIVE,
    SEED,
    UNCHANGED,
    Command,
    argument,
    components,
    data_dir,
    flag,
    jobs,
    one_of,
    option,
    out,
)
from alad_tf.cli.terminal import say
from alad_tf.errors import AladError, SettingsError
from alad_tf.experiments.protocol import ABLATIONS, METHODS, PROTOCOLS
from alad_tf.options import BASELINE_NAMES, CLASSES, PRECISIONS, STRATEGIES
from alad_tf.paths import published_results
from alad_tf.typing import Options
from architectures.tabular import KDD99_ROWS, tabular

if TYPE_CHECKING:
    from alad_tf.experiments.baseline_settings import AnySettings
    from architectures.rows import Table

SHOWN = (*architectures.DATASETS, "tabular")
IMAGES = "Image data sets"
OF_BASELINES = f"Baselines ({', '.join(BASELINE_NAMES)})"

logger = logging.getLogger(__name__)


@click.command(
    cls=Command,
    interrupted=UNCHANGED,
    examples="""
alad show kdd99                              print Table XI
alad show kdd99 --method AnoGAN
alad show tabular --features 30 --rows 5000   the networks that `alad fit` builds for a table of this size
""",
)
@argument("dataset", one_of(SHOWN), "DATASET", ", ".join(SHOWN))
@option("--features", POSITIVE, "N", "with tabular: number of features")
@option("--rows", POSITIVE, "N", "with tabular: number of training rows", show_default="KDD99's")
@option(
    "--method",
    one_of(architectures.METHODS),
    "METHOD",
    ", ".join(architectures.METHODS),
    default="ALAD",
    show_default=True,
)
def show(dataset: str, features: int | None, rows: int | None, method: str) -> None:
    """Print an architecture table (networks and hyper-parameters) in the paper's layout."""
    try:
        if dataset == "tabular":
            if not features or method != "ALAD":
                received = f"--method {method}" if features else "none"
                raise ValueError(f"Expected --features N and the method ALAD with tabular. Received: {received}")
            table: Table = tabular(features, n_rows=rows or KDD99_ROWS)
        elif features or rows:
            raise ValueError(f"Expected --features and --rows only with tabular. Received: {dataset}")
        else:
            table = architectures.load(dataset, method)
        say(architectures.render(table))
    except ValueError as error:
        raise SettingsError(str(error)) from error


@click.command(
    cls=Command,
    exclusive=[("patience", "no_early_stopping"), ("spectral_norm", "no_spectral_norm")],
    examples="""
alad reproduce kdd99                         the paper's 10 runs, then the table of results
alad reproduce kdd99 --runs 1 --epochs 1     a quick look
alad reproduce arrhythmia --no-dzz           one row of the ablation
alad reproduce kdd99 --method DAGMM          a baseline
alad reproduce cifar10 --normal-class 0,1    two of the ten tasks of an image data set
""",
)
@argument("dataset", one_of(PROTOCOLS), "DATASET", ", ".join(PROTOCOLS))
@option("--method", one_of(METHODS), "METHOD", ", ".join(METHODS), default="ALAD", show_default=True)
@option("--runs", POSITIVE, "N", "number of runs", show_default="the paper's")
@option("--seed", SEED, "S", "seed of the first run", default=0, show_default=True)
@option("--epochs", POSITIVE, "N", "epochs of each run", show_default="the architecture table's")
@jobs
@components()
@flag("--no-ema", "score with the trained weights instead of their moving average")
@option(
    "--scaling",
    one_of(("minmax", "none")),
    "minmax|none",
    "scaling of the features",
    show_default="none, as in the released code; minmax for baselines except IF and AnoGAN",
)
@option(
    "--training-half",
    one_of(("clean", "released")),
    "clean|released",
    "with arrhythmia: normal rows only, or as in the released code with 34 anomalies",
    default="clean",
    show_default=True,
)
@click.option(
    "--jit/--no-jit",
    default=None,
    help="compile the training step with XLA  [default: yes for ALAD, DAGMM and AnoGAN on kdd99 and arrhythmia, "
    "otherwise no]",
)
@option(
    "--strategy",
    one_of(name for name in STRATEGIES if name),
    "|".join(name for name in STRATEGIES if name),
    "split each batch, one run at a time, without XLA. mirrored: over all GPUs of this machine; multi-worker: over "
    "the processes in TF_CONFIG, each started with this command",
    show_default="one device",
)
@option(
    "--precision",
    one_of(name for name in PRECISIONS if name),
    "|".join(name for name in PRECISIONS if name),
    "number format of convolutions and matrix products, on CPUs without XLA",
    show_default="float32",
)
@option(
    "--dynamics",
    one_of(("paper", "released")),
    "paper|released",
    "training dynamics. released: as in the released code, Adam's powers advance with each network's loss, batch-norm "
    "statistics change only in a network's own update, the gradient flows through u and v; with images: last weights, "
    "one more epoch of patience",
    show_default="released with images, otherwise paper",
)
@option(
    "--normal-class",
    CLASS_NUMBERS,
    "K",
    "the normal class, 0 to 9, several like 0,3,5, or all; each is a task",
    show_default="all",
    group=IMAGES,
)
@option(
    "--patience",
    POSITIVE,
    "N",
    "stop after N epochs without a better validation score",
    show_default="11; with the paper's dynamics 10; DSEBM 25",
    group=IMAGES,
)
@flag("--no-early-stopping", "train for all epochs", group=IMAGES)
@flag("--last-weights", "with DSEBM or --dynamics paper: score with the last weights, not the best", group=IMAGES)
@option(
    "--train-rows",
    POSITIVE,
    "N",
    "train on N rows, drawn at random",
    show_default="all; kdd99: OC-SVM 10000, kNN 20000",
    group=OF_BASELINES,
)
@option(
    "--test-rows",
    POSITIVE,
    "N",
    "score N rows, drawn at random",
    show_default="all; AnoGAN on images: 256",
    group=OF_BASELINES,
)
@data_dir
@out
def reproduce(seed: int, runs: int | None, jobs: int | None, data_dir: Path | None, out: Path, **options: Any) -> None:
    """Train the paper's runs on a data set and compare the results with the paper's.

    Finished runs are kept. Stop with Ctrl-C and run the same command again to resume.
    """
    from alad_tf.experiments import process, scheduler, summary, workers

    settings = _settings(**options)
    seeds = range(seed, seed + (runs or PROTOCOLS[settings.dataset].runs))
    if seeds[-1] >= 2**32:
        raise SettingsError(f"Expected seeds below 2**32. Received: {seeds[-1]} for the last run.")
    worker = workers.this(settings.strategy)
    n_jobs = jobs or (1 if settings.strategy else process.cores())
    classes = None if settings.normal_class is None else options["normal_class"] or list(range(CLASSES))
    scheduler.run_all(settings, seeds, out, jobs=n_jobs, data_dir=data_dir, classes=classes)
    if worker.chief:
        say(summary.sum_up(settings, out))


def _settings(dataset: str, method: str, **given: Any) -> AnySettings:
    """Return the protocol's settings, changed by the options."""
    from alad_tf.experiments.baseline_settings import of_method

    same = ("training_half", "jit", "epochs", "spectral_norm", "patience", "strategy", "precision", "train_rows")
    changes = {name: given[name] for name in (*same, "test_rows") if given[name] is not None}
    if given["scaling"] is not None:
        changes["scaling"] = None if given["scaling"] == "none" else given["scaling"]
    if given["dynamics"] is not None:
        changes["dynamics"] = None if given["dynamics"] == "paper" else given["dynamics"]
    if given["no_spectral_norm"]:
        changes["spectral_norm"] = None
    if given["no_dzz"]:
        changes["latent_discriminator"] = False
    if given["no_ema"]:
        changes["ema_decay"] = None
    if given["normal_class"]:
        changes["normal_class"] = given["normal_class"][0]
    if given["no_early_stopping"]:
        changes["patience"] = None
    if given["last_weights"]:
        changes["weights"] = "last"
    _require_effect(of_method(dataset, method, **{key: changes[key] for key in changes if key == "dynamics"}), given)
    return of_method(dataset, method, **changes)


def _require_effect(usual: AnySettings, given: Options) -> None:
    """Refuse options that would change nothing, and a spectral norm for a method whose name is without one."""
    received = f"Received: {usual.method} on {usual.dataset}."
    if given["no_early_stopping"] and usual.patience is None:
        raise SettingsError(f"Expected --no-early-stopping where training stops early. {received}")
    if given["last_weights"] and usual.weights != "best":
        raise SettingsError(f"Expected --last-weights where otherwise the best weights score. {received}")
    if given["spectral_norm"] and not ABLATIONS.get(usual.base, (True,))[0]:
        raise SettingsError(f"Expected --spectral-norm with a method that has it. {received}")


@click.command(
    cls=Command,
    interrupted=UNCHANGED,
    examples="""
alad table 5                                 Table V from the results so far
alad table protocol                          AUROC and average precision
alad table halves                            Arrhythmia on both training halves
alad table runs                              seeds, commands, versions and dates of all runs
alad table 2 --format csv                    footnotes go to standard error
""",
)
@argument("name", click.STRING, "NAME", "2 to 8, protocol, halves or runs")
@option(
    "--format",
    one_of(("text", "markdown", "csv")),
    "text|markdown|csv",
    "output format",
    default="text",
    show_default=True,
)
@out
def table(name: str, format: str, out: Path) -> None:
    """Print a table of the paper together with our results."""
    from alad_tf.report import comparison

    result = comparison.table(name, out, published_results())
    say(result.render(format), end="" if format == "csv" else "\n")
    if format == "csv":
        logger.info("%s", "\n".join(result.remarks))


@click.command(
    cls=Command,
    examples="""
alad tables                                  from the results so far
alad tables --budget 8                       first do missing runs for eight hours, the cheapest first
alad tables --budget 0.5 --datasets kdd99,arrhythmia --runs 3
""",
)
@option("--budget", ABOVE_ZERO, "HOURS", "time for missing runs", show_default="no runs")
@option("--runs", POSITIVE, "N", "runs of each method", show_default="the paper's")
@option(
    "--datasets",
    DATASET_NAMES,
    "NAME,...",
    f"data sets to run: {', '.join(OF_TABLES)}",
    default=",".join(OF_TABLES),
    show_default="all",
)
@jobs
@data_dir
@out
def tables(
    budget: float | None, runs: int | None, datasets: list[str], jobs: int | None, data_dir: Path | None, out: Path
) -> None:
    """Do missing runs within a time budget, then print and write all tables and figures.

    Writes to OUT/tables/: every table as .txt, .md and .csv, its footnotes as .notes.txt, Figures 3, 4 and 7 to 10 as
    .png, .pdf and .svg. Published results fill cells without runs of your own. Run the same command again to continue.
    """
    from alad_tf.experiments import plan, process
    from alad_tf.report import tables

    failures = plan.carry_out(
        out,
        published_results(),
        datasets=datasets,
        n_runs=runs,
        hours=budget,
        jobs=jobs or process.cores(),
        data_dir=data_dir,
    )
    say(tables.write(out, published_results()))
    if failures:
        raise AladError("; ".join(failures))


@click.command(
    cls=Command,
    interrupted="nothing was written",
    examples="""
alad latency kdd99                           one batch of 50 rows, ALAD and AnoGAN
alad latency cifar10 --rounds 20
""",
)
@argument("dataset", one_of(OF_TABLES), "DATASET", ", ".join(OF_TABLES))
@option("--rounds", POSITIVE, "N", "measurements; the median is reported", default=5, show_default=True)
@data_dir
@out
def latency(dataset: str, rounds: int, data_dir: Path | None, out: Path) -> None:
    """Measure the inference time of ALAD and AnoGAN for one batch on one thread (Table IV)."""
    from alad_tf.experiments.process import THREAD_VARIABLES, environment

    with environment(dict.fromkeys(THREAD_VARIABLES, "1")):
        from alad_tf.experiments import latency as table_iv

        measured = table_iv.measure(dataset, out, data_dir=data_dir, rounds=rounds)
    say(
        "batch {batch}: ALAD {alad_ms:.3g} ms; AnoGAN with one call per step {anogan_ms:.4g} ms ({ratio:.0f} times), "
        "in one call {anogan_one_call_ms:.4g} ms ({ratio_one_call:.0f} times)".format(**measured)
    )


FAMILY = (show, reproduce, table, tables, latency)
