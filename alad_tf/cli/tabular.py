"""Your own data: `alad fit`, `score` and `inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alad_tf.cli.arguments import (
    ABOVE_ZERO,
    ABOVE_ZERO_SHARE,
    FILES,
    HALF_AT_MOST,
    NOT_NEGATIVE,
    PATH,
    POSITIVE,
    SEED,
    SHARE,
    TABULAR,
    UNCHANGED,
    Command,
    Decorated,
    argument,
    components,
    flag,
    is_given,
    labels,
    one_of,
    option,
)
from alad_tf.cli.terminal import say, tell
from alad_tf.errors import SettingsError
from alad_tf.options import ROW_SCORES, SCALING_NAMES
from alad_tf.typing import Options

if TYPE_CHECKING:
    from alad_tf.tabular.dialects import Dialect
    from alad_tf.tabular.fit import Preparation
    from alad_tf.tabular.labels import Labels

COLUMNS = "Columns"
READING = "Reading the file"
FOUND = "detected"
TRAINING = "Training"
DECISION = "Scores and threshold"


def columns(function: Decorated) -> Decorated:
    """Add the options that select and preprocess columns."""
    for add in (
        option(
            "--scaling",
            one_of(SCALING_NAMES),
            "|".join(SCALING_NAMES),
            "scaling of numeric columns",
            default="standard",
            show_default=True,
            group=COLUMNS,
        ),
        flag("--impute", "fill missing cells (numbers by the median); otherwise they are an error", group=COLUMNS),
        option("--numeric", click.STRING, "COL ...", "columns to read as numbers", multiple=True, group=COLUMNS),
        option("--categorical", click.STRING, "COL ...", "columns to encode one-hot", multiple=True, group=COLUMNS),
        option("--drop", click.STRING, "COL ...", "columns to leave out", multiple=True, group=COLUMNS),
    ):
        function = add(function)
    return function


def reading(function: Decorated) -> Decorated:
    """Add the options for reading a file."""
    for add in (
        option("--sheet", click.STRING, "NAME", "sheet of an Excel file", show_default="the first", group=READING),
        flag("--no-header", "the first row is data; columns are named x0, x1, ...", group=READING),
        option(
            "--encoding",
            click.STRING,
            "NAME",
            "text encoding, such as utf-8 or latin-1",
            show_default=FOUND,
            group=READING,
        ),
        option("--decimal", one_of((".", ",")), ".|,", "decimal mark", show_default=FOUND, group=READING),
        option("--sep", click.STRING, "CHAR", "separator; write tab for a tab", show_default=FOUND, group=READING),
    ):
        function = add(function)
    return function


@click.command(
    cls=Command,
    interrupted="no model was written; run the same command again to continue the training",
    exclusive=[("contamination", "false_positive_rate"), ("spectral_norm", "no_spectral_norm")],
    examples="""
