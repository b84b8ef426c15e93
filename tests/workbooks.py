"""Parts of Excel files that openpyxl does not write."""

from __future__ import annotations

from collections.abc import Mapping

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
_PART = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{_KIND}"/>'


def with_shared_texts(members: Mapping[str, bytes], *texts: str) -> dict[str, bytes]:
    """Members of a workbook with these texts, to which cells such as `<c t="s"><v>0</v></c>` refer."""
    types, end = "[Content_Types].xml", b"</Types>"
    items = "".join(f"<si><t>{text}</t></si>" for text in texts)
    return {
        **members,
        types: members[types].replace(end, _PART.encode() + end),
        "xl/sharedStrings.xml": f'<sst xmlns="{_MAIN}">{items}</sst>'.encode(),
    }
