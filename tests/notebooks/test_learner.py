"""Every exercise against a learner: the solution, the untouched stub, and three plausible mistakes.

Each chapter's file `answers_NN.py` here holds ANSWERS = {exercise: (solution, [(mistake, word in
the hint), ...])}.
"""

import importlib
import json
from pathlib import Path

import pytest

from aaclip_lite.course import check

FOLDER = Path(__file__).parent
CHAPTERS = sorted(FOLDER.glob("answers_*.py"))
ANSWERS = {}
for file in CHAPTERS:
    ANSWERS |= importlib.import_module(f"tests.notebooks.{file.stem}").ANSWERS
MISTAKES = [(name, i) for name, (_, mistakes) in ANSWERS.items() for i in range(len(mistakes))]


def stub(*_, **__):
    raise NotImplementedError("your turn")


def test_every_exercise_has_answers_and_stands_in_its_chapter():
    assert set(ANSWERS) == set(check.EXERCISES)
    assert all(len(mistakes) >= 3 for _, mistakes in ANSWERS.values())
    for name, (chapter, _) in check.EXERCISES.items():
        cells = json.loads(
            (FOLDER.parents[1] / "notebooks" / f"{chapter}.ipynb").read_text(encoding="utf-8")
        )["cells"]
        sources = {
            tag: "".join(
                "".join(c["source"]) for c in cells if tag in c["metadata"].get("tags", ())
            )
            for tag in ("exercise", "solution")
        }
        assert f"aa.check.{name}(" in sources["exercise"], (
            f"{chapter} does not set the exercise {name}"
        )
        assert f"assert aa.check.{name}(" in sources["solution"], (
            f"{chapter} does not solve the exercise {name}"
        )


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
