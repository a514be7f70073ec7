"""Checks of the exercises of chapter 18_scaling_up."""

from collections.abc import Callable

import numpy as np

from .judge import Hint, exercise, same

CHAPTER = "18_scaling_up"


@exercise(CHAPTER)
def loss_of_parts(learner: Callable) -> None:
    losses, sizes = np.array([2.0, 1.0, 4.0]), np.array([8, 8, 2])
    true = float((losses * sizes).sum() / sizes.sum())
    hints = [
        (float(losses.mean()), "a part of two pictures counts less than one of eight"),
        (float(losses.sum()), "parts are averaged, not added up"),
        (
            float((losses * sizes).sum()),
            "this is the sum over all pictures: divide by their number",
        ),
        (float((losses / sizes).sum()), "a mean over few pictures counts LESS: times, not by"),
        (float((losses * sizes).sum() / 3), "divide by the pictures, not by the parts"),
        (
            float((losses * sizes**2).sum() / (sizes**2).sum()),
            "each part counts once for a picture",
        ),
        (float((losses * sizes / sizes.max()).mean()), "the weights have to add up to 1"),
        (float(losses[:2].mean()), "the last part is smaller, not nothing"),
    ]
    same(float(learner(losses.tolist(), sizes.tolist())), true, "the step's loss", 1e-6, hints)


@exercise(CHAPTER)
def largest_batch(learner: Callable) -> None:
    def needed(pictures: int) -> float:
        return 3.0 + 1.5 * pictures

    for effective, room, batch in ((16, 14.0, 4), (16, 40.0, 16), (12, 13.0, 6), (16, 4.6, 1)):
        where = f"{effective} pictures a step, {room} GB of room, 3 GB and 1.5 GB a picture"
        found = learner(effective, needed, room)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Hint("two numbers are asked for: return at_once, times")
        at_once, times = found
        most = int((room - 3) / 1.5)
        hints = [
            (min(most, effective), "it has to divide the pictures of a step without rest"),
            (most, "no more than the step has, and a divisor of it"),
            (effective, "so many do not fit: try fewer"),
            (1, "one always fits; the largest that fits is asked for"),
            (times, "pictures at once come first, how often second"),
            (
                max(n for n in range(1, effective + 1) if effective % n == 0 and 1.5 * n <= room),
                "what is there before the first picture needs room too",
            ),
        ]
        hints = [hint for hint in hints if hint[0] != batch]
        same(at_once, batch, f"pictures at once ({where})", 1e-9, hints)
        counts = [
            (effective - batch, "this is what is left after the first part"),
            (batch, "this is the size of a part again"),
            (effective, "this would be one picture at a time"),
            (effective // batch - 1, "the first part counts too"),
        ]
        counts = [hint for hint in counts if hint[0] != effective // batch]
        same(times, effective // batch, f"how often ({where})", 1e-9, counts)


@exercise(CHAPTER)
def bill(learner: Callable) -> None:
    pictures, epochs, speed, price = 2162, 20, 12.5, 0.35
    hours = pictures * epochs / speed / 3600
    found = learner(pictures, epochs, speed, price)
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise Hint("two numbers are asked for: return hours, cost")
    hints = [
        (3600 * hours, "these are seconds"),
        (60 * hours, "these are minutes"),
        (hours / epochs, "this is one epoch"),
        (pictures * epochs * speed / 3600, "a faster card takes LESS time: divide by the speed"),
        (hours * price, "hours come first, the cost second"),
        (pictures / speed / epochs / 3600, "each epoch shows all pictures again: times"),
    ]
    same(float(found[0]), hours, "hours", 1e-6, hints)
    money = [
        (hours / price, "the price is of an hour: times"),
        (hours, "hours are not money yet"),
        (price * int(hours), "part of an hour costs its part"),
        (price, "this is one hour"),
    ]
    same(float(found[1]), hours * price, "cost", 1e-6, money)
