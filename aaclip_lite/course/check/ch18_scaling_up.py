"""Checks of the exercises of chapter 18_scaling_up."""

from collections.abc import Callable
from functools import partial

import numpy as np

from .judge import Hint, Steps, either, exercise, two


@exercise("the step's loss", 1e-6, cases=(([2.0, 1, 4], [8, 8, 2]), ([0.5, 3, 1, 7], [4, 4, 4, 1])))
def loss_of_parts(losses: list, sizes: list) -> Steps:
    losses, sizes = yield losses, sizes
    yield float(np.average(losses, weights=sizes))
    x, n = np.array(losses), np.array(sizes)
    parts, last = len(x), "the last part is smaller, not nothing"
    less, whole = "a mean over few pictures counts LESS: times, not by", (x * n).sum()

    def weighed(weights: np.ndarray) -> float:
        return (x * weights).sum() / weights.sum()

    yield {
        "a part of two pictures counts less than one of eight": x.mean(),
        "the median knows no sizes: each part counts by its pictures": np.median(x),
        "parts are averaged, not added up": x.sum(),
        "each loss is a mean: times its pictures, before it is added up": x.sum() / n.sum(),
        "this is the sum over all pictures: divide by their number": whole,
        less: (x / n).sum(),
        f"{less} its size": weighed(1 / n),
        "divide by the pictures, not by the parts": whole / parts,
        "divide by the pictures, not by those of the largest part": whole / n.max(),
        "the weights have to add up to 1: divide by the pictures that are there": whole
        / (n.max() * parts),
        last: either(x[:-1].mean(), weighed(np.append(n[:-1], 0)), (x * n)[:-1].sum() / n.sum()),
        "the last part is one of them, not all": x[-1],
        "// throws away what is behind the point: /": whole // n.sum(),
        "the first part is one of them, not all": x[0],
        "each part counts by its pictures, not by their root": weighed(n**0.5),
    }


# an odd number is the best of the last
STEPS = ((16, 14.0), (16, 40.0), (12, 13.0), (16, 9.0), (12, 9.5), (16, 4.6), (12, 8.0))


def _needed(pictures: int) -> float:
    return 3.0 + 1.5 * pictures


def _pair(names: str, result) -> np.ndarray:
    if not all(isinstance(each, int | float | np.number) for each in two(result, names)):
        raise Hint(f"two numbers are asked for: {names}")
    return np.array(result, float)


@exercise("(pictures at once, how often)", 1e-9, cases=STEPS, read=partial(_pair, "at_once, times"))
def largest_batch(effective: int, room: float) -> Steps:
    effective, needed, room = yield effective, _needed, room
    sizes = [n for n in range(1, effective + 1) if effective % n == 0 and needed(n) <= room]
    batch, often = max(sizes), effective // max(sizes)
    yield batch, often
    parts = {
        "how often: this is what is left after the first part": effective - batch,
        "how often: the first part counts too": often - 1,
        "how often: this is one part too many": often + 1,
        "how often: once is not enough for all pictures": 1,
        "how often: this is the size of a part again": batch,
        "how often: this would be one picture at a time": effective,
        "how often: this is pictures, or memory, and not a number of parts": either(
            effective * batch, needed(batch), needed(effective)
        ),
    }
    turned = {"pictures at once come first, how often second": np.array([often, batch])}
    yield _other_batches(effective, room, needed), parts, turned


def _other_batches(effective: int, room: float, needed: Callable) -> dict:
    numbers = range(1, effective + 1)
    divisors = [n for n in numbers if effective % n == 0]
    fit = [n for n in divisors if needed(n) <= room]
    halved, doubled = effective, 1
    while needed(halved) > room and halved > 1:
        halved //= 2
    while needed(2 * doubled) <= room and 2 * doubled <= effective:
        doubled *= 2
    return {
        "it has to divide the pictures of a step without rest": max(
            n for n in numbers if needed(n) <= room
        ),
        "odd numbers divide as well: try every one": max((n for n in fit if n % 2 == 0), default=1),
        "no more than the step has, and a divisor of it": int((room - 3) / 1.5),
        "so many do not fit: try fewer": effective,
        "half of the step is not always what fits: try every divisor": either(
            effective // 2, effective if needed(effective) <= room else effective // 2
        ),
        "halving skips divisors, and may leave a rest: try every divisor": halved,
        "doubling skips divisors: try every one, downwards": doubled,
        "one always fits; the largest that fits is asked for": 1,
        "one picture at a time is a choice as well: begin at 1": max(fit[1:], default=0),
        "what just fits does fit: at most the room": max(
            (n for n in divisors if needed(n) < room), default=0
        ),
        "the whole step at once is a choice as well: range stops before its end": max(
            (n for n in fit if n < effective), default=1
        ),
        "what is there before the first picture needs room too": max(
            n for n in divisors if 1.5 * n <= room
        ),
        "this is the memory that it needs, not the number": needed(max(fit)),
        "needed(n) is not n times needed(1): part of it is there once": max(
            (n for n in divisors if n * needed(1) <= room), default=1
        ),
        "needed(n) is the memory of n pictures already, and of one part after the other": either(
            *(
                max((n for n in divisors if needed(n) * by(n) <= room), default=1)
                for by in (lambda n: n, lambda n: effective // n)
            )
        ),
    }


BILLS = ((2162, 20, 12.5, 0.35), (90_000, 15, 40.0, 1.2))


@exercise("(hours, cost)", 1e-6, cases=BILLS, read=partial(_pair, "hours, cost"))
def bill(pictures: int, epochs: int, speed: float, price: float) -> Steps:
    pictures, epochs, speed, price = yield pictures, epochs, speed, price
    hours = pictures * epochs / speed / 3600
    yield hours, hours * price
    times = {
        "each epoch shows all pictures again: times, not plus": (pictures + epochs) / speed / 3600,
        "part of an hour counts as well: no rounding down": int(hours),
        "part of an hour counts as well: no rounding up": -(-hours // 1),
    }
    costs = {
        "the price is of an hour: times, not plus": hours + price,
        "the price is of an hour, not of an epoch": epochs * price,
        "part of an hour costs its part": price * int(hours),
        "part of an hour costs its part, and no more": price * -(-hours // 1),
        "this is one hour": price,
    }
    yield times, costs
