"""A page with hostile names and cells, and a parser of its HTML."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np

from alad_tf.report.page import AnomalousRow, Cell, Drift, Page
from alad_tf.report.score_view import ScoreView

HOSTILE = [
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"><svg onload=document.title='owned'>",
    "' onmouseover='document.title=1",
    "\u2028</title>\x00\x1b\u202e&lt;",
    "$title ${steps}",
    "\ud800",
]
ROWS, ANOMALIES, THRESHOLD = 1000, 100, 949.5


def hostile_page() -> Page:
    """Scores 0 ... 999, of which the last 100 are anomalies by label; 50 rows are above the threshold."""
    scores = np.arange(float(ROWS))
    cells = [Cell(name, name, name, 1 / (k + 2)) for k, name in enumerate(HOSTILE)]
    rows = [
        AnomalousRow(name, ROWS - 1.0 - 30 * k, 0.01, HOSTILE[0], cells if k < 2 else ())
        for k, name in enumerate(HOSTILE)
    ]
    return Page(
        title=HOSTILE[0],
        facts=[(name, name) for name in HOSTILE],
        columns={"numeric columns": HOSTILE, "categorical columns": HOSTILE},
        losses={name: ([1, 2, 3], [3.0, 2.0, k + 1.0]) for k, name in enumerate(HOSTILE)},
        scores=ScoreView(scores, THRESHOLD, scores >= ROWS - ANOMALIES, HOSTILE[1]),
        metrics=(HOSTILE[:2], [HOSTILE[2:4]]),
        rows=rows,
        contributions=dict.fromkeys(HOSTILE, 0.2),
        drift=[Drift(name, "numeric", 0.3, 0.1, 0.2, name, name) for name in HOSTILE],
        missing={"metrics": HOSTILE[0]},
        notes=HOSTILE,
    )


class Elements(HTMLParser):
    """Start tags with their attributes, and the text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.raw = "", {"script": "", "style": ""}
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the tag; the content of scripts and styles is recorded separately."""
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in self.raw else ""

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or a style."""
        self._inside = "" if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:
        """Record the text."""
        if self._inside:
            self.raw[self._inside] += data
        else:
            self.text += data
