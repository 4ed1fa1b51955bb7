"""Adapt links of docs/architecture.md to the built reference, which lies one folder deeper (a hook of mkdocs.yml)."""

from typing import Any


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Let links into the repository lead from build/api, as they lead from docs."""
    if page.file.src_uri != "architecture.md":
        return markdown
    return markdown.replace("](../", "](../../").replace("](paper_map.md", "](../../docs/paper_map.md")
