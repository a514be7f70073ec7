"""The command line. `python -m aaclip_lite` lists the commands, `python -m aaclip_lite COMMAND
--help` explains one; each is a file of commands/.

Special: options are the fields of small dataclasses (and of the Recipe), with their comments as
help; nothing heavy is imported before a command runs. Exit codes: 0 done; 1 a problem was found
(doctor), or an anomaly with --fail-on-anomaly (predict); 2 an error on the user's side, told in one
line (AACLIP_LITE_DEBUG=1 shows where it arose); 3 an error of ours; 130 stopped.
"""

import contextlib
import io
import os
import re
import sys
import warnings
from collections import Counter
from pathlib import Path

import tyro

from .. import commands
from ..files.escape import terminal
from . import lab

LONGEST = 12  # lines of an error
USAGE = "python -m aaclip_lite COMMAND"
OPTIONS = {  # what an error's remedy calls an argument in Python, and how it is given here
    r"open_dataset\(\.\.\., allow=\(([^)]*)\)\)": lambda words: (
        f"--allow {' '.join(re.findall('[a-z]+', words[1]))}"
    ),
    "declare image_level=True": "give --image-level",
    "name the layout, or put": "put",
    "start over with resume=False": "start over with --no-resume",
}


def overview() -> str:
    lines = []
    for name in commands.names():
        about = commands.find(name).__doc__.partition("\n")[0]
        lines.append(f"  {name:14}{about}")
    text = "\n".join(lines)
    return f"usage: {USAGE} [options]\n\n{text}\n\n`{USAGE} --help` explains one."


def main(arguments: list[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _note
            return _dispatch(words)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of the output has gone, as in `predict ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError, ImportError, RuntimeError, MemoryError) as error:
        return _tell(error, 2)
    except Exception as error:
        return _tell(error, 3)


def _note(message, category, filename, lineno, file=None, line=None) -> None:
    """What is told, though it stops nothing; libraries' notes to programmers are left out."""
    if category is UserWarning:
        print(f"note: {terminal(message)}", file=sys.stderr)


def _dispatch(words: list[str]) -> int:
    name, *rest = words
    if name in ("-h", "--help"):
        print(overview())
        return 0
    if name in lab.tools() and name not in commands.names():
        raise ValueError(f"no command {name!r}; it is a laboratory tool, use `lab {name}`")
    if name not in commands.names():
        raise ValueError(f"no command {name!r}\n{overview()}")
    if name == "lab":
        if not rest or rest[0] in ("-h", "--help"):
            print(lab.overview())
            return 0
        name = f"lab {rest[0]}"
        options, run = lab.tool(rest.pop(0))
    else:
        options = commands.find(name)
        run = getattr(options, "run")  # noqa: B009  each command brings it
    given = _given(rest)
    filled = _filled(options, name, rest)
    if hasattr(filled, "refuse_unfit"):
        filled.refuse_unfit(given)
    done = run(filled)
    return done if isinstance(done, int) else 0


def _filled(options: type, name: str, rest: list[str]):
    """The command's dataclass, filled from the words; tyro's boxes become one line."""
    prog = f"python -m aaclip_lite {name}"
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(options, args=_at_home(rest), prog=prog, **_as(name, rest))
    except SystemExit as end:
        if end.code in (0, None):
            raise
    lines = [re.sub(r"^[│╭╰\s]+|[│\s]+$", "", line) for line in said.getvalue().splitlines()]
    ends = [number for number, line in enumerate(lines) if line.startswith("──")]
    words = " ".join(lines[1 : ends[0] if ends else None]) or "these options cannot be read"
    raise ValueError(f"{words.rstrip('.')}; check the options with `{prog} --help`")


def _as(name: str, rest: list[str]) -> dict:
    """How tyro reads a command; `train --preset` changes where the recipe's fields start."""
    if name != "train":
        plainer = (tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff)
        return {"config": plainer}
    from .train import preset

    start = preset(rest)
    return {} if start is None else {"default": start}


def _given(rest: list[str]) -> set[str]:
    """The options' names; an option given twice and an empty word are refused."""
    names = [word.partition("=")[0].replace("_", "-") for word in rest if word.startswith("--")]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise ValueError(f"{twice[0]} is given twice; give it once")
    for before, word in zip(["", *rest], rest, strict=False):
        if not word.strip() or (word.startswith("--") and word.endswith("=")):
            where = before if before.startswith("--") and word.strip() == "" else repr(word)
            raise ValueError(f"{where}: an empty word says nothing; give a value or leave it out")
        if "\0" in word:
            raise ValueError(f"{word!r}: holds a zero byte; remove it")
    return set(names)


def _at_home(rest: list[str]) -> list[str]:
    """`~` stands for the home folder also where no shell has replaced it."""
    words = []
    for word in rest:
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        home = str(Path(value).expanduser()) if value.startswith("~") else value
        words.append(f"{option}{equals}{home}")
    return words


def _tell(error: Exception, code: int) -> int:
    if os.environ.get("AACLIP_LITE_DEBUG"):
        raise error
    text = str(error) or type(error).__name__
    if isinstance(error, MemoryError):
        text = f"not enough memory ({text}); take smaller pictures or fewer at once"
    if code == 3:
        text = (
            f"something went wrong inside ({type(error).__name__}: {text}); AACLIP_LITE_DEBUG=1 "
            "shows where"
        )
    for argument, option in OPTIONS.items():
        text = re.sub(argument, option, text)
    lines = text.splitlines()
    if len(lines) > LONGEST:
        left = len(lines) - LONGEST
        lines = [*lines[: LONGEST - 1], f"  ... and {left} lines more", lines[-1]]
    print("error: " + "\n".join(map(terminal, lines)), file=sys.stderr)
    return code
