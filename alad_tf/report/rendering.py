"""Tables as plain text, Markdown and CSV. Standard library only."""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

FORMATS = {"text": "txt", "markdown": "md", "csv": "csv"}  # form -> suffix of its file

_MARKS = re.compile(r" \[(\d+)\]")


class Figure(str):
    """A cell with a number behind it: its mean and the standard deviation over runs; None where there is none."""

    mean: float | None
    std: float | None

    def __new__(cls, text: str, mean: float | None = None, std: float | None = None) -> Figure:
        """`text` is what people read, `mean` and `std` what CSV has in its place."""
        figure = super().__new__(cls, text)
        figure.mean, figure.std = mean, std
        return figure


class Heading(str):
    """A row of one cell over the rows below it; of CSV the columns `values`, in each of those rows."""

    values: dict[str, str]

    def __new__(cls, text: str, **values: str) -> Heading:
        """`values`: column -> cell."""
        heading = super().__new__(cls, text)
        heading.values = values
        return heading


def mark(number: int) -> str:
    """Reference to the footnote that begins with `[number]`, to put after a row's name."""
    return f" [{number}]"


@dataclass
class Table:
    """Text in columns. A row of one cell is a heading over the rows below it."""

    title: str
    header: list[str]
    rows: list[list[str]]
    footnotes: list[str] = field(default_factory=list)
    deviations: bool = True  # whether figures may have standard deviations, which CSV gives columns of their own

    def render(self, form: str) -> str:
        """One of `FORMATS`."""
        return {"text": self.as_text, "markdown": self.as_markdown, "csv": self.as_csv}[form]()

    def as_text(self) -> str:
        """Plain text in aligned columns, without trailing blanks."""
        full = [self.header, *(row for row in self.rows if len(row) > 1)]
        widths = [max(len(cell) for cell in column) for column in zip(*full)]

        def line(row: Sequence[str]) -> str:
            return "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()

        lines = [self.title, "", line(self.header), line(["-" * width for width in widths])]
        lines += [line(row) if len(row) > 1 else row[0] for row in self.rows]
        notes = [textwrap.fill(note, 118, subsequent_indent="    ") for note in self.footnotes]
        return "\n".join([*lines, "", *notes] if notes else lines) + "\n"

    def as_markdown(self) -> str:
        """A Markdown table under its title in bold, the footnotes as a list."""

        def line(row: Sequence[str]) -> str:
            return "| " + " | ".join(cell.strip() for cell in row) + " |"

        blank = [""] * (len(self.header) - 1)
        lines = [f"**{self.title}**", "", line(self.header), line(["---"] * len(self.header))]
        lines += [line(row) if len(row) > 1 else line([f"**{row[0]}**", *blank]) for row in self.rows]
        notes = [f"* {note}" for note in self.footnotes]
        return "\n".join([*lines, "", *notes] if notes else lines) + "\n"

    def as_csv(self) -> str:
        """One header line, then a line for each row: headings as columns, figures as numbers, missing ones empty.

        A figure's standard deviation has a column of its own. The last column, `notes`, holds the footnotes that the
        row's marks refer to; the other footnotes are `remarks`.
        """
        figures = [
            any(isinstance(row[column], Figure) for row in self.rows if len(row) > 1)
            for column in range(len(self.header))
        ]
        columns: list[str] = []
        for name, is_figure in zip(_names(self.header), figures):
            columns += [name, f"{name}_std"] if self._has_deviation(name, is_figure) else [name]
        headings = next((row[0].values for row in self.rows if isinstance(row[0], Heading)), {})

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*headings, *columns, "notes"])
        over = Heading("")
        for row in self.rows:
            if isinstance(row[0], Heading):
                over = row[0]
            else:
                cells = list(self._csv_cells(row, figures))
                writer.writerow([*over.values.values(), *cells, self._notes_of(over + row[0])])
        return text.getvalue()

    @property
    def remarks(self) -> list[str]:
        """Footnotes that no row refers to."""
        return [note for note in self.footnotes if not note.startswith("[")]

    def _has_deviation(self, name: str, is_figure: bool) -> bool:
        return self.deviations and is_figure and not name.endswith("_diff")

    def _csv_cells(self, row: Sequence[str], figures: Sequence[bool]) -> Iterator[str]:
        for name, cell, is_figure in zip(_names(self.header), row, figures):
            yield _number(cell.mean) if isinstance(cell, Figure) else _MARKS.sub("", cell).strip()
            if self._has_deviation(name, is_figure):
                yield _number(cell.std) if isinstance(cell, Figure) else ""

    def _notes_of(self, text: str) -> str:
        numbers = dict.fromkeys(_MARKS.findall(text))
        texts = dict(re.findall(r"^\[(\d+)\] (.*)$", "\n".join(self.footnotes), re.M))
        return " ".join(texts[number] for number in numbers)


def _names(header: Sequence[str]) -> Iterator[str]:
    """Names of columns, each once: of "paper" and "diff." with the column before them that they belong to."""
    metric = ""
    for title in header:
        name = re.sub(r"\W+", "_", title.lower()).strip("_")
        if name in ("paper", "diff"):
            yield f"{metric}_{name}"
        else:
            metric = name
            yield name


def _number(value: float | None) -> str:
    return "" if value is None else str(round(value, 6))
