"""What a wrong number, list or text has to do with the right one, in words, whatever it is for: a
sign, a factor, swapped axes, a missing mean.
"""

import numpy as np
import torch

NUMBERS = (torch.Tensor, np.ndarray, np.generic, float, int)


class Hint(Exception):
    """What is off, said by a check."""

    call = -1  # which call of the learner's function showed it


class Vague(Hint):
    """Where it is off, but not why."""


def of_words(result, expected) -> str | None:
    """What a wrong list or text has to do with the right one."""
    if isinstance(result, str) and isinstance(expected, str):
        mine, true = result.split("/"), expected.split("/")
        off = [repr(part) for part, other in zip(mine, true, strict=False) if part != other]
        one = result.strip().lower() == expected.strip().lower()
        parts = len(mine) == len(true) > max(1, len(off))
        off = ["capitals or blanks"] if one else off if parts else []
        return f"{result!r}: the rest is right, but not {', '.join(off)}" if off else None
    if not isinstance(result, list) or not isinstance(expected, list):
        return None
    if (more := len(result) - len(expected)) != 0:
        return f"{result!r} holds {abs(more)} too {'many' if more > 0 else 'few'}"
    turned = all(result.count(each) == expected.count(each) for each in expected)
    return f"the right ones, but in another order: {result!r}" if turned else None


def of_parts(result, expected, tolerance: float) -> str:
    """What is to be done with several things where one is expected."""
    true = as_array(expected)
    try:
        parts = np.array([as_array(each) for each in result])
    except (TypeError, ValueError):
        return f"expected {kind_of(expected)}"
    if parts.shape == true.shape:
        return f"expected {kind_of(expected)}: put its parts into one"
    for number, part in enumerate(parts):
        if part.shape == true.shape and close(part, true, tolerance):
            return f"expected one: its part {number} alone is asked for"
    for word, made in (("sum", np.sum), ("mean", np.mean)):
        if parts.ndim == 1 + true.ndim and close(made(parts, axis=0), true, tolerance):
            return f"expected one: their {word} is still to be taken"
    return f"expected {kind_of(expected)}: one, not {len(parts)}"


def of_shape(mine: np.ndarray, true: np.ndarray, tolerance: float) -> tuple[type, str]:
    """What the learner's shape has too much or too little, and what would bring it right."""
    if mine.squeeze().shape == true.squeeze().shape:
        return Hint, "an axis of size 1 is too many or missing (squeeze, unsqueeze, keepdim)"
    if mine.size == true.size and close(mine.reshape(true.shape), true, tolerance):
        return Hint, "the values are right, reshape is missing (or one too many)"
    for axes in [None, *range(mine.ndim)]:
        for word, made in (("mean", np.mean), ("sum", np.sum), ("largest", np.max)):
            less = made(mine, axis=axes) if mine.size and mine.ndim > true.ndim else None
            if less is not None and less.shape == true.shape and close(less, true, tolerance):
                over = "" if axes is None else f" over axis {axes}"
                return Hint, f"the {word}{over} is still to be taken"
    if mine.ndim == true.ndim and sorted(mine.shape) == sorted(true.shape):
        return Hint, "the axes stand in another order"
    if mine.ndim > true.ndim:
        return (
            Vague,
            "an axis is left over; a mean, a sum or a choice is missing, or two shapes met that "
            "were broadcast",
        )
    if mine.ndim < true.ndim:
        return Vague, "an axis is gone; is a mean taken over too much, or a choice made too early?"
    axis = next(n for n in range(true.ndim) if mine.shape[n] != true.shape[n])
    return (
        Vague,
        f"axis {axis} is {mine.shape[axis]} long, not {true.shape[axis]}; is something joined or "
        "left out there, or a mean or sum taken along another axis?",
    )


def differences(mine: np.ndarray, true: np.ndarray, tolerance: float) -> list[str]:
    """All sentences on how `mine` may come from `true`; the likeliest first."""
    with np.errstate(all="ignore"):
        told = [
            say
            for say, value in _ideas(true)
            if value.shape == mine.shape and np.isfinite(value).all()
            if close(mine, value, tolerance)
        ]
        factor = np.median(mine[true != 0] / true[true != 0]) if (true != 0).any() else np.nan
    scaled = np.isfinite(factor) and factor > 0 and close(mine, factor * true, tolerance)
    if scaled and (say := _factor(factor, tolerance, true.size > 2)):
        told.append(say)
    gap = float((mine - true).mean()) if np.isfinite(mine - true).all() else 0.0
    twice = round(2 * gap)  # halves and whole numbers
    whole = twice != 0 and abs(2 * gap - twice) < tolerance / 10 and abs(gap) < 10
    if (true.size > 2 or whole) and close(mine - gap, true, tolerance):
        side = "large" if gap > 0 else "small"
        told.append(f"is right but for a constant: {abs(gap):.4g} too {side}")
    return told


