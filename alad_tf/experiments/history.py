"""history.jsonl: losses and metrics over the steps of a run."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Callable

from alad_tf import stack
from alad_tf.errors import DataError, SettingsError
from alad_tf.typing import Document

RECORDS = 100  # at most, in the history of a run; every fifth includes metrics on the test rows


@dataclass
class Log:
    """Training state of a run besides its variables: steps, seconds, losses, history, best epoch."""

    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)  # sums of the losses since the last record
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, float] | None = None  # epoch, step and validation, at the smallest mean validation score
    stack: str = field(default_factory=stack.name)  # the stack that trained so far

    def require_stack(self) -> None:
        """Check that a run resumes with the stack it began with, because the other stack rounds differently.

        Raises:
            SettingsError: it began with the other stack.
        """
        if self.stack != stack.name():
            raise SettingsError(
                f"Expected the {self.stack} stack, with which this run began. Received: the {stack.name()} stack. "
                "Continue with the same environment, or choose another --out."
            )

    @classmethod
    def of_checkpoint(cls, document: Document | None) -> Log:
        """The log in a checkpoint, or a new one without a checkpoint.

        Raises:
            DataError: the entries are not those of a log.
        """
        known = {entry.name for entry in fields(cls)}
        if document is not None and not set(document) <= known:
            raise DataError(
                f"Expected the entries {', '.join(sorted(known))} in the log of a checkpoint. Received: "
                f"{', '.join(sorted(map(str, document))) or 'none'}. To start the run again, remove its checkpoints."
            )
        log = cls(**(document or {}))
        wrong = log._wrong()
        if wrong:
            raise DataError(
                f"Expected {wrong} in the log of a checkpoint. Received: another value. To start the run again, remove "
                "its checkpoints."
            )
        return log

    def _wrong(self) -> str:
        """Describe what the first entry with an invalid value should be; "" if all are valid."""
        records = self.history if isinstance(self.history, list) else [None]
        best = {"epoch": 0, "step": 0, "validation": 0} if self.best is None else self.best
        expected = {
            "a number of steps": type(self.step) is int and 0 <= self.step < 2**62,
            "a number of seconds": _are_numbers({"seconds": self.seconds}),
            "sums of losses": _are_numbers(self.sums),
            "records with epochs": all(map(_is_record, records)),
            "the best epoch": _are_numbers(best) and {"epoch", "step", "validation"} == set(best),
            "the name of a stack": isinstance(self.stack, str),
        }
        return next((what for what, fits in expected.items() if not fits), "")

    def last(self, metric: str) -> float | None:
        """The latest value of a metric in the history."""
        return next((record[metric] for record in reversed(self.history) if metric in record), None)

    def of_validation(self) -> Document:
        """Entries of result.json about the best epoch; empty without validation rows."""
        return {} if self.best is None else {"last_epoch": self.history[-1]["epoch"], "best": self.best}

    @property
    def epoch(self) -> int:
        """The epoch of the last record; 0 if there is none."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    def record(
        self, epoch: int, means: dict[str, float], judge: Callable[[], dict[str, float]], validation: float | None
    ) -> None:
        """Append a record to the history: mean losses since the last record, and in every fifth the judge's metrics."""
        record: dict[str, float] = {"epoch": epoch, "step": self.step, **means, "seconds": round(self.seconds, 3)}
        if validation is not None:
            record["validation"] = validation
        if len(self.history) % 5 == 4:
            record.update(judge())
        self.history.append(record)


def _is_record(record: object) -> bool:
    """Whether a value of JSON is an object of numbers with an epoch; metrics may be null."""
    if not isinstance(record, dict) or record.get("epoch") is None:
        return False
    return _are_numbers({name: value for name, value in record.items() if value is not None})


def _are_numbers(values: object) -> bool:
    """Whether a value of JSON is an object of numbers that float64 holds."""
    return isinstance(values, dict) and all(
        isinstance(value, (int, float)) and abs(value) < 2**1023 for value in values.values()
    )
