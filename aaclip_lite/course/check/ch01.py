"""Checks of the exercises of chapter 01_loading_clip."""

import torch
import torch.nn.functional as F

from .judge import Hint, exercise, same


@exercise("01_loading_clip")
def end_of_text(learner):
    """(states (B, L, D), ids (B, L), projection (D, d)) -> the sentences' features (B, d)"""
    draw = torch.Generator().manual_seed(11)
    for batch, length, width, out in ((3, 9, 6, 4), (2, 12, 8, 5), (1, 6, 4, 7)):
        states, projection = (
            torch.randn(size, generator=draw) for size in ((batch, length, width), (width, out))
        )
        ends, rows = torch.randint(2, length - 2, (batch,), generator=draw), torch.arange(batch)
        ids = torch.randint(300, 49_000, (batch, length), generator=draw) * (
            torch.arange(length) < ends[:, None]
        )
        ids[:, 0], ids[rows, ends] = 49_406, 49_407
        found = learner(states.clone(), ids.clone(), projection.clone())
        wrong = [
            (
                states[:, -1] @ projection,
                "that is the last place, which is padding: where does each sentence end?",
            ),
            (
                states.mean(1) @ projection,
                "that is the mean over all places; CLIP reads a single one",
            ),
            (
                states[:, 0] @ projection,
                "that is the start token, which has seen nothing of the sentence",
            ),
            (
                states[rows, ends - 1] @ projection,
                "that is the last word; the end-of-text token stands one place on",
            ),
            (states[rows[:1], ends[:1]] @ projection, "each sentence ends at a place of its own"),
            (states[:, ends[0]] @ projection, "each sentence ends at a place of its own"),
        ]
        same(found, states[rows, ends] @ projection, "the feature", hints=wrong)


@exercise("01_loading_clip")
def zero_shot(learner):
    """(image features (B, d), text features (C, d), scale) -> probabilities (B, C)"""
    draw = torch.Generator().manual_seed(12)
    for batch, classes, width, scale in ((3, 5, 8, 10.0), (4, 4, 6, 25.0), (1, 2, 16, 100.0)):
        pictures, words = (torch.randn(n, width, generator=draw) for n in (batch, classes))
        pictures, words = 3 * pictures, words * torch.linspace(0.5, 4, classes)[:, None]
        found = learner(pictures.clone(), words.clone(), scale)
        cosines = (pictures / pictures.norm(dim=1, keepdim=True)) @ (
            words / words.norm(dim=1, keepdim=True)
        ).T
        wrong = [
            (cosines, "those are the cosines: right, but no probabilities yet"),
            (scale * cosines, "those are the scaled cosines: right, but no probabilities yet"),
            (
                (scale * cosines).softmax(0),
                "each class's column adds up to 1; each picture's row should",
            ),
            (cosines.softmax(1), "the scale has no effect: before what must it act?"),
            (scale * cosines.softmax(1), "the scale acts too late: rows no longer add up to 1"),
            (
                (scale * pictures @ words.T).softmax(1),
                "lengths still count, CLIP compares directions only",
            ),
            ((pictures @ words.T).softmax(1), "lengths still count, CLIP compares directions only"),
        ]
        same(found, (scale * cosines).softmax(1), "the probabilities", hints=wrong)


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
        wrong = [
            (
                torch.cat([expected[1:], expected[:1]]),
                "the class token's row stands first, not last",
            ),
            (torch.cat([0 * expected[:1], expected[1:]]), kept),
            (torch.cat([expected[1:].mean(0, keepdim=True), expected[1:]]), kept),
            (
                stretch(columns, rows),
                "rows and columns are swapped: patches are numbered row by row",
            ),
            (
                stretch(square=square.mT),
                "the square grid was read column by column: patches are numbered row by row",
            ),
            (stretch(antialias=False), "the grid is bicubic, but without antialias"),
            (stretch(align_corners=True, antialias=False), "corners must not be aligned"),
            (stretch(align_corners=True), "corners must not be aligned"),
            (stretch(mode="bilinear"), "the grid is bilinear; CLIP's is made bicubic"),
            (
                stretch(mode="bilinear", antialias=False),
                "the grid is bilinear; CLIP's is made bicubic",
            ),
        ]
        same(found, expected, f"the grid of {rows} x {columns}", hints=wrong)
