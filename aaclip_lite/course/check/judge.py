"""Checks of the course's exercises: each takes the learner's function and answers in one sentence.

Special: an answer is true only when the exercise is solved, so `aa.check.mix(my_mix)` prints "not
done yet", "correct" or a hint, and `assert aa.check.mix(my_mix)` stops a run. A hint names the
shape, value or idea that is off, never the answer. An empty exercise is no error: a notebook with
all of them left blank still runs to its end.
Use: `aa.check.NAME(your_function)`; `aa.check.EXERCISES` lists them by chapter.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

EXERCISES: dict[
    str, tuple[str, Callable]
] = {}  # name -> (chapter, check), in the order of the course


class Hint(Exception):
    """What is off, said by a check."""


@dataclass(frozen=True, repr=False)
class Answer:
    exercise: str
    state: str  # "correct", "not done yet" or "look again"
    hint: str = ""

    def __bool__(self) -> bool:
        return self.state == "correct"

    def __repr__(self) -> str:
        return f"{self.exercise}: {self.state}" + (f". {self.hint}" if self.hint else "")


def exercise(chapter: str) -> Callable:
    """Make a check of a function that calls the learner's and raises a Hint where it is off."""

    def decorate(check: Callable) -> Callable:
        @functools.wraps(check)
        def judged(learner: Callable) -> Answer:
            name = check.__name__
            if not callable(learner):
                return Answer(
                    name,
                    "look again",
                    f"give the function itself, not what it returns ({kind_of(learner)})",
                )
            try:
                check(learner)
            except NotImplementedError:
                return Answer(
                    name, "not done yet", "Replace the line that raises NotImplementedError"
                )
            except Hint as hint:
                return Answer(name, "look again", str(hint))
            except Exception as error:  # whatever the learner's code does is the learner's to see
                return Answer(
                    name,
                    "look again",
                    f"your function stopped with {type(error).__name__}: {error}",
                )
            from .progress import record

            record(name)
            return Answer(name, "correct")

        EXERCISES[check.__name__] = (chapter, judged)
        return judged

    return decorate


def same(
    found, expected, what: str = "the result", tolerance: float = 1e-4, hints: Sequence[tuple] = ()
) -> None:
    """Raise a Hint that says in what `found` differs from `expected`: kind, shape or values.

    hints: (wrong value, sentence) pairs: what a known mistake would have given, and the idea to
    look at again.
    """
    if found is None:
        raise Hint(f"{what} is None: does your function return it?")
    if isinstance(expected, (bool, str)) or not isinstance(
        expected, (torch.Tensor, np.ndarray, float, int)
    ):
        if found != expected:
            raise Hint(
                next(
                    (say for wrong, say in hints if found == wrong),
                    f"{what} is {found!r}, which is not it",
                )
            )
        return
    if not isinstance(found, (torch.Tensor, np.ndarray, np.generic, float, int)):
        raise Hint(f"{what} is {kind_of(found)}, expected {kind_of(expected)}")
    mine, true = as_array(found), as_array(expected)
    if mine.shape != true.shape:
        raise Hint(f"{what} has shape {mine.shape}, expected {true.shape}")
    if np.isnan(mine).any():
        raise Hint(f"{what} holds values that are not a number")
    if close(mine, true, tolerance):
        return
    for wrong, sentence in hints:
        if as_array(wrong).shape == mine.shape and close(mine, as_array(wrong), tolerance):
            raise Hint(sentence)
    several = true.size > 1  # a single number has no pattern
    ratio = np.median(mine[true != 0] / true[true != 0]) if (true != 0).any() else np.nan
    if (
        several
        and np.isfinite(ratio)
        and ratio not in (0, 1)
        and close(mine, ratio * true, tolerance)
    ):
        raise Hint(f"{what} has the right pattern, but every value is {ratio:.3g} times too large")
    if several and close(mine - mine.mean(), true - true.mean(), tolerance):
        raise Hint(
            f"{what} has the right pattern, but all values are off by "
            f"{float((mine - true).mean()):.3g}"
        )
    worst = np.unravel_index(np.abs(mine - true).argmax(), true.shape)
    place = f" at {tuple(map(int, worst))}" if true.shape else ""
    side = "large" if mine[worst] > true[worst] else "small"
    raise Hint(f"{what}{place} is {float(mine[worst]):.4g}, which is too {side}")


def close(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    return np.allclose(
        a, b, rtol=tolerance, atol=tolerance * max(1e-6, float(np.abs(b).max(initial=0)))
    )


def as_array(values) -> np.ndarray:
    return np.asarray(
        values.detach().cpu() if isinstance(values, torch.Tensor) else values, dtype=np.float64
    )


def kind_of(value) -> str:
    return "a tensor" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"
