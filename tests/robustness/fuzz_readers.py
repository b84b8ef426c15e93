"""Fuzz the readers of rows and of model folders: malformed input must be refused in one line.

    python tests/robustness/fuzz_readers.py --seconds 60 --seed 1

Each case is a valid file or folder with a few mutations, some of the bytes and some of what they mean (a cell, a key of
JSON, an array, a header of NumPy). A reader may read it or raise AladError with one line; anything else, also a call
that takes long or much memory, is a finding: it is printed with the number of its case, which `--seed` and `--case`
repeat.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import itertools
import json
import math
import os
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from alad_tf.columns.schema import Kind
from alad_tf.errors import AladError
from alad_tf.io import model_folder
from alad_tf.io.manifest import entry
from alad_tf.report import page
from alad_tf.tabular import readers as readers_module
from alad_tf.tabular.readers import chunks

SECONDS = 20.0  # that one call may take
MEGABYTES = 1500  # that all calls together may take on top of the first
Chance = random.Random
Make = Callable[[Path, Chance], Callable[[], object]]
READERS = ("rows", "arrow", "run", "model")

NUMBERS = [0, 1, -1, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf"), -0.0, 0.5, True]
VALUES: list[Any] = [*NUMBERS, None, "", "x", "é\0\ud800", "../../etc/passwd", [], {}, [[]], {"": None}, "9" * 5000]


@contextmanager
def case(make: Make, number: int, seed: int, folder: Path) -> Iterator[str]:
    """Generate a case, read it, and yield "read" or "refused"; raises AssertionError for other outcomes."""
    chance = Chance(f"{seed}/{number}/{make.__name__}")
    read = make(folder, chance)
    started = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
        outcome = "read"
    except AladError as error:
        outcome = "refused"
        line = str(error)
        assert line and "\n" not in line and len(line) < 2000, f"a message that is not one line: {line[:300]!r}"
    assert time.monotonic() - started < SECONDS, "it took too long"
    yield outcome


# Rows in text -----------------------------------------------------------------------------------------------------


def rows(folder: Path, chance: Chance) -> Callable[[], object]:
    """A file of rows, compressed or not."""
    suffix = chance.choice([".csv", ".tsv", ".csv.gz", ".npy", ".npz"])
    path = folder / f"rows{suffix}"
    if suffix in (".npy", ".npz"):
        content = array_file(chance, suffix)
    else:
        content = text(chance, "\t" if suffix == ".tsv" else ",")
        content = mutated(content, chance) if chance.random() < 0.5 else content
        content = gzip.compress(content, mtime=0) if suffix == ".csv.gz" else content
    path.write_bytes(mutated(content, chance) if chance.random() < 0.3 else content)
    kinds: dict[str, Kind] = {"a": "number"} if chance.random() < 0.3 else {}

    return lambda: _read_all(path, chance, kinds)


def text(chance: Chance, delimiter: str) -> bytes:
    """A text table, sometimes with odd cells, lines of another length or another encoding."""
    cells = [[name for name in "abcd"]] + [[str(chance.random()) for _ in "abcd"] for _ in range(chance.choice([0, 5]))]
    for _ in range(chance.choice([0, 0, 1, 2])):
        line = chance.choice(cells)
        if line:
            line[chance.randrange(len(line))] = chance.choice(
                [
                    "",
                    "NA",
                    "inf",
                    "1e999",
                    '"',
                    "x" * chance.choice([1, 70_000]),
                    "\r",
                    "a",
                    "1,2",
                    "ü",
                    "0x10",
                    "-",
                    "\0",
                ]
            )
        if chance.random() < 0.3:
            line.append("7") if chance.random() < 0.5 else line.clear()
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, quoting=chance.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])).writerows(cells)
    return file.getvalue().encode(chance.choice([*["utf-8"] * 5, "utf-8-sig", "utf-16", "latin-1"]), "replace")


def array_file(chance: Chance, suffix: str) -> bytes:
    """An array in NumPy's format, with a valid or an invalid header."""
    file = io.BytesIO()
    kind = chance.choice(["<f8", "<f4", "<i2", "?", "<c8", "<U3", "O", "M8[s]"])
    shape = chance.choice([(5, 3), (0, 3), (3, 0), (7,), (), (2, 2, 2)])
    array = np.zeros(shape, kind) if kind != "O" else np.full(shape, None, object)
    np.lib.format.write_array(file, array, allow_pickle=True)
    content = file.getvalue()
    if chance.random() < 0.5:
        large = chance.choice(
            [b"(5, 999999999999)", b"(999999999, 3)", b"(-5, 3)", b"(0, 9999999999)", b"(1" + b",1" * 99]
        )
        header = content[10:].split(b"\n")[0] + b"\n"
        changed = header.replace(str(shape).encode(), large)
        content = content[:8] + len(changed).to_bytes(2, "little") + changed + content[10 + len(header) :]
    return (
        content if suffix == ".npy" else zipped({chance.choice(["x.npy", "../x.npy", "/x", "y.npy"]): content}, chance)
    )


