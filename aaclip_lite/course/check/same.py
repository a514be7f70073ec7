"""A learner's result against the right one, and what the difference looks like in plain words.

Special: first the mistakes that an exercise knows, each run on the same input; then what any result
may suffer from (`differences`).
Use: `same(found, expected, "the map", hints={"the weights are not used": plain_mean})`.
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
        stopped = error  # told only if what came before it was right
    wrong = [n for n, (found, true, _) in enumerate(done) if not fits(found, true, tolerance)]
    if not wrong:
        if stopped:
            raise stopped
        return
    for each in done[0][2]:
        # a mistake that cannot be made on one of the inputs explains nothing there
        if all(each in known and fits(found, known[each], tolerance) for found, _, known in done):
            hint = Hint(each[0])
            hint.call = wrong[0]
            raise hint
    seen = {str(found) for found, *_ in done} - {"nan"}
    if len(seen) == 1 < len({str(true) for _, true, _ in done}) and len(done) > 1:
        raise Hint(f"{what} is always {shown(done[0][0])}: is what comes in used?")
    try:
        first, *others = [done[n][:2] for n in wrong]
        same(*first, what, tolerance, others=others)
    except Hint as hint:
        hint.call = wrong[0]
        raise


def fits(found, value, tolerance: float) -> bool:
    if not isinstance(value, NUMBERS):  # words, lists, pairs of lists
        return not isinstance(found, NUMBERS) and found == value
    if not isinstance(found, NUMBERS):
        return False
    mine, other = as_array(found), as_array(value)
    if not np.isfinite(other).all():
        return np.array_equal(mine, other, equal_nan=True)
    return mine.shape == other.shape and close(mine, other, tolerance)


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
            say = next(say, None) or of_words(found, expected)
            raise Hint(say) if say else Vague(f"{what} is {found!r}, which is not it")
        return
    if not isinstance(found, NUMBERS):
        raise Hint(f"{what} is {kind_of(found)}, {of_parts(found, expected, tolerance)}")
    mine, true = as_array(found), as_array(expected)
    if mine.shape == true.shape and close(mine, true, tolerance):
        return
    for (sentence, _), wrong in known.items():
        value = as_array(wrong)
        harmless = value.shape == true.shape and close(true, value, tolerance)
        if not harmless and value.shape == mine.shape and close(mine, value, tolerance):
            raise Hint(sentence)
    if mine.shape != true.shape:
        kind, say = of_shape(mine, true, tolerance)
        raise kind(f"{what} has shape {mine.shape}, expected {true.shape}: {say}")
    if np.isnan(mine).any():
        raise Hint(f"{what} holds values that are not a number: 0 / 0, or the logarithm of 0?")
    ideas = differences(mine, true, tolerance)
    for pair in others:
        there = differences(*map(as_array, pair), tolerance) if _alike(*pair) else []
        ideas = [say for say in ideas if say in there]
    off = [k for k in range(2) if mine.shape == (2,) and not close(mine[k], true[k], tolerance)]
    if not ideas and len(off) == 1:  # one of a pair
        pairs = [(mine, true), *(map(as_array, pair) for pair in others if _alike(*pair))]
        each = [differences(a[off[0]], b[off[0]], tolerance) for a, b in pairs]
        ideas = [say for say in each[0] if all(say in one for one in each)]
        what = f"of {what} the {('first', 'second')[off[0]]}"
    last = Vague(f"{what} {worst(mine, true, tolerance)}")
    raise Hint(f"{what} {ideas[0]}") if ideas else last


def _alike(found, expected) -> bool:
    return isinstance(found, NUMBERS) and as_array(found).shape == as_array(expected).shape


def two(found, names: str):
    """What a function returns as a pair."""
    if found is None:
        raise Hint(f"None comes back: return {names}. Does every way through reach it?")
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise Hint(f"two values are asked for: return {names}")
    return found


def of_pair(found, first: dict, second: dict) -> dict:
    """Mistakes in one part of a pair, each beside the other part as it was found."""
    made = {}
    for part, known in enumerate((first, second)):
        for (say, _), wrong in mistakes(known).items():
            pair = (wrong, found[1]) if part == 0 else (found[0], wrong)
            pair = np.array(pair, float) if isinstance(found, np.ndarray) else pair
            made[say] = Either((*made.get(say, ()), pair))
    return made


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
    if isinstance(value, str | bool | int | float | list | tuple | dict | None):
        text = f"{value:.4g}" if isinstance(value, float) else repr(value)
        if "<" in text or "tensor(" in text:
            return ""
        return text if len(text) <= 70 else f"{text[:66]} ..."
    return ""
