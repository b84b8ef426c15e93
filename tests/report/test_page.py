"""The HTML report: one file without references, which shows hostile names and cells as text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from pages import ANOMALIES, HOSTILE, ROWS, THRESHOLD, Elements, hostile_page

from alad_tf.report import svg
from alad_tf.report.page import AnomalousRow, Drift, Page, render
from alad_tf.report.score_view import ScoreView, script_json

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
TAGS = set(
    "html head meta title style body header h1 bdi nav a main section h2 dl dt dd details summary p strong svg line "
    "polyline circle rect text span div label input output button table thead tbody tr th td ul li b footer "
    "script".split()
)


@pytest.fixture(scope="module")
def page() -> str:
    return render(hostile_page())


@pytest.fixture(scope="module")
def elements(page: str) -> Elements:
    return Elements(page)


def test_no_reference_to_another_place(elements: Elements) -> None:
    policies = [attributes for tag, attributes in elements.tags if attributes.get("http-equiv")]
    assert [policy["content"] for policy in policies] == [POLICY]
    for tag, attributes in elements.tags:
        assert tag in TAGS
        assert not {"src", "srcset", "action", "data", "poster", "background", "xlink:href"} & set(attributes)
        assert attributes.get("href", "#").startswith("#")  # type: ignore[union-attr]
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch|XMLHttp|import\(", "".join(elements.raw.values()))


def test_hostile_text_is_text(page: str, elements: Elements) -> None:
    assert sum(tag == "script" for tag, _ in elements.tags) == 2
    assert sum(tag == "title" for tag, _ in elements.tags) >= 1
    for name in HOSTILE[:4]:
        assert elements.text.count(name) >= 10
    assert not any(control in page for control in "\x00\x1b\u2028\ud800")  # the template has none
    assert "$title ${steps}" in elements.text
    page.encode("utf-8")


def test_scripts_data_cannot_end_the_script() -> None:
    hostile = script_json({"name": [*HOSTILE[:6], "\u2028\u2029"]})
    assert not re.search("[<>&\u2028\u2029]", hostile)
    assert json.loads(hostile) == {"name": [*HOSTILE[:6], "\u2028\u2029"]}
    with pytest.raises(ValueError, match="JSON"):
        script_json(float("nan"))


def test_slider_counts_rows(elements: Elements) -> None:
    steps = json.loads(elements.raw["script"].split("\n")[0].strip().split('"use strict"')[0])
    thresholds = np.array(steps["threshold"])
    assert thresholds[steps["start"]] == THRESHOLD
    assert (np.diff(thresholds) > 0).all()
    scores = np.arange(float(ROWS))
    for k in range(0, len(thresholds), 7):
        assert steps["flagged"][k] == int((scores > thresholds[k]).sum())
        assert steps["hits"][k] == int((scores[ROWS - ANOMALIES :] > thresholds[k]).sum())
    assert (steps["flagged"][-1], steps["rows"], steps["anomalies"]) == (0, ROWS, ANOMALIES)


def test_metrics_at_the_threshold() -> None:
    """All 50 rows above the threshold are anomalies, out of 100: precision 1, recall 1/2, F1 2/3."""
    view = hostile_page().scores
    assert view is not None
    values = view.metrics()
    assert values is not None
    assert (values["auroc"], values["precision"], values["recall"]) == (1.0, 1.0, 0.5)
    assert values["f1"] == pytest.approx(2 / 3, rel=1e-15)
    assert ScoreView(np.arange(3.0), 1.0, np.zeros(3, bool), "rows").metrics() is None


def test_a_large_page_is_below_the_limit() -> None:
    random = np.random.default_rng(0)
    scores = random.lognormal(size=200_000)
    names = [f"column {k} with a name of some length" for k in range(3000)]
    page = Page(
        "large",
        [],
        columns={"numeric columns": names},
        losses={name: (list(range(3000)), random.normal(size=3000).tolist()) for name in ("a", "b")},
        scores=ScoreView(scores, 3.0, random.random(200_000) < 0.1, "rows"),
        contributions=dict.fromkeys(names, 0.1),
        drift=[Drift(name, "numeric", 0.3, 0.1, 0.2, "x" * 500, "y") for name in names],
        rows=[AnomalousRow("x" * 500, 1.0, None)] * 500,
    )
    assert len(render(page).encode()) < 1_000_000


def test_missing_parts_say_why() -> None:
    elements = Elements(render(Page("p", [("a", 1)], missing={"losses": "no losses <here>", "drift": "no rows"})))
    assert "no losses <here>" in elements.text and "no rows" in elements.text
    assert [attributes["id"] for tag, attributes in elements.tags if tag == "section"] == ["trained", "losses", "drift"]
    assert "null" in elements.raw["script"]


@pytest.mark.parametrize(
    ("psi", "chance", "verdict"),
    [(0.05, 0.0, "none"), (0.1, 0.05, "some"), (0.2, 0.3, "none"), (0.25, 0.1, "strong")],
)
def test_verdict_of_drift(psi: float, chance: float, verdict: str) -> None:
    assert Drift("c", "numeric", psi, chance, None, "", "").verdict == verdict


def test_axes() -> None:
    assert svg.Axis(0.0, 10.0, 0.0, 100.0).ticks() == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert svg.Axis(0.5, 2000.0, 100.0, 0.0, True).ticks() == [1.0, 10.0, 100.0, 1000.0]
    assert svg.Axis(1.0, 100.0, 0.0, 100.0, True).place(10.0) == 50.0
    assert [svg.Axis(0.0, 10.0, 0.0, 100.0).place(value) for value in (-5.0, 5.0, 50.0)] == [0.0, 50.0, 100.0]
    assert svg.Axis(3.0, 3.0, 0.0, 100.0).ticks() == [3.0]


@pytest.mark.parametrize(
    "values",
    [[], [float("nan")], [1.0], [2.0, 2.0], [1.0, 1e9, float("inf")], [-1e308, 1e308], [0.0, 5e-324], [5e-324, 1e300]],
)
def test_curves_of_any_values(values: list[float]) -> None:
    HTMLParser().feed(svg.curves({"loss": (list(range(len(values))), values)}, "Epoch"))
    assert "nan" not in svg.curves({"loss": (list(range(len(values))), values)}, "Epoch")


def test_histogram_has_every_row() -> None:
    """Scores of float32 that are clipped to an edge in float64 can lie outside of it."""
    random = np.random.default_rng(0)
    for _ in range(20):
        scores = random.lognormal(0.0, 3.0, 2000).astype(np.float32)
        chart, _ = ScoreView(scores, 1.0, None, "rows").chart()
        assert sum(map(int, re.findall(r"rows: (\d+) rows from", chart))) == 2000


def test_text_that_is_not_seen_is_escaped_as_in_messages() -> None:
    assert svg.text("a\x1b\x85\u202e\ud800<") == r"a\x1b\x85\u202e\ud800&lt;"


@pytest.mark.parametrize("scores", [[1.0], [2.0, 2.0, 2.0], [0.0, 0.0, 1e30], [-1e30, 1e30]])
def test_charts_of_any_scores(scores: list[float]) -> None:
    chart, steps = ScoreView(np.array(scores), 1.5, None, "rows").chart()
    assert "<rect" in chart and json.loads(steps)["hits"] is None
