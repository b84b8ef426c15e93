"""The HTML report in a headless Chrome or Chromium: slider, colours, no requests, hostile names shown as text.

Skipped where no Chrome or Chromium is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import headless
import pytest
from pages import HOSTILE, ROWS, hostile_page

from alad_tf.report.page import render


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[headless.Browser]:
    binary = headless.find()
    if binary is None:
        pytest.skip(f"no Chrome or Chromium on the PATH: {', '.join(headless.BROWSERS)}")
    folder = tmp_path_factory.mktemp("page")
    page = folder / "report.html"
    page.write_text(render(hostile_page()), encoding="utf-8")
    with headless.Browser(binary, folder / "profile") as started:
        started.open(page.as_uri())
        yield started


def element(browser: headless.Browser, name: str) -> str:
    return str(browser.evaluate(f"document.getElementById('{name}').textContent"))


def failures(browser: headless.Browser) -> list[str]:
    """Events about errors, blocked requests and console output."""
    kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    return [event["method"] for event in browser.events if event["method"] in kinds]


def move(browser: headless.Browser, position: str) -> None:
    browser.evaluate(
        "(() => { const slider = document.getElementById('threshold'); slider.value = " + position + ";"
        "slider.dispatchEvent(new Event('input')) })()"
    )


def test_no_request_leaves_the_page_and_nothing_fails(browser: headless.Browser) -> None:
    requests = [event for event in browser.events if event["method"] == "Network.requestWillBeSent"]
    urls = [event["params"]["request"]["url"] for event in requests]
    assert urls and all(Path(url).name == "report.html" and url.startswith("file:") for url in urls), urls
    assert failures(browser) == []
    browser.evaluate("console.error('a failure')")
    assert failures(browser) == ["Runtime.consoleAPICalled"]


def test_slider_says_how_many_rows_it_flags(browser: headless.Browser) -> None:
    assert element(browser, "flagged") == "949.500 flags 50 of 1,000 rows (5.00 %)"
    assert element(browser, "at-threshold").startswith("50 of 100 anomalies are flagged: precision 1.0000, recall 0.5")
    line = "Number(document.getElementById('threshold-line').getAttribute('x1'))"
    before = browser.evaluate(line)
    move(browser, "slider.max")
    assert " flags 0 of 1,000 rows" in element(browser, "flagged")
    assert browser.evaluate(line) > before
    assert element(browser, "rows-flagged").startswith(f"0 of these {len(HOSTILE)} rows")
    move(browser, "0")
    assert f" flags {ROWS - 1} of 1,000 rows" in element(browser, "flagged")
    browser.evaluate("document.getElementById('reset').click()")
    assert element(browser, "flagged").startswith("949.500 flags 50")


def test_hostile_text_is_shown_as_text(browser: headless.Browser) -> None:
    assert browser.evaluate("document.title") == HOSTILE[0]
    shown = browser.evaluate("document.body.innerText")
    assert all(name in shown for name in HOSTILE[:4])
    counts = "['script', 'img', 'main svg[onload]', '[onmouseover]'].map(s => document.querySelectorAll(s).length)"
    assert browser.evaluate(counts) == [2, 0, 0, 0]


@pytest.mark.parametrize(("scheme", "background"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 25, 31)")])
def test_light_and_dark(browser: headless.Browser, scheme: str, background: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.call("Emulation.setEmulatedMedia", features=features)
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == background
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth") is True
