"""What a wrong result looks like: the way to an idea that no exercise has listed.

Special: nothing is guessed. The right function, asked something else (a sigmoid first, two arguments
exchanged, a number left out) or with one operation made otherwise (`instead`), gives what the
learner's gave, in every round; or both are apart by a number that the arguments hold.
"""

from collections.abc import Callable, Iterator
from itertools import combinations, permutations
from warnings import catch_warnings

import numpy as np
import torch
import torch.nn.functional as F

from .differences import NUMBERS, as_array
from .instead import with_another
from .same import fits


def idea(right: Callable, calls: list, names, tolerance: float) -> str | None:
    """calls: (arguments, result) of each round -> what the results look like."""
    rounds = [(given, result, asked(right, given)) for given, result in calls]
    rounds = [row for row in rounds if row[2] is not None and len(row[0]) == len(names)]
    finite = [
        r for r in rounds if not isinstance(r[1], NUMBERS) or np.isfinite(as_array(r[1])).all()
    ]
    rounds = finite or rounds
    wrong = [row for row in rounds if not fits(row[1], row[2], tolerance)]
    if not wrong:
        return None
    given, _, true = wrong[0]
    if isinstance(true, tuple):  # a pair: the part that is wrong
        off = next(k for k in (0, 1) for _, f, t in wrong if not fits(f[k], t[k], tolerance))
        calls = [(given, result[off]) for given, result in calls]
        say = idea(lambda *given: right(*given)[off], calls, names, tolerance)
        return say and f": the {('first', 'second')[off]} value {say}"
    return (
        _looks(_changed(right, given, names), rounds, tolerance)
        or _factor(rounds, names, tolerance)
        or _looks(with_another(right, given), rounds, tolerance)
    )


def _looks(others: Iterator[tuple[Callable, str]], rounds: list, tolerance: float) -> str | None:
    """others: (a function like the right one, in words)."""
    for other, say in others:
        made = [asked(other, given) for given, _, _ in rounds]
        if any(map(_tells, made)) and all(
            fits(result, true if value is None else value, tolerance)
            for (_, result, true), value in zip(rounds, made, strict=True)
        ):
            return f"looks as if {say}"
    return None


def asked(function: Callable, given):
    """None where the function cannot be asked that."""
    try:
        with np.errstate(all="ignore"), catch_warnings(action="ignore"):
            result = function(*(value[:] if isinstance(value, list) else value for value in given))
        return result.detach() if isinstance(result, torch.Tensor) else result
    except Exception:  # it was not made for such input
        return None


def _tells(value) -> bool:
    """Nothing but zeros, or no number, comes out in many ways."""
    if not isinstance(value, NUMBERS):
        return value is not None
    numbers = as_array(value)
    return bool(np.isfinite(numbers).all() and np.abs(numbers).max(initial=0) > 1e-9)


TENSOR = {  # what learners do to a tensor before they use it
    "turned in sign": lambda x: -x,
    "1 less itself": lambda x: 1 - x,
    "without its signs (abs)": lambda x: x.abs(),
    "cut at 0 (relu)": lambda x: x.clamp(min=0),
    "squared": lambda x: x**2,
    "sent through exp": lambda x: x.exp(),
    "sent through a logarithm": lambda x: x.log(),
    "sent through a sigmoid": lambda x: x.sigmoid(),
    "sent through tanh": lambda x: x.tanh(),
    "less its mean over axis 0": lambda x: x - x.mean(0),
    "cut at one half, to 0 and 1": lambda x: (x > 0.5).to(x),
    "divided by the root of its last axis' length": lambda x: x / x.shape[-1] ** 0.5,
    "1 everywhere: has it no say?": torch.ones_like,
    "0 everywhere: is it left out?": torch.zeros_like,
    "divided by one length of all of it": lambda x: x / x.norm(),
    "transposed": lambda x: x.mT,
}
ALONG = {  # the same along an axis
    "brought to unit length along axis {}": lambda x, axis: F.normalize(x, dim=axis),
    "sent through a softmax along axis {}": lambda x, axis: x.softmax(axis),
    "divided by its sum along axis {}": lambda x, axis: x / x.sum(axis, keepdim=True),
    "its mean along axis {}, everywhere": lambda x, axis: x.mean(axis, True).expand_as(x),
}
PLACES = {  # what can be done to whole numbers as well
    "reversed along axis {}": lambda x, axis: x.flip(axis),
    "its first entry along axis {}, everywhere": lambda x, axis: x.narrow(axis, 0, 1).expand_as(x),
    "its last entry along axis {}, everywhere": lambda x, axis: x.narrow(axis, -1, 1).expand_as(x),
    "moved by one place along axis {}": lambda x, axis: x.roll(1, axis),
    "sorted along axis {}": lambda x, axis: x.sort(axis).values,
}
NUMBER = {
    "1: has it no effect?": lambda _: 1,
    "0: is it left out?": lambda _: 0,
    "squared: is it used twice?": lambda x: x**2,
    "twice as large": lambda x: 2 * x,
    "half as large": lambda x: x / 2,
    "one more": lambda x: x + 1,
    "one less": lambda x: x - 1,
}
REAL = {
    "turned in sign": lambda x: -x,
    "1 less itself": lambda x: 1 - x,
    "1 over itself": lambda x: 1 / x,
    "its root": lambda x: x**0.5,
    "sent through exp": lambda x: float(np.exp(x)),
}
SEVERAL = {  # lists
    "its first entry alone": lambda x: x[:1],
    "its last entry alone": lambda x: x[-1:],
    "without its last entry": lambda x: x[:-1],
    "without its first entry": lambda x: x[1:],
    "in the reverse order": lambda x: x[::-1],
}