alad fit train.csv --model model
alad fit train.csv --model model --drop id --categorical country --impute
alad fit export.csv --model model --sep ';' --decimal , --encoding latin-1
alad fit book.xlsx --model model --sheet 2026 --no-header
alad fit all.parquet --model model --label kind --normal benign --test test.parquet
alad fit train.csv --model model --epochs 20 --validation 0.2 --false-positive-rate 0.01 --seed 0
""",
)
@argument("data", PATH, "DATA", f"training rows: {FILES}")
@option("--model", PATH, "DIR", "new folder for the model", required=True)
@flag("--overwrite", "replace an existing model")
@columns
@reading
@labels("train on the normal rows, without this column", group=COLUMNS)
@option("--test", PATH, "FILE", "labelled rows for AUROC and other metrics", group=COLUMNS)
@option(
    "--architecture",
    one_of(TABULAR),
    "NAME",
    ", ".join(TABULAR),
    show_default="kdd99, adapted to the number of features",
    group=TRAINING,
)
@option("--epochs", POSITIVE, "N", "passes over the rows", show_default="the architecture's", group=TRAINING)
@option("--batch-size", POSITIVE, "N", "rows per step", show_default="the architecture's", group=TRAINING)
@option("--learning-rate", ABOVE_ZERO, "R", "learning rate of Adam", show_default="the architecture's", group=TRAINING)
@option("--seed", SEED, "S", "random seed", show_default="drawn and stored with the model", group=TRAINING)
@components(TRAINING)
@option(
    "--validation",
    SHARE,
    "FRACTION",
    "fraction of the rows held out for p-values and --patience",
    default=0.1,
    show_default=True,
    group=TRAINING,
)
@option(
    "--patience",
    POSITIVE,
    "N",
    "stop after N epochs without a smaller error on the held-out rows",
    show_default="train for all epochs",
    group=TRAINING,
)
@option("--log-dir", PATH, "DIR", "write scalars and histograms for TensorBoard", group=TRAINING)
@option(
    "--score",
    one_of(ROW_SCORES),
    "|".join(ROW_SCORES),
    "distance to the nearest training rows, or a score of Section V-F of the paper",
    default="neighbours",
    show_default=True,
    group=DECISION,
)
@option(
    "--contamination",
    HALF_AT_MOST,
    "C",
    "fraction of the training rows above the threshold",
    show_default="0.1",
    group=DECISION,
)
@option(
    "--false-positive-rate",
    ABOVE_ZERO_SHARE,
    "R",
    "set the threshold so that at most this fraction of the held-out rows is above it",
    group=DECISION,
)
def fit(data: Path, model: Path, **given: Any) -> None:
    """Train on a file of rows and write a model folder.

    Trains on all rows, or with --label on the normal ones. Columns of numbers are numeric, dates become calendar
    features, and all other columns are categorical. After an interruption, the same command continues from the
    checkpoint in DIR.training.
    """
    from alad_tf.tabular.fit import fit_file
    from alad_tf.tabular.standard_input import local

    names = ("architecture", "epochs", "batch_size", "learning_rate", "patience", "log_dir", "contamination")
    options = {name: given[name] for name in names if given[name] is not None}
    options["score_name"] = given["score"]
    if given["seed"] is not None:
        options["random_state"] = given["seed"]
    options["spectral_norm"] = None if given["no_spectral_norm"] else given["spectral_norm"] or "paper"
    options["latent_discriminator"] = not given["no_dzz"]
    with local(data) as path:
        report = fit_file(
            path,
            model,
            preparation=preparation_of(given),
            dialect=dialect_of(given),
            test=given["test"],
            validation=given["validation"],
            false_positive_rate=given["false_positive_rate"],
            options=options,
            overwrite=given["overwrite"],
        )
    say(report)


@click.command(
    cls=Command,
    interrupted="no scores were written",
    examples="""
