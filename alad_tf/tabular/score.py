"""`alad score`: write the rows of a file together with their scores."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa

from alad_tf.columns.schema import Kind, require
from alad_tf.errors import DataError, SettingsError, quoted
from alad_tf.io import outputs
from alad_tf.tabular import readers, writers
from alad_tf.tabular.dialects import ANY, Dialect
from alad_tf.tabular.formats import Advance
from alad_tf.tabular.labels import LabelledScores, Labels
from alad_tf.tabular.model import CHUNK_ROWS, Model, bar, require_columns, trained_on
from alad_tf.tabular.scored_table import Layout, ordered

logger = logging.getLogger(__name__)


def score_file(
    path: Path,
    folder: Path,
    output: Path,
    *,
    explain: int = 0,
    chunk_rows: int = CHUNK_ROWS,
    id_column: str | None = None,
    labels: Labels | None = None,
    dialect: Dialect = ANY,
    scores_only: bool = False,
    top: int | None = None,
    sort: bool = False,
    overwrite: bool = False,
    raw_text: bool = False,
) -> str:
    """Score the rows of a file in chunks and write them to an output file atomically.

    Args:
        path: file of rows in one of `formats.FORMATS`; columns are matched by name.
        folder: the model folder.
        output: file with a suffix in `writers.OUTPUTS`, or `writers.STANDARD_OUTPUT`. Its columns are row (numbered
            from 1) or the id column, the columns of the file, the result of `Model.scored`, and the reason for rows
            without a score.
        explain: number of columns to name for each row.
        chunk_rows: rows in memory at a time.
        id_column: first column of the output, instead of row numbers.
        labels: label column, for metrics.
        dialect: how the file is read; missing values are those of the training file if they fit, or else detected.
        scores_only: leave out the columns of the file.
        top: write only this many rows with the largest scores, largest first.
        sort: write the largest scores first, with all rows in memory.
        overwrite: replace an existing output.
        raw_text: write text to .csv unchanged, without the apostrophes of `spreadsheets.neutral_column`.

    Returns:
        A report of a few lines.

    Raises:
        AladError: invalid options, file or folder; no output is written.
    """
    with _claimed(output, path, folder, overwrite):
        columns, usual = trained_on(folder)
        dialect = readers.settled(path, dialect, usual, columns.sources)
        present = readers.columns(path, dialect)
        beside = [name for name in (id_column, labels.column if labels else None) if name is not None]
        require(present, beside, "--id, --label")
        require_columns(path, columns, present)
        model = Model.load(folder)
        if explain > len(columns.names):
            raise SettingsError(f"Expected up to {len(columns.names)} columns to explain by. Received: {explain}.")
        _say_unknown_columns(model, present, beside)
        kept = [] if scores_only else [name for name in present if name != id_column]
        as_text = writers.format_of(output) == ".csv"
        layout = Layout(kept, id_column, as_text, columns.kinds())
        scoring = _Scoring(model, layout, labels, explain, commas=as_text and dialect.decimal == ",")
        with bar("scoring") as advance:
            tables = ordered(scoring.tables(path, dialect, chunk_rows, advance), layout.score, top, sort)
            _write(tables, path, output, writers.Style.of(dialect, raw_text))
        return "\n".join([*scoring.lines(), *([] if output == writers.STANDARD_OUTPUT else [f"scores: {output}"])])


def _write(tables: Iterator[pa.Table], path: Path, output: Path, style: writers.Style) -> None:
    """Write scored rows. Raises DataError if there are none."""
    with writers.reported(output):
        first = next(tables, None)
    if first is None:
        raise DataError(f"Expected rows to score in {path}. Received: none.")
    with writers.writing(output, first.schema, style) as write:
        write(first)
        for table in tables:
            write(table)


class _Scoring:
    """Scores the rows of a file and collects counts for the report."""

    def __init__(self, model: Model, layout: Layout, labels: Labels | None, explain: int, commas: bool) -> None:
        self._model, self._layout, self._labels, self._explain = model, layout, labels, explain
        self._commas = commas  # in explanations
        self._counts = _Counts()
        self._labelled = LabelledScores(labels) if labels else None

    def tables(self, path: Path, dialect: Dialect, rows: int, advance: Advance) -> Iterator[pa.Table]:
        """Yield the rows of the output in chunks."""
        kinds: dict[str, Kind] = {self._labels.column: "text"} if self._labels else {}
        kinds.update(self._model.columns.kinds())
        source = self._layout.source
        schema = None
        for table, frame in readers.tables(path, rows, only=source, kinds=kinds, advance=advance, dialect=dialect):
            scored, unknown = self._model.scored(frame, self._explain)
            if self._commas:
                scored = _with_decimal_commas(scored, self._model.columns.numeric, self._explain)
            self._counts.add(scored, unknown)
            if self._labelled:
                self._labelled.add(frame, scored)
            invalid = ~scored["is_valid"].to_numpy()
            reasons = self._model.columns.reasons(frame[invalid]) if invalid.any() else []
            joined = self._layout.joined(table, frame, scored, reasons)
            schema = schema or joined.schema
            yield joined.cast(schema)

    def lines(self) -> list[str]:
        """Lines of the report on all rows."""
        first, *others = self._counts.lines(self._model)
        metrics = [self._labelled.described()] if self._labelled else []
        return [first, *metrics, *others]


def _with_decimal_commas(scored: pd.DataFrame, numeric: Sequence[str], explain: int) -> pd.DataFrame:
    """Write the numbers of explanations as the numbers of the file are written."""
    texts = {}
    for k in range(1, explain + 1):
        of_number = scored[f"feature_{k}"].isin(numeric)
        for name in (f"value_{k}", f"expected_{k}"):
            texts[name] = scored[name].mask(of_number, scored[name].str.replace(".", ",", regex=False))
    return scored.assign(**texts)


def _say_unknown_columns(model: Model, present: list[str], beside: list[str]) -> None:
    """Warn about columns of a file that were not in the training file."""
    label = model.data["label"]
    left_out = [*model.data["dropped"], *(column.name for column in model.columns.dates)]
    known = {*model.columns.sources, *beside, *left_out, *([label["column"]] if label else [])}
    unknown = [name for name in present if name not in known]
    if unknown:
        names = ", ".join(unknown[:8])
        logger.warning("%d columns that the model does not know are ignored: %s", len(unknown), names)


def _claimed(output: Path, path: Path, folder: Path, overwrite: bool) -> AbstractContextManager[None]:
    """Check the format of the output, and `outputs.claimed`."""
    writers.format_of(output)
    return nullcontext() if output == writers.STANDARD_OUTPUT else outputs.claimed(output, overwrite, path, folder)


@dataclass
class _Counts:
    """Counts over the rows of a file: rows above the threshold, invalid rows, cells of unseen categories."""

    rows: int = 0
    anomalies: int = 0
    invalid: int = 0
    unknown: dict[str, int] = field(default_factory=dict)

    def add(self, scored: pd.DataFrame, unknown: dict[str, int]) -> None:
        self.rows += len(scored)
        self.anomalies += int((scored["is_anomaly"] & scored["is_valid"]).sum())
        self.invalid += int((~scored["is_valid"]).sum())
        for name, count in unknown.items():
            self.unknown[name] = self.unknown.get(name, 0) + count

    def lines(self, model: Model) -> list[str]:
        share = self.anomalies / self.rows
        lines = [f"{self.rows} rows, {self.anomalies} anomalies ({share:.2%}) above {model.estimator.threshold_:.6g}"]
        if self.invalid:
            have = "row has" if self.invalid == 1 else "rows have"
            lines.append(f"{self.invalid} {have} no score (is_valid is False); the column reason says why")
        for name, count in self.unknown.items():
            lines.append(f"{count} cells of column {quoted(name)} hold categories that were not seen in training")
        return lines
