"""Checks of the exercises of chapter 02_the_blind_spot."""

import numpy as np
import torch
import torch.nn.functional as F

from .judge import Hint, as_array, either, exercise, kind_of


def _anchor(features: torch.Tensor) -> torch.Tensor:
    return F.normalize(F.normalize(features, dim=1).mean(0), dim=0)


@exercise("02_the_blind_spot", "the anchor", right=_anchor)
def mean_anchor(learner):
    """sentence features (n, d) -> their anchor (d,)"""
    draw = torch.Generator().manual_seed(21)
    for count, width in ((6, 8), (12, 5), (1, 4)):
        features = torch.randn(count, width, generator=draw) + 1
        features = features * torch.linspace(0.2, 9, count)[:, None]
        yield learner(features.clone()), _anchor(features), _other_anchors(features)


def _other_anchors(features: torch.Tensor) -> dict:
    unit, vote = (
        F.normalize(features, dim=1),
        "long features outvote short ones: each sentence has one vote",
    )
    length = "its direction is right, its length is not: with what length can cosines be read off?"
    mean = unit.mean(0)
    return {
        vote: F.normalize(features.mean(0), dim=0),
        f"{vote} (and the anchor has length 1)": features.mean(0),
        length: either(mean, unit.sum(0)),
        f"{length} (Its own, not the plain mean's)": mean / features.mean(0).norm(),
        f"{vote}, and one length of all together is none": features.mean(0) / features.norm(),
        "every sentence keeps a direction of its own; their mean is the anchor": unit,
        "those are the mean of each sentence, over its features; it goes over the sentences": (
            unit.mean(1)
        ),
    }


def _reach(weights: torch.Tensor, side: int) -> float:
    share = weights[..., 1:, 1:]
    share = share / share.sum(-1, keepdim=True)
    return float((share * _distances(side, 2)).sum(-1).mean())


@exercise("02_the_blind_spot", "the reach", right=_reach)
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
        yield learner(weights.clone(), side), _reach(weights, side), _other_reaches(weights, side)


def _distances(side: int, power: float) -> torch.Tensor:
    places = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float()
    return torch.cdist(places, places, power)


def _other_reaches(weights: torch.Tensor, side: int) -> dict:
    far, patches = _distances(side, 2), weights[..., 1:, 1:]
    share, first = patches / patches.sum(-1, keepdim=True), weights[..., :-1, :-1]
    most = share.argmax(-1, keepdim=True)
    crow = "; distances are as the crow flies"
    known = {
        "the class token has no place, but is still counted among the patches": F.pad(
            patches * far, (0, 0, 1, 0)
        ),
        "each patch's own row of weights is to add up to 1 again; here all rows together do": far
        * (side**2 * patches / patches.sum((-1, -2), keepdim=True)),
        "weights are made by a softmax once more: divide by their sum instead": patches.softmax(-1)
        * far,
        "the class token stands first, not last": first / first.sum(-1, keepdim=True) * far,
        "those are squared distances": share * far**2,
        "those are distances in the list of patches, not on the grid": share
        * (torch.arange(side**2)[:, None] - torch.arange(side**2)).abs(),
        f"those are steps along rows and columns{crow}": share * _distances(side, 1),
        f"that is the larger of the steps along rows and columns{crow}": share
        * _distances(side, float("inf")),
    }
    return {say: value.sum(-1).mean() for say, value in known.items()} | {
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
            "attention across the batch goes unnoticed: different pictures as mates, and abs?",
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
