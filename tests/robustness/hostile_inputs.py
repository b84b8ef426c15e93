"""Endless and malformed inputs: the message of `alad` for each, with CPU time and peak memory.

    python tests/robustness/hostile_inputs.py                # prints the table
    python tests/robustness/hostile_inputs.py --write-table  # writes it to docs/faults.md

Each case is the real command in a process of its own, up to the first step of a training, which a stand-in replaces:
where the rows are good, the line says what was read. Peak memory includes Python and the libraries of the readers.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import types
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable
from unittest.mock import patch

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tests"))  # called as a script

# isort: split

import faults_page  # noqa: E402
import numpy as np  # noqa: E402
import openpyxl  # noqa: E402
from workbooks import with_shared_texts  # noqa: E402

from alad_tf.cli import main as command_line  # noqa: E402
from alad_tf.columns.encoder import TrainingCells  # noqa: E402
from alad_tf.errors import AladError  # noqa: E402
from alad_tf.tabular import fit, readers, score  # noqa: E402, F401  # imported before the processes are forked
from alad_tf.tabular.steady import steady  # noqa: E402

SECONDS, MEGABYTES = 60.0, 1000  # of CPU time and of peak memory that a case may take
Make = Callable[[Path], Sequence[object]]
FIT = ("fit", "rows.csv", "--model", "model")


@dataclass(frozen=True)
class Outcome:
    """Outcome of a case."""

    name: str
    code: int
    seconds: float
    megabytes: float
    lines: list[str]

    @property
    def problem(self) -> str:
        """Violated requirement; "" if there is none."""
        if self.code != 1 or len([line for line in self.lines if line.startswith("alad: error: ")]) != 1:
            return f"exit code {self.code}, {len(self.lines)} lines"
        if any(len(line) > 2000 for line in self.lines):
            return "a long line"
        if any("Traceback" in line for line in self.lines):
            return "a traceback"
        return "" if self.seconds <= SECONDS and self.megabytes <= MEGABYTES else "too much time or memory"


class Reading(AladError):  # noqa: N818  # no fault
    """Raised when the rows have been read without a fault."""


class StandIn:
    """Replaces ALAD: training would begin."""

    def __init__(self, **options: object) -> None: ...

    def fit(self, cells: TrainingCells, **options: object) -> None:
        """Report what was read."""
        x = cells.features()
        raise Reading(f"read: {x.shape[0]} rows, {x.shape[1]} features")


CASES: dict[str, Make] = {}


def case(name: str) -> Callable[[Make], Make]:
    """Register a case."""

    def register(make: Make) -> Make:
        CASES[name] = make
        return make

    return register


def text(name: str, content: str | bytes, arguments: Sequence[object] = FIT) -> None:
    """Register a file with this content as a case."""

    def make(folder: Path) -> Sequence[object]:
        (folder / "rows.csv").write_bytes(content.encode() if isinstance(content, str) else content)
        return arguments

    CASES[name] = make


def table(*cells: str, name: str = "a") -> str:
    """Two columns; the last rows of the first have the given cells."""
    rows = [f"{k}.5,{k % 7}" for k in range(10)] + [f"{cell},1" for cell in cells]
    return "\n".join([f"{name},b", *rows]) + "\n"


# Files that are none ----------------------------------------------------------------------------------------------

for device in ("zero", "urandom", "full", "tty"):

    @case(f"/dev/{device} under the name rows.csv")
    def _(folder: Path, device: str = device) -> Sequence[object]:
        (folder / "rows.csv").symlink_to(f"/dev/{device}")
        return FIT


@case("FIFO that nobody writes to")
def _(folder: Path) -> Sequence[object]:
    os.mkfifo(folder / "rows.csv")
    return FIT


@case("folder named rows.csv")
def _(folder: Path) -> Sequence[object]:
    (folder / "rows.csv").mkdir()
    return FIT


@case("link to itself")
def _(folder: Path) -> Sequence[object]:
    (folder / "rows.csv").symlink_to("rows.csv")
    return FIT


@case("sparse file of 1 TB named rows.npy")
def _(folder: Path) -> Sequence[object]:
    np.save(folder / "rows.npy", np.zeros((3, 2)))
    os.truncate(folder / "rows.npy", 1 << 40)
    return ("fit", "rows.npy", "--model", "model")


# Standard input without an end -------------------------------------------------------------------------------------


def endless(name: str, content: bytes, after: str) -> None:
    """A case of standard input that begins with `content` and continues with `after` for ever, and 4 GiB of disk."""

    def make(folder: Path) -> Sequence[object]:
        (folder / "beginning").write_bytes(content)
        command = ["sh", "-c", f"cat beginning; {after}"]
        sys.stdin = io.TextIOWrapper(subprocess.Popen(command, stdout=subprocess.PIPE).stdout)
        patch.object(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=1 << 32)).start()
        return ("fit", "-", "--model", "model")

    CASES[name] = make


endless("rows without an end on standard input", b"a,b\n", "yes 1,2")
endless("/dev/zero on standard input", b"", "cat /dev/zero")
endless("Parquet without an end on standard input", b"PAR1", "cat /dev/zero")
endless("gzip without an end on standard input", gzip.compress(b"a,b\n"), "cat /dev/urandom")


# The output is the input ------------------------------------------------------------------------------------------

SCORE = ("score", "rows.csv", "--model", "model", "--overwrite", "--output")


@case("output equal to input")
def _(folder: Path) -> Sequence[object]:
    (folder / "rows.csv").write_text(table())
    return (*SCORE, "./rows.csv")


@case("output is a hard link to the input")
def _(folder: Path) -> Sequence[object]:
    (folder / "rows.csv").write_text(table())
    os.link(folder / "rows.csv", folder / "scored.csv")
    return (*SCORE, "scored.csv")


@case("output is a symbolic link to the input")
def _(folder: Path) -> Sequence[object]:
    (folder / "rows.csv").write_text(table())
    (folder / "scored.csv").symlink_to("rows.csv")
    return (*SCORE, "scored.csv")


# Files that change while they are read ----------------------------------------------------------------------------


def changing(name: str, change: Callable[[Path], object]) -> None:
    """A case of 6 MB whose file is changed when the first byte of its rows is about to be read."""

    def make(folder: Path) -> Sequence[object]:
        (folder / "rows.csv").write_text("a,b\n" + "1.25,2.5\n" * 700_000)

        @contextmanager
        def then_change(path: Path) -> Iterator[None]:
            with steady(path):
                change(path)
                yield

        patch.object(readers, "steady", then_change).start()
        return FIT

    CASES[name] = make


changing("file that is cut at a line end while it is read", lambda path: os.truncate(path, 4 + 9 * 300_000))
changing("file that grows while it is read", lambda path: path.open("a").write("1,2\n"))
changing("file that is replaced while it is read", lambda path: os.replace(shutil.copy(path, f"{path}.new"), path))

# Shapes without bound ---------------------------------------------------------------------------------------------


@case("open quote in 126 MB")
def _(folder: Path) -> Sequence[object]:
    with open(folder / "rows.csv", "w") as file:
        file.write('a,b\n1,2\n"')
        for _ in range(126):
            file.write("1.25,2.5\n" * 116_500)
    return FIT


text("header of a million names", ",".join(f"c{k}" for k in range(1_000_000)) + "\n1\n")
text("header of 65,536 names, a row", ",".join(f"c{k}" for k in range(65_536)) + "\n" + ",".join(["1"] * 65_536) + "\n")
text("cell of 3 MB in a column of text", table("1").replace("1,1\n", "x" * 3_000_000 + ",1\n"))
text("cell of 5 MB", table("x" * 5_000_000))
text("line without an end, 20 MB", "a,b\n" + "1" * 20_000_000)
text("a million empty lines", "a,b\n" + "\n" * 1_000_000)
text("random bytes of 5 MB", random.Random(0).randbytes(5_000_000))

# Encodings and cells ----------------------------------------------------------------------------------------------

text("UTF-16 with its mark", table("1").encode("utf-16"))
text("UTF-16 without a mark", table("1").encode("utf-16-le"))
text("UTF-8 with its mark", table("1").encode("utf-8-sig"))
text("NUL bytes in a cell", table("1\0"))
text("1e309", table("1e309"))
text("-1e309", table("-1e309"))
text("1e-400", table("1e-400"))
text("nan as text", table("nan"))
text("inf as text", table("inf"))
text("Infinity as text", table("Infinity"))
text("hexadecimal 0x10", table("0x10"))
text("underscores 1_000", table("1_000"))
text("Arabic digits", table("١٢٣"))
text("fullwidth digits", table("１２３"))
text("thousands separator in quotes", table('"1,000"'))
text("thousands separator without quotes", table("1,000"))
text("decimal comma in quotes", table('"1,5"'))
text("number of 400 digits", table("9" * 400))
text("spaces around a number", table(" 1 "))
text("plus sign", table("+1"))
text("lone carriage returns as line ends", table("1").replace("\n", "\r"))


# JSON Lines and Excel files ---------------------------------------------------------------------------------------


def json_lines(name: str, *added: str, count: int = 10) -> None:
    """A case of JSON Lines whose last lines are these."""

    def make(folder: Path) -> Sequence[object]:
        rows = [f'{{"a": {k}.5, "b": {k % 7}}}' for k in range(count)]
        (folder / "rows.jsonl").write_text("\n".join([*rows, *added]) + "\n")
        return ("fit", "rows.jsonl", "--model", "model")

    CASES[name] = make


json_lines("JSON nested 100,000 deep", '{"a":' + "[" * 100_000)
json_lines("JSON number of 400 digits", f'{{"a": {"9" * 400}, "b": 1}}')
json_lines("JSON number of 5000 digits", f'{{"a": {"9" * 5000}, "b": 1}}')
json_lines("JSON number of 25 digits", f'{{"a": {"9" * 25}, "b": 1}}')
json_lines("JSON key given twice", '{"a": 1, "a": "x", "b": 1}')
json_lines("JSON key with an escape sequence", '{"a": 1, "b": 1, "\\u001b[31m\\n": 1}')
json_lines("JSON lines of 4000 keys, one in each", *(f'{{"c{k}": 1}}' for k in range(4000)))


def sheet(name: str, changes: Mapping[str, str], shared: str = "") -> None:
    """A case of an Excel file with changes in the XML of its sheet, and one shared text."""

    def make(folder: Path) -> Sequence[object]:
        book = openpyxl.Workbook()
        for row in [["a", "b"], *([k + 0.5, k % 7] for k in range(10))]:
            book.active.append(row)
        book.save(folder / "whole.xlsx")
        with zipfile.ZipFile(folder / "whole.xlsx") as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        for old, new in changes.items():
            members[SHEET] = members[SHEET].replace(old.encode(), new.encode())
        with zipfile.ZipFile(folder / "rows.xlsx", "w", zipfile.ZIP_DEFLATED) as changed:
            for name, content in with_shared_texts(members, shared).items():
                changed.writestr(name, content)
        return ("fit", "rows.xlsx", "--model", "model")

    CASES[name] = make


def added(*numbers: int, cell: str) -> dict[str, str]:
    """Rows with one cell behind the last one."""
    return {"</sheetData>": "".join(f'<row r="{k}">{cell}</row>' for k in numbers) + "</sheetData>"}


SHEET = "xl/worksheets/sheet1.xml"
ENTITIES = "".join(f'<!ENTITY e{k} "{f"&e{k - 1};" * 10 if k else "ha"}">' for k in range(10))
SHARED = '<c t="s"><v>0</v></c>'
sheet("Excel sheet without its end", {"</sheetData>": ""})
sheet("Excel row 99,999,999,999", added(99_999_999_999, cell="<c><v>1</v></c>"))
sheet("Excel cell of a text that is not there", added(12, cell='<c t="s"><v>999</v></c>'))
sheet("Excel cell of text -1", added(12, cell='<c t="s"><v>-1</v></c>'))
sheet("Excel cells of a row in another order", added(12, cell='<c r="B12"><v>1</v></c><c r="A12"><v>2</v></c>'))
sheet(
    "Excel entities that expand to 2 GB",
    {"<worksheet": f"<!DOCTYPE x [{ENTITIES}]><worksheet", **added(12, cell='<c t="str"><v>&e9;</v></c>')},
)
sheet("Excel text of 3 MB in 20,000 cells", added(*range(12, 20_012), cell=SHARED), "x" * 3_000_000)


# One case ---------------------------------------------------------------------------------------------------------


def outcome(name: str) -> Outcome:
    """Run the command of a case in a separate process."""
    folder = Path(tempfile.mkdtemp())
    process = os.fork()
    if process == 0:
        _child(folder, CASES[name])
    _, status, usage = os.wait4(process, 0)
    said = (folder / "said").read_text(errors="replace")
    shutil.rmtree(folder)
    seconds = usage.ru_utime + usage.ru_stime
    return Outcome(name, os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss / 1024, said.splitlines())


def _child(folder: Path, make: Make) -> None:
    code = 70
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS) + 1))
        stand_in = types.ModuleType("alad_tf.estimator.alad")
        stand_in.ALAD = StandIn  # type: ignore[attr-defined]
        sys.modules["alad_tf.estimator.alad"] = stand_in
        os.chdir(folder)
        arguments = [str(argument) for argument in make(folder)]
        said = os.open("said", os.O_WRONLY | os.O_CREAT)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        code = command_line.main(arguments)
        sys.stdout.flush()
    finally:
        os._exit(code)


def rows(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Lines of the table."""
    yield "| input | exit code | CPU s | peak MB | message |"
    yield "| --- | --- | --- | --- | --- |"
    for found in outcomes:
        message = next((line for line in found.lines if "error" in line), found.lines[-1] if found.lines else "")
        shown = message.replace("alad: error: ", "").replace("|", "&#124;").replace("<", "&lt;").replace("`", "")
        good = shown.startswith("read: ")
        shown = shown if len(shown) <= 200 else f"{shown[:197]}..."
        yield f"| {found.name} | {0 if good else found.code} | {found.seconds:.1f} | {found.megabytes:.0f} | {shown} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write-table", action="store_true", help="write the table to docs/faults.md")
    options = parser.parse_args()
    found = [outcome(name) for name in CASES]
    lines = "\n".join(rows(found))
    if options.write_table:
        faults_page.write("inputs", f"\n{lines}\n\n")
    else:
        print(lines)
    problems = [f"{one.name}: {one.problem}: {one.lines[-3:]}" for one in found if one.problem]
    print(f"{len(found)} cases; problems: {len(problems)}", *problems, sep="\n")
    sys.exit(bool(problems))
