"""From files to a model and from files to scored rows: what `alad fit`, `alad score` and `alad inspect` do."""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from sklearn.compose import ColumnTransformer
from tqdm import tqdm

from alad_tf import calibration, columns, explanations, files, frames, metrics, model_folder, preprocessing
from alad_tf.columns import Columns
from alad_tf.errors import DataError, SettingsError

OUTPUTS = (".csv", ".parquet")
CHUNK_ROWS = 1 << 14
VALIDATION = 0.1  # share of the rows held out for p-values, unless another is asked for
Say = Callable[[str], None]


@dataclass(frozen=True)
class Labels:
    """A column that says which rows are normal.

    Args:
        column: its name.
        normal: the values of normal rows, as text; rows with any other value are anomalies.
    """

    column: str
    normal: tuple[str, ...]

    def is_anomaly(self, frame: pd.DataFrame) -> np.ndarray:
        """[n] bool."""
        return ~columns.as_text(frame[self.column]).isin(self.normal).to_numpy()


@dataclass(frozen=True)
class Preparation:
    """How the columns of a file become numbers; see `preprocessing.column_transformer`."""

    drop: Sequence[str] = ()
    categorical: Sequence[str] = ()
    numeric: Sequence[str] = ()
    scaling: str = "standard"
    impute: bool = False
    labels: Labels | None = None


