"""`alad fit`: train a model on the rows of a file."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from alad_tf.columns.coarse import CoarseWarning
from alad_tf.columns.encoder import Encoder, TrainingCells
from alad_tf.columns.schema import Kind, as_text, require
from alad_tf.errors import ConstantFeatureWarning, DataError, SettingsError, quoted
from alad_tf.io import atomic, locks, model_folder, outputs
from alad_tf.tabular import profiles, readers
from alad_tf.tabular.dialects import ANY, Dialect
from alad_tf.tabular.labelled import LabelledRows
from alad_tf.tabular.labels import LabelledScores, Labels, warn_of_unlabelled
from alad_tf.tabular.model import Model, bar
from alad_tf.tabular.summary import describe_fit
from alad_tf.typing import Document, Options

if TYPE_CHECKING:
    from alad_tf.estimator.alad import ALAD
    from alad_tf.estimator.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

VALIDATION = 0.1  # default fraction of the rows held out for p-values


@dataclass(frozen=True)
class Preparation:
    """How the columns of a file are preprocessed; see `preprocessing.column_transformer`."""

    drop: Sequence[str] = ()
    categorical: Sequence[str] = ()
    numeric: Sequence[str] = ()
    scaling: str = "standard"
    impute: bool = False
    labels: Labels | None = None

    def encoder(self, frame: pd.DataFrame) -> tuple[Encoder, pd.DataFrame]:
        """Fit an `Encoder` to the training rows."""
        return Encoder.fit(
            frame, categorical=self.categorical, numeric=self.numeric, scaling=self.scaling, impute=self.impute
        )

    def described(self) -> Document:
        """JSON document of the preparation for the model folder."""
        labels = self.labels
        return {
            "dropped": list(self.drop),
            "label": None if labels is None else {"column": labels.column, "normal": list(labels.normal)},
            "scaling": self.scaling,
        }


def fit_file(
    path: Path,
    folder: Path,
    *,
    preparation: Preparation = Preparation(),
    dialect: Dialect = ANY,
    test: Path | None = None,
    validation: float = VALIDATION,
    false_positive_rate: float | None = None,
    options: Options | None = None,
    overwrite: bool = False,
) -> str:
    """Train on the rows of a file and write a model folder; warnings are logged.

    An interrupted training resumes from its checkpoint (`checkpoint_of`) when it is called again in the same way.

    Args:
        path: the training rows, in one of `formats.FORMATS`.
        folder: new model folder.
        preparation: which columns are used, and how.
        dialect: how the file is read; missing values are detected.
        test: rows with the label column of the preparation, for metrics; nothing is selected by them.
        validation: fraction of the rows held out for p-values and early stopping; 0: none.
        false_positive_rate: set the threshold by the held-out rows, instead of by the contamination in the options.
        options: options of `ALAD`.
        overwrite: replace an existing model folder.

    Returns:
        A report of a few lines.

    Raises:
        AladError: invalid options, file or rows; nothing is written.
    """
    with _claimed(folder, overwrite):
        labels, options = preparation.labels, options or {}
        _require_options(labels, test, validation, false_positive_rate)
        _require_apart(options.get("log_dir"), folder)
        started = time.monotonic()
        dialect = readers.settled(path, dialect)
        frame = normal_rows(path, preparation, dialect)
        encoder, cells = preparation.encoder(frame)
        judge = None if test is None or labels is None else LabelledRows(test, encoder.columns, labels, dialect)
        estimator, held_out = _estimator(preparation, options), validation or None
        checkpoint = _checkpoint(folder)
        with logged_warnings():
            estimator.fit(TrainingCells(encoder, cells), validation=held_out, checkpoint=checkpoint)
        if false_positive_rate is not None:
            estimator.set_threshold(false_positive_rate=false_positive_rate)
        data = {"file": path.name, "rows": len(frame), **preparation.described(), "dialect": dialect.to_document()}
        categories = {name: int(cells[name].nunique()) for name in encoder.columns.categorical}
        data.update(categories=categories, profile=profiles.describe(cells, encoder.columns))
        data["seconds"] = round(time.monotonic() - started, 1)
        model = Model(estimator, data)
        lines = [f"trained on {len(frame)} rows of {path} in {data['seconds']:g} s; seed {estimator.seed_}"]
        lines += describe_fit(model)
        if judge is not None:
            lines.append(_metrics(judge, model))
        model.save(folder)
        checkpoint.remove()
        return "\n".join([*lines, f"model: {folder}"])


def _estimator(preparation: Preparation, options: Options) -> ALAD:
    """An estimator that prepares frames in the same way when it is fitted again."""
    from alad_tf.estimator.alad import ALAD  # imports TensorFlow, after the rows have been checked

    scaling = None if preparation.scaling == "none" else preparation.scaling
    return ALAD(scaling=scaling, impute=preparation.impute, verbose=int(sys.stderr.isatty()), **options)


def _checkpoint(folder: Path) -> Checkpoint:
    from alad_tf.estimator.checkpoint import Checkpoint  # imports TensorFlow, after the rows have been checked

    return Checkpoint(checkpoint_of(folder))


def _require_options(
    labels: Labels | None, test: Path | None, validation: float, false_positive_rate: float | None
) -> None:
    """Refuse options that require others (SettingsError)."""
    if test is not None and labels is None:
        raise SettingsError("Expected --label and --normal with --test. Received: neither.")
    if validation == 0.0 and false_positive_rate is not None:
        raise SettingsError("Expected rows held out (--validation) for a false-positive rate. Received: none.")


def _require_apart(log_dir: Path | str | None, folder: Path) -> None:
    """Refuse logs in the future model folder, which could then not be written (SettingsError)."""
    if log_dir is not None and outputs.is_within(log_dir, folder):
        raise SettingsError(f"Expected --log-dir outside the model's folder {folder}. Received: {log_dir}.")


def checkpoint_of(folder: Path) -> Path:
    """Folder of the training checkpoint, beside the future model folder."""
    return folder.with_name(f"{folder.name}.training")


def _metrics(rows: LabelledRows, model: Model) -> str:
    """Describe the metrics of a model on labelled rows."""
    found = LabelledScores(rows.labels)
    for frame, _ in rows.chunks():
        found.add(frame, model.scored(frame)[0])
    return found.described()


def normal_rows(path: Path, preparation: Preparation, dialect: Dialect) -> pd.DataFrame:
    """Read the rows and the columns to train on: with labels the normal rows, without the column of labels.

    Raises:
        SettingsError: a column that the file does not have.
        DataError: the file cannot be read; with labels, no row is normal.
    """
    labels = preparation.labels
    named = {"--drop": preparation.drop, "--categorical": preparation.categorical, "--numeric": preparation.numeric}
    if labels is not None:
        named["--label"] = (labels.column,)
    present = readers.columns(path, dialect)
    for option, names in named.items():
        require(present, names, option)
    kinds: dict[str, Kind] = dict.fromkeys(preparation.numeric, "number")
    kinds.update(dict.fromkeys(preparation.categorical, "text"))
    kinds.update(dict.fromkeys(named.get("--label", ()), "text"))
    with bar("reading") as advance:
        unread = {*preparation.drop} - {labels.column if labels else None}
        if unread.issuperset(present):
            raise DataError(f"Expected columns to learn from in {path}. Received: none; all are dropped.")
        frame = readers.read(path, without=unread, kinds=kinds, advance=advance, dialect=dialect)
    if labels is not None:
        normal = ~labels.is_anomaly(frame)
        if not normal.any():
            found = ", ".join(map(str, as_text(frame[labels.column]).unique()[:8]))
            raise DataError(
                f"Expected rows with {' or '.join(map(repr, labels.normal))} in column {quoted(labels.column)} of "
                f"{path}. Received: {found}."
            )
        warn_of_unlabelled(int((~labels.is_known(frame)).sum()), path)
        frame = frame[normal].drop(columns=labels.column)
    return frame


@contextmanager
def _claimed(folder: Path, overwrite: bool) -> Iterator[None]:
    """Check that the model folder may be written, and keep other trainings from it where the system has file locks."""
    _require_new_folder(folder, overwrite)
    with locks.claimed(folder):
        _require_new_folder(folder, overwrite)  # another training may have ended just now
        yield


def _require_new_folder(folder: Path, overwrite: bool) -> None:
    """Check, before training, that the model folder may be written and is writable."""
    model_folder.require_replaceable(folder)
    atomic.require_writable(folder.parent)
    if model_folder.is_model_folder(folder) and not overwrite:
        raise SettingsError(
            f"Expected a new folder for the model. Received: {folder}, an existing model. Pass --overwrite."
        )


@contextmanager
def logged_warnings() -> Iterator[None]:
    """Log warnings of training, except those on constant and coarse features, which have been logged by column."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for line in dict.fromkeys(_lines(caught)):
        logger.warning("%s", line)


def _lines(caught: Iterable[warnings.WarningMessage]) -> Iterator[str]:
    for warning in caught:
        told = issubclass(warning.category, (CoarseWarning, ConstantFeatureWarning))  # logged by column before
        if issubclass(warning.category, UserWarning) and not told:
            yield " ".join(str(warning.message).split())
