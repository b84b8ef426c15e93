"""The page in a headless Chrome or Chromium: it renders, the slider counts, no request leaves it, hostile text is text.

Needs the extra `browser` and a Chrome or Chromium with its driver; skipped where either is missing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pages import HOSTILE, ROWS, hostile_page

from alad_tf.report.page import render

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium: pip install alad_tf[browser]")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip(f"no {'Chrome or Chromium' if binary is None else 'chromedriver'} on the PATH")
    page = tmp_path_factory.mktemp("page") / "report.html"
    page.write_text(render(hostile_page()), encoding="utf-8")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1000,1400"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        chrome.get(page.as_uri())
        yield chrome
    finally:
        chrome.quit()


def element(browser: Chrome, name: str) -> str:
    return str(browser.execute_script(f"return document.getElementById('{name}').textContent"))


def move(browser: Chrome, position: str) -> None:
    browser.execute_script(
        "const slider = document.getElementById('threshold'); slider.value = " + position + ";"
        "slider.dispatchEvent(new Event('input'))"
    )


def test_no_request_leaves_the_page_and_nothing_fails(browser: Chrome) -> None:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert urls and all(Path(url).name == "report.html" and url.startswith("file:") for url in urls), urls
    assert browser.get_log("browser") == []


def test_slider_says_how_many_rows_it_flags(browser: Chrome) -> None:
    assert element(browser, "flagged") == "949.500 flags 50 of 1,000 rows (5.00 %)"
    assert element(browser, "at-threshold").startswith("50 of 100 anomalies are flagged: precision 1.0000, recall 0.5")
    line = "return document.getElementById('threshold-line').getAttribute('x1')"
    before = float(browser.execute_script(line))
    move(browser, "slider.max")
    assert " flags 0 of 1,000 rows" in element(browser, "flagged")
    assert float(browser.execute_script(line)) > before
    assert element(browser, "rows-flagged").startswith(f"0 of these {len(HOSTILE)} rows")
    move(browser, "0")
    assert f" flags {ROWS - 1} of 1,000 rows" in element(browser, "flagged")
    browser.execute_script("document.getElementById('reset').click()")
    assert element(browser, "flagged").startswith("949.500 flags 50")


def test_hostile_text_is_shown_as_text(browser: Chrome) -> None:
    assert browser.title == HOSTILE[0]
    shown = str(browser.execute_script("return document.body.innerText"))
    assert all(name in shown for name in HOSTILE[:4])
    counts = (
        "return ['script', 'img', 'main svg[onload]', '[onmouseover]'].map(s => document.querySelectorAll(s).length)"
    )
    assert browser.execute_script(counts) == [2, 0, 0, 0]


@pytest.mark.parametrize(("scheme", "background"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 25, 31)")])
def test_light_and_dark(browser: Chrome, scheme: str, background: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    found = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert found == background
    wide = "return document.documentElement.scrollWidth <= window.innerWidth"
    assert browser.execute_script(wide) is True
