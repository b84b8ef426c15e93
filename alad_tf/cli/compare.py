"""`alad compare`: ALAD beside other methods on your own rows."""

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
    interrupted="finished methods are kept, and the same command goes on with the others",
    examples="""
alad compare train.csv --label kind --normal benign --test test.csv --output comparison
alad compare train.csv --label kind --normal benign --test test.csv --output comparison --seeds 0 1 2
alad compare train.csv --label kind --normal benign --test test.csv --output comparison --methods ALAD kNN IF
""",
)
@argument("data", PATH, "DATA", f"training rows: {FILES}")
@option("--test", PATH, "FILE", "labelled rows to judge the methods by", required=True)
@option("--output", PATH, "FOLDER", "folder for table.txt, .md and .csv, comparison.png and runs/", required=True)
@option(
    "--methods",
    one_of(COMPARABLE),
    "NAME ...",
    ", ".join(COMPARABLE),
    multiple=True,
    show_default=" ".join(COMPARED),
)
@option("--seeds", SEED, "S ...", "of the methods that draw random numbers", multiple=True, show_default="0")
@columns
@reading
@labels("its normal rows are trained on", group=COLUMNS)
def compare(data: Path, test: Path, output: Path, **given: Any) -> None:
    """Compare ALAD with simpler methods on your own rows.

    Trains each method on the normal rows of DATA with the same features, and judges it by the labels of the test rows:
    AUROC, average precision, precision, recall and F1 with as many rows flagged as there are anomalies, and seconds.
    Interrupted, the same command goes on. OC-SVM takes time with the square of the rows; SGD-OC-SVM approximates it.
    """
    from alad_tf.experiments.compare import Rows
    from alad_tf.experiments.compare import compare as compared
    from alad_tf.tabular.standard_input import local

    with local(data) as path:
        rows = Rows.read(path, test, preparation_of(given), dialect_of(given))
    say(compared(rows, given["methods"] or COMPARED, given["seeds"] or (0,), output))


FAMILY = (compare,)
