"""Footnotes of the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from alad_tf import stack
from alad_tf.report import paper
from alad_tf.report.paper import DATASET_NAMES
from alad_tf.typing import Document

CEILINGS = {
    "kdd99": "KDD99: 20 % of the test rows are flagged and 19.69 % are anomalies, so that F1 <= 0.992.",
    "arrhythmia": "Arrhythmia: 34 test rows are flagged and 32 are anomalies, so that F1 <= 0.970; one hit is 0.03.",
}
OF_IMAGES = "On images, the runs of each task are averaged first; mean ± sample standard deviation are over the tasks."
ORIGINS = {
    "this machine": "this machine: mean ± sample standard deviation over the runs in the output directory.",
    "published": "published: mean ± sample standard deviation over the runs whose results are part of the project.",
}
OF_PROTOCOL = (
    "AUROC and average precision depend on the ranking of the test rows and need no threshold. The average precision "
    "of a random ranking is the fraction of anomalies."
)
OF_HALVES = (
    "The standard error is that of the mean F1 over seeds. All seeds share one test half, so it says nothing about "
    "other patients. The paper's column repeats Table V, which does not say on which half."
)
OF_TIMES = (
    "Medians in milliseconds per batch, both methods in one process on the same rows. The paper's: on a GeForce GTX "
    "Titan X, its speed-ups rounded. By work: AnoGAN's multiplications over ALAD's, counted from the architecture "
    "tables."
)


def notes_of(summary: Document, results: Sequence[Document]) -> Iterator[str]:
    """Yield remarks on the runs: stand-in data, random subsets, epochs that the paper does not print."""
    dataset, method = summary["dataset"], summary["method"]
    if summary.get("stand_in"):
        yield f"{DATASET_NAMES[dataset]}: {summary['stand_in']}; not comparable with the paper."
    stacks = Counter(stack.of_result(result) for result in results)
    if set(stacks) - {"paper"}:
        yield f"{method}: runs of the {' and the '.join(f'{name} stack ({count})' for name, count in stacks.items())}."
    for key, what, rows in (("n_train", "trained on", "rows"), ("n_test", "scored on", "test rows")):
        if any(f"{key}_used" in result for result in results):
            used = span_text(int(result.get(f"{key}_used") or result[key]) for result in results)
            whole = span_text(result[key] for result in results)
            yield f"{method}: {what} {used} of {whole} {rows}, drawn at random with the run's seed."
    if paper.RELEASED in method:
        yield f"{method}: trained with the dynamics of the released code, differences D17 to D21."
    elif paper.base_method(method) in paper.TABLE_VI.get(dataset, {}):
        yield f"{method} on {DATASET_NAMES[dataset]}: trained with the paper's dynamics (--dynamics paper)."
    if paper.base_method(method) in paper.EPOCHS_NOT_PRINTED:
        yield f"{method} on {DATASET_NAMES[dataset]}: {epochs_text(summary['epochs'])}; the paper prints no number."


def epochs_text(number: int) -> str:
    """A number of epochs in words."""
    return f"{number} epoch{'s' * (number != 1)}"


def span_text(counts: Iterable[int]) -> str:
    """One number, or the smallest to the largest."""
    ordered = sorted(set(counts))
    return " to ".join(f"{count:,}" for count in dict.fromkeys((ordered[0], ordered[-1])))
