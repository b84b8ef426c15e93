"""Results on disk: find, validate and summarise them.

The result of a run is `<out>/<dataset>/<method>/[class<k>/]seed<s>/result.json`. The name of the method ends with its
departures from the protocol, as in `ALAD-1epochs`. Earlier versions did not include epochs in the name: `load_results`
gives such runs of `ALAD` their current name. Published results have the same layout in a separate folder; those with
other epochs keep their names, and the tables show the epochs.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np

import architectures
from alad_tf.errors import AladError, DataError, SettingsError
from alad_tf.io import manifest
from alad_tf.report import paper
from alad_tf.typing import Document

METRICS = {
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "auroc": "AUROC",
    "average_precision": "Average precision",
}
THRESHOLD_FREE = ("auroc", "average_precision")

_RUN_FOLDER = re.compile(r"(?:class(\d+)/)?seed(\d+)/result\.json")
_EPOCHS = re.compile(r"-\d+epochs$")
_UNNAMED = re.compile(r"(-noXLA|-XLA)?(-\d+epochs)?$")
_MOST = 1 << 53  # largest count or number of seconds that float64 holds exactly
_LARGEST = sys.float_info.max
_ALIKE = ("method", "epochs", "scores", "stand_in")  # entries that must agree in runs summarised together


def load_results(out: Path, dataset: str, method: str) -> list[Document]:
    """Results of all complete runs of `method` on `dataset` in `out`, sorted by seed (images: by class, then seed).

    Folders without a result.json belong to unfinished runs and are skipped. Raises DataError, naming the file, for a
    result.json that is damaged, lacks an entry or belongs to another run.
    """
    return Results(out).of(dataset, method)


def earlier_name(method: str) -> str:
    """The folder that earlier versions used for a method: its name without epochs and XLA."""
    return _UNNAMED.sub("", method)


class Results:
    """The results in a folder; each file is read once.

    Args:
        folder: results folder.
        published: whether runs with other epochs keep the names of their folders.
    """

    def __init__(self, folder: Path, published: bool = False) -> None:
        self.folder, self.published = folder, published
        self._read: dict[tuple[str, str], list[_Found]] = {}

    def of(self, dataset: str, method: str) -> list[Document]:
        """Results as `load_results` returns them."""
        return [found.result for found in self._of(dataset, method)]

    def run_folders(self, dataset: str, method: str) -> list[Path]:
        """The folders of the runs, in the order of `of`."""
        return [found.folder for found in self._of(dataset, method)]

    def methods(self, dataset: str) -> set[str]:
        """Names of the methods with results on a data set."""
        folders = [path.name for path in (self.folder / dataset).glob("*") if path.is_dir()]
        return {found.method for name in folders for found in self._in_folder(dataset, name)}

    def _of(self, dataset: str, method: str) -> list[_Found]:
        found: dict[tuple[int, int], _Found] = {}
        for name in dict.fromkeys((earlier_name(method), method)):  # if both have a run, the later folder counts
            found.update({run.place: run for run in self._in_folder(dataset, name) if run.method == method})
        return [found[place] for place in sorted(found)]

    def _in_folder(self, dataset: str, name: str) -> list[_Found]:
        if (dataset, name) not in self._read:
            folder, found = self.folder / dataset / name, []
            for path in [*folder.glob("seed*/result.json"), *folder.glob("class*/seed*/result.json")]:
                match = _RUN_FOLDER.fullmatch(path.relative_to(folder).as_posix())
                if match:
                    found.append(self._found(path, dataset, name, (int(match[1] or 0), int(match[2]))))
            self._read[dataset, name] = found
        return self._read[dataset, name]

    def _found(self, path: Path, dataset: str, name: str, place: tuple[int, int]) -> _Found:
        result = _read_result(path, dataset, name, place[1])
        method = name if self.published else _with_epochs(name, dataset, result["epochs"])
        if not method.startswith(name):
            raise _unusable(path, f"epochs {result['epochs']} in the folder of {name!r}")
        return _Found(path.parent, place, method, {**result, "method": method})


def read(out: Path, published: Path | None) -> tuple[Results, Results | None]:
    """The results in the output folder and the published ones; files are read on demand."""
    return Results(out), Results(published, published=True) if published else None


class _Found(NamedTuple):
    folder: Path
    place: tuple[int, int]  # class, or 0, and seed
    method: str
    result: Document


def _with_epochs(name: str, dataset: str, epochs: int) -> str:
    """The name of a method, including the epochs of its runs if they differ from those of its table."""
    stem, usual = _EPOCHS.sub("", name), table_epochs(dataset, name)
    if usual is None:
        return name
    return stem if epochs == usual else f"{stem}-{epochs}epochs"


def table_epochs(dataset: str, method: str) -> int | None:
    """Epochs in the architecture table of a method; None without a table."""
    base = paper.base_method(method)
    try:
        return architectures.load(dataset, "ALAD" if base in paper.TABLE_V["kdd99"] else base).epochs
    except ValueError:
        return None


def summarise(results: Sequence[Document]) -> Document:
    """Mean and sample standard deviation (ddof = 1; None for one run) over runs of one method, and the paper's figures.

    On images, the runs of each task are averaged first; mean and deviation are over the tasks.

    Returns dataset, method, runs (the seeds), epochs, seconds {mean, std, total}, scores {score: {metric: {mean, std}}}
    and paper in the same form; for images also tasks {class: {score: AUROC of each run}}; stand_in if the data are
    not the paper's; unshared {runs, n_test, n_anomalies, scores} of the runs that have metrics without the test rows
    that also occur in the training set. Raises AladError if the runs differ in method, epochs, data or scores.
    """
    if not results:
        raise SettingsError("Expected the result of at least one run to summarise. Received: none.")
    dataset, method = results[0]["dataset"], results[0]["method"]
    for key in ("dataset", *_ALIKE):
        _require_same(key, results)

    seconds = [float(result["seconds"]) for result in results]
    tasks: dict[int | None, list[Document]] = {}
    for result in results:
        tasks.setdefault(task_of(result), []).append(result)
    images = None not in tasks
    groups = list(tasks.values()) if images else [[result] for result in results]

    def mean(group: Sequence[Document], score: str, metric: str) -> float:
        return float(np.mean([result["scores"][score][metric] for result in group]))

    scores = {
        score: {metric: mean_and_std([mean(group, score, metric) for group in groups]) for metric in METRICS}
        for score in results[0]["scores"]
    }
    of_images = {
        "tasks": {
            label: {score: [result["scores"][score]["auroc"] for result in group] for score in scores}
            for label, group in tasks.items()
        }
    }
    stand_in = results[0].get("stand_in")
    beside = {score: paper.printed(dataset, method, score) for score in scores}
    return {
        "dataset": dataset,
        "method": method,
        "runs": [result["seed"] for result in results],
        "epochs": results[0]["epochs"],
        "seconds": {**mean_and_std(seconds), "total": sum(seconds)},
        "scores": scores,
        **(of_images if images else {}),
        **({"stand_in": stand_in} if stand_in else {}),
        **_unshared(results),
        "paper": {
            score: {metric: figure._asdict() for metric, figure in row.items()} for score, row in beside.items() if row
        },
    }


def gather(out: Path, published: Path | None, dataset: str, method: str) -> dict[str, list[Document]]:
    """The runs to report for a method, by origin, "this machine" or "published"; an origin without runs is left out.

    Runs in `out` come first. Published runs are used if `out` has none, and are added if `out` has only other seeds (on
    images: for a task). So runs that extend the published ones are combined with them, and runs that repeat them are
    reported alone. Published runs with other epochs, scores or data than those in `out` are not added.
    """
    return gather_from(*read(out, published), dataset, method)


def gather_from(own: Results, published: Results | None, dataset: str, method: str) -> dict[str, list[Document]]:
    """`gather` from results that have been read already."""
    ours, theirs = own.of(dataset, method), published.of(dataset, method) if published else []
    if ours and not all(_value(key, result) == _value(key, ours[0]) for key in _ALIKE for result in theirs):
        theirs = []
    seeds: dict[int | None, set[int]] = {}
    repeated = set()
    for result in ours:
        seeds.setdefault(task_of(result), set()).add(result["seed"])
    for result in theirs:
        if result["seed"] in seeds.get(task_of(result), ()):
            repeated.add(task_of(result))
    added = [result for result in theirs if task_of(result) not in repeated]
    return {origin: found for origin, found in (("this machine", ours), ("published", added)) if found}


def task_of(result: Document) -> int | None:
    """The normal class of a run on images; None for tabular data."""
    normal_class: int | None = result["settings"].get("normal_class")
    return normal_class


def load_latency(folder: Path, dataset: str) -> Document | None:
    """Read the times measured for Table IV, `<folder>/latency/<dataset>.json`; None without that file.

    Entries: dataset, batch (rows), alad_ms and anogan_ms (medians per batch), ratio, threads, machine, search_steps,
    and stand_in if the rows are not those of Table I.
    Raises DataError, naming the file, if one of them is missing or invalid.
    """
    path = folder / "latency" / f"{dataset}.json"
    if not path.exists():
        return None
    try:
        found = manifest.load_object(path, links=True)
        fits = (
            found["dataset"] == dataset
            and isinstance(found["machine"], str)
            and isinstance(found.get("stand_in", ""), str)
            and all(_positive(found[name]) for name in ("batch", "threads", "search_steps"))
            and all(is_from_zero(found[name]) and found[name] > 0 for name in ("alad_ms", "anogan_ms", "ratio"))
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _not_latency(path, repr(error)) from error
    if not fits:
        raise _not_latency(path, f"{found!r:.200}")
    return found


def _not_latency(path: Path, reason: str) -> DataError:
    return DataError(f"Expected the times of {path.stem} in milliseconds. Received: {path}: {reason}. Measure again.")


def _unshared(results: Sequence[Document]) -> Document:
    having = [result for result in results if "unshared" in result]
    if not having:
        return {}
    parts = [result["unshared"] for result in having]
    scores = {
        score: {metric: mean_and_std([part["scores"][score][metric] for part in parts]) for metric in THRESHOLD_FREE}
        for score in parts[0]["scores"]
    }
    return {"unshared": {"runs": [result["seed"] for result in having], **parts[0], "scores": scores}}


def _value(key: str, result: Document) -> object:
    """An entry for comparison between runs: the names of the scores, the value of other entries."""
    return sorted(result[key]) if key == "scores" else result.get(key)


def _require_same(key: str, results: Sequence[Document]) -> None:
    first = results[0]
    for result in results:
        expected, received = _value(key, first), _value(key, result)
        if received != expected:
            raise AladError(
                f"Expected the same {key} in all runs of {first['method']} on {first['dataset']}. Received: {expected} "
                f"(seed {first['seed']}) and {received} (seed {result['seed']}). Keep different runs apart."
            )


def mean_and_std(values: Sequence[float]) -> Document:
    """`mean` and the sample standard deviation `std`, None for one value."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def _read_result(path: Path, dataset: str, method: str, seed: int) -> Document:
    result = _complete(path)
    if result.get("method") == earlier_name(method):
        result["method"] = method  # the folder was renamed by this version
    return _sound(path, result, {"dataset": dataset, "method": method, "seed": seed})


