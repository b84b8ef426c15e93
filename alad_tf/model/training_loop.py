"""Training loop on the host: chunks of steps, checks of the losses, means over epochs, early stopping, progress.

Runs of the paper's protocol, `ALAD.fit` and the deep baselines iterate over `chunks` and do the rest in the loop body:
history, callbacks, checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tqdm import tqdm

from alad_tf.errors import DivergedError
from alad_tf.model.trainer import Loop

CHUNK_STEPS = 1000  # one to three seconds on KDD99


class Chunk(NamedTuple):
    """Steps taken in one call of the graph.

    Args:
        step: total number of steps so far.
        steps: number of steps in the chunk.
        losses: means over the chunk.
        means: means over the period that ends with this chunk; None inside a period.
    """

    step: int
    steps: int
    losses: dict[str, float]
    means: dict[str, float] | None


@dataclass
class EarlyStopping:
    """Early stopping: `ended` once the validation score has not fallen for `patience` epochs.

    Args:
        patience: number of epochs; None: never stop, but record the best epoch.
        best: epoch, step and validation score of the best epoch so far.
        epoch: the last validated epoch.
    """

    patience: int | None
    best: dict[str, float] | None = None
    epoch: int = 0

    def update(self, epoch: int, step: int, validation: float) -> bool:
        """Record the validation score after an epoch; return whether it is the smallest so far."""
        self.epoch = epoch
        improved = self.best is None or validation < self.best["validation"]
        if improved:
            self.best = {"epoch": epoch, "step": step, "validation": validation}
        return improved

    @property
    def ended(self) -> bool:
        """Whether training should stop."""
        if self.patience is None or self.best is None:
            return False
        return self.epoch - self.best["epoch"] >= self.patience


def chunks(
    trainer: Loop,
    steps: int,
    *,
    first: int = 0,
    period: int | None = None,
    size: int | None = None,
    sums: dict[str, float] | None = None,
    early: EarlyStopping | None = None,
    remedy: str = "",
) -> Iterator[Chunk]:
    """Train up to a number of steps and yield after each chunk; the caller can stop training by leaving its loop.

    Chunks end at multiples of `size` within a period, wherever training resumes, so that means are bit-identical.

    Args:
        trainer: takes the steps.
        steps: total number of steps.
        first: steps taken by an earlier call.
        period: number of steps to average losses over, such as an epoch; None: all.
        size: largest number of steps in a chunk; None: `CHUNK_STEPS`.
        sums: sums of the losses over the period so far, updated in place, to resume training.
        early: checked before each chunk.
        remedy: advice at the end of the message about non-finite losses.

    Raises:
        DivergedError: a loss or a weight is not finite.
    """
    sums = {} if sums is None else sums
    period, step = period or steps, first
    while step < steps and not (early is not None and early.ended):
        begin = step // period * period
        end = min(begin + period, steps)
        count = min(size or CHUNK_STEPS, end - step)
        losses = trainer.train(count)
        _require_finite(trainer, losses, remedy)
        step += count
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + loss * count
        means = None
        if step == end:
            means = {name: total / (end - begin) for name, total in sums.items()}
            sums.clear()
        yield Chunk(step, count, losses, means)


def with_progress_bar(taken: Iterable[Chunk], steps: int, title: str, shown: bool, first: int = 0) -> Iterator[Chunk]:
    """Pass chunks on and show a progress bar of their steps, with the remaining time and the last mean losses."""
    with tqdm(total=steps, initial=first, desc=title, unit="step", mininterval=1.0, disable=not shown) as bar:
        for chunk in taken:
            bar.update(chunk.steps)
            if chunk.means is not None:
                losses = {name: f"{mean:.3g}" for name, mean in chunk.means.items() if name.startswith("loss")}
                bar.set_postfix(losses, refresh=False)
            yield chunk


def _require_finite(trainer: Loop, losses: dict[str, float], remedy: str) -> None:
    bad = trainer.not_finite(losses)
    if bad:
        message = f"Expected finite losses. Received: {', '.join(bad)} at step {int(trainer.step)}. {remedy}"
        raise DivergedError(message.rstrip())
