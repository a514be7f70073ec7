"""Checks of the exercises of chapter 02_the_blind_spot."""

import numpy as np
import torch
import torch.nn.functional as F

from .judge import Hint, as_array, exercise, kind_of, same


@exercise("02_the_blind_spot")
def mean_anchor(learner):
    """sentence features (n, d) -> their anchor (d,)"""
    draw = torch.Generator().manual_seed(21)
    for count, width in ((6, 8), (12, 5), (1, 4)):
        features = torch.randn(count, width, generator=draw) + 1
        features = features * torch.linspace(0.2, 9, count)[:, None]
        unit = F.normalize(features, dim=1)
        wrong = [
            (
                F.normalize(features.mean(0), dim=0),
                "long features outvote short ones: each sentence has one vote",
            ),
            (features.mean(0), "long features outvote short ones: each sentence has one vote"),
            (
                unit.mean(0),
                "its direction is right, its length is not: with what length can cosines be read "
                "off?",
            ),
            (
                unit.sum(0),
                "its direction is right, its length is not: with what length can cosines be read "
                "off?",
            ),
            (unit[0], "that is the first sentence alone"),
        ]
        same(learner(features.clone()), F.normalize(unit.mean(0), dim=0), "the anchor", hints=wrong)


@exercise("02_the_blind_spot")
def attention_reach(learner):
    """(attention weights (B, heads, 1 + n * n, 1 + n * n), n) -> how many patches away patches
    look, on average
    """
    draw = torch.Generator().manual_seed(22)
    for batch, heads, side, sharp in ((2, 3, 4, 1.0), (1, 2, 5, 3.0), (3, 1, 3, 0.5)):
        weights = (
            sharp * torch.randn(batch, heads, 1 + side**2, 1 + side**2, generator=draw)
        ).softmax(-1)
        # the first patch looks only at its neighbour
        weights[..., 1, :] = F.one_hot(torch.tensor(2), 1 + side**2)
        found = learner(weights.clone(), side)
        row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        places = torch.stack([row.flatten(), column.flatten()], 1).float()
        far, patches = torch.cdist(places, places), weights[..., 1:, 1:]
        share = patches / patches.sum(-1, keepdim=True)
        city = (places[:, None] - places[None]).abs().sum(-1)
        steps = (torch.arange(side**2)[:, None] - torch.arange(side**2)[None]).abs()
        wrong = [
            (
                (patches * far).sum(-1).mean(),
                "patches' weights must add up to 1 again without the class token",
            ),
            (
                (share * far).mean(),
                "that is a mean over pairs; a patch's distances are weighted and added up",
            ),
            ((share * far**2).sum(-1).mean(), "those are squared distances"),
            (
                (share * city).sum(-1).mean(),
                "those are steps along rows and columns; distances are as the crow flies",
            ),
            (
                (share * steps).sum(-1).mean(),
                "those are distances in the list of patches, not on the grid",
            ),
        ]
        same(found, float((share * far).sum(-1).mean()), "the reach", hints=wrong)


@exercise("02_the_blind_spot")
def leaks(learner):
    """(encode, images (B, ...)) -> True if a picture's features depend on its batch mates"""

    def plain(x):
        return x.flatten(2).sin()

    def noisy(x):  # rounding depends on the batch's size in every real library
        return plain(x) * (1 + 1e-6 * len(x))

    def across(x):  # attention over batch mates
        v = plain(x).transpose(0, 1)
        return ((v @ v.mT).softmax(-1) @ v).transpose(0, 1)

    def centred(x):
        return plain(x - x.mean(0, keepdim=True))

    def forward_only(x):  # the first picture sees nobody
        return plain(x.cumsum(0))

    def slight(x):
        return plain(x) + 0.05 * plain(x).mean(0, keepdim=True)

    def one_patch(x):
        found = plain(x)
        found[:, -1] += 0.3 * found[:, -1].mean(0)
        return found

    cases = [
        (plain, False, "an encoder that takes each picture for itself is called leaky"),
        (noisy, False, "rounding in the sixth digit is called a leak: compare with a tolerance"),
        (
            across,
            True,
            "attention across the batch goes unnoticed: are the mates different pictures?",
        ),
        (
            centred,
            True,
            "an encoder that subtracts the batch's mean goes unnoticed: compare with other mates",
        ),
        (
            forward_only,
            True,
            "a leak into later pictures goes unnoticed: look at every place of the batch",
        ),
        (slight, True, "a leak of a few per cent goes unnoticed"),
        (one_patch, True, "a leak in a single patch goes unnoticed: look at every patch"),
    ]
    draw = torch.Generator().manual_seed(23)
    for batch in (2, 5):
        images = torch.randn(batch, 3, 4, 4, generator=draw)
        for encode, leaky, sentence in cases:
            found = learner(encode, images.clone())
            if (
                isinstance(found, (torch.Tensor, np.ndarray, np.generic))
                and as_array(found).size == 1
            ):
                found = bool(found)
            if not isinstance(found, bool):
                raise Hint(f"the answer is {kind_of(found)}, expected True or False")
            if found != leaky:
                raise Hint(sentence)
