"""The architecture page names every module, and nothing that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator

from conftest import CHECKOUT


def named(page: str) -> Iterator[str]:
    """Paths of the modules that a page names; a name alone is in the folder of the path before it in its line."""
    for line in page.splitlines():
        folder = ""
        for name in re.findall(r"`([\w/]+\.py)`", line):
            folder, name = name.rsplit("/", 1) if "/" in name else (folder, name)
            yield f"{folder}/{name}"


def test_folder_of_a_name() -> None:
    page = "| `a/b/c.py`, `d.py`, `a/e.py`, `f.py` |\n`g.py`\n`h/`, i.py"
    assert list(named(page)) == ["a/b/c.py", "a/b/d.py", "a/e.py", "a/f.py", "/g.py"]


def test_every_module_is_named() -> None:
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    modules = {path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "alad_tf").rglob("*.py")}
    assert {name for name in named(page) if not name.startswith("architectures/")} == {
        name for name in modules if not name.endswith("/__init__.py")
    }