def read_run(folder: Path) -> Document:
    """Read the result of the run in a folder, wherever it is. Raises DataError as `load_results`, or if it has none."""
    path = folder / "result.json"
    if not path.exists():
        raise DataError(
            f"Expected a complete run. Received: {folder}, without a result.json. Its `alad reproduce` command goes on "
            "with it."
        )
    result = _complete(path)
    return _sound(path, result, {key: result.get(key, "?") for key in ("dataset", "method", "seed")})


def read_history(path: Path) -> list[Document]:
    """Read the records of a history.jsonl. Raises DataError, naming the file, if it is damaged."""
    try:
        lines = [json.loads(line) for line in manifest.load_text(path, links=True).splitlines() if line.strip()]
    except (OSError, RecursionError, ValueError) as error:
        raise unusable_file(path, str(error)) from error
    if not all(map(_is_record, lines)):
        raise unusable_file(path, "a line is not an object of numbers with an epoch")
    return lines


def unusable_file(path: Path, reason: str) -> DataError:
    """The error for a damaged file of a run besides its result."""
    return DataError(f"Expected a complete file of a run. Received: {path}: {reason}. Remove it to leave the run out.")


def _is_record(line: object) -> bool:
    """Whether a line of a history is an object of numbers with an epoch; numbers may be infinite, NaN or null."""
    if not isinstance(line, dict) or not is_from_zero(line.get("epoch")):
        return False
    values = [value for value in line.values() if value is not None]
    return all(isinstance(value, float) or (isinstance(value, int) and abs(value) < _MOST) for value in values)


