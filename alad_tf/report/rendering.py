"""Tables as plain text, Markdown and CSV. Standard library only."""

from __future__ import annotations

import csv
import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

FORMATS = {"text": "txt", "markdown": "md", "csv": "csv"}  # format -> file suffix

_MARKS = re.compile(r" \[(\d+)\]")


class Figure(str):
    """A cell that holds a number: mean and standard deviation over runs, or None."""

    mean: float | None
    std: float | None

    def __new__(cls, text: str, mean: float | None = None, std: float | None = None) -> Figure:
        """`text` is for reading; CSV has `mean` and `std` instead."""
        figure = super().__new__(cls, text)
        figure.mean, figure.std = mean, std
        return figure


def mean_std(mean: float, std: float | None, places: int, sign: str = "±") -> Figure:
    """Mean and, unless it is None, standard deviation to a number of decimal places."""
    return Figure(f"{mean:.{places}f}" + ("" if std is None else f"{sign}{std:.{places}f}"), mean, std)


class Heading(str):
    """A row with one cell, the heading of the rows below it. In CSV, `values` become columns of those rows."""

    values: dict[str, str]

    def __new__(cls, text: str, **values: str) -> Heading:
        """`values`: column -> cell."""
        heading = super().__new__(cls, text)
        heading.values = values
        return heading


def mark(number: int) -> str:
    """Reference to footnote `[number]`, to append to the name of a row."""
    return f" [{number}]"


@dataclass
class Table:
    """A table of text. A row with one cell is a heading of the rows below it."""

    title: str
    header: list[str]
    rows: list[list[str]]
    footnotes: list[str] = field(default_factory=list)
    deviations: bool = True  # whether CSV has columns for standard deviations

    def render(self, form: str) -> str:
        """The table in one of `FORMATS`."""
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
        """A Markdown table with its title in bold and the footnotes as a list."""

        def line(row: Sequence[str]) -> str:
            return "| " + " | ".join(cell.strip() for cell in row) + " |"

        blank = [""] * (len(self.header) - 1)
        lines = [f"**{self.title}**", "", line(self.header), line(["---"] * len(self.header))]
        lines += [line(row) if len(row) > 1 else line([f"**{row[0]}**", *blank]) for row in self.rows]
        notes = [f"* {note}" for note in self.footnotes]
        return "\n".join([*lines, "", *notes] if notes else lines) + "\n"

    def as_csv(self) -> str:
        """A header line and a line for each row: headings as columns, figures as numbers, missing figures empty.

        Standard deviations have columns of their own. The last column, `notes`, holds the footnotes that the row refers
        to; the other footnotes are `remarks`.
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
        """Footnotes on the whole table, to which no row refers."""
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
    """Unique column names: "paper" and "diff." are prefixed by the column they belong to."""
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
