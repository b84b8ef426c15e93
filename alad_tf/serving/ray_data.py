"""`alad score --engine ray`: score a folder of Parquet files in parts with Ray Data.

A part consists of consecutive row groups of one file. Its scores are written to a separate file, atomically, so that a
stopped or killed job resumes with the missing parts and ends with the same files.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from alad_tf.columns.exact import as_frame
from alad_tf.errors import AladError, DataError, SettingsError, listed, one_line
from alad_tf.io import atomic, locks, model_folder, outputs
from alad_tf.io.manifest import entry
from alad_tf.serving import versions
from alad_tf.serving.batch import BatchScorer
from alad_tf.tabular import arrow_files, damage
from alad_tf.tabular.steady import steady
from alad_tf.typing import Document

logger = logging.getLogger(__name__)

PART_ROWS = 1 << 17  # minimum size of a part, if the file has as many rows
JOB = "job.json"
ONE_THREAD = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")
Part = Document


def score_folder(
    source: Path,
    model: Path,
    output: Path,
    *,
    workers: int | None = None,
) -> str:
    """Score all .parquet files in a folder and its subfolders.

    Args:
        source: folder of the files.
        model: version written by `alad export`, or BASE/NAME for the newest one.
        output: folder of the parts, with the columns row (from 1, in its file) and those of `BatchScorer`. A part is
            named after its file and the number of its first row.
        workers: number of processes of one thread each; None: the number of CPUs that Ray has.

    Returns:
        A report of one line.

    Raises:
        DataError: no files, damaged ones or files without the model's columns, or a damaged model.
        SettingsError: the output folder belongs to another job, or is in the source or in a model folder.
        AladError: Ray is not installed, or fails; or another process scores into the output folder.
    """
    model_folder.require_outside(output)
    if outputs.is_within(output, source):
        raise SettingsError(
            f"Expected an output folder outside {source}. Received: {output}, whose parts it would hold."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    with locks.claimed(output):
        return _scored(source, model, output, workers)


def _scored(source: Path, model: Path, output: Path, workers: int | None) -> str:
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise AladError(
            "Expected Ray for --engine ray. Received: none. Install the extra (Python 3.10 or later): pip install "
            "'.[ray]'"
        ) from error
    scorer = BatchScorer(model)
    parts = [part for path in _files(source) for part in _parts(path, source, scorer)]
    _claim(output, scorer, parts)
    missing = [part for part in parts if not (output / part["name"]).exists()]
    if len(missing) < len(parts):
        logger.warning("%d of %d parts exist already", len(parts) - len(missing), len(parts))
    try:
        errors = _errors(missing, scorer.path, output.resolve(), workers) if missing else []
    except Exception as error:  # Ray raises many types
        raise AladError(
            f"Expected Ray to score {len(missing)} parts. Received: {one_line(error)}. The same command resumes."
        ) from error
    if errors:
        raise DataError(errors[0] + (f" ({len(errors) - 1} more parts failed.)" if errors[1:] else ""))
    rows = sum(part["rows"] for part in parts)
    return f"{rows} rows in {len(parts)} parts, {len(missing)} of them scored now: {output}"


def _errors(parts: list[Part], model: Path, output: Path, workers: int | None) -> list[str]:
    """Score parts, and return the error of each that failed."""
    import ray

    if not ray.is_initialized():
        cpus = None if os.environ.get("RAY_ADDRESS") else workers  # an existing cluster has CPUs of its own
        ray.init(include_dashboard=False, logging_level="ERROR", log_to_driver=False, num_cpus=cpus)
    ray.data.DataContext.get_current().enable_progress_bars = False
    count = min(workers or int(ray.cluster_resources()["CPU"]), len(parts))
    done = (
        ray.data.from_items(parts, override_num_blocks=len(parts))
        .map_batches(
            Worker,
            fn_constructor_args=(str(model), str(output)),
            batch_size=1,
            concurrency=count,
            num_cpus=1,
            runtime_env={"env_vars": ONE_THREAD},
        )
        .take_all()
    )
    return [row["error"] for row in done if row["error"]]


class Worker:
    """Scores parts one after the other, as a callable class for Ray Data's `map_batches`.

    Args:
        model: folder of the exported version.
        output: folder of the parts.
    """

    def __init__(self, model: str, output: str) -> None:
        self._scorer, self._output = BatchScorer(model), Path(output)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Write the scores of each part of the batch, and return the error of each; "" for a part that is written."""
        errors = []
        for place in range(len(batch["name"])):
            try:
                self.score({name: values[place] for name, values in batch.items()})
                errors.append("")
            except (AladError, OSError) as error:  # OSError: a full disk
                errors.append(str(error))
        return {"error": np.array(errors)}

    def score(self, part: Part) -> None:
        """Write the scores of one part. Raises DataError for a damaged file."""
        path, groups = Path(str(part["file"])), range(int(part["first_group"]), int(part["end_group"]))
        with damage.reported(path), steady(path):
            read = arrow_files.parquet_tables(path, PART_ROWS, self._scorer.names, lambda share: None, groups)
            table = pa.concat_tables([table for table, _ in read])
        scores = {name: pa.array(values) for name, values in self._scorer(as_frame(table)).items()}
        rows = pa.array(np.arange(len(table), dtype=np.int64) + int(part["first_row"]))
        with atomic.replacing(self._output / str(part["name"])) as path:
            pyarrow.parquet.write_table(pa.table({"row": rows, **scores}), path)


