"""Checks of the exercises of chapter 01_loading_clip."""

import math

import torch
import torch.nn.functional as F

from .judge import Hint, as_array, close, either, exercise, same


def _end(states: torch.Tensor, ids: torch.Tensor, projection: torch.Tensor) -> torch.Tensor:
    return states[torch.arange(len(ids)), ids.argmax(1)] @ projection


@exercise("01_loading_clip", "the table of features", right=_end)
def end_of_text(learner):
    """(states (B, L, D), ids (B, L), projection (D, d)) -> the sentences' features (B, d)"""
    draw = torch.Generator().manual_seed(11)
    for batch, length, width, out in ((3, 9, 6, 4), (2, 12, 8, 5), (1, 6, 4, 7)):
        states = torch.randn(batch, length, width, generator=draw)
        projection = torch.randn(width, out, generator=draw)
        rows, ends = torch.arange(batch), torch.randint(2, length - 2, (batch,), generator=draw)
        ids = torch.randint(300, 49_000, (batch, length), generator=draw)
        ids *= torch.arange(length) < ends[:, None]
        ids[:, 0], ids[rows, ends] = 49_406, 49_407
        found = learner(states.clone(), ids.clone(), projection.clone())
        yield found, _end(states, ids, projection), _other_ends(states, ends, projection)


def _other_ends(states: torch.Tensor, ends: torch.Tensor, projection: torch.Tensor) -> dict:
    rows, made = torch.arange(len(states)), states @ projection
    places = torch.arange(states.shape[1])
    words = (places < ends[:, None]).float()[..., None]
    single = "; CLIP reads a single one"
    return {
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


def _shot(pictures: torch.Tensor, words: torch.Tensor, scale: float) -> torch.Tensor:
    return (scale * F.normalize(pictures, dim=1) @ F.normalize(words, dim=1).T).softmax(1)


@exercise("01_loading_clip", "the table of probabilities", right=_shot)
def zero_shot(learner):
    """(image features (B, d), text features (C, d), scale) -> probabilities (B, C)"""
    draw = torch.Generator().manual_seed(12)
    for batch, classes, width, scale in ((3, 5, 8, 4.0), (4, 4, 6, 10.0), (1, 2, 16, 100.0)):
        pictures = 0.6 * torch.randn(batch, width, generator=draw)
        words = torch.randn(classes, width, generator=draw)
        words = words * torch.linspace(0.5, 4, classes)[:, None]
        found = learner(pictures.clone(), words.clone(), scale)
        yield found, _shot(pictures, words, scale), _other_shots(pictures, words, scale)


def _other_shots(pictures: torch.Tensor, words: torch.Tensor, scale: float) -> dict:
    unit, texts = F.normalize(pictures, dim=1), F.normalize(words, dim=1)
    cosines, lengths = unit @ texts.T, "lengths still count, CLIP compares directions only"
    return {
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


@exercise("01_loading_clip")
def oblong_positions(learner):
    """(positions (1 + n * n, D), rows, columns) -> (1 + rows * columns, D)"""
    draw = torch.Generator().manual_seed(13)
    for side, rows, columns, width in ((4, 6, 9, 3), (6, 5, 10, 4), (5, 3, 4, 2), (3, 3, 3, 5)):
        positions = torch.randn(1 + side * side, width, generator=draw)
        found = learner(positions.clone(), rows, columns)
        square = positions[1:].T.reshape(1, width, side, side)

        def stretch(rows=rows, columns=columns, square=square, head=positions[:1], **options):
            options = {"mode": "bicubic", "antialias": True, "align_corners": False} | options
            return torch.cat(
                [head, F.interpolate(square, (rows, columns), **options)[0].flatten(1).T]
            )

        expected, kept = stretch(), "the class token's row must stay as it was"
        if isinstance(found, torch.Tensor) and found.shape == expected[1:].shape:
            raise Hint(
                "the class token's row is missing: the result has one row more than there are "
                "patches"
            )
        fits = isinstance(found, torch.Tensor) and found.shape == expected.shape
        if fits and close(as_array(found)[1:], as_array(expected)[1:], 1e-4):
            same(found[:1], positions[:1], kept, hints=[(found[:1], kept)])
        bilinear = "the grid is bilinear; CLIP's is made bicubic"
        channels = "channels and places are mixed up: before a reshape, the axis of channels goes "
        wrong = {
            "the class token's row stands first, not last": torch.cat([expected[1:], expected[:1]]),
            "rows and columns are swapped: patches are numbered row by row": stretch(columns, rows),
            "the square grid was read column by column: patches are numbered row by row": stretch(
                square=square.mT
            ),
            "the new grid is listed column by column: patches are numbered row by row": torch.cat(
                [
                    expected[:1],
                    expected[1:].unflatten(0, (rows, columns)).transpose(0, 1).flatten(0, 1),
                ]
            ),
            f"{channels}to the front (permute or .T)": stretch(
                square=positions[1:].reshape(1, width, side, side)
            ),
            f"{channels}to the end again": torch.cat(
                [expected[:1], expected[1:].T.reshape(rows * columns, width)]
            ),
            "the new grid has as many rows as columns; both are given": stretch(
                max(rows, columns), max(rows, columns)
            ),
            "the grid is bicubic, but without antialias": stretch(antialias=False),
            "corners must not be aligned": either(
                stretch(align_corners=True, antialias=False), stretch(align_corners=True)
            ),
            bilinear: either(stretch(mode="bilinear"), stretch(mode="bilinear", antialias=False)),
        }
        for mode in ("nearest", "nearest-exact", "area"):
            wrong[f"the grid is made by {mode}; CLIP's is made bicubic"] = torch.cat(
                [expected[:1], F.interpolate(square, (rows, columns), mode=mode)[0].flatten(1).T]
            )
        straight = F.interpolate(square.flatten(2), rows * columns, mode="linear")[0].T
        wrong["the patches are stretched as one long list; they lie on a grid"] = torch.cat(
            [expected[:1], straight]
        )
        same(found, expected, f"the grid of {rows} x {columns}", hints=wrong)