def arrow(folder: Path, chance: Chance) -> Callable[[], object]:
    """A mutated Parquet or Feather file, compressed or not, in one batch or several."""
    kind = chance.choice(["parquet", "feather"])
    path, count = folder / f"rows.{kind}", chance.choice([1, 20, 300])
    columns: dict[str, object] = {
        "a": [chance.choice([0.5, None, float("nan")]) for _ in range(count)],
        "b": list(range(count)),
        "c": [chance.choice(["x", "yy", "\u00fc" * 30, "", None]) for _ in range(count)],
        "d": [[1, 2]] * count,
    }
    table = pa.table({name: columns[name] for name in chance.sample("abcd", chance.choice([1, 2, 3, 3, 3, 4]))})
    if kind == "feather" and "c" in table.column_names and chance.random() < 0.3:
        place = table.column_names.index("c")
        table = table.set_column(place, "c", table.column("c").dictionary_encode())
    rows_of_batch = chance.choice([7, 1000])
    if kind == "parquet":
        pyarrow.parquet.write_table(
            table, path, row_group_size=rows_of_batch, compression=chance.choice(["none", "snappy", "zstd"])
        )
    else:
        pyarrow.feather.write_feather(
            table, path, chunksize=rows_of_batch, compression=chance.choice(["uncompressed", "lz4", "zstd"])
        )
    content = path.read_bytes()
    for _ in range(chance.choice([0, 1, 1, 2, 8])):  # numbers of the format: lengths, offsets, counts
        place, size = chance.randrange(len(content)), chance.choice([1, 2, 4, 8])
        number = chance.choice([0, 1, 0x7F, 0xFF, 1 << 31, (1 << 63) - 1, 1 << 41]) % (1 << 8 * size)
        content = content[:place] + number.to_bytes(size, "little") + content[place + size :]
    path.write_bytes(mutated(content, chance) if chance.random() < 0.2 else content)
    return lambda: _read_all(path, chance, {})


def _read_all(path: Path, chance: Chance, kinds: dict[str, Kind]) -> None:
    readers_module.read(path, kinds=kinds)
    list(chunks(path, chance.choice([1, 3, 1000]), kinds=kinds))


# Folders of runs --------------------------------------------------------------------------------------------------

RUN = Path(__file__).resolve().parents[1] / "last_release" / "results" / "toy" / "ALAD" / "seed0"


