"""Fuzz the readers of rows, of runs and of model folders: malformed input must be refused in one line.

    python tests/robustness/fuzz_readers.py --seconds 60 --seed 1
    python tests/robustness/fuzz_readers.py --seconds 600 --only excel --apart

Each case is a valid file or folder with a few mutations, some of the bytes and some of what they mean (a cell, a key of
JSON, an array, a header of NumPy). A reader may read it or raise AladError with one line; anything else, also a call
that takes long or much memory, is a finding: it is printed with the number of its case, which `--seed` and `--case`
repeat.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import math
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Callable

import fuzz_files
import numpy as np
import pandas as pd
from fuzz_files import Chance, changed, mutated, zipped

from alad_tf.errors import AladError
from alad_tf.io import model_folder
from alad_tf.io.manifest import entry
from alad_tf.report import page

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
}
READERS = (*FILES, "run", "model")


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

RUN = Path(__file__).resolve().parents[1] / "last_release" / "results" / "toy" / "ALAD" / "seed0"


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


def apart(make: Make, number: int, seed: int, folder: Path) -> str:
    """Outcome of a case in a separate process; AssertionError if there is none, as when a library crashes."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        signal.setitimer(signal.ITIMER_PROF, 2 * SECONDS)  # of CPU time
        signal.alarm(HANGING)
        try:
            before = _megabytes()
            said = case(make, number, seed, folder)
            assert _megabytes() - before < MEGABYTES, f"{_megabytes() - before:.0f} MB of memory were taken"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said[:300].encode("utf-8", "replace"))
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as pipe:
        said = pipe.read() or "nothing"
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert said in ("read", "refused"), f"it said {said} and ended with exit code {code}"
    return said


def fuzz(
    folder: Path,
    seed: int,
    numbers: Iterable[int],
    seconds: float = math.inf,
    only: Sequence[str] = READERS,
    forked: bool = False,
) -> tuple[Counter[str], list[str]]:
    """Read cases until the time is over; return the numbers of read and refused cases, and the failures."""
    counts: Counter[str] = Counter()
    findings: list[str] = []
    readers = {name: make for name, make in {**FILES, "run": run}.items() if name in only}
    if "model" in only:
        readers["model"] = Valid(folder).model
    before, end = _megabytes(), time.monotonic() + seconds
    for number in itertools.takewhile(lambda _: time.monotonic() < end, numbers):
        for name, make in readers.items():
            if name == "model" and number % 10 and len(readers) > 1:  # takes ten times as long
                continue
            try:
                counts[f"{name} {(apart if forked else case)(make, number, seed, folder)}"] += 1
            except Exception as error:
                findings.append(f"case {number} of {name}: {type(error).__name__}: {str(error)[:300]}")
    if _megabytes() - before > MEGABYTES:
        findings.append(f"{_megabytes() - before:.0f} MB of memory were taken")
    return counts, findings


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _cpu_seconds() -> float:
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", nargs="+", choices=READERS, default=list(READERS))
    parser.add_argument("--apart", action="store_true", help="each case in its own process, for those that end it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        done, found = fuzz(
            Path(temporary), options.seed, itertools.count(options.case), options.seconds, options.only, options.apart
        )
    print(f"{dict(done)}; {_cpu_seconds():.0f} s of CPU time; findings: {len(found)}", *found, sep="\n")
    sys.exit(bool(found))
