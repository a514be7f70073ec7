"""Checks of the course's exercises: each takes the learner's function and answers in one sentence.

Special: an answer is true only when the exercise is solved, so `aa.check.mix(my_mix)` prints "not
done yet", "correct" or a hint, and `assert aa.check.mix(my_mix)` stops a run. A hint names the
shape, value or idea that is off and the input it was seen with, never the answer. An empty
exercise is no error: a notebook with all of them left blank still runs to its end.
Use: `aa.check.NAME(your_function)`; `aa.check.EXERCISES` lists them by chapter.
"""

import functools
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from . import again
from .differences import Hint, Vague, as_array, close, kind_of
from .same import either, fits, of_pair, refused, same, same_in_all, shown, two, whatever

__all__ = ["EXERCISES", "Answer", "Hint", "Steps", "Vague", "as_array", "close", "either"]
__all__ += ["exercise", "fits", "kind_of", "refused", "same", "two", "whatever"]

Steps = Iterator  # of an exercise: what the learner's function gets, what is right, what is wrong
# name -> (chapter, check), in the order of the course
EXERCISES: dict[str, tuple[str, Callable]] = {}
STOPPED = {  # what an error of torch or Python most often means
    "must match the size": "two shapes don't fit: keepdim=True or unsqueeze keeps an axis in place",
    "must match the existing size": "two shapes don't fit: unsqueeze puts an axis in place",
    "could not be broadcast": "two shapes don't fit: keepdims=True or None keeps an axis in place",
    "'NoneType'": "None comes in, or comes back from a call: ask for it before you go on",
    "selected index k out of range": "k may be more than there are: take the smaller of both",
    "second time": "a graph is freed by its first backward: retain_graph=True keeps it",
    "'tuple' object has no attribute": "autograd.grad gives a tuple, one gradient a tensor",
    "multiply sequence": "a list is no array: go through the pairs with zip, or make arrays",
    "tuple index out of range": "there are inputs with fewer axes: ask how many there are",
    "not implemented for 'Bool'": "True and False have no mean: make them numbers, .float()",
    "Dimension out of range": "there are inputs with fewer axes: count axes from the end, dim=-1",
    "Expected size for first two": "the inner sizes of a product must agree: is one transposed?",
    "cannot be multiplied": "the inner sizes of a product must agree: which side is transposed?",
    "KeyError": "not every key is there: ask before you look up",
    "does not require grad": "no weight that is free is in it: which are, and is one detached?",
    "out of bounds": "an axis is shorter than the index: is it the axis that you mean?",
    "ZeroDivisionError": "what if nothing is left to divide by?",
}


@dataclass(frozen=True, repr=False)
class Answer:
    exercise: str
    state: str  # "correct", "not done yet" or "look again"
    hint: str = ""

    def __bool__(self) -> bool:
        return self.state == "correct"

    def __repr__(self) -> str:
        return f"{self.exercise}: {self.state}" + (f". {self.hint}" if self.hint else "")


def exercise(
    what: str = "the result",
    tolerance: float = 1e-4,
    cases: Sequence = (),
    read: Callable = lambda result: result,
) -> Callable:
    """Make a check of the function below. For each of the `cases`, its arguments, it yields what
    the learner's function gets, and gets that back; then what is right; and then what is wrong:
    {sentence: what that mistake returns}, or two of them for a pair. What is right must follow from
    what it gets back, for `again` asks the same of other arguments. Without `cases` it calls the
    learner's itself, and yields rounds for `same_in_all` or raises a Hint where it is off.

    read: what of a result is compared; it may raise a Hint.
    """

    def decorate(listed: Callable) -> Callable:
        def rounds_of(learner: Callable) -> Iterator:
            for number, case in enumerate(cases):
                torch.default_generator.manual_seed(number)  # the same cases each time
                given, steps = _begun(listed, case)
                result, true = read(learner(*given)), read(_answer(steps, given))
                hints = next(steps)
                yield result, true, of_pair(result, *hints) if isinstance(hints, tuple) else hints

        def right(*given):
            return _answer(_begun(listed, cases[0])[1], given)

        @functools.wraps(listed)
        @torch.random.fork_rng(devices=[])  # the learner's next random numbers stay what they were
        def judged(learner: Callable) -> Answer:
            name, seen = listed.__name__, []
            if not callable(learner):
                say = f"give the function itself, not what it returns ({kind_of(learner)})"
                return Answer(name, "look again", say)
            try:
                rounds = (rounds_of if cases else listed)(_watched(learner, seen))
                if rounds is not None:
                    same_in_all(rounds, what, tolerance)
            except NotImplementedError as error:
                if "not implemented for" in str(error):  # torch's, not that of the empty exercise
                    return Answer(name, "look again", _told(_stopped(error, learner), seen))
                say = "Replace the line that raises NotImplementedError"
                return Answer(name, "not done yet", say)
            except Hint as hint:
                if cases and isinstance(hint, Vague):
                    rounds = [(given, result) for _, result, given in seen if result is not ...]
                    names = _names(learner, rounds)
                    with np.errstate(all="ignore"):
                        say = again.idea(right, rounds, names, tolerance)
                    hint.args = (f"{what} {say}".replace(" : ", ": "),) if say else hint.args
                return Answer(name, "look again", _told(str(hint), seen, hint.call))
            except Exception as error:  # of the learner's code, or of reading what it returned
                say = f"what your function returns can't be read: {type(error).__name__}: {error}"
                say = _stopped(error, learner) if hasattr(error, "learners") else say
                return Answer(name, "look again", _told(say, seen))
            from .progress import record

            record(name)
            return Answer(name, "correct")

        chapter = listed.__module__.rpartition(".ch")[2]
        EXERCISES[listed.__name__] = (chapter, judged)
        return judged

    return decorate


