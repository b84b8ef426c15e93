"""The added table of the runs behind all others: seeds, command, versions and dates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from alad_tf import stack
from alad_tf.errors import visible
from alad_tf.options import CLASSES
from alad_tf.report import paper
from alad_tf.report.rendering import Table, mark
from alad_tf.report.results import Results, gather_from, table_epochs, task_of
from alad_tf.typing import Document

TITLE = "Added table: the runs behind these tables"
OF_DATES = (
    "The date is the day on which the runs ended (UTC). Runs published before 28 November 2026 did not record it; "
    "theirs is the day of publication."
)
_NAMES = {"python": "Python", "tensorflow": "TensorFlow", "keras": "Keras", "numpy": "NumPy"}
_ABLATIONS = {
    "ALAD": "",
    "ALAD-noSN": " --no-spectral-norm",
    "ALAD-noDzz": " --no-dzz",
    "ALAD-baseline": " --no-spectral-norm --no-dzz",
}
# Part of a method's name -> option of `alad reproduce`.
_OPTIONS = {
    r"-(paper|tfa)SN": r" --spectral-norm \1",
    r"-noEMA": " --no-ema",
    r"-minmax": " --scaling minmax",
    r"-raw": " --scaling none",
    r"-(clean|released)half": r" --training-half \1",
    r"-patience(\d+)": r" --patience \1",
    r"-noStopping": " --no-early-stopping",
    r"-lastWeights": " --last-weights",
    r"-(mirrored|multi-worker)": r" --strategy \1",
    r"-(bfloat16)": r" --precision \1",
    r"-(released)Dynamics": r" --dynamics \1",
    r"-train(\d+)": r" --train-rows \1",
    r"-test(\d+)": r" --test-rows \1",
    r"-noXLA": " --no-jit",
    r"-XLA": " --jit",
    r"-(\d+)epochs": r" --epochs \1",
}


def table(own: Results, published: Results | None) -> Table:
    """A row for each method with runs on a data set, in the output folder or published.

    Raises:
        DataError: a result is damaged.
    """
    rows, notes = [], dict[str, int]()
    for dataset, name in paper.DATASET_NAMES.items():
        methods = own.methods(dataset) | (published.methods(dataset) if published else set())
        for method in sorted(methods):
            for origin, results in gather_from(own, published, dataset, method).items():
                versions = sorted({_versions(result) for result in results})
                marks = "".join(mark(notes.setdefault(text, len(notes) + 1)) for text in versions)
                stacks = " and ".join(sorted({stack.of_result(result) for result in results}))
                dates = _span(sorted({result["date"] for result in results if "date" in result}))
                call = command(dataset, method, results)
                rows.append([name, method, f"{len(results)} {origin}", call, f"{stacks}{marks}", dates or "-"])
    header = ["Data set", "Method", "Runs", "Command", "Stack", "Date"]
    return Table(TITLE, header, rows, [*(f"[{number}] {note}" for note, number in notes.items()), OF_DATES])


def command(dataset: str, method: str, results: Sequence[Document]) -> str:
    """The calls of `alad reproduce` that do these runs of a method; "-" for a name that no call gives."""
    base = paper.base_method(method)
    options = _ABLATIONS.get(base, f" --method {base}")
    if base in paper.TABLE_VI.get(dataset, {}) and paper.RELEASED not in method:
        options += " --dynamics paper"
    rest = method[len(base) :]
    while rest:
        found = next((match for match in (re.match(part, rest) for part in _OPTIONS) if match), None)
        if found is None:
            return "-"
        options += found.expand(_OPTIONS[found.re.pattern])
        rest = rest[found.end() :]
    epochs = results[0]["epochs"]
    if "--epochs" not in options and table_epochs(dataset, method) not in (None, epochs):
        options += f" --epochs {epochs}"
    return "; ".join(f"alad reproduce {dataset}{_tasks(tasks)}{options}{runs}" for runs, tasks in _calls(results))


def _calls(results: Iterable[Document]) -> list[tuple[str, list[int | None]]]:
    """The options for seeds of each call, and its normal classes: a call does consecutive seeds of each class."""
    seeds: dict[int | None, list[int]] = {}
    for result in results:
        seeds.setdefault(task_of(result), []).append(result["seed"])
    calls: dict[str, list[int | None]] = {}
    for task in sorted(seeds, key=lambda task: -1 if task is None else task):
        for _, span in groupby(enumerate(sorted(seeds[task])), key=lambda pair: pair[1] - pair[0]):
            consecutive = [seed for _, seed in span]
            start = f" --seed {consecutive[0]}" if consecutive[0] else ""
            calls.setdefault(f"{start} --runs {len(consecutive)}", []).append(task)
    return list(calls.items())


def _tasks(classes: Sequence[int | None]) -> str:
    """The option for the normal classes; none for all ten and for tabular data."""
    return f" --normal-class {','.join(map(str, classes))}" if classes != [None] and len(classes) < CLASSES else ""


def _versions(result: Document) -> str:
    recorded = result.get("stack")
    if not isinstance(recorded, dict):
        return "Versions were not recorded."
    return ", ".join(f"{name} {visible(recorded.get(part, '?'))}" for part, name in _NAMES.items()) + "."


def _span(dates: Sequence[str]) -> str:
    return " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else ""
