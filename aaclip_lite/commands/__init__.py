"""The command line, one file a command.

Special: a command is a file of this folder whose name has no underscore before it, with one
dataclass `Command`: its fields are the options, its docstring the help, its `run()` the work and
the exit code, its `refuse_unfit(given)`, where there is one, looks at the options together before
any work. Adding a file adds a command. Nothing heavy is imported before `run()`.
Use: `find("predict")`, `names()`.
"""

from importlib import import_module
from pathlib import Path

# how they are listed; any other follows in the order of the alphabet
ORDER = ("demo", "train", "eval", "predict", "doctor", "recipes", "factory")


def names() -> list[str]:
    """Every command, in the order of the overview."""
    stems = {file.stem for file in Path(__file__).parent.glob("*.py") if file.stem[0] != "_"}
    others = sorted(stems - {*ORDER, "lab"})
    return [*(name for name in ORDER if name in stems), *others, "lab"]


def find(name: str) -> type:
    """A command's dataclass."""
    return import_module(f"{__name__}.{name}").Command