def _files(source: Path) -> list[Path]:
    found = sorted(source.rglob("*.parquet")) if source.is_dir() else []
    if not found:
        raise DataError(f"Expected a folder with .parquet files. Received: {source}, without any.")
    return found


def _parts(path: Path, source: Path, scorer: BatchScorer) -> list[Part]:
    """The parts of a file: consecutive row groups of together at least PART_ROWS rows."""
    with damage.reported(path):
        counts, present = arrow_files.parquet_groups(path), arrow_files.parquet_columns(path)
    missing = [name for name in scorer.names if name not in present]
    if missing or not scorer.names:
        raise DataError(f"Expected the model's columns in {path}. Received: no {listed(missing) or 'names'}.")
    name, parts, rows = _file_name(path.relative_to(source).as_posix()), [], 0
    first_row, first_group = 1, 0
    for group, count in enumerate(counts):
        rows += count
        if rows >= PART_ROWS or (rows and group == len(counts) - 1):
            parts.append(
                {
                    "name": f"{name}.{first_row:010d}.parquet",
                    "file": str(path.resolve()),
                    "first_row": first_row,
                    "rows": rows,
                    "first_group": first_group,
                    "end_group": group + 1,
                }
            )
            first_row, first_group, rows = first_row + rows, group + 1, 0
    return parts


def _file_name(path: str) -> str:
    """A path as a name without separators, short enough for a file."""
    name = quote(path, safe="")
    if len(name) <= 150:
        return name
    return f"{name[:120]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _claim(output: Path, scorer: BatchScorer, parts: list[Part]) -> None:
    """Write the description of the job (model, files, their sizes and times), or compare it with the stored one."""
    found = {part["file"]: Path(part["file"]).stat() for part in parts}
    files = {file: [status.st_size, status.st_mtime_ns] for file, status in found.items()}
    manifest = entry(scorer.path / versions.MANIFEST)
    job = {"model": str(scorer.path), "manifest": manifest, "files": files, "parts": [part["name"] for part in parts]}
    if (output / JOB).exists():
        if (output / JOB).read_bytes() != json.dumps(job).encode():
            raise SettingsError(
                f"Expected an output of the same job. Received: {output}, which belongs to another model or other "
                "files. Choose another folder."
            )
        return
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise SettingsError(f"Expected a new output folder. Received: {output}, which holds something else.")
    atomic.write_text(output / JOB, json.dumps(job))