@dataclass(frozen=True)
class Model:
    """What a model folder holds: the estimator and the way from a table's columns to its features."""

    estimator: Any
    columns: Columns
    transformer: ColumnTransformer
    data: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read a folder that `fit_file` wrote.

        Raises:
            DataError: it is missing, damaged, or not of `alad fit`.
        """
        documents, _ = model_folder.read(folder)
        _require_documents(documents, folder)
        with _sound(folder):
            _inspected(documents)
        from alad_tf.estimator import ALAD

        model = cls(
            ALAD.load(folder),
            Columns.from_document(documents["columns"]),
            preprocessing.from_document(documents["preprocessing"]),
            documents["data"],
        )
        model._require_one_table(folder)
        return model

    def _require_one_table(self, folder: Path) -> None:
        """The columns, their preprocessing and the networks have to be of one table."""
        features = len(preprocessing.columns_of_features(self.transformer))
        if [*self.transformer.feature_names_in_] != self.columns.names or features != self.estimator.n_features_in_:
            raise DataError(
                f"Expected a model of `alad fit` in {folder}. Received: one whose columns, preprocessing and networks "
                "do not fit together."
            )

    def save(self, folder: Path) -> None:
        """Write the folder, under its name only once it is complete."""
        documents = {
            "columns": self.columns.to_document(),
            "preprocessing": preprocessing.to_document(self.transformer),
            "data": self.data,
        }
        self.estimator.save(folder, documents=documents)

    def features(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
        """Rows of a table as the networks see them.

        Returns:
            (x [v, d] float32 of the valid rows, valid [n] bool, cells of unknown category by column)
        """
        cells, valid = self.columns.scoring_rows(frame)
        cells = cells[valid]
        if not len(cells):
            return np.empty((0, self.estimator.n_features_in_), np.float32), valid, {}
        with np.errstate(over="ignore"):
            x = self.transformer.transform(cells).astype(np.float32)
        return x, valid, preprocessing.unknown_categories(self.transformer, cells)

    def scored(self, frame: pd.DataFrame, top: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
        """Scores of a table's rows, and the cells of unknown category by column.

        A row that is not valid has the largest score there is and counts as an anomaly.

        Args:
            frame: rows with this model's columns, in any order.
            top: columns to name for each row, those that are reconstructed worst first.

        Returns:
            A frame with the index of `frame`: score, p_value, is_anomaly, is_valid, feature_1, share_1, ...
        """
        x, valid, unknown = self.features(frame)
        scores = np.full(len(frame), calibration.LARGEST, np.float32)
        if len(x):
            scores[valid], finite = self.estimator.score_rows(x)
            explained = valid.copy()
            explained[valid] = finite
        scored = pd.DataFrame(
            {
                "score": scores,
                "p_value": calibration.p_values(scores, self.estimator.reference_scores_),
                "is_anomaly": scores > self.estimator.threshold_,
                "is_valid": explained if len(x) else valid,
            },
            index=frame.index,
        )
        if top:
            rows = scored["is_valid"].to_numpy()
            for name, values in self._explanations(x[rows[valid]], top).items():
                missing = None if values.dtype == object else np.nan
                scored[name] = np.full(len(frame), missing, values.dtype)
                scored.loc[rows, name] = values
        return scored, unknown

    def _explanations(self, x: np.ndarray, top: int) -> dict[str, np.ndarray]:
        """For valid rows x [v, d]: feature_1 ... feature_top and share_1 ... share_top, [v] each.

        A column's share is its part of the sum of |x - G(E(x))|; the features that come from one column are added up.
        """
        features = pd.Index(preprocessing.columns_of_features(self.transformer))
        names, place = np.unique(features, return_inverse=True)
        sums = np.zeros((len(features), len(names)))
        sums[np.arange(len(features)), place] = 1.0
        deviations = np.abs(x - self.estimator.reconstruct(x)) if len(x) else x
        order, shares = explanations.worst(deviations @ sums, top)
        explained: dict[str, np.ndarray] = {}
        for k in range(order.shape[1]):
            explained[f"feature_{k + 1}"] = names[order[:, k]].astype(object)
            explained[f"share_{k + 1}"] = shares[:, k]
        return explained


# Fitting ----------------------------------------------------------------------------------------------------------


def fit_file(
    path: Path,
    folder: Path,
    *,
    preparation: Preparation = Preparation(),
    test: Path | None = None,
    validation: float = VALIDATION,
    false_positive_rate: float | None = None,
    options: dict[str, Any] | None = None,
    overwrite: bool = False,
    say: Say = lambda line: None,
) -> str:
    """Train on the rows of a file and write a model folder.

    Args:
        path: the training rows, in one of `frames.FORMATS`.
        folder: the model folder, new.
        preparation: which columns are used, and how.
        test: rows with the label column of the preparation, for metrics; nothing is chosen by them.
        validation: share of the rows that are not trained on, for p-values and early stopping; 0: none.
        false_positive_rate: set the threshold by the rows held out, instead of by the options' contamination.
        options: of `ALAD`.
        overwrite: replace a model folder that is there.
        say: called with each warning.

    Returns:
        A report of a few lines.

    Raises:
        AladError: wrong options, a file or rows that cannot be used; nothing is then written.
    """
    _require_new_folder(folder, overwrite)
    labels = preparation.labels
    if test is not None and labels is None:
        raise SettingsError("Expected --label and --normal with --test. Received: neither.")
    if validation == 0.0 and false_positive_rate is not None:
        raise SettingsError("Expected rows held out (--validation) for a false-positive rate. Received: none.")
    started = time.monotonic()
    frame = _normal_rows(path, preparation)
    chosen = Columns.infer(
        frame, categorical=preparation.categorical, numeric=preparation.numeric, impute=preparation.impute
    )
    if test is not None and labels is not None:  # before what takes long
        _require_columns(test, chosen)
        columns.require(frames.columns(test), [labels.column], "--label")
    cells = chosen.training_rows(frame)
    for line in columns.warnings(cells):
        say(line)
    transformer = preprocessing.of_columns(chosen, scaling=preparation.scaling).fit(cells)
    from alad_tf.estimator import ALAD  # TensorFlow is imported once the rows are known to be good

    estimator = ALAD(scaling=None, verbose=int(sys.stderr.isatty()), **(options or {}))
    with _warnings_said(say):
        estimator.fit(_numbers(transformer, cells), validation=validation or None)
    if false_positive_rate is not None:
        estimator.set_threshold(false_positive_rate=false_positive_rate)
    data = {
        "file": path.name,
        "rows": len(frame),
        "dropped": list(preparation.drop),
        "label": None if labels is None else {"column": labels.column, "normal": list(labels.normal)},
        "scaling": preparation.scaling,
        "categories": {name: int(cells[name].nunique()) for name in chosen.categorical},
        "seconds": round(time.monotonic() - started, 1),
    }
    model = Model(estimator, chosen, transformer, data)
    lines = [f"trained on {len(frame)} rows of {path} in {data['seconds']:g} s; seed {estimator.seed_}"]
    if test is not None and labels is not None:
        lines.append(_judged(model, test, labels))
    model.save(folder)
    return "\n".join([*lines, f"model: {folder}"])


def _normal_rows(path: Path, preparation: Preparation) -> pd.DataFrame:
    """The rows and the columns to train on."""
    labels = preparation.labels
    named = {"--drop": preparation.drop, "--categorical": preparation.categorical, "--numeric": preparation.numeric}
    if labels is not None:
        named["--label"] = (labels.column,)
    present = frames.columns(path)
    for option, names in named.items():
        columns.require(present, names, option)
    kinds: dict[str, frames.Kind] = dict.fromkeys(preparation.numeric, "number")
    kinds.update(dict.fromkeys(preparation.categorical, "text"))
    kinds.update(dict.fromkeys(named.get("--label", ()), "text"))
    with _bar("reading") as advance:
        frame = frames.read(path, kinds=kinds, advance=advance)
    if labels is not None:
        normal = ~labels.is_anomaly(frame)
        if not normal.any():
            found = ", ".join(map(str, columns.as_text(frame[labels.column]).unique()[:8]))
            raise DataError(
                f"Expected rows with {' or '.join(map(repr, labels.normal))} in column {labels.column!r} of {path}. "
                f"Received: {found}."
            )
        frame = frame[normal].drop(columns=labels.column)
    return frame.drop(columns=[name for name in preparation.drop if name in frame.columns])


def _numbers(transformer: ColumnTransformer, cells: pd.DataFrame) -> np.ndarray:
    """Rows to train on as float32, which they have to fit in."""
    with np.errstate(over="ignore"):
        x = transformer.transform(cells).astype(np.float32)
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, feature = bad[0]
        column = preprocessing.columns_of_features(transformer)[feature]
        raise DataError(
            f"Expected numbers that float32 holds in column {column!r}, row {cells.index[row] + 1}. Received: "
            f"{cells[column].iloc[row]!r}. Choose another --scaling, or drop the column."
        )
    return x


# Scoring ----------------------------------------------------------------------------------------------------------


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
    say: Say = lambda line: None,
) -> str:
    """Score the rows of a file, a chunk at a time, and write them to a file that appears once it is complete.

    Args:
        path: the rows, in one of `frames.FORMATS`; columns are matched by name, others ignored.
        folder: the model folder.
        output: a name in .csv or .parquet: row (numbered from 1) or the id column, then what `Model.scored` returns.
        explain: columns to name for each row.
        chunk_rows: rows in memory at a time.
        id_column: a column to copy instead of row numbers.
        labels: of rows whose kind is known, for metrics.
        overwrite: replace an output that is there.
        say: called with each warning.

    Returns:
        A report of a few lines.

    Raises:
        AladError: wrong options, a file or a folder that cannot be used; nothing is then under the output's name.
    """
    if not output.name.lower().endswith(OUTPUTS):
        raise SettingsError(f"Expected an output in {' or '.join(OUTPUTS)}. Received: {output}.")
    if output.exists() and not overwrite:
        raise SettingsError(
            f"Expected a new output. Received: {output}, which is there. Pass --overwrite to replace it."
        )
    if output.is_dir() or output.resolve() == path.resolve():
        raise SettingsError(f"Expected an output file of its own. Received: {output}.")
    if id_column in _schema(None, explain).names[1:]:
        raise SettingsError(f"Expected an --id column under a name of its own. Received: {id_column}, an output's.")
    present = frames.columns(path)
    beside = [name for name in (id_column, labels.column if labels else None) if name]
    columns.require(present, beside, "--id, --label")
    model = Model.load(folder)
    if explain > len(model.columns.names):
        raise SettingsError(
            f"Expected at most the {len(model.columns.names)} columns to explain by. Received: {explain}."
        )
    left_out = [*model.data["dropped"], *([model.data["label"]["column"]] if model.data["label"] else [])]
    ignored = [name for name in present if name not in (*model.columns.names, *beside, *left_out)]
    if ignored:
        say(f"{len(ignored)} columns that the model does not know are ignored: {', '.join(ignored[:8])}")
    counts, found, kept = _Counts(), [], []
    with ExitStack() as stack:
        advance = stack.enter_context(_bar("scoring"))
        write = stack.enter_context(_writer(output, _schema(id_column, explain)))
        for frame in _chunks(path, model.columns, beside, chunk_rows, advance):
            scored, unknown = model.scored(frame, explain)
            counts.add(scored, unknown)
            if labels:
                found.append(labels.is_anomaly(frame))
                kept.append(scored["score"].to_numpy())
            ids = columns.as_text(frame[id_column]) if id_column else frame.index + 1
            scored.insert(0, id_column or "row", ids)
            write(scored)
        if not counts.rows:
            raise DataError(f"Expected rows to score in {path}. Received: none.")
    lines = [*counts.lines(model), f"scores: {output}"]
    if labels:
        lines.insert(1, _metrics(np.concatenate(found), np.concatenate(kept)))
    return "\n".join(lines)


@dataclass
class _Counts:
    """What there was in the rows of a file."""

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


def _chunks(
    path: Path, wanted: Columns, beside: list[str], rows: int, advance: frames.Advance | None
) -> Iterator[pd.DataFrame]:
    _require_columns(path, wanted)
    kinds: dict[str, frames.Kind] = {**dict.fromkeys(beside, "text"), **dict.fromkeys(wanted.categorical, "text")}
    kinds.update(dict.fromkeys(wanted.numeric, "number"))
    only = list(dict.fromkeys([*wanted.names, *beside]))
    return frames.chunks(path, rows, only=only, kinds=kinds, advance=advance)


def _require_columns(path: Path, wanted: Columns) -> None:
    present = frames.columns(path)
    missing = [name for name in wanted.names if name not in present]
    if missing:
        raise DataError(
            f"Expected the model's columns in {path}. Received: no {', '.join(missing[:8])}"
            + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
            + f"; its columns are {', '.join(present[:8])}{' ...' if len(present) > 8 else ''}."
        )


def _judged(model: Model, path: Path, labels: Labels) -> str:
    """Metrics on the rows of a test file."""
    found, kept = [], []
    for frame in _chunks(path, model.columns, [labels.column], CHUNK_ROWS, None):
        found.append(labels.is_anomaly(frame))
        kept.append(model.scored(frame)[0]["score"].to_numpy())
    if not found:
        raise DataError(f"Expected rows to test on in {path}. Received: none.")
    return _metrics(np.concatenate(found), np.concatenate(kept))


def _metrics(anomaly: np.ndarray, scores: np.ndarray) -> str:
    """AUROC and the like; those of the top fraction flag as many rows as there are anomalies."""
    if anomaly.all() or not anomaly.any():
        return f"{int(anomaly.sum())} anomalies of {len(anomaly)} rows by label: no metrics, for they need both kinds"
    values = metrics.evaluate(anomaly.astype(np.uint8), scores, float(anomaly.mean()))
    return f"{int(anomaly.sum())} anomalies by label: AUROC {values['auroc']:.4f}, average precision " + (
        f"{values['average_precision']:.4f}, F1 {values['f1']:.4f} with as many rows flagged"
    )


def _schema(id_column: str | None, explain: int) -> pa.Schema:
    first = (id_column, pa.string()) if id_column else ("row", pa.int64())
    fixed = [("score", pa.float32()), ("p_value", pa.float64()), ("is_anomaly", pa.bool_()), ("is_valid", pa.bool_())]
    top = [(f"{name}_{k + 1}", kind) for k in range(explain) for name, kind in _EXPLANATION]
    return pa.schema([first, *fixed, *top])


_EXPLANATION = (("feature", pa.string()), ("share", pa.float32()))


@contextmanager
def _writer(output: Path, schema: pa.Schema) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Write frames one after the other to a file that gets its name at the end."""
    with files.replacing(output) as temporary:
        if output.suffix.lower() == ".parquet":
            with pyarrow.parquet.ParquetWriter(temporary, schema) as writer:
                yield lambda frame: writer.write_table(pa.Table.from_pandas(frame, schema, preserve_index=False))
        else:
            with open(temporary, "w", encoding="utf-8", newline="") as file:
                pd.DataFrame(columns=schema.names).to_csv(file, index=False)
                yield lambda frame: frame.to_csv(file, index=False, header=False)


