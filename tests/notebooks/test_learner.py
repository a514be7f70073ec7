"""Every exercise against a learner: the solution, the untouched stub, and three plausible mistakes.

Each chapter's file `answers_NN.py` here holds ANSWERS = {exercise: (solution, [(mistake, word in
the hint), ...])}.
"""

import importlib
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import aaclip_lite as aa
from aaclip_lite.course import check

FOLDER = Path(__file__).parent
CHAPTERS = sorted(FOLDER.glob("answers_*.py"))
ANSWERS = {}
for file in CHAPTERS:
    ANSWERS |= importlib.import_module(f"tests.notebooks.{file.stem}").ANSWERS
MISTAKES = [(name, i) for name, (_, mistakes) in ANSWERS.items() for i in range(len(mistakes))]
BLOCK = re.compile(r"<summary>Solution</summary>\s*```python\n(.*?)```", re.S)


def cells_of(chapter):
    path = FOLDER.parents[1] / "notebooks" / f"{chapter}.ipynb"
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def folded_solutions(chapter):
    """{exercise: (name of the learner's function, code)} of solutions folded in a page's text."""
    found, asked = {}, None
    for cell in cells_of(chapter):
        source = "".join(cell["source"])
        if "exercise" in cell["metadata"].get("tags", ()):
            asked = re.findall(r"aa\.check\.(\w+)\((\w+)\)", source)
        elif asked and (block := BLOCK.search(source)):
            found |= {exercise: (function, block[1]) for exercise, function in asked}
            asked = None
    return found


FOLDED = {name: chapter for name, (chapter, _) in check.EXERCISES.items()}
FOLDED = {name: folded_solutions(chapter).get(name) for name, chapter in FOLDED.items()}
FOLDED = {name: solution for name, solution in FOLDED.items() if solution}


def stub(*_, **__):
    raise NotImplementedError("your turn")


def test_every_exercise_has_answers_and_stands_in_its_chapter():
    assert set(ANSWERS) == set(check.EXERCISES)
    assert all(len(mistakes) >= 3 for _, mistakes in ANSWERS.values())
    for name, (chapter, _) in check.EXERCISES.items():
        cells = cells_of(chapter)
        sources = {
            tag: "".join(
                "".join(c["source"]) for c in cells if tag in c["metadata"].get("tags", ())
            )
            for tag in ("exercise", "solution")
        }
        assert f"aa.check.{name}(" in sources["exercise"], (
            f"{chapter} does not set the exercise {name}"
        )
        assert f"assert aa.check.{name}(" in sources["solution"] or name in FOLDED, (
            f"{chapter} does not solve the exercise {name}"
        )


@pytest.mark.parametrize("name", FOLDED)
def test_a_folded_solution_stands_alone_and_is_right(name):
    function, code = FOLDED[name]
    room = {"torch": torch, "F": F, "np": np, "math": math, "aa": aa}
    exec(code, room)
    assert getattr(check, name)(room[function])


@pytest.mark.parametrize("name", ANSWERS)
def test_solution_and_stub(name):
    judge = getattr(check, name)
    answer = judge(ANSWERS[name][0])
    assert answer and repr(answer) == f"{name}: correct"
    empty = judge(stub)
    assert not empty and "not done yet" in repr(empty)


@pytest.mark.parametrize("name, number", MISTAKES)
def test_mistakes_get_a_hint_that_names_them(name, number):
    mistake, word = ANSWERS[name][1][number]
    answer = getattr(check, name)(mistake)
    assert not answer and answer.state == "look again"
    assert word in answer.hint, answer.hint


def test_what_is_no_function_is_named():
    answer = next(iter(check.EXERCISES.values()))[1](3)
    assert not answer and "the function itself" in answer.hint
