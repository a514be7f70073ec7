"""Checks of the exercises of chapter 18_scaling_up."""

from collections.abc import Callable, Iterator

import numpy as np

from .judge import Hint, exercise, two

CHAPTER = "18_scaling_up"


@exercise(CHAPTER, "the step's loss", 1e-6)
def loss_of_parts(learner: Callable) -> Iterator:
    for losses, sizes in (([2.0, 1.0, 4.0], [8, 8, 2]), ([0.5, 3.0, 1.0, 7.0], [4, 4, 4, 1])):
        x, n = np.array(losses), np.array(sizes)
        yield learner(losses, sizes), (x * n).sum() / n.sum(), _other_losses(x, n)


def _other_losses(x: np.ndarray, n: np.ndarray) -> dict:
    parts, last = len(x), "the last part is smaller, not nothing"
    less, whole = "a mean over few pictures counts LESS: times, not by", (x * n).sum()

    def weighed(weights: np.ndarray) -> float:
        return (x * weights).sum() / weights.sum()

    return {
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
        last: x[:-1].mean(),
        "the last part is one of them, not all": x[-1],
        "// throws away what is behind the point: /": whole // n.sum(),
        "these are the shares of the parts: add them up": x * n / n.sum(),
        "the first part is one of them, not all": x[0],
        "each part counts by its pictures, not by their root": weighed(n**0.5),
    }


STEPS = ((16, 14.0, 4), (16, 40.0, 16), (12, 13.0, 6), (16, 9.0, 4), (12, 9.5, 4), (16, 4.6, 1))


@exercise(CHAPTER, "(pictures at once, how often)", 1e-9)
def largest_batch(learner: Callable) -> Iterator:
    def needed(pictures: int) -> float:
        return 3.0 + 1.5 * pictures

    for effective, room, batch in STEPS:
        found = two(learner(effective, needed, room), "at_once, times")
        if not all(isinstance(each, int | float | np.number) for each in found):
            raise Hint("two numbers are asked for: at_once, times")
        sizes = _other_batches(effective, room, needed)
        hints = {say: (wrong, found[1]) for say, wrong in sizes.items()}
        hints |= {
            "pictures at once come first, how often second": (effective // batch, batch),
            "how often: this is what is left after the first part": (found[0], effective - batch),
            "how often: this is the size of a part again": (found[0], batch),
            "how often: this would be one picture at a time": (found[0], effective),
            "how often: the first part counts too": (found[0], effective // batch - 1),
            "how often: this is one part too many": (found[0], effective // batch + 1),
            "how often: once is not enough for all pictures": (found[0], 1),
        }
        arrays = {say: np.array(pair, float) for say, pair in hints.items()}
        yield np.array(found, float), np.array([batch, effective // batch], float), arrays


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
        "no more than the step has, and a divisor of it": int((room - 3) / 1.5),
        "so many do not fit: try fewer": effective,
        "half of the step is taken, whatever the room is": effective // 2,
        "half is not always enough, or not needed: try every divisor": (
            effective if needed(effective) <= room else effective // 2
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
        "needed(n) is not n times needed(1): part of it is there once": max(
            (n for n in divisors if n * needed(1) <= room), default=1
        ),
        "this is the memory that it needs, not the number": needed(max(fit)),
    }


@exercise(CHAPTER, "(hours, cost)", 1e-6)
def bill(learner: Callable) -> Iterator:
    for pictures, epochs, speed, price in ((2162, 20, 12.5, 0.35), (90_000, 15, 40.0, 1.2)):
        found = two(learner(pictures, epochs, speed, price), "hours, cost")
        if any(isinstance(each, str) for each in found):
            raise Hint("numbers are asked for, not text")
        hours = pictures * epochs / speed / 3600
        times = _other_times(pictures, epochs, speed, hours)
        costs = _other_costs(epochs, hours, price)
        hints = {"hours come first, the cost second": np.array([hours * price, hours])}
        hints |= {say: np.array([wrong, found[1]]) for say, wrong in times.items()}
        hints |= {say: np.array([found[0], wrong]) for say, wrong in costs.items()}
        yield np.array(found, float), np.array([hours, hours * price]), hints


def _other_times(pictures: int, epochs: int, speed: float, hours: float) -> dict:
    return {
        "these are seconds": 3600 * hours,
        "these are minutes": 60 * hours,
        "these are days": hours / 24,
        "this is one epoch": hours / epochs,
        "each epoch shows all pictures again: times, not plus": (pictures + epochs) / speed / 3600,
        "each epoch shows all pictures again: times": pictures / speed / epochs / 3600,
        "a faster card takes LESS time: divide by the speed": pictures * epochs * speed / 3600,
        "part of an hour counts as well: no rounding down": int(hours),
        "part of an hour counts as well: no rounding up": -(-hours // 1),
    }


def _other_costs(epochs: int, hours: float, price: float) -> dict:
    return {
        "the price is of an hour: times": hours / price,
        "the price is of an hour: times, not plus": hours + price,
        "the price is of an hour, not of a second": 3600 * hours * price,
        "the price is of an hour, not of a minute": 60 * hours * price,
        "hours are hours already: 3600 comes once": hours * price / 3600,
        "hours are not money yet": hours,
        "the price is of an hour, not of an epoch": epochs * price,
        "part of an hour costs its part": price * int(hours),
        "part of an hour costs its part, and no more": price * -(-hours // 1),
        "this is the cost of one epoch": hours * price / epochs,
        "this is one hour": price,
        "in the unit of the price, not in hundredths of it": 100 * hours * price,
        "the cost is rounded: leave that to the print": round(hours * price, 2),
    }
