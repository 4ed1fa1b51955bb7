"""Render a table's Markdown as the HTML page of the report."""

import os
from pathlib import Path

from markdown_it import MarkdownIt

# Scoped to .gest, so that the page can be embedded in another page.
STYLE = """
.gest { font: 14px/1.5 system-ui, sans-serif; color: #1e293b; padding: 1rem 1.5rem; max-width: none; }
.gest > p { max-width: 60rem; margin: .6rem 0; }
.gest > p:first-child, .gest h2 { font-weight: 600; font-size: 1.1rem; margin: 1.4rem 0 .4rem; }
.gest table { border-collapse: collapse; display: block; overflow-x: auto; margin: .8rem 0; }
.gest table { width: max-content; max-width: 100%; }
.gest th, .gest td { padding: .2rem .7rem; border-bottom: 1px solid #e2e8f0; text-align: left; white-space: nowrap; }
.gest th { border-bottom: 2px solid #64748b; font-weight: 600; }
.gest td { font-variant-numeric: tabular-nums; }
.gest tbody tr:hover { background: #f1f5f9; }
.gest pre { font: 12px/1.5 ui-monospace, monospace; background: #f8fafc; color: inherit; padding: 1rem; }
.gest pre { overflow-x: auto; }
"""


def to_html(markdown: str) -> str:
    """Render Markdown with tables as a self-contained page.

    HTML inside the Markdown is escaped.
    """
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    head = f'<!doctype html>\n<meta charset="utf-8">\n<style>{STYLE}</style>\n'
    return f'{head}<article class="gest">\n{body}</article>\n'


def write_text(markdown: str, text: str | os.PathLike, page: str | os.PathLike) -> None:
    """Write Markdown to one file, and its HTML page to another."""
    Path(text).write_text(markdown, encoding="utf-8")
    Path(page).write_text(to_html(markdown), encoding="utf-8")
