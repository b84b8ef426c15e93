"""Progress of runs: a bar or a line for each run."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from tqdm import tqdm

from alad_tf.experiments.baseline_settings import AnySettings
from alad_tf.report.footnotes import epochs_text

LOSS_NAMES = {"loss": "loss", "loss_d": "D", "loss_ge": "G/E", "loss_g": "G"}  # names shown in progress lines
FIRST_REPORT_SECONDS = 15.0  # of training before the first progress line, without a terminal
PLAIN_REPORT_SECONDS = 60.0  # between progress lines


class ProgressBoard:
    """Shows the progress of each run: a bar on a terminal, otherwise a line every minute."""

    def __init__(self, settings: AnySettings, done: list[str], to_do: list[str]) -> None:
        self.title = f"{settings.dataset} {settings.method}"
        self.most = at_most(settings)
        self.bars: dict[str, tqdm] = {}
        self.started: dict[str, tuple[float, int]] = {}  # time and step of the first report
        self.printed: dict[str, float] = {}
        self.phases: dict[str, str] = {}
        self.terminal = sys.stderr.isatty()
        if done:
            self.say(f"{self.title}: complete already: {', '.join(done)}")
        if to_do:
            each = " each" if len(to_do) > 1 else ""
            epochs = "" if settings.table is None else f": {epochs_text(settings.epochs)}{each}"
            self.say(f"{self.title}: {', '.join(to_do)}{epochs}")

    def show(self, name: str, progress: Progress) -> None:
        """Update the line of a run."""
        now = time.monotonic()
        quality = "" if progress.quality is None else f", {progress.quality}"
        losses = (f"{LOSS_NAMES[key]} {loss:.3g}" for key, loss in progress.losses.items() if key in LOSS_NAMES)
        text = (progress.phase or ", ".join(losses)) + quality
        if self.phases.setdefault(name, progress.phase) != progress.phase:  # counting starts again
            self._forget(name)
            self.phases[name] = progress.phase
        if self.terminal:
            if name not in self.bars:
                self.bars[name] = tqdm(
                    total=progress.steps,
                    initial=progress.step,
                    desc=name,
                    unit="row" if progress.phase else "step",
                    dynamic_ncols=True,
                )
            self.bars[name].set_postfix_str(text, refresh=False)
            self.bars[name].update(progress.step - self.bars[name].n)
            return
        first, first_step = self.started.setdefault(name, (now, progress.step))
        early = name not in self.printed and now - first >= FIRST_REPORT_SECONDS
        if early or now - self.printed.get(name, first) >= PLAIN_REPORT_SECONDS:
            self.printed[name] = now
            left = (now - first) * (progress.steps - progress.step) / max(progress.step - first_step, 1)
            share = progress.step / progress.steps
            most = "" if progress.phase else self.most
            self.say(f"{self.title} {name}: {share:.0%}, {text}, {most}about {left / 60:.0f} min left")

    def end(self, name: str, failure: str | None) -> None:
        """Close the line of a run."""
        self._forget(name)
        self.say(f"{self.title} {name}: {failure or 'complete'}")

    def _forget(self, name: str) -> None:
        if name in self.bars:
            self.bars.pop(name).close()
        for known in (self.started, self.printed, self.phases):
            known.pop(name, None)

    def close(self) -> None:
        """Close all lines."""
        for bar in self.bars.values():
            bar.close()

    @staticmethod
    def say(line: str) -> None:
        """Print a line above the bars."""
        tqdm.write(line, file=sys.stderr)


def at_most(settings: AnySettings) -> str:
    """Words before a time that is measured for all epochs: a run with early stopping may take less."""
    return "at most " if settings.patience else ""


@dataclass(frozen=True)
class Progress:
    """Progress report of a run."""

    step: int
    steps: int
    losses: dict[str, float]
    quality: str | None = None  # latest value of the paper's metric, such as "F1 0.9502"
    phase: str = ""  # current activity, other than training
