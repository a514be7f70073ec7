"""The ledger to read: a table for a notebook, a page for the book with an anchor for each claim.

Use: `html(select(verdict="false"))` in a notebook, `page()` for the book.
"""

from collections.abc import Sequence
from html import escape

from .claim import KINDS, Claim
from .reading import DOCUMENTS, claims, measured, number

HEADS = ("claim", "says", "verdict", "checked by", "claimed", "null", "measured", "otherwise")


class Table(str):
    """HTML that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        return str(self)


def html(rows: Sequence[Claim]) -> Table:
    """Rows as a table that wraps its text, and scrolls by itself where a page is narrow."""
    lines = ["".join(f'<th style="text-align:left">{head}</th>' for head in HEADS)]
    for row in rows:
        cells = (
            row.key,
            row.text,
            row.verdict,
            row.check + (f" ({row.kind})" if row.kind else ""),
            number(row.claimed),
            number(row.null),
            measured(row),
            ", ".join(row.links),
        )
        lines.append("".join(map(_cell, HEADS, cells)))
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return Table(f'<div style="overflow-x:auto"><table>{body}</table></div>')


def _cell(head: str, words: str) -> str:
    style = "text-align:left;white-space:normal;vertical-align:top"
    if head in ("says", "checked by"):  # sentences, which a page would squeeze
        style += ";min-width:16em"
    return f'<td style="{style}">{escape(words)}</td>'


def page(rows: Sequence[Claim] | None = None) -> str:
    """Rows, or all of them, as Markdown: a section a document, an anchor a claim."""
    rows = claims() if rows is None else rows
    shown = {row.key for row in rows}
    parts = [
        "# The ledger",
        "Every claim of the five reference documents that something could decide. Chapter 17 "
        "teaches how it is read. A link to a claim is this page's address with `#s0-7` behind it.",
    ]
    for document, title in DOCUMENTS.items():
        here = [row for row in rows if row.document == document]
        if here:
            parts.append(f"## {document} · {title}")
            parts += [entry(row, shown) for row in here]
    return "\n\n".join(parts) + "\n"


def anchor(key: str) -> str:
    return key.lower().replace(":", "-")


def entry(row: Claim, shown: set[str]) -> str:
    """One claim on the page; rows that are not shown are named without a link."""
    lines = [
        f"({anchor(row.key)})=\n\n**{row.key} · {row.verdict}.** {row.text} (“{row.quote}”)",
        f"Check: {row.check}. Claimed {number(row.claimed)}, null {number(row.null)}, "
        f"measured {measured(row)}, {row.date}.",
    ]
    if row.kind:
        lines.append(f"Kind of error: {row.kind}; cheapest test: {KINDS[row.kind]}.")
    if row.source:
        lines.append(f"Source: {row.source}.")
    if row.links:
        linked = [f"[{key}](#{anchor(key)})" if key in shown else key for key in row.links]
        lines.append(f"Says otherwise: {', '.join(linked)}.")
    return "  \n".join(lines)
