"""Names of other people's making, made harmless for where they are shown: terminal, Markdown, a
file's name.

Special: a class, folder or picture may be called anything, escape codes, HTML, bars, newlines and
bytes that are no text included; what is shown stays readable and cannot act.
Use: `print(terminal(path))`, `f"| {markdown(name)} |"`, `unique_names(paths)`.
"""

import re
from collections.abc import Iterable
from pathlib import Path

LONGEST = 120  # bytes of a name that we make; file systems take 255, some less


def terminal(text: object) -> str:
    """One line of printable characters; all others as \\x1b, \\n or \\udcff."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in str(text)
    )


def markdown(text: object) -> str:
    """For a cell of a table or a heading: no bar, tag, link, emphasis or code begins in it."""
    return re.sub(r"([\\`*_\[\]<>|#!&~$])", r"\\\1", terminal(text)).replace("\\<", "&lt;")


def file_name(text: object) -> str:
    """Part of a file's name that every system takes: no separator, no leading dot, not too long."""
    name = re.sub(r"[^\w.-]+", "_", str(text)).strip("._") or "picture"
    cut = name.encode("utf-8", "replace")[:LONGEST]
    return cut.decode("utf-8", "ignore")


def unique_names(paths: Iterable[str | Path], taken: Iterable[str] = ()) -> list[str]:
    """A file name for each path, made of its last three parts; where two would be one (on a system
    that knows no capitals too), or one is taken, a number is added.
    """
    used = {name.casefold() for name in taken}
    names = []
    for path in paths:
        parts = [part for part in Path(path).parts[-3:] if part not in ("/", "..", ".")]
        stem = name = file_name("_".join(parts))
        number = 1
        while name.casefold() in used:
            number += 1
            name = f"{stem}-{number}"
        used.add(name.casefold())
        names.append(name)
    return names
