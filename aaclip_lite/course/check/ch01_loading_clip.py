"""Checks of the exercises of chapter 01_loading_clip."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from .judge import Steps, either, exercise, fits


@exercise("the table of features", cases=((3, 9, 6, 4), (2, 12, 8, 5), (1, 6, 4, 7)))
def end_of_text(batch: int, length: int, width: int, out: int) -> Steps:
    """(states (B, L, D), ids (B, L), projection (D, d)) -> the sentences' features (B, d)"""
    rows, ends = torch.arange(batch), torch.randint(2, length - 2, (batch,))
    ids = torch.randint(300, 49_000, (batch, length))
    ids *= torch.arange(length) < ends[:, None]
    ids[:, 0], ids[rows, ends] = 49_406, 49_407
    states, projection = torch.randn(batch, length, width), torch.randn(width, out)
    states, ids, projection = yield states, ids, projection
    yield states[torch.arange(len(ids)), ids.argmax(1)] @ projection
    made = states @ projection
    words = (torch.arange(length) < ends[:, None]).float()[..., None]
    single = "; CLIP reads a single one"
    yield {
        f"that is the mean over all words{single}": (made * words).sum(1) / words.sum(1),
        f"that is the mean over all words and the end{single}": (
            ((made * words).sum(1) + made[rows, ends]) / (words.sum(1) + 1)
        ),
        f"that is the sum over all places{single}": made.sum(1),
        f"that is the largest value of all places{single}": states.amax(1) @ projection,
        f"that is the largest value of all places, projected{single}": made.amax(1),
        "that is padding, one place behind the end-of-text token": made[rows, ends + 1],
        "the end-of-text states are not projected": states[rows, ends],
        "these are all places of all sentences; pick the one where each ends": made,
        "every sentence is read where each of the others ends: pair rows and places, "
        "states[torch.arange(B), places]": made[:, ends],
    }


@exercise("the table of probabilities", cases=((3, 5, 8, 4.0), (4, 4, 6, 10.0), (1, 2, 16, 100.0)))
def zero_shot(batch: int, classes: int, width: int, scale: float) -> Steps:
    """(image features (B, d), text features (C, d), scale) -> probabilities (B, C)"""
    words = torch.randn(classes, width) * torch.linspace(0.5, 4, classes)[:, None]
    pictures, words, scale = yield 0.6 * torch.randn(batch, width), words, scale
    yield (scale * F.normalize(pictures, dim=1) @ F.normalize(words, dim=1).T).softmax(1)
    unit, texts = F.normalize(pictures, dim=1), F.normalize(words, dim=1)
    cosines, lengths = unit @ texts.T, "lengths still count, CLIP compares directions only"
    yield {
        "those are the cosines: right, but no probabilities yet": cosines,
        "the scale acts too late: rows no longer add up to 1": scale * cosines.softmax(1),
        "the scale is used as it is given, not its exp": (math.exp(scale) * cosines).softmax(1),
        lengths: either((scale * pictures @ words.T).softmax(1), (pictures @ words.T).softmax(1)),
        "rows are brought to length 1; probabilities add up to 1: a softmax": F.normalize(
            cosines, dim=1
        ),
        "those are distances, small where features agree; CLIP compares by the cosine": either(
            *((sign * scale * torch.cdist(unit, texts)).softmax(1) for sign in (1, -1))
        ),
        "that is which class wins; the probability of each class is asked for": cosines.argmax(1),
    }


def _oblong(positions, rows, columns, square=None, **options) -> torch.Tensor:
    """`square` is the grid as it was read, `options` are those of making the new one."""
    square = _square(positions).mT if square is None else square
    options = {"mode": "bicubic", "antialias": True} | options
    made = F.interpolate(square, (rows, columns), **options)[0].flatten(1).T
    return torch.cat([positions[:1], made])


def _square(positions: torch.Tensor) -> torch.Tensor:
    """The square grid, read column by column."""
    side = round((len(positions) - 1) ** 0.5)
    return positions[1:].T.unflatten(1, (side, side))[None].mT


@exercise("the new grid", cases=((4, 6, 9, 3), (6, 5, 10, 4), (5, 3, 4, 2), (3, 3, 3, 5)))
def oblong_positions(side: int, rows: int, columns: int, width: int) -> Steps:
    """(positions (1 + n * n, D), rows, columns) -> (1 + rows * columns, D)"""
    positions, rows, columns = yield torch.randn(1 + side * side, width), rows, columns
    right = _oblong(positions, rows, columns)
    yield right
    head, patches, wide = positions[:1], right[1:], _square(positions)
    columnwise = patches.unflatten(0, (rows, columns)).transpose(0, 1).flatten(0, 1)
    channels = "channels and places are mixed up: before a reshape, the axis of channels goes "

    def grid(rows=rows, columns=columns, **options) -> torch.Tensor:
        return _oblong(positions, rows, columns, **options)

    yield {
        "the class token's row is missing: the result has one row more than there are patches": (
            lambda result: np.shape(result) == patches.shape
        ),
        "the class token's row must stay as it was": (
            lambda result: np.shape(result) == right.shape and fits(result[1:], patches, 1e-4)
        ),
        "the class token's row stands first, not last": torch.cat([patches, head]),
        "rows and columns are swapped: patches are numbered row by row": grid(columns, rows),
        "the square grid was read column by column: patches are numbered row by row": (
            grid(square=wide)
        ),
        "the new grid is listed column by column: patches are numbered row by row": (
            torch.cat([head, columnwise])
        ),
        f"{channels}to the front (permute or .T)": grid(square=positions[1:].reshape(wide.shape)),
        f"{channels}to the end again": torch.cat([head, patches.T.reshape(patches.shape)]),
        "the new grid has as many rows as columns; both are given": (
            grid(max(rows, columns), max(rows, columns))
        ),
        "the grid is bicubic, but without antialias": grid(antialias=False),
        "corners must not be aligned": either(
            grid(align_corners=True, antialias=False), grid(align_corners=True)
        ),
        "the grid is bilinear; CLIP's is made bicubic": either(
            grid(mode="bilinear"), grid(mode="bilinear", antialias=False)
        ),
        "the patches are stretched as one long list; they lie on a grid": torch.cat(
            [head, F.interpolate(positions[1:].T[None], rows * columns, mode="linear")[0].T]
        ),
    } | {
        f"the grid is made by {mode}; CLIP's is made bicubic": grid(mode=mode, antialias=False)
        for mode in ("nearest", "nearest-exact", "area")
    }
