"""Shared parts of the benchmarks: one thread per library, alternating measurements, medians, report as text and JSON.

Import it before NumPy, TensorFlow and PyTorch, which read the number of threads at import.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from alad_tf.experiments.timing import Times as Times
from alad_tf.experiments.timing import alternate as alternate
from alad_tf.experiments.timing import time_of as time_of

if TYPE_CHECKING:
    from alad_tf.data.base import Split
    from architectures import Alad
    from architectures.rows import Stack

ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
LIMITS = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "XLA_FLAGS")
os.environ.update(dict.fromkeys(ONE_THREAD, "1"), TF_CPP_MIN_LOG_LEVEL="3")

Row = dict[str, Any]
Product = tuple[int, int, int]  # [rows, inner] times [inner, columns]


class Stopwatch:
    """Seconds of successive stages of a process.

    Args:
        clock: `time.perf_counter`, or `time.process_time` for seconds of the processor.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._clock, self._started = clock, clock()

    def start(self) -> None:
        """Begin a stage anew: the time since the end of the last stage is not counted."""
        self._started = self._clock()

    def end(self, stage: str, parts: int = 1) -> None:
        """End a stage of equal parts, keep the seconds of one part, and begin the next stage."""
        self.seconds[stage] = (self._clock() - self._started) / parts
        self.start()


class Peer:
    """A process with a Python environment of its own. It works on command and answers with its processor seconds.

    Args:
        command: starts it. Its first line of output says what it is; then it answers each number with one.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version, self.seconds = self._answer(), 0.0

    def work(self, amount: int) -> None:
        """Let it do an amount of work, such as steps, and wait for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{amount}\n")
        self._process.stdin.flush()
        self.seconds = float(self._answer())

    def end(self) -> None:
        """End the process, which then sees no more commands."""
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"Expected an answer of {self._process.args!r}. Received: its end.")
        return line.strip()


def processor_seconds(*peers: Peer) -> float:
    """Processor seconds of this process and of its peers: they hardly depend on other work on the machine."""
    return time.process_time() + sum(peer.seconds for peer in peers)


def products(table: Alad, rows: int) -> list[Product]:
    """Matrix products for the scores of some rows, for a Dxx without branches.

    E and G once; the first layer of Dxx on x and on x - x', its other hidden layers on both pairs, its logits on one.
    """

    def stack(width: int, layers: Stack) -> Iterator[Product]:
        for layer in layers:
            yield rows, width, layer.units
            width = layer.units

    first, *hidden = stack(table.n_features, table.Dxx.joint[:-1])
    logits = (rows, hidden[-1][2] if hidden else first[2], 1)
    return [*stack(table.n_features, table.E), *stack(table.latent_dim, table.G), *2 * [first, *hidden], logits]


def flop(sizes: list[Product]) -> int:
    """Multiplications and additions."""
    return sum(2 * m * k * n for m, k, n in sizes)


def parser(description: str | None, *, rounds: int | None = None) -> argparse.ArgumentParser:
    """Argument parser of a benchmark, with --json, and with --rounds if a number of rounds is given."""
    created = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    if rounds is not None:
        created.add_argument("--rounds", type=int, default=rounds, metavar="N", help="default: %(default)s")
    created.add_argument("--json", type=Path, metavar="FILE", help="write the report to a file as well")
    return created


def publish(title: str, rows: list[Row], json: Path | None, **facts: object) -> None:
    """Print and write a report: title, table with a column for each key of the rows, facts, machine."""
    from alad_tf.io import atomic

    environment = machine()
    print(title, "", *table(rows), "", sep="\n")
    for name, fact in {**facts, **environment}.items():
        print(f"{name.replace('_', ' ')}: {_cell(fact)}")
    if json is not None:
        atomic.write_json(json, {"title": title, "rows": rows, **facts, "machine": environment})


def table(rows: list[Row]) -> list[str]:
    """Lines of text: a header, then a line for each row, with aligned columns and four digits per number."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *([_cell(row.get(column, "-")) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))])
        for line in cells
    ]


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def machine() -> dict[str, str]:
    """Processor, cores, versions, and NumPy's OpenBLAS kernel, which environment variables can make slow."""
    return {
        "processor": f"{_cpu_info('model name') or platform.machine()}, {os.cpu_count()} cores",
        "instructions": _instructions(),
        "versions": ", ".join(f"{name} {version_of(name)}" for name in ("tensorflow", "numpy", "torch")),
        "numpy_openblas": _openblas(),
    }


def version_of(package: str) -> str:
    """Version of a Python package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu_info(key: str) -> str:
    """A line about the first processor on Linux; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(": ")[1] for line in lines if line.startswith(key)), "")


def _instructions() -> str:
    """Vector instructions of the processor, from which oneDNN and XLA choose, and what limits the choice."""
    has = [name for name in INSTRUCTIONS if name in _cpu_info("flags").split()]
    limits = [f"{name}={os.environ[name]}" for name in LIMITS if name in os.environ]
    return f"{', '.join(has) or 'not found'}; {', '.join(limits) or 'no limit'} set"


def _openblas() -> str:
    import numpy  # noqa: F401
    from threadpoolctl import threadpool_info

    of_numpy = [pool for pool in threadpool_info() if "numpy" in pool["filepath"]]
    kernels = ", ".join(f"{pool['architecture']}, threads {pool['num_threads']}" for pool in of_numpy) or "not found"
    forced = [name for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in os.environ]
    return f"{kernels}; {' and '.join(forced) or 'nothing'} set"


def kdd99() -> tuple[Split, str]:
    """KDD99 if its raw file exists, else random rows of the same shape; and a description of the data."""
    import numpy as np

    from alad_tf import paths
    from alad_tf.data import base, loading, raw_files

    if paths.find_data(raw_files.RAW_FILES["kdd99"][0].name):
        return loading.load("kdd99"), "KDD99"
    counts, random = raw_files.COUNTS["kdd99"], np.random.default_rng(0)
    x_train, x_test = (random.random(shape, np.float32) for shape in (counts.train, counts.test))
    return base.Split(x_train, None, x_test, np.zeros(len(x_test), np.uint8)), "random rows of KDD99's sizes"
