"""How a fault is judged: what one case does, what it left behind, and in which of eight ways it
ended.

right    what was asked for could be done, and was done correctly
clear    refused in one message that names the file or argument and says what to do
poor     refused, but the message lacks one of these
silent   accepted although it must not be
lost     a file of the user's was changed or removed
crashed  an exception that nobody meant to raise
hung     not done after SECONDS
"""

import contextlib
import hashlib
import io
import os
import re
import signal
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aaclip_lite.__main__ import main

SECONDS = 60
WAYS = ("right", "clear", "poor", "lost", "crashed", "hung", "silent")
GOOD = ("right", "clear")
LINES = 14  # a message that is longer is not read
REMEDY = re.compile(
    r"\b(give|choose|put|save|name|take|use|mend|remove|check|calibrate|move|leave|wait|expected|"
    r"restore|reinstall|at least|must|fetch|needs?|add|write|make|cut|known|try|allow\w*|sources?|"
    r"there are|may be|lies? outside|in the way|retrain|train|again|download|--help|only)\b",
    re.I,
)


@dataclass(frozen=True)
class Case:
    group: str
    name: str
    run: Callable  # run(place, folder): None, or True where the result was looked at and is right
    subject: str = ""  # what the message has to name; a regular expression
    accepted: bool = False  # nothing is wrong with it: it has to work

    def __str__(self) -> str:
        return f"{self.group}-{self.name}"


class Refused(Exception):
    """What the command line printed before it ended with exit code 2."""


def command(*words) -> str:
    """The command's output; raises Refused with its one message."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:  # tyro's own refusals
            code = end.code
    if code == 3:
        raise AssertionError(errors.getvalue())
    if code == 2:
        raise Refused(errors.getvalue())
    return out.getvalue()


class Hung(BaseException):
    """Not an Exception, which the command line would catch."""


@contextlib.contextmanager
def limited():
    def stop(*_):
        raise Hung

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(int(SECONDS * max(1, os.getloadavg()[0] / os.cpu_count())))  # a busy machine
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def judge(case: Case, place: Path, folder: Path) -> tuple[str, str]:
    """(way, what was said)"""
    state = {}

    def mark() -> None:
        state["before"] = contents(folder)

    place.mark = mark
    try:
        with limited(), warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            case.run(place, folder)
        said = " ".join(str(each.message) for each in noted)
        warned = case.subject and re.search(case.subject, said)  # told, though not refused
        way = "right" if case.accepted else "clear" if warned else "silent"
    except Hung:
        way, said = "hung", ""
    except (Refused, ValueError, OSError, TypeError, ImportError, RuntimeError) as error:
        said = str(error)
        way = "crashed" if case.accepted else told(case, error)
    except Exception as error:  # judged, not hidden: it fails the test
        way, said = "crashed", f"{type(error).__name__}: {error}"
    if "before" in state and not state["before"] <= contents(folder):
        way = "lost"
    return way, said


def told(case: Case, error: Exception) -> str:
    said = str(error)
    if not said.strip() or "Traceback" in said:
        return "crashed"
    named = re.search(case.subject, said) if case.subject else True
    short = len(said.strip().splitlines()) <= LINES
    return "clear" if named and short and REMEDY.search(said) else "poor"


def contents(folder: Path) -> set[tuple[str, str]]:
    """Every file below with a digest of its bytes."""
    return {
        (str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
