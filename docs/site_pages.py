"""MkDocs hook: the pages at the top of the repository become pages of the site, with their links adapted."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

TOP_PAGES = {  # page at the top -> page of the site
    "PERFORMANCE.md": "performance.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "advisories.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages at the top of the repository."""
    for name, page in TOP_PAGES.items():
        text = (Path(config.docs_dir).parent / name).read_text(encoding="utf-8").replace("](docs/", "](")
        for other, its_page in TOP_PAGES.items():
            text = text.replace(f"]({other}", f"]({its_page}")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to these pages to their place in the site."""
    for name, its_page in TOP_PAGES.items():
        markdown = markdown.replace(f"](../{name}", f"]({its_page}")
    return markdown
