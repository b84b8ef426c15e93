"""`alad score`: score the rows of a file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from alad_tf.errors import DataError, SettingsError
from alad_tf.io import atomic, model_folder
from alad_tf.tabular import readers, spreadsheets
from alad_tf.tabular.labels import Labels, describe_metrics
from alad_tf.tabular.model import CHUNK_ROWS, Model, bar, read_chunks
from alad_tf.tabular.schema import as_text, require

logger = logging.getLogger(__name__)

OUTPUTS = (".csv", ".parquet")


def score_file(
    path: Path,
    folder: Path,
    output: Path,
    *,
    explain: int = 0,
    chunk_rows: int = CHUNK_ROWS,
    id_column: str | None = None,
    labels: Labels | None = None,
    overwrite: bool = False,
    raw_text: bool = False,
) -> str:
    """Score the rows of a file, a chunk at a time, and write them to a file that appears once it is complete.

    Args:
        path: the rows, in one of `formats.FORMATS`; columns are matched by name, others ignored.
        folder: the model folder.
        output: a name in .csv or .parquet: row (numbered from 1) or the id column, then what `Model.scored` returns.
        explain: columns to name for each row.
        chunk_rows: rows in memory at a time.
        id_column: a column to copy instead of row numbers.
        labels: of rows whose kind is known, for metrics.
        overwrite: replace an output that is there.
        raw_text: write text to .csv as it is; otherwise what a spreadsheet would run as a formula gets an apostrophe.

    Returns:
        A report of a few lines.

    Raises:
        AladError: wrong options, a file or a folder that cannot be used; nothing is then under the output's name.
    """
    _require_output(output, path, folder, overwrite)
    beside = [name for name in (id_column, labels.column if labels else None) if name]
    present = _require_columns(path, beside, id_column, explain)
    model = Model.load(folder)
    if explain > len(model.columns.names):
        most = len(model.columns.names)
        raise SettingsError(f"Expected at most the {most} columns to explain by. Received: {explain}.")
    ignored = _unknown_columns(model, present, beside)
    if ignored:
        names = ", ".join(ignored[:8])
        logger.warning("%d columns that the model does not know are ignored: %s", len(ignored), names)
    counts, found, kept = _Counts(), [], []
    with ExitStack() as stack:
        advance = stack.enter_context(bar("scoring"))
        write = stack.enter_context(_writer(output, _schema(id_column, explain), raw_text))
        for frame in read_chunks(path, model.columns, beside, chunk_rows, advance):
            scored, unknown = model.scored(frame, explain)
            counts.add(scored, unknown)
            if labels:
                found.append(labels.is_anomaly(frame))
                kept.append(scored["score"].to_numpy())
            ids = as_text(frame[id_column]) if id_column else frame.index + 1
            scored.insert(0, id_column or "row", ids)
            write(scored)
        if not counts.rows:
            raise DataError(f"Expected rows to score in {path}. Received: none.")
    metrics = [describe_metrics(np.concatenate(found), np.concatenate(kept))] if labels else []
    first, *others = counts.lines(model)
    return "\n".join([first, *metrics, *others, f"scores: {output}"])


def _require_output(output: Path, path: Path, folder: Path, overwrite: bool) -> None:
    """Refuse an output that is no new table, or under whose name something would be lost (SettingsError)."""
    if not output.name.lower().endswith(OUTPUTS):
        raise SettingsError(f"Expected an output in {' or '.join(OUTPUTS)}. Received: {output}.")
    if model_folder.is_model_folder(output.parent) or folder.resolve() in output.resolve().parents:
        raise SettingsError(
            f"Expected an output outside the model folder, where it would damage the model. Received: {output}."
        )
    if output.is_dir() or _is_same(output, path):
        raise SettingsError(f"Expected an output other than the rows to score. Received: {output}.")
    if (output.exists() or output.is_symlink()) and not overwrite:
        raise SettingsError(
            f"Expected a new output. Received: {output}, which is there. Pass --overwrite to replace it."
        )


def _require_columns(path: Path, beside: list[str], id_column: str | None, explain: int) -> list[str]:
    """The columns of the file, which has those that are asked for beside the model's (SettingsError)."""
    if id_column in _schema(None, explain).names[1:]:
        raise SettingsError(f"Expected an --id column under a name of its own. Received: {id_column}, an output's.")
    present = readers.columns(path)
    require(present, beside, "--id, --label")
    return present


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names are of one file, also through symbolic and hard links."""
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))


def _unknown_columns(model: Model, present: list[str], beside: list[str]) -> list[str]:
    """Columns of a file that the model neither uses nor left out when it was trained."""
    label = model.data["label"]
    known = {*model.columns.names, *beside, *model.data["dropped"], *([label["column"]] if label else [])}
    return [name for name in present if name not in known]


@dataclass
class _Counts:
    """Counts over the rows of a file: anomalies, invalid rows, cells of unknown category."""

    rows: int = 0
    anomalies: int = 0
    invalid: int = 0
    unknown: dict[str, int] = field(default_factory=dict)

    def add(self, scored: pd.DataFrame, unknown: dict[str, int]) -> None:
        self.rows += len(scored)
        self.anomalies += int(scored["is_anomaly"].sum())
        self.invalid += int((~scored["is_valid"]).sum())
        for name, count in unknown.items():
            self.unknown[name] = self.unknown.get(name, 0) + count

    def lines(self, model: Model) -> list[str]:
        share = self.anomalies / self.rows
        lines = [f"{self.rows} rows, {self.anomalies} anomalies ({share:.2%}) above {model.estimator.threshold_:.6g}"]
        if self.invalid:
            lines.append(f"{self.invalid} rows with missing or infinite cells: largest score, is_valid False")
        for name, count in self.unknown.items():
            lines.append(f"{count} cells of column {name!r} hold categories that training did not have")
        return lines


def _schema(id_column: str | None, explain: int) -> pa.Schema:
    first = (id_column, pa.string()) if id_column else ("row", pa.int64())
    fixed = [("score", pa.float32()), ("p_value", pa.float64()), ("is_anomaly", pa.bool_()), ("is_valid", pa.bool_())]
    top = [(f"{name}_{k + 1}", kind) for k in range(explain) for name, kind in _EXPLANATION]
    return pa.schema([first, *fixed, *top])


_EXPLANATION = (("feature", pa.string()), ("share", pa.float32()))


@contextmanager
def _writer(output: Path, schema: pa.Schema, raw_text: bool) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Write frames one after the other to a file that gets its name at the end."""
    atomic.remove_leftovers(output.parent, [output.name])
    with atomic.replacing(output) as temporary:
        if output.suffix.lower() == ".parquet":
            with pyarrow.parquet.ParquetWriter(temporary, schema) as writer:
                yield lambda frame: writer.write_table(pa.Table.from_pandas(frame, schema, preserve_index=False))
        else:
            names = schema.names if raw_text else spreadsheets.neutral_names(schema.names)
            with open(temporary, "w", encoding="utf-8", newline="") as file:
                pd.DataFrame(columns=names).to_csv(file, index=False)
                yield lambda frame: (frame if raw_text else spreadsheets.neutral_cells(frame)).to_csv(
                    file, index=False, header=False
                )
