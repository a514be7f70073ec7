"""A learner's result against the right one, and what the difference looks like in plain words.

Special: first the mistakes that an exercise knows, each run on the same input; then what any result
may suffer from: another shape, a sign, a factor, swapped axes, a missing mean.
Use: `same(found, expected, "the map", hints={"the weights are not used": plain_mean})`.
"""

import numpy as np
import torch


class Hint(Exception):
    """What is off, said by a check."""

    call = -1  # which call of the learner's function showed it


class Either(tuple):
    """Several wrong values that one idea explains."""


def either(*values) -> Either:
    return Either(values)


def mistakes(hints) -> dict:
    """{(sentence, number): wrong value}, from what `same` takes."""
    told: dict[tuple, object] = {}
    pairs = hints.items() if isinstance(hints, dict) else ((say, wrong) for wrong, say in hints)
    for say, wrong in pairs:
        for value in wrong if isinstance(wrong, Either) else (wrong,):
            told[say, sum(say == known for known, _ in told)] = value
    return told


def same_in_all(rounds, what: str, tolerance: float) -> None:
    """`same` over several inputs: only a mistake that explains all of them is named.

    rounds: (found, expected, hints) of each input; it calls the learner's function once for each.
    """
    done, stopped = [], None
    try:
        for found, true, hints in rounds:
            done.append((found, true, mistakes(hints)))
    except Exception as error:
        if not hasattr(error, "learners") and not isinstance(error, Hint):
            raise
        stopped = error  # told only if what came before it was right
    wrong = [n for n, (found, true, _) in enumerate(done) if not _fits(found, true, tolerance)]
    if not wrong:
        if stopped:
            raise stopped
        return
    for each in done[0][2]:
        # a mistake that cannot be made on one of the inputs explains nothing there
        if all(each in known and _fits(found, known[each], tolerance) for found, _, known in done):
            hint = Hint(each[0])
            hint.call = wrong[0]
            raise hint
    try:
        first, *others = [done[n][:2] for n in wrong]
        same(*first, what, tolerance, others=others)
    except Hint as hint:
        hint.call = wrong[0]
        raise


def _fits(found, value, tolerance: float) -> bool:
    if not isinstance(value, NUMBERS):  # words, lists, pairs of lists
        return not isinstance(found, NUMBERS) and found == value
    if not isinstance(found, NUMBERS):
        return False
    mine, other = as_array(found), as_array(value)
    return mine.shape == other.shape and np.isfinite(other).all() and close(mine, other, tolerance)


def same(
    found, expected, what: str = "the result", tolerance: float = 1e-4, hints=(), others=()
) -> None:
    """Raise a Hint that says in what `found` differs from `expected`: kind, shape or values.

    hints: {sentence: wrong value} or (wrong value, sentence) pairs: what a known mistake would have
    given (`either` of several), and the idea to look at again. A mistake that changes nothing on
    this input is passed by.
    others: (found, expected) of other inputs, on which a general idea must hold as well.
    """
    known = mistakes(hints)
    if found is None:
        raise Hint(f"{what} is None: does your function return it?")
    if isinstance(expected, bool | str) or not isinstance(expected, NUMBERS):
        if found != expected:
            say = (say for (say, _), wrong in known.items() if found == wrong)
            raise Hint(next(say, f"{what} is {found!r}, which is not it"))
        return
    if not isinstance(found, NUMBERS):
        stack = ": put its parts into one tensor" if isinstance(found, list | tuple) else ""
        raise Hint(f"{what} is {kind_of(found)}, expected {kind_of(expected)}{stack}")
    mine, true = as_array(found), as_array(expected)
    if mine.shape == true.shape and close(mine, true, tolerance):
        return
    for (sentence, _), wrong in known.items():
        value = as_array(wrong)
        harmless = value.shape == true.shape and close(true, value, tolerance)
        if not harmless and value.shape == mine.shape and close(mine, value, tolerance):
            raise Hint(sentence)
    if mine.shape != true.shape:
        raise Hint(
            f"{what} has shape {mine.shape}, expected {true.shape}{_shape(mine, true, tolerance)}"
        )
    if np.isnan(mine).any():
        raise Hint(f"{what} holds values that are not a number: 0 / 0, or the logarithm of 0?")
    ideas = _differences(mine, true, tolerance)
    for pair in others:
        there = _differences(*map(as_array, pair), tolerance) if _alike(*pair) else []
        ideas = [say for say in ideas if say in there]
    raise Hint(f"{what} {ideas[0] if ideas else _worst(mine, true, tolerance)}")


def _alike(found, expected) -> bool:
    return isinstance(found, NUMBERS) and as_array(found).shape == as_array(expected).shape


NUMBERS = (torch.Tensor, np.ndarray, np.generic, float, int)


