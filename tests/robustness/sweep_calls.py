"""Interrupt commands at each system call that changes files, and check that nothing is lost.

    python tests/robustness/sweep_calls.py --out DIR             # hours; goes on where it was stopped
    python tests/robustness/sweep_calls.py --out DIR --only fit --calls rename fsync
    python tests/robustness/sweep_calls.py --out DIR --write-table

One run under strace counts the calls of a command. Then, for each call in turn, the command is killed there, and the
call fails with EIO, ENOSPC or EACCES in turn (with --every-error: with each). The command has to end by the kill, with
one line on standard error and exit code 1, or complete; what is under final names has to be whole or as before; and the
same command, called again, has to end with the bits of a command that nobody disturbed and leave no temporary file.
Calls of one kind on files whose names differ only in numbers or a random part count as equal, as those on the files of
all checkpoints and on all figures; so do writes and closes of the files with one suffix in one folder. The first and
the last of equal calls are broken off, and of writes also the middle one. Needs Linux and strace.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tests"))  # called as a script

# isort: split

import faults_page  # noqa: E402
import traced  # noqa: E402
from sweep_jobs import JOBS, Bits, Job, leftovers  # noqa: E402
from traced import Point  # noqa: E402

from alad_tf.options import FIGURE_SUFFIXES  # noqa: E402

KILL = "SIGKILL"
NOT_REACHED = "not reached"
ERRORS = ("EIO", "ENOSPC", "EACCES")
BY_SUFFIX = ("write", "close")


@dataclass(frozen=True)
class Outcome:
    """Outcome of one interrupted call."""

    job: str
    call: str
    number: int
    effect: str
    end: str  # "killed", "refused", "complete"; NOT_REACHED: the process made fewer calls
    message: str
    problem: str  # "" where all is well
    file: str = ""  # that a write, fsync or close was for

    @property
    def key(self) -> tuple[str, str, int, str]:
        return self.job, self.call, self.number, self.effect


class Sweep:
    """The cases of one job.

    Args:
        job: the command.
        folder: for its files; complete results of earlier jobs are below it.
    """

    def __init__(self, job: Job, folder: Path) -> None:
        self.job, self.folder = job, folder
        self.calls: list[traced.Called] = []
        self.whole: Bits = {}

    def trace(self) -> None:
        """Complete the command once, count its calls, and keep its results."""
        place = self._fresh(self.folder / self.job.name)
        ended = traced.run(self.job.work, place, self._log(), ["-e", f"trace={','.join(traced.CALLS)}"])
        if ended.code:
            raise RuntimeError(f"{self.job.name}: {ended}")
        self.calls = traced.calls(self._log().with_suffix(".trace"), place)
        self.whole = self.job.bits(place)

    def points(self, calls: Iterable[str]) -> Iterator[Point]:
        """The first and the last of equal calls on files in the job's folder, and the middle one of writes."""
        place = self.folder / self.job.name
        for call in calls:
            equal: dict[str, set[int]] = {}
            for name, number, file in self.calls:
                if name == call and Path(file).is_relative_to(place):
                    kind = kind_of(Path(file).relative_to(place), by_suffix=call in BY_SUFFIX)
                    equal.setdefault(kind, set()).add(number)
            ordered = [sorted(numbers) for numbers in equal.values()]
            chosen = {found[k] for found in ordered for k in (0, len(found) // 2 if call == "write" else 0, -1)}
            yield from (Point(call, number) for number in sorted(chosen))

    def case(self, point: Point, effect: str) -> Outcome:
        """Interrupt the command at a point, repeat it, and judge both calls."""
        place = self._fresh(self.folder / "case")
        ended = traced.run(self.job.work, place, self._log(), traced.inject(point, effect))
        end, problem = self._judged(ended, effect), ""
        file = self._file(point)
        if not file:
            end = NOT_REACHED  # the number of some calls is not always the same
        try:
            self.job.bits(place)
        except Exception as error:
            problem = f"half-written: {error}"
        again = traced.run(self.job.work, place, self._log().with_name("again"))
        problem = (end if end.startswith("?") else "") or problem or self._judged_again(again, place)
        lines = ended.err.strip().splitlines()
        message = lines[-1][:300] if lines else ""
        return Outcome(self.job.name, *point, effect, end[:200], message, problem[:500], file)

    def _file(self, point: Point) -> str:
        """The file of the call that was broken off, "" if none was; of several threads, the first that came so far."""
        made = traced.calls(self._log().with_suffix(".trace"), self.folder / "case")
        file = next((file for _, number, file in made if number == point.number), "")
        return file.replace(f"{self.folder}/case/", "")

    def _judged(self, ended: traced.Ended, effect: str) -> str:
        """How a command ended; begins with a question mark if it should not have ended so."""
        if ended.code == -9 and effect == KILL:
            return "killed"
        if "Traceback" in ended.err or ended.code not in (0, 1):
            return f"? {ended.code}: {ended.err.strip()[-400:]}"
        if ended.code == 0:
            return "complete"
        errors = [line for line in ended.err.splitlines() if re.match(r"alad: error: ", line)]
        return "refused" if len(errors) == 1 else f"? {len(errors)} lines of errors: {ended.err!r}"

    def _judged_again(self, again: traced.Ended, place: Path) -> str:
        if again.code:
            return f"the same command ended with {again.code}: {again.err.strip()[-300:]}"
        try:
            bits = self.job.bits(place)
        except Exception as error:
            return f"half-written by the same command: {error}"
        different = sorted(name for name in {*bits, *self.whole} if bits.get(name) != self.whole.get(name))
        if different:
            return f"other bits in {different}"
        left = leftovers(place)
        return f"left over: {left}" if left else ""

    def _fresh(self, place: Path) -> Path:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        self.job.prepare(place, self.folder)
        return place

    def _log(self) -> Path:
        return self.folder / "log"


def kind_of(file: Path, by_suffix: bool) -> str:
    """What calls on equal files have in common: a name without numbers and names of figures, or folder and suffix."""
    if file.suffix in FIGURE_SUFFIXES:
        return f"{file.parent}/figure"
    name = f"*{file.suffix}" if by_suffix and file.suffix else file.name
    return re.sub(r"\d+", "#", str(file.parent / name))


class Record:
    """Outcomes in a file of JSON lines, from which a sweep resumes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        found = [Outcome(**json.loads(line)) for line in lines]
        self.outcomes = list({outcome.key: outcome for outcome in found}.values())

    def add(self, outcome: Outcome) -> None:
        """Record an outcome."""
        self.outcomes.append(outcome)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")


def traced_jobs(folder: Path, names: Iterable[str]) -> Iterator[Sweep]:
    """Trace the jobs, each after those whose files it uses."""
    needed = [name for name in JOBS if any(name in JOBS[chosen].needs for chosen in names)]
    for name in dict.fromkeys([*needed, *names]):
        job = Sweep(JOBS[name], folder)
        job.trace()
        if name in names:
            yield job


def sweep(folder: Path, record: Record, names: Iterable[str], calls: Iterable[str], every: bool) -> None:
    """Run all cases of the jobs that are not recorded yet."""
    done = {outcome.key for outcome in record.outcomes}
    for job in traced_jobs(folder, names):
        for point in job.points(calls):
            for effect in (KILL, *(ERRORS if every else [ERRORS[point.number % len(ERRORS)]])):
                if (job.job.name, *point, effect) in done:
                    continue
                outcome = job.case(point, effect)
                record.add(outcome)
                print(*outcome.key, outcome.end[:60], outcome.problem, flush=True)


def table(outcomes: Iterable[Outcome]) -> str:
    """A row for each command and call."""
    lines = [
        "| command | call | points | cases | killed | one line, exit code 1 | completed | faults |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    rows: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.end != NOT_REACHED:
            rows.setdefault((outcome.job, outcome.call), []).append(outcome)
    for (job, call), found in sorted(rows.items(), key=lambda row: (list(JOBS).index(row[0][0]), row[0][1])):
        ends = Counter(outcome.end for outcome in found)
        points, problems = len({outcome.number for outcome in found}), sum(bool(outcome.problem) for outcome in found)
        numbers = (points, len(found), ends["killed"], ends["refused"], ends["complete"], problems)
        lines.append(f"| {job} | {call} | {' | '.join(map(str, numbers))} |")
    return "\n".join(lines) + "\n"


def merged(new: str, there: str) -> str:
    """A table with the rows of another one for commands that it lacks."""
    top, rows = new.splitlines()[:2], new.splitlines()[2:]
    swept = {row.split(" | ")[0] for row in rows}
    kept = [row for row in there.splitlines() if row.split(" | ")[0] in {f"| {job}" for job in JOBS} - swept]
    ordered = sorted([*rows, *kept], key=lambda row: list(JOBS).index(row.split(" | ")[0][2:]))
    return "\n".join([*top, *ordered]) + "\n"


def write_table(outcomes: Iterable[Outcome]) -> None:
    """Write the table to docs/faults.md; rows of commands without outcomes stay."""
    faults_page.write("sweep", f"\n{merged(table(outcomes), faults_page.part('sweep'))}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of outcomes.jsonl, to go on from")
    parser.add_argument("--only", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--calls", nargs="+", choices=traced.CALLS, default=list(traced.CALLS))
    parser.add_argument("--every-error", action="store_true", help="each error at each call, not one in turn")
    parser.add_argument("--points", action="store_true", help="print the number of points of each call, and end")
    parser.add_argument("--write-table", action="store_true", help="write docs/faults.md from the outcomes, and end")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    kept = Record(options.out / "outcomes.jsonl")
    if options.write_table:
        write_table(kept.outcomes)
        sys.exit()
    if not traced.available():
        sys.exit("strace is not here, or may not trace processes")
    with tempfile.TemporaryDirectory() as temporary:
        if options.points:
            for swept in traced_jobs(Path(temporary), options.only):
                print(f"{swept.job.name}: {dict(Counter(point.call for point in swept.points(options.calls)))}")
            sys.exit()
        sweep(Path(temporary), kept, options.only, options.calls, options.every_error)
    sys.exit(any(outcome.problem for outcome in kept.outcomes))
