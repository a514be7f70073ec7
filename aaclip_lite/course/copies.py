"""The reader's own copies of the chapters, outputs cleared, so that predicting is possible and a
newer course never meets their edits.

Special: what the reader has changed is never overwritten; a chapter that is newer is then offered
beside it, as NAME.new.ipynb.
Use: `python -m aaclip_lite.course.copies notebooks my_course`, which `make lab` calls.
"""

import hashlib
import json
import shutil
import sys
from functools import partial
from itertools import count
from pathlib import Path

from ..files.checked import fields, fields_open, listing, mapping, read_json, text
from ..files.keep import atomic, write_json, write_text

RECORD = ".copied.json"  # by chapter: the digest of what was written

CELL = fields(("cell_type", "source"), True, cell_type=text())
NOTEBOOK = fields(("cells",), True, cells=listing(CELL), metadata=fields_open)


def cleared(path: Path) -> dict:
    notebook = read_json(path, NOTEBOOK, "fetch the course again")
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return notebook


def digest(notebook: dict) -> str:
    """Of what is written in the cells: running a chapter does not change it."""
    cells = [[cell["cell_type"], "".join(cell["source"])] for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def copy_course(source: Path, target: Path) -> list[str]:
    """One sentence for each chapter that came or is offered."""
    chapters = sorted(source.glob("*.ipynb"))
    if not chapters:
        raise FileNotFoundError(f"{source}: no chapters (*.ipynb) in there; name their folder")
    if target.resolve() == source.resolve():
        raise ValueError(f"{target} holds the chapters themselves; choose another folder")
    for picture in source.glob("*.svg"):
        atomic(target / picture.name, partial(shutil.copyfile, picture))
    record = target / RECORD
    remedy = "remove it: chapters that you changed then still stay as they are"
    known = read_json(record, mapping(text()), remedy) if record.is_file() else {}
    told = []
    for chapter in chapters:
        told += _bring(chapter, target / chapter.name, known)
    write_json(record, known)
    return told


def _bring(chapter: Path, mine: Path, known: dict[str, str]) -> list[str]:
    notebook = cleared(chapter)
    new = digest(notebook)
    if not mine.exists():
        told = f"{mine.name} is there"
    elif known.get(mine.name) == new:
        return []
    elif known.get(mine.name, "not ours") == _own_digest(mine):
        told = f"{mine.name} is newer now"
    else:
        names = (mine.with_suffix(f".new{n or ''}.ipynb") for n in count())
        beside = next(name for name in names if not name.exists())
        told = f"{mine.name} holds your changes and stays; the newer chapter is {beside.name}"
        mine = beside
    write_text(mine, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    known[chapter.name] = new
    return [told]


def _own_digest(mine: Path) -> str | None:
    """None where the reader's file is no notebook any more: that is theirs to mend."""
    try:
        return digest(cleared(mine))
    except (ValueError, KeyError, TypeError, OSError, RecursionError):
        return None


def main(words: list[str]) -> int:
    if len(words) != 2:
        print("error: give two folders: the chapters, and where your copies go", file=sys.stderr)
        return 2
    try:
        for sentence in copy_course(*map(Path, words)):
            print(sentence)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
