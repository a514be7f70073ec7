"""The ledger as a whole: choose rows, measure the quick ones again, add one's own, and show them: as
text, as a table for a notebook, as a page for the book with an anchor for each claim.

Special: `again` gives each quick row's value as it is now beside the stored one.
Use: `print(table(select(verdict="false")))`, `again(claims())`, `own("mine", 1, ...)`,
`html(select(verdict="false"))`, `page()`.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from html import escape
from pathlib import Path

from IPython.display import HTML

from ...files.keep import read_jsonl
from ...files.keep import table as aligned
from . import s0, s1, s2, s3, s4
from .claim import KINDS, VERDICTS, Claim, judge

DOCUMENTS = {
    "S0": "URGENT: Your Base Model is Untrained! (found in wei-paul/AA-CLIP)",
    "S1": "AA-CLIP Architecture Reference (found in wei-paul/AA-CLIP)",
    "S2": "REAL CLIPSE Training Analysis (found in skcpda/CLIPSE)",
    "S3": "Training Diagnostics Guide (found with Team-Converge's deepfake-patch-audit)",
    "S4": "CRITICAL ISSUES FOUND (found in Tuprott991/SoftAI---DataForLife---MedSightAI)",
}
HEADS = ("claim", "says", "verdict", "checked by", "claimed", "null", "measured", "otherwise")
MEASURES = s0.MEASURES | s1.MEASURES | s2.MEASURES | s3.MEASURES | s4.MEASURES


@dataclass(frozen=True)
class Again:
    """A row measured again: its value now, whether it is still the stored one, seconds spent."""

    claim: Claim
    found: float
    agrees: bool
    seconds: float


def claims() -> list[Claim]:
    """Every row, by document and line."""
    rows = []
    for document in DOCUMENTS:
        for values in read_jsonl(Path(__file__).with_name(f"{document.lower()}.jsonl")):
            row = Claim(**{**values, "links": tuple(values.get("links", ()))})
            rows.append(replace(row, measure=MEASURES.get(row.key)))
    return rows


def select(
    document: str | None = None,
    verdict: str | None = None,
    kind: str | None = None,
    words: str = "",
) -> list[Claim]:
    """Rows of a document, with a verdict, with a kind of error, with words in text or check."""
    rows = claims()
    for name, value, known in (
        ("document", document, DOCUMENTS),
        ("verdict", verdict, VERDICTS),
        ("kind", kind, KINDS),
    ):
        if value is not None and value not in known:
            raise ValueError(f"{name} = {value!r}: choose one of {', '.join(known)}")
        rows = [row for row in rows if value is None or getattr(row, name) == value]
    return [row for row in rows if words.lower() in f"{row.text} {row.check}".lower()]


def find(key: str) -> Claim:
    """The row of a key such as S0:7 or S0:7b."""
    for row in claims():
        if row.key == key:
            return row
    raise ValueError(f"no claim {key!r}; keys are document:line, such as S0:7")


def counts() -> dict[str, dict[str, int]]:
    """{document: {verdict: rows}}."""
    numbers = Counter((row.document, row.verdict) for row in claims())
    return {d: {v: numbers[d, v] for v in VERDICTS} for d in DOCUMENTS}


def again(rows: Sequence[Claim]) -> list[Again]:
    """Measure every quick row of these now."""
    results = []
    for row in rows:
        if row.quick:
            began = time.perf_counter()
            value = float(row.measure())
            results.append(Again(row, value, row.agrees(value), time.perf_counter() - began))
    return results


def own(
    document: str,
    line: int,
    text: str,
    claimed: float,
    measure: Callable[[], float | tuple[float, float]],
    null: float | None = None,
) -> Claim:
    """A claim of the reader's, "it is `claimed`", measured and judged now.

    measure gives the value, or (value, standard error); null is what knowing nothing would give.
    """
    result = measure()
    value, error = result if isinstance(result, tuple) else (result, 0.0)
    verdict = judge(claimed, value, error, null)
    today = date.today().isoformat()
    check = f"measured by {getattr(measure, '__name__', 'a function')}"
    return Claim(document, line, text, check, null, value, error, verdict, today, claimed=claimed)


def number(value: float | None) -> str:
    """Three figures; a dash where there is nothing."""
    if value is None:
        return "-"
    if math.isfinite(value) and value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:.3g}"


def measured(row: Claim) -> str:
    if row.value is None:
        return "-"
    return number(row.value) + (f" ± {number(row.error)}" if row.error else "")


def table(rows: Sequence[Claim], results: Sequence[Again] = (), width: int = 58) -> str:
    """Aligned text: key, verdict, claimed, null, measured, now (or the date), claim."""
    now = {each.claim.key: each for each in results}
    lines = [["claim", "verdict", "claimed", "null", "measured", "now", f"{'says':{width}}"]]
    for row in rows:
        fresh = now.get(row.key)
        last = row.date
        if fresh:
            last = number(fresh.found) + ("" if fresh.agrees else " DIFFERS")
        text = row.text if len(row.text) <= width else row.text[: width - 1] + "…"
        numbers = [number(row.claimed), number(row.null), measured(row), last]
        lines.append([row.key, row.verdict, *numbers, f"{text:{width}}"])
    return aligned(lines)


def html(rows: Sequence[Claim]) -> HTML:
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
    return HTML(f'<div style="overflow-x:auto"><table>{body}</table></div>')


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