def worst(mine: np.ndarray, true: np.ndarray, tolerance: float) -> str:
    """The place where they differ most."""
    at = np.unravel_index(np.abs(mine - true).argmax(), true.shape)
    place = f" at {tuple(map(int, at))}" if true.shape else ""
    side = "large" if mine[at] > true[at] else "small"
    right = int(np.isclose(mine, true, tolerance, tolerance).sum())
    some = f" ({right} of {true.size} values are right)" if true.size > right > 0 else ""
    return f"{place.strip()}{' ' if place else ''}is {_number(mine[at])}, which is too {side}{some}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value % 1 == 0 else f"{value:.6g}"


def _ideas(true: np.ndarray):
    """What learners do to a right result, one after the other: (sentence, value)."""
    yield "has the sign turned", -true
    if true.size == 1 and true == true.round():
        return  # of a small whole number everything comes in many ways
    yield "is 1 minus the right value: which of the two sides is meant?", 1 - true
    yield "is negative: the right value less 1", true - 1
    yield "is the absolute value: the sign is lost", np.abs(true)
    yield "is the square of the right value", true**2
    yield "is the square root of the right value", np.sqrt(np.abs(true))
    yield "is turned upside down: 1 over the right value", 1 / true
    yield "is the logarithm of the right value", np.log(true)
    yield "is exp of the right value", np.exp(true)
    yield "is the logarithm of the right value, to the base 10", np.log10(true)
    yield "is the third power of the right value", true**3
    if not (true == true.round()).all() and np.floor(true).any():
        yield "is rounded down to whole numbers (// or int)", np.floor(true)
    if true.size > 2:
        yield "is cut at 0: what lies below is lost", true.clip(0)
    yield "is the right value sent through a sigmoid", 1 / (1 + np.exp(-true))
    yield from ((f"is rounded to {n} digits", true.round(n)) for n in (1, 2, 3))
    for axis in range(true.ndim):
        yield f"stands in the reverse order along axis {axis}", np.flip(true, axis)
        length = np.linalg.norm(true, axis=axis, keepdims=True)
        yield (
            f"is right, then brought to length 1 along axis {axis}: that is not asked for",
            true / length,
        )
        power = np.exp(true - true.max(axis, keepdims=True))
        yield f"went through a softmax along axis {axis}", power / power.sum(axis, keepdims=True)
        for by in (1, -1):
            yield f"is shifted by one place along axis {axis}", np.roll(true, by, axis)
    if true.ndim > 1:
        yield "is transposed: rows and columns are swapped", true.swapaxes(-1, -2)
    if true.size > 2:
        yield "was brought to the range 0 to 1", (true - true.min()) / np.ptp(true)
        yield (
            "is sorted: the order of the input is lost",
            np.sort(true, axis=None).reshape(true.shape),
        )
        yield (
            "is brought to length 1 as a whole: that is not asked for",
            true / np.linalg.norm(true),
        )
        yield "adds up to 1: it is divided by its sum", true / true.sum()


def _factor(factor: float, tolerance: float, several: bool) -> str:
    """A constant factor in plain words; of a single number only whole factors are told."""
    for times, word, why in (
        (factor, "large", "is something added up that should be averaged, or counted twice?"),
        (1 / factor, "small", "is something averaged that should be added up, or halved?"),
    ):
        unit = round(times) in (24, 3600, 3600**2, 86_400, 10**4, 10**6, 10**9)
        whole = abs(times - round(times)) < tolerance * times / 10
        if whole and (unit or 1 < round(times) <= 1000):
            twice = {2: "twice too large" if word == "large" else "half of what it should be"}
            told = twice.get(round(times), f"{round(times)} times too {word}")
            if unit or round(times) in (10, 60, 100, 1000):
                per_cent = round(times) == 100 and word == "large"
                why = "a share in per cent?" if per_cent else "is it a unit, or a zero?"
            return f"is {told}: {why}"
    if not several:
        return ""
    return (
        f"has the right pattern, but each value is {factor:.3g} times what it should be: by which "
        "length, sum or number is it divided or multiplied?"
    )


def close(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    atol = tolerance * max(1e-6, float(np.abs(b).max(initial=0)))
    return np.allclose(a, b, rtol=tolerance, atol=atol)


def as_array(values) -> np.ndarray:
    plain = values.detach().cpu() if isinstance(values, torch.Tensor) else values
    return np.asarray(plain, dtype=np.float64)


def kind_of(value) -> str:
    return "a tensor" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"
