"""The documentation site builds without a warning and loads nothing from other hosts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT

LOADED = re.compile(
    r"<(?:script|img|iframe|source)[^>]*\ssrc=[\"']?(?:https?:)?//"
    r"|<link(?=[^>]*rel=[\"']?(?:stylesheet|preconnect|preload|icon))[^>]*\shref=[\"']?(?:https?:)?//"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


def test_nothing_is_loaded_from_other_hosts(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        found = LOADED.search(page.read_text(encoding="utf-8"))
        assert not found, (page, found)
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)[\"' ]*(?:https?:)?//", style.read_text(encoding="utf-8")), style


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://host/x.js"></script>',
        '<link rel="stylesheet" href="//host/x.css">',
        '<img alt="" src="http://host/x.png">',
    ],
)
def test_what_counts_as_loaded(text: str) -> None:
    assert LOADED.search(text) and not LOADED.search(text.replace("https:", "").replace("http:", "").replace("//", "/"))
    assert not LOADED.search('<a href="https://host/">')


def test_reference_has_the_public_names(site: Path) -> None:
    page = (site / "api.html").read_text(encoding="utf-8")
    for name in ("ALAD.fit", "ALAD.predict", "DSEBM.fit", "MeanDistance", "load_networks", "BatchScorer", "RestClient"):
        assert re.search(rf'id="alad_tf[\w.]*\.{re.escape(name)}"', page), name
