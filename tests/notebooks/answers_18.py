"""Chapter 18: solutions, and what learners get wrong."""

import numpy as np


def solved_parts(losses, sizes):
    return sum(loss * n for loss, n in zip(losses, sizes, strict=True)) / sum(sizes)


def parts_plain(losses, sizes):
    return sum(losses) / len(losses)


def parts_added(losses, sizes):
    return sum(losses)


def parts_of_all(losses, sizes):
    return float(np.dot(losses, sizes))


def parts_divided(losses, sizes):
    return float((np.array(losses) / np.array(sizes)).sum())


def parts_by_number(losses, sizes):
    return float(np.dot(losses, sizes)) / len(sizes)


def parts_without_rest(losses, sizes):
    return sum(losses[:-1]) / (len(losses) - 1)


def solved_batch(effective, needed, room):
    fits = (n for n in range(effective, 0, -1) if effective % n == 0 and needed(n) <= room)
    at_once = next(fits)
    return at_once, effective // at_once


def batch_any(effective, needed, room):
    at_once = max(n for n in range(1, effective + 1) if needed(n) <= room)
    return at_once, effective // at_once


def batch_whole(effective, needed, room):
    return effective, 1


def batch_one(effective, needed, room):
    return 1, effective


def batch_turned(effective, needed, room):
    return solved_batch(effective, needed, room)[::-1]


def batch_with_rest_count(effective, needed, room):
    at_once = solved_batch(effective, needed, room)[0]
    return at_once, effective - at_once


def batch_one_too_few(effective, needed, room):
    at_once, times = solved_batch(effective, needed, room)
    return at_once, times - 1


def batch_even(effective, needed, room):
    even = (n for n in range(2, effective + 1, 2) if effective % n == 0 and needed(n) <= room)
    at_once = max(even, default=1)
    return at_once, effective // at_once


def batch_alone(effective, needed, room):
    return solved_batch(effective, needed, room)[0]


def solved_bill(pictures, epochs, speed, price):
    hours = pictures * epochs / speed / 3600
    return hours, hours * price


def bill_in_seconds(pictures, epochs, speed, price):
    seconds = pictures * epochs / speed
    return seconds, seconds * price


def bill_in_minutes(pictures, epochs, speed, price):
    minutes = pictures * epochs / speed / 60
    return minutes, minutes * price


def bill_of_an_epoch(pictures, epochs, speed, price):
    return solved_bill(pictures, 1, speed, price)


def bill_times_speed(pictures, epochs, speed, price):
    hours = pictures * epochs * speed / 3600
    return hours, hours * price


def bill_turned(pictures, epochs, speed, price):
    return solved_bill(pictures, epochs, speed, price)[::-1]


def bill_by_price(pictures, epochs, speed, price):
    hours = solved_bill(pictures, epochs, speed, price)[0]
    return hours, hours / price


def bill_whole_hours(pictures, epochs, speed, price):
    hours = solved_bill(pictures, epochs, speed, price)[0]
    return hours, int(hours) * price


ANSWERS = {
    "loss_of_parts": (
        solved_parts,
        [
            (parts_plain, "counts less"),
            (parts_added, "not added up"),
            (parts_of_all, "divide by their number"),
            (parts_divided, "LESS"),
            (parts_by_number, "not by the parts"),
            (parts_without_rest, "not nothing"),
        ],
    ),
    "largest_batch": (
        solved_batch,
        [
            (batch_any, "divide the pictures"),
            (batch_whole, "do not fit"),
            (batch_one, "largest that fits"),
            (batch_with_rest_count, "what is left"),
            (batch_one_too_few, "first part counts"),
            (batch_alone, "two values"),
            (batch_even, "odd numbers divide as well"),
        ],
    ),
    "bill": (
        solved_bill,
        [
            (bill_in_seconds, "is 3600 times too large"),
            (bill_in_minutes, "is 60 times too large"),
            (bill_of_an_epoch, "(hours, cost)"),
            (bill_times_speed, "(hours, cost)"),
            (bill_turned, "stands in the reverse order along axis 0"),
            (bill_by_price, "(hours, cost)"),
            (bill_whole_hours, "its part"),
        ],
    ),
}
