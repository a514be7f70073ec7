"""Checks of the exercises of chapter 02_the_blind_spot."""

import numpy as np
import torch
import torch.nn.functional as F

from .judge import Hint, as_array, either, exercise, kind_of


@exercise("02_the_blind_spot", "the anchor")
def mean_anchor(learner):
    """sentence features (n, d) -> their anchor (d,)"""
    draw = torch.Generator().manual_seed(21)
    for count, width in ((6, 8), (12, 5), (1, 4)):
        features = torch.randn(count, width, generator=draw) + 1
        features = features * torch.linspace(0.2, 9, count)[:, None]
        right = F.normalize(F.normalize(features, dim=1).mean(0), dim=0)
        yield learner(features.clone()), right, _other_anchors(features)


def _other_anchors(features: torch.Tensor) -> dict:
    """What goes wrong in an anchor -> what comes of it."""
    unit, vote = (
        F.normalize(features, dim=1),
        "long features outvote short ones: each sentence has one vote",
    )
    length = "its direction is right, its length is not: with what length can cosines be read off?"
    mean, other = unit.mean(0), "; the mean is asked for"
    return {
        vote: F.normalize(features.mean(0), dim=0),
        f"{vote} (and the anchor has length 1)": features.mean(0),
        length: either(mean, unit.sum(0)),
        f"{length} (The square root of the sum of squares)": mean / mean.abs().sum(),
        f"{length} (Its own, not the plain mean's)": mean / features.mean(0).norm(),
        f"{vote}, and one length of all together is none": features.mean(0) / features.norm(),
        "unit length is meant along the features, for each sentence; here it is along the "
        "sentences": F.normalize(F.normalize(features, dim=0).mean(0), dim=0),
        "a softmax is no unit length: divide by the vector's norm": F.normalize(
            features.softmax(1).mean(0), dim=0
        ),
        "that is the first sentence alone": unit[0],
        "that is the last sentence alone": unit[-1],
        f"that is the median of the sentences{other}": F.normalize(unit.median(0).values, dim=0),
        f"that is the largest value over the sentences{other}": F.normalize(unit.amax(0), dim=0),
        "every sentence keeps a direction of its own; their mean is the anchor": unit,
        "those are the mean of each sentence, over its features; it goes over the sentences": (
            unit.mean(1)
        ),
    }


@exercise("02_the_blind_spot", "the reach")
def attention_reach(learner):
    """(attention weights (B, heads, 1 + n * n, 1 + n * n), n) -> how many patches away patches
    look, on average
    """
    draw = torch.Generator().manual_seed(22)
    for batch, heads, side, sharp in ((2, 3, 4, 1.0), (1, 2, 5, 3.0), (3, 1, 3, 0.5)):
        weights = torch.randn(batch, heads, 1 + side**2, 1 + side**2, generator=draw)
        weights = (sharp * weights).softmax(-1)
        # the first patch looks only at its neighbour
        weights[..., 1, :] = F.one_hot(torch.tensor(2), 1 + side**2)
        far, share = _distances(side, 2), weights[..., 1:, 1:]
        right = (share / share.sum(-1, keepdim=True) * far).sum(-1).mean()
        yield learner(weights.clone(), side), float(right), _other_reaches(weights, side)


def _distances(side: int, power: float) -> torch.Tensor:
    places = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float()
    return torch.cdist(places, places, power)


def _other_reaches(weights: torch.Tensor, side: int) -> dict:
    """What goes wrong in the reach -> what comes of it."""
    far, patches, index = _distances(side, 2), weights[..., 1:, 1:], torch.arange(side**2)
    share, first = patches / patches.sum(-1, keepdim=True), weights[..., :-1, :-1]
    each, again = (share * far).sum(-1), "each patch's own row of weights is to add up to 1 again"
    most = share.argmax(-1, keepdim=True)
    crow = "; distances are as the crow flies"
    known = {
        "patches' weights must add up to 1 again without the class token": patches * far,
        "the class token has no place, but is still counted among the patches": F.pad(
            patches * far, (0, 0, 1, 0)
        ),
        f"{again}; here the columns do": patches / patches.sum(-2, keepdim=True) * far,
        f"{again}; here all rows together do": side**2
        * patches
        / patches.sum((-1, -2), keepdim=True)
        * far,
        f"{again}; here all rows together do, and their mean is missing": side**4
        * patches
        / patches.sum((-1, -2), keepdim=True)
        * far
        / side**2,
        "weights are made by a softmax once more: divide by their sum instead": patches.softmax(-1)
        * far,
        "the class token stands first, not last": first / first.sum(-1, keepdim=True) * far,
        "those are squared distances": share * far**2,
        f"those are steps along rows and columns{crow}": share * _distances(side, 1),
        f"that is the larger of the steps along rows and columns{crow}": share
        * _distances(side, float("inf")),
        "those are distances in the list of patches, not on the grid": share
        * (index[:, None] - index).abs(),
        "distances are counted in patches, not as a share of the side": share * far / side,
    }
    return {say: value.sum(-1).mean() for say, value in known.items()} | {
        "that is a mean over pairs; a patch's distances are weighted and added up": (
            share * far
        ).mean(),
        "the weights are not in it: that is the mean distance of all pairs": far.mean(),
        "that is a sum over patches, heads and pictures; their mean is asked for": each.sum(),
        "that is the median of the patches' reaches; the mean is asked for": each.median(),
        "that is the largest of the patches' reaches; the mean is asked for": each.amax(),
        "only the patch that is looked at most counts; all of them do": far.expand_as(share)
        .gather(-1, most)
        .mean(),
    }


@exercise("02_the_blind_spot")
def leaks(learner):
    """(encode, images (B, ...)) -> True if a picture's features depend on its batch mates"""

    def plain(x):
        return x.flatten(2).sin()

    def noisy(x):  # rounding depends on the batch's size in every real library
        return plain(x) + 2e-6 * len(x)

    def across(x):  # attention over batch mates
        v = plain(x).transpose(0, 1)
        return ((v @ v.mT).softmax(-1) @ v).transpose(0, 1)

    def centred(x):
        return plain(x - x.mean(0, keepdim=True))

    def forward_only(x):  # the first picture sees nobody
        return plain(x.cumsum(0))

    def backward_only(x):  # the last picture sees nobody
        return plain(x.flip(0).cumsum(0).flip(0))

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
        (
            backward_only,
            True,
            "a leak into earlier pictures goes unnoticed: look at every place of the batch, and "
            "at each picture alone",
        ),
        (slight, True, "a leak of a few per cent goes unnoticed"),
        (one_patch, True, "a leak in a single patch goes unnoticed: look at every patch"),
    ]
    draw = torch.Generator().manual_seed(23)
    for batch in (2, 5):
        images = torch.randn(batch, 3, 4, 4, generator=draw)
        missed = []
        for encode, leaky, sentence in cases:
            found = learner(encode, images.clone())
            if hasattr(found, "item") and np.size(as_array(found)) == 1:
                found = found.item()
            if not isinstance(found, bool):
                raise Hint(f"the answer is {kind_of(found)}, expected True or False")
            missed += [sentence] if found != leaky else []
        if len(missed) >= len(cases) - 1:
            raise Hint("the answer is turned round: True stands for a leak")
        if missed:
            raise Hint(missed[0])
