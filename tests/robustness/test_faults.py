"""Every case of `fault_cases_*.py`: message, exit code, and unchanged earlier files.

The last test compares docs/faults.md with the outcomes of this run;
`pytest tests/robustness/test_faults.py --write-table` writes it.
"""

from __future__ import annotations

import html
import importlib
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

import faults_page
import pytest
from faults import FAULTS, Arguments, Earlier, Fault, Said, Scene

from alad_tf.cli import main as command_line

for cases in (
    "fault_cases_runs",
    "fault_cases_images",
    "fault_cases_exports",
    "fault_cases_files",
    "fault_cases_models",
    "fault_cases_calls",
):  # in the order of the table
    importlib.import_module(cases)
ROWS: dict[str, str] = {}  # of the table, by name of the case


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Earlier:
    return Earlier.make(tmp_path_factory.mktemp("earlier"))


@pytest.fixture
def scene(
    earlier: Earlier, tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str]
) -> Iterator[Scene]:
    """The current folder, readable by others: a case may run as another user."""
    folder = tmp_path_factory.mktemp("scene")
    folder.parent.chmod(0o755)
    folder.parent.parent.chmod(0o755)
    before = Path.cwd()

    def call(arguments: Arguments) -> Said:
        capfd.readouterr()
        code = command_line.main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Said(code, captured.out, captured.err)

    os.chdir(folder)
    with ExitStack() as stack:
        yield Scene(folder, earlier, stack, call)
    os.chdir(before)


def state(scene: Scene) -> dict[str, bytes]:
    """Every file below the scene, except those that the call may change."""
    paths = [path for path in scene.folder.rglob("*") if path.is_file()]
    kept = [path for path in paths if not any(part in str(path) for part in scene.changes)]
    return {str(path.relative_to(scene.folder)): path.read_bytes() for path in kept}


@pytest.mark.parametrize("case", FAULTS, ids=[case.name for case in FAULTS])
def test_fault(case: Fault, scene: Scene) -> None:
    arguments = case.make(scene)
    before = state(scene)
    said = scene.call(arguments)
    after = state(scene)
    assert said.code == case.code, said
    assert {name: after.get(name) for name in before} == before
    left = {name for name in {*after} - {*before} if any(part.startswith(".") for part in Path(name).parts)}
    assert not left, "temporary files are left"
    assert "Traceback" not in said.out + said.err
    lines = [line for line in said.err.splitlines() if re.search(case.says, line)]
    assert lines, said
    if case.code:
        last = said.err.splitlines()[-1]
        assert said.out == "" and re.match(r"alad( \w+)?: error: ", last) and re.search(case.says, last), said
    for check in scene.after:
        check()
    ROWS[case.name] = row(case, lines[-1], scene.folder)


def row(case: Fault, line: str, folder: Path) -> str:
    """A line of the table, from the parts of the message that are equal in every run."""
    line = line.replace(f"{folder}/", "").replace(str(folder), ".")
    line = re.sub(r"used by process \d+", "used by process N", line)
    line = re.sub(r"record at \d+", "record at N", line)
    line = re.sub(r"\b([0-9a-f]{8})[0-9a-f]{56}\b", r"\1...", line)
    line = re.sub(r"\b[0-9a-f]{12}\.\.\.", "...", line)  # sums of what is not the same on every machine
    line = re.sub(r": line \d+ column \d+ \(char \d+\)", "", line)
    line = line if len(line) <= 240 else line[:237] + "..."
    return f"| {case.name} | {case.code} | {html.escape(line, quote=False).replace('|', '&#124;').replace('`', '')} |"


def test_names_are_their_own() -> None:
    assert len({case.name for case in FAULTS}) == len(FAULTS) >= 40


def test_table_in_the_docs(request: pytest.FixtureRequest) -> None:
    """Rows of cases that were not run are not compared."""
    committed = faults_page.part("cases")
    there = {line.split(" | ")[0][2:]: line for line in committed.splitlines() if line.startswith("| ")}
    groups = len({case.group for case in FAULTS})
    table = f"{len(FAULTS)} faults in {groups} groups.\n\n" + "".join(
        f"### {group}\n\n| fault | exit code | message |\n| --- | --- | --- |\n"
        + "".join(f"{ROWS.get(case.name) or there.get(case.name)}\n" for case in cases)
        + "\n"
        for group, cases in groupby(FAULTS, lambda case: case.group)
    )
    if request.config.getoption("--write-table"):
        faults_page.write("cases", f"\n{table}")
        return
    assert committed == f"\n{table}", "call pytest tests/robustness/test_faults.py --write-table"