alad score new.csv --model model --output scored.csv
alad score new.parquet --model model --output scored.parquet --explain 5
alad score new.csv --model model --output worst.csv --top 100 --explain 3
zcat new.csv.gz | alad score - --model model --output - > scored.csv
alad score new.csv --model model --output scored.csv --id customer --label kind --normal benign
alad score folder --engine ray --model served/fraud --output scores
""",
)
@argument("data", PATH, "DATA", f"rows to score: {FILES}")
@option("--model", PATH, "DIR", "folder that `alad fit` wrote", required=True)
@option("--output", PATH, "FILE", "new .csv, .parquet or .feather file; - for standard output", required=True)
@flag("--overwrite", "replace an existing output")
@flag("--scores-only", "write the scores without the columns of DATA")
@option("--top", POSITIVE, "K", "write only the K rows with the largest scores, largest first")
@flag("--sort", "write the largest scores first; holds all rows in memory")
@option(
    "--explain",
    NOT_NEGATIVE,
    "K",
    "name the K columns that differ most from the expected values",
    default=0,
    show_default=True,
)
@option("--chunk-rows", POSITIVE, "N", "rows in memory at a time", default=16384, show_default=True)
@option(
    "--engine",
    one_of(("ray",)),
    "ray",
    "score a folder of .parquet files with Ray Data and a model written by `alad export`",
)
@option("--workers", POSITIVE, "N", "processes for --engine", show_default="the number of cores")
@option("--id", click.STRING, "COL", "first column of the output, instead of row numbers")
@flag("--raw-text", "write text to .csv unchanged; by default text like =1+1 gets an apostrophe, for spreadsheets")
@reading
@labels("print AUROC and other metrics")
def score(data: Path, model: Path, output: Path, **given: Any) -> None:
    """Score a file of rows with a model folder.

    Columns are matched by name, in any order. The output has the columns row (from 1) or --id, all columns of DATA,
    score (larger is more anomalous), p_value, is_anomaly, is_valid (False for a row with a missing or infinite cell or
    a number beyond float32, which has no score) and reason, and unseen (columns whose category training did not have);
    with --explain also the columns that contribute most, each with its value, the value the model expects, contribution
    and share.
    """
    if given["engine"] is not None:
        _score_folder(data, model, output, given)
        return
    if given["workers"] is not None:
        raise SettingsError("Expected --workers only with --engine. Received: --workers alone.")
    from alad_tf.tabular.score import score_file
    from alad_tf.tabular.standard_input import local

    with local(data) as path:
        report = score_file(
            path,
            model,
            output,
            explain=given["explain"],
            chunk_rows=given["chunk_rows"],
            id_column=given["id"],
            labels=labels_of(given["label"], given["normal"]),
            dialect=dialect_of(given),
            scores_only=given["scores_only"],
            top=given["top"],
            sort=given["sort"],
            overwrite=given["overwrite"],
            raw_text=given["raw_text"],
        )
    (tell if str(output) == "-" else say)(report)


def _score_folder(data: Path, model: Path, output: Path, given: Options) -> None:
    from alad_tf.serving import ray_data

    context = click.get_current_context()
    named = [f"--{name.replace('_', '-')}" for name in given if is_given(context, name)]
    named = [name for name in named if name not in ("--engine", "--workers")]
    if named:
        raise SettingsError(f"Expected --engine with --model, --output and --workers. Received: {', '.join(named)}.")
    say(ray_data.score_folder(data, model, output, workers=given["workers"]))


@click.command(
    cls=Command,
    interrupted=UNCHANGED,
    examples="""
alad inspect model
""",
)
@argument("model", PATH, "DIR", "folder that `alad fit` wrote")
def inspect(model: Path) -> None:
    """Describe a model folder and verify its files."""
    from alad_tf.tabular.model import inspect_model

    say(inspect_model(model))


def preparation_of(given: Options) -> Preparation:
    """Return the preparation of columns that the call specifies."""
    from alad_tf.tabular.fit import Preparation

    return Preparation(
        drop=list(given["drop"]),
        categorical=list(given["categorical"]),
        numeric=list(given["numeric"]),
        scaling=given["scaling"],
        impute=given["impute"],
        labels=labels_of(given["label"], given["normal"]),
    )


def labels_of(column: str | None, normal: tuple[str, ...]) -> Labels | None:
    """Return the label column and its normal values, or None if the call has neither."""
    from alad_tf.tabular.labels import Labels

    if (column is None) != (not normal):
        given = "--normal" if normal else "--label"
        raise SettingsError(f"Expected both --label COL and --normal VALUE. Received: {given} alone.")
    return None if column is None else Labels(column, normal)


def dialect_of(given: Options) -> Dialect:
    """Return the dialect that the call specifies."""
    from alad_tf.tabular.dialects import Dialect

    header = False if given["no_header"] else None
    return Dialect(given["sep"], given["decimal"], given["encoding"], header, given["sheet"])


FAMILY = (fit, score, inspect)