def _shape(mine: np.ndarray, true: np.ndarray, tolerance: float) -> str:
    """What the learner's shape has too much or too little, and what would bring it right."""
    if mine.squeeze().shape == true.squeeze().shape:
        return ": an axis of size 1 is too many or missing (squeeze, unsqueeze, keepdim)"
    for axes in [None, *range(mine.ndim)]:
        for word, made in (("mean", np.mean), ("sum", np.sum), ("largest", np.max)):
            less = made(mine, axis=axes) if mine.size and mine.ndim > true.ndim else None
            if less is not None and less.shape == true.shape and close(less, true, tolerance):
                over = "" if axes is None else f" over axis {axes}"
                return f": the {word}{over} is still to be taken"
    if mine.ndim == true.ndim and sorted(mine.shape) == sorted(true.shape):
        return ": the axes stand in another order"
    if mine.ndim > true.ndim:
        return ": an axis is left over; a mean, a sum or a choice is missing, or two shapes met that were broadcast"
    if mine.ndim < true.ndim:
        return ": an axis is gone; is a mean taken over too much, or a choice made too early?"
    axis = next(n for n in range(true.ndim) if mine.shape[n] != true.shape[n])
    return f": axis {axis} is {mine.shape[axis]} long, not {true.shape[axis]}; is something joined or left out there?"


def _differences(mine: np.ndarray, true: np.ndarray, tolerance: float) -> list[str]:
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
    gap = float((mine - true).mean())
    whole = round(gap) != 0 and abs(gap - round(gap)) < tolerance / 10 and abs(gap) < 10
    if (true.size > 2 or whole) and close(mine - gap, true, tolerance):
        side = "large" if gap > 0 else "small"
        told.append(f"is right but for a constant: {abs(gap):.4g} too {side}")
    return told


def _worst(mine: np.ndarray, true: np.ndarray, tolerance: float) -> str:
    """The place where they differ most."""
    worst = np.unravel_index(np.abs(mine - true).argmax(), true.shape)
    place = f" at {tuple(map(int, worst))}" if true.shape else ""
    side = "large" if mine[worst] > true[worst] else "small"
    right = int(np.isclose(mine, true, tolerance, tolerance).sum())
    some = f" ({right} of {true.size} values are right)" if true.size > right > 0 else ""
    return (
        f"{place.strip()}{' ' if place else ''}is {_number(mine[worst])}, which is too {side}{some}"
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.6g}"


def _ideas(true: np.ndarray):
    """What learners do to a right result, one after the other: (sentence, value)."""
    yield "has the sign turned", -true
    yield "is 1 minus the right value: which of the two sides is meant?", 1 - true
    yield "is negative: the right value less 1", true - 1
    yield "is the absolute value: the sign is lost", np.abs(true)
    yield "is the square of the right value", true**2
    yield "is the square root of the right value", np.sqrt(np.abs(true))
    yield "is the logarithm of the right value", np.log(true)
    yield "is exp of the right value", np.exp(true)
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


def _factor(factor: float, tolerance: float, several: bool) -> str:
    """A constant factor in plain words; of a single number only whole factors are told."""
    for times, word, why in (
        (factor, "large", "is something added up that should be averaged, or counted twice?"),
        (1 / factor, "small", "is something averaged that should be added up, or halved?"),
    ):
        if abs(times - round(times)) < tolerance * times / 10 and 1 < round(times) <= 1000:
            twice = {2: "twice too large" if word == "large" else "half of what it should be"}
            told = twice.get(round(times), f"{round(times)} times too {word}")
            return f"is {told}" + (": a share in per cent?" if round(times) == 100 else f": {why}")
    if not several:
        return ""
    return (
        f"has the right pattern, but each value is {factor:.3g} times what it should be: by which "
        "length, sum or number is it divided or multiplied?"
    )


def two(found, names: str):
    """What a function returns as a pair."""
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise Hint(f"two values are asked for: return {names}")
    return found


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    """The same random numbers each time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shown(value) -> str:
    """An argument in a few characters: small ones by value, large ones by shape."""
    if isinstance(value, torch.Tensor | np.ndarray):
        small = value.size if isinstance(value, np.ndarray) else value.numel()
        return str(as_array(value).round(3).tolist()) if small <= 6 else str(tuple(value.shape))
    if isinstance(value, list | tuple) and value and isinstance(value[0], torch.Tensor):
        return f"{len(value)} of {tuple(value[0].shape)}"
    if isinstance(value, str | bool | int | float | list | tuple | dict):
        text = f"{value:.4g}" if isinstance(value, float) else repr(value)
        if "<" in text or "tensor(" in text:
            return ""
        return text if len(text) <= 70 else f"{text[:66]} ..."
    return ""


def close(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    atol = tolerance * max(1e-6, float(np.abs(b).max(initial=0)))
    return np.allclose(a, b, rtol=tolerance, atol=atol)


def as_array(values) -> np.ndarray:
    plain = values.detach().cpu() if isinstance(values, torch.Tensor) else values
    return np.asarray(plain, dtype=np.float64)


def kind_of(value) -> str:
    return "a tensor" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"
