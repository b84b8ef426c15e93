"""Memory and rows per second of `alad score` on a large Parquet file of repeated KDD99 rows.

    python benchmarks/score_memory.py
    python benchmarks/score_memory.py --rows 1000000 --row-group 1000000 --explain 3

`alad fit` trains for one epoch on rows of KDD99 with their 41 mixed columns (or on synthetic rows if the raw file is
missing), and `alad score` scores the large file in a separate process, whose peak resident memory is reported. All
files are in a temporary folder.
"""

from __future__ import annotations

import argparse
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

from alad_tf import paths
from alad_tf.data import kdd99, raw_files

CHECKOUT = Path(__file__).resolve().parents[1]
FITTED_ROWS = 20_000
PEAK_OF_CALL = """
import sys
from pathlib import Path
from alad_tf.__main__ import main
code = main(sys.argv[1:])
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line))
sys.exit(code)
"""


def kdd99_rows() -> tuple[pd.DataFrame, str]:
    """The raw rows with their 41 columns, and their origin."""
    path = paths.find_data(raw_files.RAW_FILES["kdd99"][0].name)
    names = list(kdd99.KDD99_COLUMNS)
    if path:
        return pd.read_csv(path, header=None, names=[*names, "label"]).drop(columns="label"), "KDD99"
    random = np.random.default_rng(0)
    rows = pd.DataFrame(random.random((FITTED_ROWS, len(names))).round(3), columns=names)
    return rows.assign(**{name: random.choice(list("abcde"), len(rows)) for name in names[1:4]}), "made-up rows"


def write(path: Path, rows: pd.DataFrame, count: int, row_group: int) -> None:
    """Write `count` rows by repeating the given ones, without holding them all in memory."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    repeated = pa.concat_tables([table] * -(-row_group // len(table)))
    with pyarrow.parquet.ParquetWriter(path, table.schema) as writer:
        for first in range(0, count, row_group):
            writer.write_table(repeated.slice(0, min(row_group, count - first)), row_group)


@contextmanager
def scored(rows: pd.DataFrame, count: int, row_group: int, options: list[str]) -> Iterator[tuple[Path, float, float]]:
    """Yield (scored file, seconds, peak memory in MB) of `alad score` on `count` rows; the files are removed later."""
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
    """Run a command and return its peak resident memory in MB, which the process itself reads at its end.

    The system's figure for an ended child process would include the memory of its parent.
    """
    command = [sys.executable, "-c", PEAK_OF_CALL, *map(str, arguments)]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"Expected `alad {arguments[0]}` to end well. Received: exit code {done.returncode}.")
    return float(done.stdout.splitlines()[-1]) / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--row-group", type=int, default=1_000_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--explain", type=int, default=0, metavar="K", help="as in `alad score`")
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