# Looking at a model -----------------------------------------------------------------------------------------------


def inspect_model(folder: Path) -> str:
    """What a model folder holds, in words; its files are checked against the manifest.

    Raises:
        DataError: it is missing, damaged, or not of `alad fit`.
    """
    documents, arrays = model_folder.read(folder)
    _require_documents(documents, folder)
    with _sound(folder):
        rows = _inspected(documents)
    whole = f"{folder}: complete and unchanged, {sum(len(members) for members in arrays.values())} arrays"
    return "\n".join(f"{name:<15}{value}" for name, value in {"model": whole, **rows}.items())


def _inspected(documents: dict[str, Any]) -> dict[str, Any]:
    model, data = documents["model"], documents["data"]
    chosen = Columns.from_document(documents["columns"])
    preprocessing.from_document(documents["preprocessing"])
    categories = ", ".join(f"{name} ({count})" for name, count in data["categories"].items())
    label = data["label"] and f"column {data['label']['column']!r}, normal: {', '.join(data['label']['normal'])}"
    return {
        "trained on": f"{data['rows']} rows of {data['file']}, {data['seconds']:g} s",
        "label": label or "none",
        "dropped": ", ".join(data["dropped"]) or "none",
        "numeric": f"{len(chosen.numeric)}: {', '.join(chosen.numeric)}" if chosen.numeric else "none",
        "categorical": f"{len(chosen.categorical)}: {categories}" if chosen.categorical else "none",
        "missing cells": "imputed" if chosen.impute else "not allowed",
        "scaling": data["scaling"],
        "features": model["data"]["features"],
        "table": model["table"]["name"],
        "epochs": model["epochs_trained"],
        "score": model["settings"]["score"],
        "threshold": f"{model['threshold']['value']:.6g}; {_rule(model['threshold']['rule'])}",
        "p-values": f"against {model['reference']['rows']} {model['reference']['of']}",
        "seed": model["seed"],
        "versions": ", ".join(f"{name} {version}" for name, version in model["versions"].items()),
    }


