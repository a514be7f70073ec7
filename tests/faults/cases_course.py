"""The course's own files: copies of the chapters, what was solved, the ledger."""

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from unittest.mock import patch

from aaclip_lite.course.check import progress
from aaclip_lite.course.check.progress import record
from aaclip_lite.course.copies import copy_course, main
from tests.faults.cases_options import refused
from tests.faults.judge import Case, Refused

CHAPTER = {
    "cells": [{"cell_type": "code", "metadata": {}, "source": "1", "outputs": []}],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}


def chapters(folder: Path) -> Path:
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "01_first.ipynb").write_text(json.dumps(CHAPTER))
    (folder / "notebooks" / "colab.svg").write_text("<svg/>")
    return folder / "notebooks"


def copies(before, accepted: bool = False, words=("notebooks", "my_course")):
    """before(folder) lays what is in the way; the command then ends in one line."""

    def run(place, folder):
        chapters(folder)
        before(folder)
        place.mark()
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            code = main(list(words))
        if code:
            raise Refused(errors.getvalue())

    return run


def at(name: str, data: bytes | str | None):
    """A file of the reader's in the course's folder, or a folder of that name."""

    def before(folder):
        path = folder / "my_course" / name
        path.parent.mkdir(exist_ok=True)
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data.encode() if isinstance(data, str) else data)

    return before


def linked(name: str):
    """A link to a file of the reader's elsewhere: it must not be written through."""

    def before(folder):
        (folder / "own.txt").write_text("mine")
        (folder / "my_course").mkdir()
        (folder / "my_course" / name).symlink_to(folder / "own.txt")

    return before


def linked_folder(folder):
    (folder / "elsewhere").mkdir()
    (folder / "my_course").symlink_to(folder / "elsewhere")


def pipe(folder):
    (folder / "my_course").mkdir()
    os.mkfifo(folder / "my_course" / ".copied.json")


def bad_source(data: bytes):
    return lambda folder: (folder / "notebooks" / "02_next.ipynb").write_bytes(data)


COPIES = {  # name: (what is in the way, words, what the message names)
    "no_words": (lambda folder: None, (), "two folders"),
    "one_word": (lambda folder: None, ("notebooks",), "two folders"),
    "no_chapters": (lambda folder: None, ("gone", "my_course"), "gone"),
    "same_folder": (lambda folder: None, ("notebooks", "notebooks"), "notebooks"),
    "file": (lambda f: (f / "my_course").write_text("mine"), None, "my_course"),
    "dead_link": (lambda f: (f / "my_course").symlink_to(f / "gone" / "x"), None, "my_course"),
    "below_proc": (lambda folder: None, ("notebooks", "/proc/course"), "/proc/course"),
    "full": (lambda folder: None, ("notebooks", "/dev/full"), "/dev/full"),
    "record_cut": (at(".copied.json", "["), None, r"copied\.json"),
    "record_list": (at(".copied.json", "[1]"), None, r"copied\.json"),
    "record_numbers": (at(".copied.json", '{"01_first.ipynb": 3}'), None, r"copied\.json"),
    "record_binary": (at(".copied.json", bytes(range(256))), None, r"copied\.json"),
    "record_deep": (at(".copied.json", "[" * 100_000), None, r"copied\.json"),
    "record_folder": (at(".copied.json", None), None, r"copied\.json"),
    "source_cut": (bad_source(b"{"), None, "02_next"),
    "source_list": (bad_source(b"[]"), None, "02_next"),
    "source_cells": (bad_source(b'{"cells": 3}'), None, "02_next"),
    "source_deep": (bad_source(b"[" * 100_000), None, "02_next"),
}
FINE = {  # the reader's own, which stays
    "own_text": at("01_first.ipynb", "not a notebook"),
    "own_folder": at("01_first.ipynb", None),
    "own_deep": at("01_first.ipynb", "[" * 100_000),
    "own_cells": at("01_first.ipynb", '{"cells": [3, null]}'),
    "own_link": linked("01_first.ipynb"),
    "own_svg_link": linked("colab.svg"),
    "own_record_link": lambda f: (linked(".copied.json")(f), (f / "own.txt").write_text("{}")),
    "linked_folder": linked_folder,
    "pipe": pipe,
}
SOLVED = {
    "cut": b"{",
    "list": b"[]",
    "pairs": b'[["mix", "2026-01-01"]]',
    "number": b"3",
    "null": b"null",
    "values": b'{"mix": 3}',
    "binary": bytes(range(256)),
    "utf16": '{"mix": "2026-01-01"}'.encode("utf-16"),
    "deep": b"[" * 100_000,
    "twice": b'{"mix": "a", "mix": "b"}',
    "nan": b'{"mix": NaN}',
    "long": b'{"mix": "' + b"x" * 5000 + b'"}',
}


def solved(data: bytes):
    def run(place, folder):
        (folder / "solved.json").write_bytes(data)
        place.mark()
        progress()

    return run


def huge(place, folder):
    with open(folder / "solved.json", "wb") as file:
        file.truncate(300 << 20)
    progress()


def recorded(before):
    """An exercise that was solved is told so, though its day cannot be kept."""

    def run(place, folder):
        before(folder)
        place.mark()
        with patch.dict(sys.modules, {"ipykernel": sys}):  # as in a notebook; any module will do
            record("mix")

    return run


def newer_than_the_course(place, folder):
    names = {"norm_preserving_mix": "2026-01-01", "an exercise of another course": "2026-01-01"}
    (folder / "solved.json").write_text(json.dumps(names))
    assert len(progress().solved) == 1


LEDGER = [
    (["--document", "S9"], "S9"),
    (["--verdict", "perhaps"], "perhaps"),
    (["--markdown", ""], "--markdown"),
    (["--markdown", "empty"], "empty"),
    (["--markdown", "file/below.md"], "file"),
    (["--markdown", "/proc/nothing/x.md"], "/proc"),
    (["--nonsense"], "nonsense"),
    (["extra"], "extra"),
]


def twice(place, folder):
    chapters(folder)
    assert copy_course(Path("notebooks"), Path("my_course")) == ["01_first.ipynb is there"]
    assert copy_course(Path("notebooks"), Path("my_course")) == []


def cases() -> list[Case]:
    found = []
    for name, (before, words, subject) in COPIES.items():
        run = copies(before, words=("notebooks", "my_course") if words is None else words)
        found.append(Case("course", f"copies_{name}", run, subject))
    for name, before in FINE.items():
        found.append(Case("course", f"copies_{name}", copies(before), accepted=True))
    found.append(Case("course", "copies_twice", twice, accepted=True))
    for name, data in SOLVED.items():
        found.append(Case("course", f"solved_{name}", solved(data), r"solved\.json"))
    found.append(Case("course", "solved_huge", huge, r"solved\.json"))
    found.append(Case("course", "solved_unknown", newer_than_the_course, accepted=True))
    ways = {
        "cut": lambda f: (f / "solved.json").write_text("{"),
        "folder": lambda f: (f / "solved.json").mkdir(),
    }
    for name, before in ways.items():
        case = Case("course", f"record_{name}", recorded(before), r"mix is solved.*solved\.json")
        found.append(case)
    for words, subject in LEDGER:
        name = "-".join(word.strip("-").replace("/", "_") for word in words)
        found.append(Case("course", f"ledger_{name}", refused("ledger", *words), subject))
    return found