def _complete(path: Path) -> Document:
    try:
        return manifest.load_object(path, links=True)
    except (OSError, ValueError) as error:
        raise _unusable(path, str(error)) from error


def _sound(path: Path, result: Document, expected: Document) -> Document:
    fault = _fault(result, expected)
    if fault:
        raise _unusable(path, fault)
    return result


def _unusable(path: Path, reason: str) -> DataError:
    return DataError(f"Expected the complete result of a run. Received: {path}: {reason}. Remove it to repeat the run.")


def _fault(result: Document, expected: Document) -> str | None:
    """The first fault in the content of a result.json, or None."""
    needed = (*expected, "epochs", "n_train", "n_test", "seconds", "settings", "scores")
    missing = [key for key in needed if key not in result]
    if missing:
        return f"no entry {', '.join(missing)}"
    for key, value in expected.items():
        if not isinstance(value, (str, int)):
            return f"{key} {value!r:.80} where a name or a number belongs"
        if result[key] != value:
            return f"{key} {result[key]!r:.80} in the folder of {value!r}"
    for key in ("epochs", "n_train", "n_test"):
        if not _positive(result[key]):
            return f"{key} {result[key]!r:.80} where a positive whole number belongs"
    for key in ("n_train", "n_test"):
        used = result.get(f"{key}_used", result[key])
        if not _positive(used) or used > result[key]:
            return f"{key}_used {used!r:.80} where a whole number from 1 to {result[key]} belongs"
    if not _within(result["seconds"], _MOST):
        return f"seconds {result['seconds']!r:.80} where a number from 0 belongs"
    if not isinstance(result["settings"], dict):
        return f"settings {result['settings']!r:.80} where an object belongs"
    for key, fits in _OPTIONAL.items():
        if result.get(key) is not None and not fits(result[key]):
            return f"{key} {result[key]!r:.80} where another kind of value belongs"
    if not isinstance(result["scores"], dict) or not result["scores"]:
        return "no scores"
    fault = _fault_of_scores(result["scores"], METRICS)
    if fault or "unshared" not in result:
        return fault
    unshared = result["unshared"]
    counts = [unshared.get(key) for key in ("n_test", "n_anomalies")] if isinstance(unshared, dict) else []
    if not counts or not all(map(_positive, counts)) or not isinstance(unshared.get("scores"), dict):
        return "unshared is not n_test, n_anomalies and scores"
    if unshared["scores"].keys() != result["scores"].keys():
        return "unshared has other scores"
    fault = _fault_of_scores(unshared["scores"], THRESHOLD_FREE)
    return fault and f"unshared: {fault}"


def _fault_of_scores(scores: Document, needed: Iterable[str]) -> str | None:
    for score, metrics in scores.items():
        for metric in needed:
            value = metrics.get(metric) if isinstance(metrics, dict) else None
            if not _within(value, 1):
                return f"{metric} of the score {score} is {value!r:.80} where a number from 0 to 1 belongs"
    return None


def is_from_zero(value: object) -> bool:
    """Whether a value of JSON is a finite number from 0."""
    return _within(value, math.inf)


def is_share(value: object) -> bool:
    """Whether a value of JSON is a number from 0 to 1."""
    return _within(value, 1)


def _positive(value: object) -> bool:
    return type(value) is int and 1 <= value < _MOST


def _within(value: object, largest: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return 0 <= value <= largest and value <= _LARGEST


_OPTIONAL: dict[str, Callable[[object], bool]] = {
    "n_anomalies": _positive,
    "date": lambda value: isinstance(value, str) and bool(re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII)),
    "stand_in": lambda value: isinstance(value, str),
    "top_fraction": lambda value: _within(value, 1) and value not in (0, 1),
}
