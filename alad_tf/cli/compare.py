"""`alad compare`: comparison of ALAD with other methods on your own data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from alad_tf.cli.arguments import FILES, PATH, SEED, Command, argument, labels, one_of, option
from alad_tf.cli.tabular import COLUMNS, columns, dialect_of, preparation_of, reading
from alad_tf.cli.terminal import say
from alad_tf.options import COMPARABLE, COMPARED


@click.command(
    cls=Command,
    interrupted="finished methods are kept; run the same command again to continue with the others",
    examples="""
alad compare train.csv --label kind --normal benign --test test.csv --output comparison
alad compare train.csv --label kind --normal benign --test test.csv --output comparison --seeds 0 1 2
alad compare train.csv --label kind --normal benign --test test.csv --output comparison --methods ALAD kNN IF
""",
)
@argument("data", PATH, "DATA", f"training rows: {FILES}")
@option("--test", PATH, "FILE", "labelled rows for the evaluation", required=True)
@option(
    "--output",
    PATH,
    "FOLDER",
    "folder for table.txt, .md and .csv, comparison.png, .pdf and .svg, and runs/",
    required=True,
)
@option(
    "--methods",
    one_of(COMPARABLE),
    "NAME ...",
    ", ".join(COMPARABLE),
    multiple=True,
    show_default=" ".join(COMPARED),
)
@option("--seeds", SEED, "S ...", "seeds of methods with random numbers", multiple=True, show_default="0")
@columns
@reading
@labels("train on the normal rows", group=COLUMNS)
def compare(data: Path, test: Path, output: Path, **given: Any) -> None:
    """Compare ALAD with simpler methods on your own rows.

    Trains each method on the normal rows of DATA with the same features, and evaluates it on the labelled test rows:
    AUROC, average precision, precision, recall and F1 with as many flagged rows as there are anomalies, and seconds.
    After an interruption, the same command continues. The time of OC-SVM grows with the square of the number of rows;
    SGD-OC-SVM approximates it.
    """
    from alad_tf.experiments.compare import Rows
    from alad_tf.experiments.compare import compare as compared
    from alad_tf.tabular.standard_input import local

    with local(data) as path:
        rows = Rows.read(path, test, preparation_of(given), dialect_of(given))
    say(compared(rows, given["methods"] or COMPARED, given["seeds"] or (0,), output))


FAMILY = (compare,)