def run(folder: Path, chance: Chance) -> Callable[[], object]:
    """A page about a run whose result, history or scores have a mutation."""
    from alad_tf.experiments.run_page import run_page

    files = {name: (RUN / name).read_bytes() for name in ("result.json", "history.jsonl", "scores.npz")}
    name = chance.choice(sorted(files))
    if name.endswith(".npz"):
        files[name] = changed_arrays(files[name], chance)
    else:
        files[name] = json.dumps(changed(json.loads(files[name]), chance)).encode("utf-8", "surrogatepass")
    if chance.random() < 0.3:
        files[name] = mutated(files[name], chance)
    target = Path(tempfile.mkdtemp(dir=folder))
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
        target = Path(tempfile.mkdtemp(dir=folder))
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


def changed(document: Any, chance: Chance) -> Any:
    """A document with one place changed."""
    if not isinstance(document, (dict, list)) or not document or chance.random() < 0.1:
        return chance.choice(VALUES)
    document = document.copy()
    key = chance.choice(sorted(document) if isinstance(document, dict) else range(len(document)))
    action = chance.random()
    if action < 0.1:
        del document[key]
    elif action < 0.2 and isinstance(document, dict):
        document[chance.choice(["extra", "__class__", "networks", "architecture"])] = chance.choice(VALUES)
    elif action < 0.2:
        document.append(document[key])
    else:
        document[key] = changed(document[key], chance)
    return document


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


def zipped(members: dict[str, bytes], chance: Chance) -> bytes:
    """A zip archive, with some compression method."""
    file = io.BytesIO()
    way = chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
    with zipfile.ZipFile(file, "w", way) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


# Bytes ------------------------------------------------------------------------------------------------------------


def mutated(content: bytes, chance: Chance) -> bytes:
    """Bytes with up to three changes: flipped bit, truncation, insertion, repetition, appended bomb."""
    for _ in range(chance.randrange(4)):
        place = chance.randrange(len(content) + 1)
        content = chance.choice([_flipped, _cut, _with_more, _doubled])(content, place, chance)
    return content


def _flipped(content: bytes, place: int, chance: Chance) -> bytes:
    if place == len(content):
        return content
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


def _cut(content: bytes, place: int, chance: Chance) -> bytes:
    return content[:place]


def _with_more(content: bytes, place: int, chance: Chance) -> bytes:
    more = [
        b"\0",
        b"\xff",
        b"\n",
        b'"',
        b",",
        b"\r\n\r\n",
        b"<html>",
        b"\xef\xbb\xbf",
        b"\x1f\x8b",
        b"PK\3\4",
        b"9" * 400,
    ]
    return content[:place] + chance.choice(more) + content[place:]


def _doubled(content: bytes, place: int, chance: Chance) -> bytes:
    return content[:place] + content[place // 2 : place] * chance.choice([1, 50]) + content[place:]


def apart(make: Make, number: int, seed: int, folder: Path) -> str:
    """Outcome of a case in a separate process; AssertionError if there is none, as when a library crashes."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        signal.alarm(math.ceil(2 * SECONDS))
        try:
            with case(make, number, seed, folder) as said:
                pass
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
    readers = {name: make for name, make in (("rows", rows), ("arrow", arrow), ("run", run)) if name in only}
    if "model" in only:
        readers["model"] = Valid(folder).model
    before, end = _megabytes(), time.monotonic() + seconds
    for number in itertools.takewhile(lambda _: time.monotonic() < end, numbers):
        for name, make in readers.items():
            if name == "model" and number % 10 and len(readers) > 1:  # takes ten times as long
                continue
            try:
                if forked:
                    counts[f"{name} {apart(make, number, seed, folder)}"] += 1
                    continue
                with case(make, number, seed, folder) as outcome:
                    counts[f"{name} {outcome}"] += 1
            except Exception as error:
                findings.append(f"case {number} of {name}: {type(error).__name__}: {str(error)[:300]}")
    if _megabytes() - before > MEGABYTES:
        findings.append(f"{_megabytes() - before:.0f} MB of memory were taken")
    return counts, findings


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


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
    print(f"{dict(done)}; findings: {len(found)}", *found, sep="\n")
    sys.exit(bool(found))
