"""The cards that report what the laboratory measured: Markdown templates filled with figures.

Special: `NAME.md` beside this file holds parts, each begun by a line `<!-- part: NAME -->`, with
placeholders as str.format knows them ({minutes:.0f}); one that gets no value is an error, never a
gap. A card is written whole or not at all.
Use: `parts = template("gates")`, `parts["card"].format(size=11.1, ...)`, `table(rows, "lrr")`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..files import keep


def template(name: str) -> dict[str, str]:
    """{part: text} of NAME.md."""
    text = Path(__file__).with_name(f"{name}.md").read_text(encoding="utf-8")
    _, *pieces = re.split(r"<!-- part: (\w+) -->\n", text)
    return dict(zip(pieces[::2], pieces[1::2], strict=True))


def table(rows: Sequence[Sequence], align: str | None = None) -> str:
    """Markdown, the first row its heads; align: "l" or "r" a column, by default "lrrr...". Floats
    get three digits.
    """
    heads = rows[0]
    align = align or "l" + "r" * (len(heads) - 1)
    cells = [[cell(value) for value in row] for row in rows]
    marks = [{"l": "---", "r": "---:"}[side] for side in align]
    lines = ["| " + " | ".join(row) + " |" for row in (cells[0], marks, *cells[1:])]
    return re.sub(r"\|  (?=\|)", "| ", "\n".join(lines))


def cell(value) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def words(name: str) -> str:
    return name.replace("_", " ")


def figure_rows(rows: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> list[list]:
    """Rows of a table: the key in words, then these figures."""
    return [[words(key), *(row[name] for name in names)] for key, row in rows.items()]


def write(path: str | Path, text: str) -> Path:
    print(keep.write_text(path, text))
    return Path(path)
