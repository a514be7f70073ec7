"""Checks of the course's exercises, one file a chapter: `aa.check.NAME(your_function)` answers in
one sentence.

Special: every file `chNN_name.py` here is found by itself and belongs to the chapter NN_name;
`EXERCISES` lists its checks in the order of the course.
"""

from importlib import import_module
from pathlib import Path

from .judge import EXERCISES, Answer, Hint, exercise, same
from .progress import progress

for file in sorted(Path(__file__).parent.glob("ch[0-9]*.py")):
    import_module(f"{__name__}.{file.stem}")

globals().update({name: judged for name, (_, judged) in EXERCISES.items()})

__all__ = ["EXERCISES", "Answer", "Hint", "exercise", "progress", "same", *EXERCISES]
