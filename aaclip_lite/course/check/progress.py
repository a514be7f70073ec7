"""What was solved so far, chapter by chapter, kept beside the chapters that the reader works in.

Special: only a notebook records; a script or a test that calls a check leaves no file.
Use: `aa.check.progress()`; the file is `solved.json`, which can be handed in.
"""

import sys
import warnings
from datetime import date
from pathlib import Path

from ...files.checked import mapping, read_json, text
from ...files.keep import table, write_json
from .judge import EXERCISES

FILE = Path("solved.json")


class Progress:
    def __init__(self, solved: dict[str, str]) -> None:
        self.solved = {name: day for name, day in solved.items() if name in EXERCISES}

    def __repr__(self) -> str:
        lines = [["chapter", "solved", "still open"]]
        for chapter in dict.fromkeys(chapter for chapter, _ in EXERCISES.values()):
            names = [name for name, (where, _) in EXERCISES.items() if where == chapter]
            left = [name for name in names if name not in self.solved]
            lines.append([chapter, f"{len(names) - len(left)} of {len(names)}", ", ".join(left)])
        return f"{table(lines)}\n{len(self.solved)} of {len(EXERCISES)} exercises solved"


def progress() -> Progress:
    return Progress(_read())


def _read() -> dict[str, str]:
    shape = mapping(text(40))  # {exercise: day}
    return read_json(FILE, shape, "remove it to begin anew") if FILE.is_file() else {}


def record(name: str) -> None:
    """An exercise stays solved where its day cannot be kept: that is only told."""
    try:
        if "ipykernel" in sys.modules and name not in (known := _read()):
            write_json(FILE, known | {name: str(date.today())})
    except (ValueError, OSError) as error:
        warnings.warn(f"{name} is solved, but not recorded: {error}", stacklevel=2)