def _changed(right: Callable, given, names) -> Iterator[tuple[Callable, str]]:
    """(the right function, of arguments to which something was done, in words); the likeliest
    first.
    """
    for place, (value, name) in enumerate(zip(given, names, strict=True)):
        for say, change in _kinds(value):

            def other(*g, at=place, change=change):
                return right(*g[:at], change(g[at]), *g[at + 1 :])

            yield other, f"`{name}` were {say}"
    for one, two in permutations(range(len(given)), 2):
        exchanged = {one: two, two: one}
        if one < two:
            say = f"`{names[one]}` and `{names[two]}` changed places"
            yield lambda *g, to=exchanged: right(*(g[to.get(n, n)] for n in range(len(g)))), say
        say = f"`{names[two]}` stood in the place of `{names[one]}`"
        yield lambda *g, a=one, b=two: right(*g[:a], g[b], *g[a + 1 :]), say


def _kinds(value) -> Iterator[tuple[str, Callable]]:
    if isinstance(value, np.ndarray):
        for say, change in _kinds(torch.as_tensor(value)):
            yield say, lambda x, change=change: change(torch.as_tensor(x)).numpy()
    elif isinstance(value, torch.Tensor):
        real = value.is_floating_point()
        yield from TENSOR.items() if real else ()
        for axis in range(value.ndim):
            for say, change in (PLACES | ALONG if real else PLACES).items():
                back = axis - value.ndim  # from the end, so that it means the same in every round
                yield say.format(axis), lambda x, change=change, back=back: change(x, back)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from (NUMBER | REAL if isinstance(value, float) else NUMBER).items()
        yield f"always {value:g}", lambda _: value
    elif isinstance(value, list):
        yield from SEVERAL.items()


POWERS = {1: "{} times", -1: "1 / {} of", 2: "{} squared times", -2: "1 / {} squared of"}
POWERS |= {0.5: "the root of {} times", -0.5: "1 / root of {} of"}


def _factor(rounds, names, tolerance: float) -> str | None:
    """A number among the arguments by which all results are too large or too small."""
    sizes: dict[str, list[float]] = {}
    for given, _, _ in rounds:
        for name, value in zip(names, given, strict=True):
            for say, number in _numbers(name, value):
                sizes.setdefault(say, []).append(float(number))
    single = {
        say: row for say, row in sizes.items() if len(row) == len(rounds) and len(set(row)) > 1
    }
    pairs = {
        f"({a} times {b})": np.multiply(single[a], single[b]) for a, b in combinations(single, 2)
    }
    pairs |= {
        f"({a} over {b})": np.divide(single[a], single[b]) for a, b in combinations(single, 2)
    }
    for known in (single, pairs):
        for power, word in POWERS.items():
            for say, row in known.items():
                by = np.array(row, complex) ** power if min(row) > 0 else []
                each = [(f, as_array(t) * n.real) for (_, f, t), n in zip(rounds, by, strict=False)]
                if each and all(fits(result, value, tolerance) for result, value in each):
                    return f"is {word.format(say)} what it should be"
    return None


def _numbers(name: str, value) -> Iterator[tuple[str, float]]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield f"`{name}`", value
    elif isinstance(value, list | tuple):
        yield f"the length of `{name}`", len(value)
    elif isinstance(value, torch.Tensor | np.ndarray):
        for axis, length in enumerate(value.shape):
            yield f"the length of `{name}`'s axis {axis}", length
        yield f"the number of all entries of `{name}`", np.prod(value.shape)
