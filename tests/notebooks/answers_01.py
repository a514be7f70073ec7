"""Chapter 01: a solution of every exercise, and mistakes that learners make, each with a word of
the hint it gets.
"""

import math

import torch
import torch.nn.functional as F


def end_of_text(states, ids, projection):
    return states[torch.arange(len(ids)), ids.argmax(dim=1)] @ projection


def last_place(states, ids, projection):
    return states[:, -1] @ projection


def one_end_for_all(states, ids, projection):
    return states[:, ids[0].argmax()] @ projection


def not_projected(states, ids, projection):
    return states[torch.arange(len(ids)), ids.argmax(dim=1)]


def place_before(states, ids, projection):
    return states[torch.arange(len(ids)), ids.argmax(dim=1) - 1] @ projection


def zero_shot(images, texts, scale):
    return (scale * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T).softmax(dim=1)


def lengths_count(images, texts, scale):
    return (scale * images @ texts.T).softmax(dim=1)


def wrong_axis(images, texts, scale):
    return (scale * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T).softmax(dim=0)


def no_scale(images, texts, scale):
    return (F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T).softmax(dim=1)


def cosines(images, texts, scale):
    return F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T


def oblong_positions(positions, rows, columns, mode="bicubic", antialias=True):
    side = math.isqrt(len(positions) - 1)
    grid = positions[1:].T.reshape(1, -1, side, side)
    grid = F.interpolate(grid, (rows, columns), mode=mode, antialias=antialias, align_corners=False)
    return torch.cat([positions[:1], grid[0].flatten(1).T])


def class_row_lost(positions, rows, columns):
    return oblong_positions(positions, rows, columns)[1:]


def sides_swapped(positions, rows, columns):
    return oblong_positions(positions, columns, rows)


def not_antialiased(positions, rows, columns):
    return oblong_positions(positions, rows, columns, antialias=False)


def bilinear(positions, rows, columns):
    return oblong_positions(positions, rows, columns, mode="bilinear")


def class_row_too(positions, rows, columns):
    made = oblong_positions(positions, rows, columns)
    return torch.cat([made[1:].mean(0, keepdim=True), made[1:]])


def columns_first(positions, rows, columns):
    side = math.isqrt(len(positions) - 1)
    grid = positions[1:].reshape(1, -1, side, side)
    grid = F.interpolate(grid, (rows, columns), mode="bicubic", antialias=True)
    return torch.cat([positions[:1], grid[0].flatten(1).T])


ANSWERS = {
    "end_of_text": (
        end_of_text,
        [
            (last_place, "`states` were its last entry along axis 1, everywhere"),
            (one_end_for_all, "`ids` were its first entry along axis 0, everywhere"),
            (not_projected, "not projected"),
            (place_before, "`states` were moved by one place along axis 1"),
            (lambda states, ids, p: states[:, ids.argmax(1)] @ p, "pair rows and places"),
            (
                lambda states, ids, p: states.mean(1) @ p,
                "`states` were its mean along axis 1, everywhere",
            ),
            (
                lambda states, ids, p: list(end_of_text(states, ids, p)),
                "is a list, expected a tensor",
            ),
            (
                lambda states, ids, p: F.normalize(end_of_text(states, ids, p)),
                "is right, then brought to length 1 along axis 1",
            ),
        ],
    ),
    "zero_shot": (
        zero_shot,
        [
            (lengths_count, "lengths"),
            (wrong_axis, "made with a softmax along axis 0"),
            (no_scale, "scale"),
            (cosines, "no probabilities"),
            (lambda *given: zero_shot(*given).log(), "is the logarithm of the right value"),
            (lambda a, b, scale: (scale * cosines(a, b, 1)).sigmoid(), "sigmoid"),
            (lambda a, b, scale: zero_shot(a, b, 1 / scale), "`scale` were 1 over itself"),
            (lambda *given: zero_shot(*given).argmax(1), "which class wins"),
            (lambda a, b, scale: zero_shot(b, a, scale), "has shape"),
            (lambda a, b, scale: zero_shot(a.div_(a.norm()), b, scale), "changed a in place"),
        ],
    ),
    "oblong_positions": (
        oblong_positions,
        [
            (class_row_lost, "class token's row is missing"),
            (sides_swapped, "swapped"),
            (not_antialiased, "antialias"),
            (bilinear, "bilinear"),
            (class_row_too, "must stay"),
            (columns_first, "channels and places"),
            (lambda *given: oblong_positions(*given, "nearest", False), "stopped with"),
        ],
    ),
}