def _rule(rule: dict[str, Any]) -> str:
    return f"{rule['rule'].replace('_', ' ')} {rule['value']:g} of the {rule['scores']}"


# Parts of the above -----------------------------------------------------------------------------------------------


def _require_documents(documents: dict[str, Any], folder: Path) -> None:
    missing = [name for name in ("model", "columns", "preprocessing", "data") if name not in documents]
    if missing:
        raise DataError(
            f"Expected a model of `alad fit` in {folder}. Received: one without {', '.join(missing)}, as "
            "ALAD.save writes it for an array. Load it with ALAD.load."
        )


@contextmanager
def _sound(folder: Path) -> Iterator[None]:
    """What documents raise that are not of `alad fit`, as one line."""
    try:
        yield
    except DataError:
        raise
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise DataError(
            f"Expected a model of `alad fit` in {folder}. Received: documents that do not fit together: {error!r:.200}."
        ) from None


def _require_new_folder(folder: Path, overwrite: bool) -> None:
    """Before what takes long: that the folder may be written, and can be."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder.parent):
        pass
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not model_folder.is_model_folder(folder):
        raise SettingsError(f"Expected a new folder for the model. Received: {folder}, which holds something else.")
    if not overwrite:
        raise SettingsError(f"Expected a new folder for the model. Received: {folder}, a model. Pass --overwrite.")


@contextmanager
def _warnings_said(say: Say) -> Iterator[None]:
    """Warnings of training as lines; that a feature is constant was said of its column."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for line in dict.fromkeys(_lines(caught)):
        say(line)


def _lines(caught: Iterable[Any]) -> Iterator[str]:
    for warning in caught:
        if issubclass(warning.category, UserWarning) and "hold one value" not in str(warning.message):
            yield " ".join(str(warning.message).split())


@contextmanager
def _bar(title: str) -> Iterator[frames.Advance]:
    """A progress bar with the time that is left, on a terminal."""
    shape = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    with tqdm(total=1.0, desc=title, bar_format=shape, disable=None, mininterval=0.5) as bar:
        yield lambda share: bar.update(share - bar.n) and None
