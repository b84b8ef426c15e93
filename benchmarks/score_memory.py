"""Memory and rows a second of `alad score` on a Parquet file of many rows, made of KDD99's by repetition.

    python benchmarks/score_memory.py
    python benchmarks/score_memory.py --rows 1000000 --row-group 1000000 --explain 3

`alad fit` trains for one epoch on rows of KDD99 with their 41 mixed columns (made-up ones where the raw file is not at
hand), and `alad score` scores the large file in a process of its own, whose peak of resident memory is reported. All
files are in a folder that is removed at the end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yardstick  # before NumPy: it sets the number of threads

# isort: split

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from alad_tf import data

CHECKOUT = Path(__file__).resolve().parents[1]
FITTED_ROWS = 20_000


def kdd99_rows() -> tuple[pd.DataFrame, str]:
    """The raw rows with their 41 columns, and where they come from."""
    path = data.data_directory() / data.RAW_FILES["kdd99"][0].name
    names = list(data.KDD99_COLUMNS)
    if path.is_file():
        return pd.read_csv(path, header=None, names=[*names, "label"]).drop(columns="label"), "KDD99"
    random = np.random.default_rng(0)
    rows = pd.DataFrame(random.random((FITTED_ROWS, len(names))).round(3), columns=names)
    return rows.assign(**{name: random.choice(list("abcde"), len(rows)) for name in names[1:4]}), "made-up rows"


def write(path: Path, rows: pd.DataFrame, count: int, row_group: int) -> None:
    """Write `count` rows, the given ones over and over, without holding them all."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    repeated = pa.concat_tables([table] * -(-row_group // len(table)))
    with pyarrow.parquet.ParquetWriter(path, table.schema) as writer:
        for first in range(0, count, row_group):
            writer.write_table(repeated.slice(0, min(row_group, count - first)), row_group)


@contextmanager
def scored(rows: pd.DataFrame, count: int, row_group: int, options: list[str]) -> Iterator[tuple[Path, float, float]]:
    """(scored file, seconds, peak of resident memory in MB) of `alad score` on `count` rows; files are then removed."""
    with tempfile.TemporaryDirectory(prefix="alad-score-") as name:
        folder = Path(name)
        rows.sample(min(len(rows), FITTED_ROWS), random_state=0).to_parquet(folder / "train.parquet")
        _alad("fit", folder / "train.parquet", "--model", folder / "model", "--epochs", "1", "--seed", "0")
        write(folder / "rows.parquet", rows, count, row_group)
        output = folder / "scored.parquet"
        started = time.perf_counter()
        peak = _alad("score", folder / "rows.parquet", "--model", folder / "model", "--output", output, *options)
        yield output, time.perf_counter() - started, peak


def _alad(*arguments: object) -> float:
    """Run a command to its end; its peak of resident memory in MB."""
    command = [sys.executable, "-m", "alad_tf", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"Expected `{' '.join(command)}` to end well. Received: exit code {process.returncode}.")
    return used.ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--row-group", type=int, default=1_000_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--explain", type=int, default=0, metavar="K", help="as `alad score` has it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report to a file as well")
    options = parser.parse_args()
    rows, source = kdd99_rows()
    with scored(rows, options.rows, options.row_group, ["--explain", str(options.explain)]) as (output, seconds, peak):
        count = pyarrow.parquet.ParquetFile(output).metadata.num_rows
    yardstick.publish(
        f"alad score, Parquet, row groups of {options.row_group}, {options.explain} columns explained",
        [{"rows": count, "seconds": seconds, "rows/s": count / seconds, "peak MB": peak}],
        options.json,
        data=source,
    )


if __name__ == "__main__":
    main()
