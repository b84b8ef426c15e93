"""Fuzz the readers of rows, of runs and of model folders: malformed input must be refused in one line.

    python tests/robustness/fuzz_readers.py --seconds 3600                       # adds rounds to the record
    python tests/robustness/fuzz_readers.py --write-table                        # writes docs/faults.md from the record
    python tests/robustness/fuzz_readers.py --only excel --seed 7 --case 1234    # repeats one case

Each case is a valid file or folder with a few mutations, some of the bytes and some of what they mean (a cell, a key of
JSON, an array, a header of NumPy). A reader may read it or raise AladError with one line; anything else, also a call
that takes long or much memory or that ends the process, is a finding. The reader with the least CPU time in the record
has the next round, in a process and with a seed of its own; the record, fuzz_rounds.jsonl, gets a line for each round.
Two calls can work at once if their readers differ (`--only`).
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import logging
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Callable

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tests"))  # called as a script

# isort: split

import faults_page  # noqa: E402
import fuzz_cells  # noqa: E402
import fuzz_files  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from fuzz_files import Chance, changed, mutated, zipped  # noqa: E402

from alad_tf.errors import AladError, one_line  # noqa: E402
from alad_tf.io import model_folder  # noqa: E402
from alad_tf.io.manifest import entry  # noqa: E402
from alad_tf.report import page  # noqa: E402

RECORD = Path(__file__).with_name("fuzz_rounds.jsonl")
SECONDS = 20.0  # of CPU time that one call may take
HANGING = 600  # seconds after which a process that does nothing is ended
MEGABYTES = 1500  # that all calls together may take on top of the first
Make = Callable[[Path, Chance], Callable[[], object]]
FILES: dict[str, Make] = {
    "csv": fuzz_files.csv_file,
    "json": fuzz_files.json_file,
    "excel": fuzz_files.excel_file,
    "parquet": fuzz_files.parquet_file,
    "feather": fuzz_files.feather_file,
    "numpy": fuzz_files.numpy_file,
    "cells": fuzz_cells.cells,
}
READERS = (*FILES, "run", "model")
TITLES = {
    "csv": "CSV and TSV",
    "json": "JSON Lines",
    "excel": "Excel",
    "parquet": "Parquet",
    "feather": "Feather",
    "numpy": "NumPy",
    "cells": "columns of a frame",
    "run": "folder of a run",
    "model": "model folder",
}


def case(make: Make, number: int, seed: int, folder: Path) -> str:
    """Generate a case and read it: "read" or "refused"; raises AssertionError for other outcomes."""
    chance = Chance(f"{seed}/{number}/{make.__name__}")
    with tempfile.TemporaryDirectory(dir=folder) as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read, started = make(Path(place), chance), time.process_time()
        try:
            read()
            outcome = "read"
        except AladError as error:
            outcome, line = "refused", str(error)
            assert line and "\n" not in line and len(line) < 2000, f"a message that is not one line: {line[:300]!r}"
        assert time.process_time() - started < SECONDS, "it took too long"
    return outcome


# Folders of runs --------------------------------------------------------------------------------------------------

RUN = CHECKOUT / "tests" / "last_release" / "results" / "toy" / "ALAD" / "seed0"


def run(folder: Path, chance: Chance) -> Callable[[], object]:
    """A page about a run whose result, history or scores have a mutation."""
    from alad_tf.experiments.run_page import run_page

    files = {name: (RUN / name).read_bytes() for name in ("result.json", "history.jsonl", "scores.npz")}
    name = chance.choice(sorted(files))
    record = json.loads(files["history.jsonl"])
    records = [{**record, "epoch": epoch} for epoch in range(1, chance.choice([1, 3]) + 1)]
    if name.endswith(".npz"):
        files[name] = changed_arrays(files[name], chance)
    elif name == "history.jsonl":
        place = chance.randrange(len(records))
        records[place] = changed(records[place], chance)
    else:
        files[name] = json.dumps(changed(json.loads(files[name]), chance)).encode("utf-8", "surrogatepass")
    lines = b"\n".join(json.dumps(line).encode("utf-8", "surrogatepass") for line in records)
    files["history.jsonl"] = lines + b"\n"
    if chance.random() < 0.3:
        files[name] = mutated(files[name], chance)
    target = folder / "run"
    target.mkdir()
    for file, content in files.items():
        (target / file).write_bytes(content)
    return lambda: page.render(run_page(target, top=3))


# Model folders ----------------------------------------------------------------------------------------------------


class Valid:
    """A model folder as `alad fit` writes it, inspected, scored and reported on."""

    def __init__(self, folder: Path) -> None:
        from alad_tf.tabular import fit

        if not (folder / "model").exists():
            train = folder / "train.csv"
            train.write_text("a,b,c\n" + "".join(f"{k % 7},{k % 5}.5,{'xyz'[k % 3]}\n" for k in range(60)))
            fit.fit_file(train, folder / "model", options={"epochs": 1, "random_state": 0})
        self.files = {path.name: path.read_bytes() for path in (folder / "model").iterdir()}

    def model(self, folder: Path, chance: Chance) -> Callable[[], object]:
        """A mutated model folder, usually with a fitting manifest, as an attacker would write it."""
        from alad_tf.tabular import report
        from alad_tf.tabular.model import Model, inspect_model

        files = dict(self.files)
        name = chance.choice(sorted(files))
        if name.endswith(".json") and chance.random() < 0.8:
            document = json.loads(files[name])
            for _ in range(chance.choice([1, 1, 2])):
                document = changed(document, chance)
            files[name] = json.dumps(document).encode("utf-8", "surrogatepass")
        elif name.endswith(".npz") and chance.random() < 0.8:
            files[name] = changed_arrays(files[name], chance)
        else:
            files[name] = mutated(files[name], chance)
        if chance.random() < 0.1:
            files[chance.choice(["x.json", "evil.py", "x.npz"])] = chance.choice([b"", b"{}", b"[" * 100_000])
        target = folder / "model"
        target.mkdir()
        for file, content in files.items():
            (target / file).write_bytes(content)
        if name != model_folder.MANIFEST and chance.random() < 0.9:
            sign(target)
        rows = target.with_suffix(".csv")
        rows.write_text("a,b,c\n1,0.5,x\n,1e30,new\n2,3.5,y\n")

        def read() -> None:
            inspect_model(target)
            loaded = Model.load(target)
            frame = pd.DataFrame({"a": [1.0, np.nan], "b": [0.5, 1e30], "c": ["x", "new"]})
            scored, _ = loaded.scored(frame, top=2)
            assert np.isfinite(scored["score"]).all(), "scores that are not finite"
            page.render(report.model_page(target, report.Rows(rows, top=2)))

        return read


def sign(folder: Path) -> None:
    """Write a manifest that fits the files."""
    entries = {path.name: entry(path) for path in folder.iterdir() if path.name != model_folder.MANIFEST}
    manifest = {"kind": model_folder.KIND, "format": model_folder.FORMAT, "files": entries}
    (folder / model_folder.MANIFEST).write_text(json.dumps(manifest))


def changed_arrays(content: bytes, chance: Chance) -> bytes:
    """An .npz file with one array changed."""
    with np.load(io.BytesIO(content)) as stored:
        arrays = dict(stored)
    name = chance.choice(sorted(arrays))
    array = arrays[name]
    arrays[name] = chance.choice(
        [
            np.atleast_1d(array)[:-1],
            array.T,
            array.reshape(-1)[:0],
            np.full(array.shape, chance.choice([np.nan, np.inf, 0.0, 1e300])),
            array.astype(chance.choice(["f8", "f2", "i4", "U8", "c8", "?"])),
            np.full(array.shape, None, object),
            np.array(1.0),
        ]
    )
    if chance.random() < 0.1:
        del arrays[name]
    members = {}
    for key, value in arrays.items():
        file = io.BytesIO()
        np.lib.format.write_array(file, value, allow_pickle=True)
        members[f"{key}.npy"] = file.getvalue()
    return zipped(members, chance)


def outcomes(make: Make, numbers: Iterable[int], seed: int, folder: Path) -> Iterator[str]:
    """Outcome of each case: "read", "refused", or the exception that is a finding."""
    for number in numbers:
        before = _megabytes()
        try:
            said = case(make, number, seed, folder)
            assert _megabytes() - before < MEGABYTES, f"{_megabytes() - before:.0f} MB of memory were taken"
        except Exception as error:
            said = f"{type(error).__name__}: {one_line(error)[:300]}"
        yield said


def apart(make: Make, numbers: Iterable[int], seed: int, folder: Path, seconds: float) -> list[str]:
    """Outcomes of the cases that a separate process reads in `seconds` of CPU time, at least one.

    A library that crashes, hangs or takes too long ends the process; the last outcome is then its exit code.
    """
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            started = time.process_time()
            _limited()
            for said in outcomes(make, numbers, seed, folder):
                os.write(writer, f"{said}\n".encode("utf-8", "replace"))
                if time.process_time() - started > seconds:
                    break
                _limited()
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as pipe:
        found = pipe.read().splitlines()
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return found + [f"the process ended with exit code {code}"] * (code != 0)


def _limited() -> None:
    """End this process where its next case takes too much CPU time or does nothing."""
    signal.setitimer(signal.ITIMER_PROF, 2 * SECONDS)
    signal.alarm(HANGING)


@dataclass(frozen=True)
class Round:
    """Cases of one reader, read in one process."""

    reader: str
    seed: int
    read: int
    refused: int
    seconds: float  # of CPU time
    findings: list[str]

    @property
    def cases(self) -> int:
        return self.read + self.refused + len(self.findings)


def fuzz(reader: str, make: Make, seed: int, folder: Path, seconds: float) -> Round:
    """Read cases of one reader until the CPU time is over; a crash ends the round early."""
    before = _cpu_seconds()
    found = apart(make, itertools.count(), seed, folder, seconds)
    findings = [f"case {k}: {said}" for k, said in enumerate(found) if said not in ("read", "refused")]
    return Round(reader, seed, found.count("read"), found.count("refused"), _cpu_seconds() - before, findings)


def makers(folder: Path, only: Sequence[str] = READERS) -> dict[str, Make]:
    """Function that generates a case, by reader. A separate process fits the model, as TensorFlow survives no fork."""
    found = {name: make for name, make in {**FILES, "run": run}.items() if name in only}
    if "model" in only:
        process = multiprocessing.get_context("fork").Process(target=Valid, args=(folder,))
        process.start()
        process.join()
        found["model"] = Valid(folder).model
    return found


def rounds(record: Path) -> list[Round]:
    """Recorded rounds."""
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    return [Round(**json.loads(line)) for line in lines]


def add(done: Round, record: Path) -> None:
    """Print a round, and add it to the record."""
    print(f"{done.reader}, seed {done.seed}: {done.cases} cases in {done.seconds:.0f} s", *done.findings, sep="\n")
    sys.stdout.flush()
    with open(record, "a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(done)) + "\n")


def next_round(recorded: Sequence[Round], readers: Iterable[str]) -> tuple[str, int]:
    """The reader with the least CPU time, and a seed that it has not had."""
    spent = {name: sum(one.seconds for one in recorded if one.reader == name) for name in readers}
    name = min(spent, key=spent.__getitem__)
    return name, 1 + max((one.seed for one in recorded if one.reader == name), default=-1)


def table(found: Sequence[Round]) -> str:
    """A row for each reader."""
    lines = ["| reader | cases | read | refused | findings | CPU s |", "| --- | --- | --- | --- | --- | --- |"]
    for reader in READERS:
        of = [one for one in found if one.reader == reader]
        numbers = [sum(n) for n in zip(*((one.cases, one.read, one.refused, len(one.findings)) for one in of))]
        if of:
            shown = " | ".join(f"{number:,}" for number in (*numbers, int(sum(one.seconds for one in of))))
            lines.append(f"| {TITLES.get(reader, reader)} | {shown} |")
    return "\n".join(lines) + "\n"


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _cpu_seconds() -> float:
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def main() -> int:
    """Read the options, and do what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="wall time after which no round begins")
    parser.add_argument("--round", type=float, default=60.0, help="seconds of CPU time of a round")
    parser.add_argument("--case", type=int, help="read this case only")
    parser.add_argument("--seed", type=int, default=0, help="seed of that case")
    parser.add_argument("--only", nargs="+", choices=READERS, default=list(READERS))
    parser.add_argument("--record", type=Path, default=RECORD, help="file of rounds, to continue")
    parser.add_argument("--write-table", action="store_true", help="write docs/faults.md from the record, and end")
    options = parser.parse_args()
    logging.disable()
    recorded = rounds(options.record)
    if options.write_table:
        faults_page.write("rounds", f"\n{table(recorded)}\n")
        return 0
    known = len(recorded)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = makers(folder, options.only)
        if options.case is not None:
            for name, make in found.items():
                print(name, *apart(make, [options.case], options.seed, folder, 0.0))
            return 0
        end = time.monotonic() + options.seconds
        while time.monotonic() < end:
            name, seed = next_round(recorded, found)
            recorded.append(fuzz(name, found[name], seed, folder, options.round))
            add(recorded[-1], options.record)
    return any(one.findings for one in recorded[known:])


if __name__ == "__main__":
    sys.exit(main())
