"""Models for other programs: `alad export`, `serve-config` and `convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from alad_tf.cli.arguments import (
    ANY_NUMBER,
    HALF_AT_MOST,
    PATH,
    POSITIVE,
    Command,
    Decorated,
    argument,
    flag,
    one_of,
    option,
    whole,
)
from alad_tf.cli.terminal import say
from alad_tf.options import SCORES

if TYPE_CHECKING:
    from alad_tf.serving.sources import Source

EXCLUSIVE = [("threshold", "contamination")]


def _source(function: Decorated) -> Decorated:
    """Add the arguments that name the model and set its threshold."""
    for add in (
        option(
            "--contamination",
            HALF_AT_MOST,
            "C",
            "fraction above the threshold of a model's training rows, or of a run's test rows",
            show_default="the model's own threshold; the protocol's fraction for a run",
        ),
        option("--threshold", ANY_NUMBER, "A", "flag rows with a larger score"),
        option(
            "--score", one_of(SCORES), "|".join(SCORES), "score of a run (a model has its own)", show_default="features"
        ),
        argument(
            "source", PATH, "MODEL_OR_RUN", "folder written by `alad fit`, or folder of a run of `alad reproduce`"
        ),
    ):
        function = add(function)
    return function


@click.command(
    cls=Command,
    interrupted="nothing was exported",
    exclusive=EXCLUSIVE,
    examples="""
alad export model served/fraud
alad export results/kdd99/ALAD/seed0 served/kdd99 --contamination 0.2
tensorflow_model_server --model_name=fraud --model_base_path=$PWD/served/fraud --rest_api_port=8501
""",
)
@_source
@argument("base", PATH, "BASE/NAME", "folder with the versions of the model NAME")
@option("--version", whole(1, 2**63 - 1), "N", "version number, not used before", show_default="the next one")
def export(
    source: Path,
    base: Path,
    version: int | None,
    threshold: float | None,
    contamination: float | None,
    score: str | None,
) -> None:
    """Export the next version of a model for TensorFlow Serving.

    Writes BASE/NAME/VERSION, which appears when it is complete and has been checked to give the scores of this package.
    See docs/deploy.md.
    """
    from alad_tf.serving.export import export as write

    loaded = _loaded(source, threshold, contamination, score)
    written = write(loaded, base, version=version)
    say(f"{_threshold(loaded)}\nexported: {written}")


@click.command(
    "serve-config",
    cls=Command,
    interrupted="files may be missing",
    examples="""
alad serve-config served config
alad serve-config served config --served-from /models --max-batch 4096
""",
)
@argument("base", PATH, "BASE", "folder with the models written by `alad export`")
@argument("output", PATH, "DIR", "folder for the configuration files")
@option("--served-from", click.STRING, "PATH", "path of BASE on the server", show_default="the same path")
@option("--max-batch", POSITIVE, "N", "maximum number of rows in a merged batch", default=1024, show_default=True)
@option("--threads", POSITIVE, "N", "batches processed at a time", default=4, show_default=True)
@flag("--overwrite", "replace files with other content")
def serve_config(
    base: Path, output: Path, served_from: str | None, max_batch: int, threads: int, overwrite: bool
) -> None:
    """Write configuration files of tensorflow_model_server for exported models."""
    from alad_tf.serving import server_config

    say(
        server_config.write(
            base, output, served_from=served_from, max_batch=max_batch, threads=threads, overwrite=overwrite
        )
    )


@click.command(
    cls=Command,
    interrupted="nothing was written",
    exclusive=EXCLUSIVE,
    examples="""
alad convert model model.onnx
alad convert results/kdd99/ALAD/seed0 kdd99.tflite --score l1
""",
)
@_source
@argument("output", PATH, "FILE", "new file in .onnx (needs the extra `onnx`) or .tflite")
@flag("--overwrite", "replace an existing file")
def convert(
    source: Path,
    output: Path,
    overwrite: bool,
    threshold: float | None,
    contamination: float | None,
    score: str | None,
) -> None:
    """Convert a model to ONNX or TensorFlow Lite."""
    from alad_tf.io import outputs
    from alad_tf.serving.convert import convert as write

    with outputs.claimed(output, overwrite, source):
        loaded = _loaded(source, threshold, contamination, score)
        write(loaded.detector, output)
    say(f"{_threshold(loaded)}\nconverted: {output}")


def _loaded(source: Path, threshold: float | None, contamination: float | None, score: str | None) -> Source:
    from alad_tf.serving import sources

    return sources.load(source, threshold=threshold, contamination=contamination, score=score)


def _threshold(source: Source) -> str:
    """Describe the threshold of a model and its origin."""
    from alad_tf.estimator import thresholds

    return f"threshold {source.detector.threshold:.6g} ({thresholds.described(source.rule)})"


FAMILY = (export, serve_config, convert)
