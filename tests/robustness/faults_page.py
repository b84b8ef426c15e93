"""Generated parts of docs/faults.md: what stands between the marks `<!-- NAME -->` and `<!-- end of NAME -->`."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"


def part(name: str) -> str:
    """The part as it stands in the page."""
    return _split(name)[1]


def write(name: str, text: str) -> None:
    """Replace the part."""
    head, _, tail = _split(name)
    PAGE.write_text(f"{head}<!-- {name} -->\n{text}<!-- end of {name} -->\n{tail}", encoding="utf-8")


def _split(name: str) -> tuple[str, str, str]:
    head, rest = PAGE.read_text(encoding="utf-8").split(f"<!-- {name} -->\n")
    there, tail = rest.split(f"<!-- end of {name} -->\n")
    return head, there, tail
