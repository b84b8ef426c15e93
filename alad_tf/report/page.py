"""A self-contained HTML report page, rendered from plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from string import Template

from alad_tf.report import svg
from alad_tf.report.score_view import ScoreView


@dataclass(frozen=True)
class Cell:
    """One column of an anomalous row: its value, the value that the model expects, its share of the contributions."""

    column: str
    value: object
    expected: object
    share: float


@dataclass(frozen=True)
class AnomalousRow:
    """A row with a large score and the columns that contribute most to it."""

    name: str
    score: float
    p_value: float | None
    label: str = ""
    cells: Sequence[Cell] = ()


@dataclass(frozen=True)
class Drift:
    """Difference between the distributions of a column in the scored rows and in the training rows."""

    column: str
    kind: str
    psi: float
    by_chance: float  # PSI exceeded in 1 of 1000 columns without drift
    ks: float | None
    trained: str
    now: str

    @property
    def verdict(self) -> str:
        """Amount of drift: "none" if the PSI may be chance or is below 0.1, "strong" from 0.25 on, else "some"."""
        if self.psi <= self.by_chance or self.psi < 0.1:
            return "none"
        return "strong" if self.psi >= 0.25 else "some"


@dataclass(frozen=True)
class Page:
    """Content of a report page. `missing` says why a section is left out.

    Args:
        title: title of the page.
        facts: (name, value) pairs on the training of the model.
        columns: kind -> names of the columns.
        losses: name -> (epochs, values).
        scores: scores of the rows that the page is about.
        metrics: header and rows of a table of metrics.
        rows: most anomalous first.
        contributions: column -> mean share of the contributions in `rows`, largest first.
        drift: drift of the columns, largest first.
        missing: section ("losses", "scores", "metrics", "rows", "drift") -> why it is left out.
        notes: sentences at the end.
    """

    title: str
    facts: Sequence[tuple[str, object]]
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    losses: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)
    scores: ScoreView | None = None
    metrics: tuple[Sequence[str], Sequence[Sequence[object]]] | None = None
    rows: Sequence[AnomalousRow] = ()
    contributions: Mapping[str, float] = field(default_factory=dict)
    drift: Sequence[Drift] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def render(page: Page) -> str:
    """Render a page as HTML. Names and cells are escaped and cannot contain markup or scripts."""
    chart, steps = page.scores.chart() if page.scores else ("", "null")
    sections = [
        ("trained", "Trained on", _facts(page.facts) + _columns(page.columns)),
        ("losses", "Losses", svg.curves(page.losses, "Epoch") if page.losses else ""),
        ("scores", "Scores and threshold", _scores(page.scores, chart) if page.scores else ""),
        ("metrics", "Metrics", _table(*page.metrics) if page.metrics else ""),
        ("rows", "Most anomalous rows", _rows(page.rows) if page.rows else ""),
        ("contributions", "Columns by contribution", _contributions(page.contributions, len(page.rows))),
        ("drift", "Drift against the training rows", _drift(page.drift) if page.drift else ""),
    ]
    links, shown = [], []
    for name, heading, body in sections:
        if body or name in page.missing:
            content = body or f'<p class="missing">{svg.text(page.missing[name], 1000)}</p>'
            links.append(f'<a href="#{name}">{heading}</a>')
            shown.append(f'<section id="{name}"><h2>{heading}</h2>{content}</section>')
    notes = "".join(f"<p>{svg.text(note, 1000)}</p>" for note in page.notes)
    template = Template(resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=svg.text(page.title), links=" ".join(links), sections="\n".join(shown), notes=notes, steps=steps
    )


def _facts(facts: Sequence[tuple[str, object]]) -> str:
    rows = "".join(f"<dt>{svg.text(name)}</dt><dd><bdi>{svg.text(value, 400)}</bdi></dd>" for name, value in facts)
    return f"<dl>{rows}</dl>"


def _columns(columns: Mapping[str, Sequence[str]], most: int = 200) -> str:
    parts = []
    for kind, names in columns.items():
        chips = "".join(f'<bdi class="chip">{svg.text(name)}</bdi> ' for name in names[:most])
        more = f" and {len(names) - most} more" if len(names) > most else ""
        open_ = " open" if len(names) <= 60 else ""
        parts.append(f"<details{open_}><summary>{len(names)} {svg.text(kind)}</summary><p>{chips}{more}</p></details>")
    return "".join(parts)


def _scores(view: ScoreView, chart: str) -> str:
    flagged = int((view.scores > view.threshold).sum())
    share = flagged / len(view.scores)
    labelled = '<p id="at-threshold" class="screen"></p>' if view.anomalous is not None else ""
    return (
        f"<p>{len(view.scores):,} {svg.text(view.rows_of)}. A row is flagged when its score is larger than the "
        f"threshold, {view.threshold:.6g}: <strong>{flagged:,} rows ({share:.2%})</strong>.</p>{chart}"
        '<div class="slider screen"><label for="threshold">Another threshold</label>'
        '<input id="threshold" type="range" min="0" max="1" step="1" value="0">'
        '<output id="flagged" for="threshold"></output>'
        '<button id="reset" type="button">Back to the model\'s</button></div>'
        f"{labelled}<p class='hint'>The axis of rows is logarithmic. The outer bars include the lowest and the highest "
        "thousandth of the scores.</p>"
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{svg.text(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td><bdi>{svg.text(cell)}</bdi></td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _rows(rows: Sequence[AnomalousRow]) -> str:
    labelled, explained = any(row.label for row in rows), any(row.cells for row in rows)
    compared = any(row.p_value is not None for row in rows)
    head = "<th>Row</th><th class='n'>Score</th>" + ("<th class='n'>p-value</th>" if compared else "")
    head += "<th>Label</th>" if labelled else ""
    head += "<th>Columns: value, expected value, share of the contributions</th>" if explained else ""
    lines = []
    for row in rows:
        cells = "".join(
            f'<li><b><bdi>{svg.text(cell.column, 60)}</bdi></b> <bdi class="value">{svg.text(cell.value, 60)}</bdi> '
            f'<span><span class="hint">expected</span> <bdi>{svg.text(cell.expected, 60)}</bdi></span> '
            f"{svg.bar(cell.share, f'{cell.share:.1%}')} <span class='n hint'>{cell.share:.0%}</span></li>"
            for cell in row.cells
        )
        lines.append(
            f'<tr data-score="{float(row.score)!r}"><td><bdi>{svg.text(row.name, 60)}</bdi></td>'
            f'<td class="n">{row.score:.5g}</td>'
            + (f'<td class="n">{row.p_value:.3g}</td>' if row.p_value is not None else "")
            + (f"<td><bdi>{svg.text(row.label, 60)}</bdi></td>" if labelled else "")
            + (f"<td><ul>{cells}</ul></td>" if explained else "")
            + "</tr>"
        )
    return (
        f'<p class="screen"><span id="rows-flagged"></span></p><div class="wide"><table id="rows-table"><thead><tr>'
        f"{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _contributions(contributions: Mapping[str, float], rows: int, most: int = 40) -> str:
    if not contributions:
        return ""
    largest = max(contributions.values()) or 1.0
    lines = "".join(
        f'<tr><td><bdi>{svg.text(name, 80)}</bdi></td><td class="n">{share:.1%}</td><td class="bars">'
        f"{svg.bar(share / largest)}</td></tr>"
        for name, share in list(contributions.items())[:most]
    )
    return (
        f"<p>Mean share of each column over the {rows} rows above.</p>"
        "<table><thead><tr><th>Column</th><th class='n'>Share</th><th></th></tr></thead>"
        f"<tbody>{lines}</tbody></table>"
    )


def _drift(columns: Sequence[Drift], most: int = 100) -> str:
    lines = "".join(
        f'<tr class="drift-{drift.verdict}"><td><bdi>{svg.text(drift.column, 80)}</bdi></td><td class="s">'
        f'{svg.text(drift.kind)}</td><td class="s">{drift.verdict}</td>'
        f'<td class="n">{drift.psi:.3f}</td>'
        f'<td class="n">{drift.by_chance:.3f}</td>'
        f'<td class="n">{"" if drift.ks is None else f"{drift.ks:.3f}"}</td>'
        f"<td><bdi>{svg.text(drift.trained, 80)}</bdi></td><td><bdi>{svg.text(drift.now, 80)}</bdi></td></tr>"
        for drift in columns[:most]
    )
    more = f"<p>{len(columns) - most} columns with less drift are left out.</p>" if len(columns) > most else ""
    return (
        "<p>PSI: population stability index over tenths of the training rows, or over categories. KS: largest "
        "difference of the distribution functions. Some drift: a PSI of at least 0.1 and above chance; strong: at "
        "least 0.25. Chance: the PSI exceeded in one of 1000 columns without drift.</p>"
        "<div class='wide'><table><thead><tr><th>Column</th><th>Kind</th><th>Drift</th><th class='n'>PSI</th>"
        "<th class='n'>Chance</th><th class='n'>KS</th><th>Training rows</th><th>These rows</th></tr></thead>"
        f"<tbody>{lines}</tbody></table></div>{more}"
    )