def _begun(listed: Callable, case) -> tuple[tuple, Steps]:
    """What the learner's function gets, and the steps behind."""
    steps = listed(*(case if isinstance(case, tuple) else (case,)))
    given = next(steps)
    return given if isinstance(given, tuple) else (given,), steps


def _answer(steps: Steps, given: tuple):
    return steps.send(given if len(given) > 1 else given[0])


def _watched(learner: Callable, calls: list) -> Callable:
    """The learner's function, which gets copies that must stay as they were; `calls` gets what it
    was called with, in words, and what it returned.
    """

    def call(*given):
        named = _names(learner, [(given, ...)])
        told = [
            f"{name} {text}"
            for name, value in zip(named, given, strict=True)
            if (text := shown(value))
        ]
        mine = [_kept(value) for value in given]
        calls.append((f" [seen with {', '.join(told)}]" if told else "", ..., given))
        try:
            result = learner(*mine)
        except Exception as error:
            error.learners = True  # not an error of the check, which reads what comes back
            raise
        calls[-1] = calls[-1][0], result, given
        for name, was, now in zip(named, given, mine, strict=True):
            if not _alike(was, now):
                raise Hint(f"your function changed {name} in place: work on a copy")
        return result

    return call


def _names(learner: Callable, rounds: list) -> list[str]:
    """How the learner calls the arguments."""
    code, count = getattr(learner, "__code__", None), len(rounds[0][0]) if rounds else 0
    names = code.co_varnames[: code.co_argcount] if code else ()
    return names if len(names) == count else [f"argument {n + 1}" for n in range(count)]


def _told(say: str, calls: list, number: int = -1) -> str:
    """The hint, and the input it was seen with."""
    words, result = calls[number][:2] if calls else ("", ...)
    if result is None and not any(word in say for word in ("None", "return ", "ValueError")):
        say = "your function returns None: does it end with return? A print is no return"
    return say + words


def _kept(value):
    if hasattr(value, "detach"):  # what has a gradient stays a part of its graph
        return value if value.requires_grad else value.clone()
    if isinstance(value, list | tuple):
        return type(value)(_kept(each) for each in value)
    if isinstance(value, dict):
        return {key: _kept(each) for key, each in value.items()}
    return value.copy() if hasattr(value, "dtype") else value


def _alike(was, now) -> bool:
    if isinstance(was, list | tuple):
        return len(was) == len(now) and all(map(_alike, was, now))
    if isinstance(was, dict):
        return was.keys() == now.keys() and all(_alike(was[key], now[key]) for key in was)
    if hasattr(was, "dtype"):
        return np.array_equal(as_array(now), as_array(was), equal_nan=True)
    return was is now or was == now


def _stopped(error: Exception, learner: Callable) -> str:
    """What the error says, in which line of the learner's, and what it most often means."""
    file = getattr(getattr(learner, "__code__", None), "co_filename", None)
    lines = [
        place.line for place in traceback.extract_tb(error.__traceback__) if place.filename == file
    ]
    text = f"{type(error).__name__}: {error}"
    means = next((f". Perhaps {say}" for sign, say in STOPPED.items() if sign in text), "")
    return (
        f"your function stopped with {text}"
        + (f", in `{lines[-1]}`" if lines and lines[-1] else "")
        + means
    )
