"""`alad report`: an HTML page about a model or a run."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from alad_tf.cli.arguments import FILES, PATH, POSITIVE, Command, argument, flag, labels, option
from alad_tf.cli.tabular import dialect_of, labels_of, reading
from alad_tf.cli.terminal import say
from alad_tf.errors import SettingsError


@click.command(
    cls=Command,
    interrupted="no page was written",
    examples="""
alad report model --output report.html
alad report model new.csv --output report.html
alad report model new.csv --output report.html --label kind --normal benign --id customer
alad report results/kdd99/ALAD/seed0 --output run.html
""",
)
@argument("model", PATH, "MODEL", "folder that `alad fit` wrote, or the folder of a run of `alad reproduce`")
@argument("rows", PATH, "[ROWS]", f"rows to score, or a file that `alad score` wrote: {FILES}", required=False)
@option("--output", PATH, "FILE", "new .html file", required=True)
@flag("--overwrite", "replace an existing page")
@option("--top", POSITIVE, "N", "number of anomalous rows to list", default=25, show_default=True)
@option("--id", click.STRING, "COL", "column that names the rows")
@reading
@labels("add metrics")
def report(model: Path, rows: Path | None, output: Path, **given: Any) -> None:
    """Write an HTML page about a model and the rows it scores.

    The page shows columns, losses, scores with an adjustable threshold, the most anomalous rows with the values that
    the model expects, contributions of columns, drift from the training rows and, with labels, metrics. It is one file
    that loads nothing from the network.
    """
    from alad_tf.experiments import run_page
    from alad_tf.io import atomic, outputs
    from alad_tf.report.page import render
    from alad_tf.tabular.dialects import ANY
    from alad_tf.tabular.report import Rows, model_page
    from alad_tf.tabular.standard_input import STANDARD_INPUT, local

    if output.suffix.lower() not in (".html", ".htm"):
        raise SettingsError(f"Expected an output in .html. Received: {output}.")
    with outputs.claimed(output, given["overwrite"], model, rows):
        labelled, dialect = labels_of(given["label"], given["normal"]), dialect_of(given)
        if run_page.is_run(model):
            if rows is not None or labelled or given["id"] or dialect != ANY:
                raise SettingsError(
                    "Expected only the folder of a run, whose test rows have labels. Received: other arguments too."
                )
            page = run_page.run_page(model, given["top"])
        elif rows is None and (labelled or given["id"] or dialect != ANY):
            raise SettingsError("Expected ROWS with --label, --normal, --id and options for reading. Received: none.")
        else:
            source = "standard input" if rows == STANDARD_INPUT else None
            with nullcontext() if rows is None else local(rows) as path:
                named = None if path is None else Rows(path, labelled, given["id"], given["top"], source, dialect)
                page = model_page(model, named)
        atomic.write_text(output, render(page))
    say(f"report: {output}")


FAMILY = (report,)
