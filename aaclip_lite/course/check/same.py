"""A learner's result against the right one, and what the difference looks like in plain words.

Special: first the mistakes that an exercise knows, each run on the same input; then what any result
may suffer from (`differences`).
Use: `same(result, expected, "the map", hints={"the weights are not used": plain_mean})`.
"""

import numpy as np
import torch

from .differences import (
    NUMBERS,
    Hint,
    Vague,
    as_array,
    close,
    differences,
    kind_of,
    of_parts,
    of_shape,
    of_words,
    worst,
)


class Either(tuple):
    """Several wrong values that one idea explains."""


def either(*values) -> Either:
    return Either(values)


def mistakes(hints: dict) -> dict:
    """{(sentence, number): wrong value}, from {sentence: wrong value, or several}."""
    told: dict[tuple, object] = {}
    for say, wrong in hints.items():
        values = wrong if isinstance(wrong, Either) else (wrong,)
        told |= {(say, number): value for number, value in enumerate(values)}
    return told


def whatever(_) -> bool:
    """A sign that every wrong result carries: its sentence says what an input is there for, and is
    told when all inputs without such a sentence are right.
    """
    return True


def same_in_all(rounds, what: str, tolerance: float) -> None:
    """Raise a Hint that says in what a learner's results differ from the right ones: only a mistake
    that explains all of them is named.

    rounds: (result, expected, {sentence: wrong value}) of each input; it calls the learner's
    function once for each. The sentence is the idea to look at again, the value what that mistake
    gives there (`either` of several), or a sign of it: a function of the result,
    which may raise a Hint that says more.
    """
    done, stopped = [], None
    try:
        for result, true, hints in rounds:
            done.append((result, true, mistakes(hints)))
    except Exception as error:
        stopped = error  # told only if what came before it was right
    wrong = [n for n, (result, true, _) in enumerate(done) if not fits(result, true, tolerance)]
    common = [all(value is not whatever for value in known.values()) for *_, known in done]
    if any(common[n] for n in wrong):
        done = [row for row, kept in zip(done, common, strict=True) if kept]
        wrong = [n for n in wrong if common[n]]
    if not wrong:
        if stopped:
            raise stopped
        return
    known = (
        say
        for say, number in done[wrong[0]][2]
        if all(_explains((say, number), n in wrong, tolerance, *row) for n, row in enumerate(done))
    )
    seen = {str(result) for result, *_ in done} - {"nan"}
    try:
        named = next(known, None)
    except Hint as hint:  # a sign's own words
        hint.call = wrong[0]
        raise
    if not named and len(seen) == 1 < len({str(true) for _, true, _ in done}) and len(done) > 1:
        named = f"{what} is always {shown(done[0][0])}: is what comes in used?"
        wrong = [len(done) - 1]
    try:
        if named:
            raise Hint(named)
        _tell([done[n][:2] for n in wrong], what, tolerance)
    except Hint as hint:
        hint.call = wrong[0]
        raise


def _explains(each: tuple, wrong: bool, tolerance: float, result, _, known: dict) -> bool:
    """Can this mistake have led to this result, right or wrong?"""
    if each not in known:  # it cannot be made on this input
        return not wrong
    if callable(sign := known[each]):
        return not wrong or bool(sign(result))
    return fits(result, sign, tolerance)


def fits(result, value, tolerance: float) -> bool:
    if not isinstance(value, NUMBERS):  # words, lists, pairs of lists
        return not isinstance(result, NUMBERS) and result == value
    if not isinstance(result, NUMBERS):
        return False
    mine, other = as_array(result), as_array(value)
    if not np.isfinite(other).all():
        return np.array_equal(mine, other, equal_nan=True)
    return mine.shape == other.shape and close(mine, other, tolerance)


def same(result, expected, what: str = "the result", tolerance: float = 1e-4, hints=()) -> None:
    """`same_in_all` of one result, of the learner's last call."""
    try:
        same_in_all([(result, expected, dict(hints))], what, tolerance)
    except Hint as hint:
        hint.call = -1
        raise


def _tell(pairs: list, what: str, tolerance: float) -> None:
    """Raise a Hint on what any result may suffer from: kind, shape or values.

    pairs: (result, expected) of the inputs with a wrong result, on all of which an idea must hold.
    """
    result, expected = pairs[0]
    if result is None:
        raise Hint(f"{what} is None: does your function return it?")
    if isinstance(expected, bool | str) or not isinstance(expected, NUMBERS):
        say = of_words(result, expected)
        raise Hint(say) if say else Vague(f"{what} is {result!r}, which is not it")
    if not isinstance(result, NUMBERS):
        raise Hint(f"{what} is {kind_of(result)}, {of_parts(result, expected, tolerance)}")
    mine, true = as_array(result), as_array(expected)
    if mine.shape != true.shape:
        kind, say = of_shape(mine, true, tolerance)
        raise kind(f"{what} has shape {mine.shape}, expected {true.shape}: {say}")
    if np.isnan(mine).any():
        raise Hint(f"{what} holds values that are not a number: 0 / 0, or the logarithm of 0?")
    arrays = [tuple(map(as_array, pair)) for pair in pairs if _alike(*pair)]

    def shared(part=...) -> list[str]:
        each = [differences(one[part], other[part], tolerance) for one, other in arrays]
        return [say for say in each[0] if all(say in told for told in each)]

    ideas = shared() if len(arrays) == len(pairs) else []
    off = [k for k in range(2) if mine.shape == (2,) and not close(mine[k], true[k], tolerance)]
    if not ideas and len(off) == 1:  # one of a pair
        ideas = shared(off[0])
        what = f"of {what} the {('first', 'second')[off[0]]}"
    last = Vague(f"{what} {worst(mine, true, tolerance)}")
    raise Hint(f"{what} {ideas[0]}") if ideas else last


def _alike(result, expected) -> bool:
    return isinstance(result, NUMBERS) and as_array(result).shape == as_array(expected).shape


def two(result, names: str):
    """What a function returns as a pair."""
    if result is None:
        raise Hint(f"None comes back: return {names}. Does every way through reach it?")
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Hint(f"two values are asked for: return {names}")
    return result


def refused(say: str, learner, *given) -> None:
    """What is to end in a ValueError."""
    try:
        learner(*given)
    except ValueError:
        return
    raise Hint(say)


def of_pair(result, first: dict, second: dict, both: dict | None = None) -> dict:
    """Mistakes in one part of a pair, each beside the other part as it came, after `both`."""
    made = dict(both or {})
    for part, known in enumerate((first, second)):
        for (say, _), wrong in mistakes(known).items():
            pair = (wrong, result[1]) if part == 0 else (result[0], wrong)
            pair = np.array(pair, float) if isinstance(result, np.ndarray) else pair
            made[say] = Either((*made.get(say, ()), pair))
    return made


def shown(value) -> str:
    """An argument in a few characters: small ones by value, large ones by shape."""
    if isinstance(value, torch.Tensor | np.ndarray):
        small = value.size if isinstance(value, np.ndarray) else value.numel()
        return str(as_array(value).round(3).tolist()) if small <= 6 else str(tuple(value.shape))
    if isinstance(value, list | tuple) and value and isinstance(value[0], torch.Tensor):
        return f"{len(value)} of {tuple(value[0].shape)}"
    if isinstance(value, str | bool | int | float | list | tuple | dict | None):
        text = f"{value:.4g}" if isinstance(value, float) else repr(value)
        if "<" in text or "tensor(" in text:
            return ""
        return text if len(text) <= 70 else f"{text[:66]} ..."
    return ""
