"""Checks of the exercises of chapter 02_the_blind_spot."""

import numpy as np
import torch
import torch.nn.functional as F

from .judge import Hint, Steps, as_array, either, exercise, kind_of


@exercise("the anchor", cases=((6, 8), (12, 5), (1, 4)))
def mean_anchor(count: int, width: int) -> Steps:
    """sentence features (n, d) -> their anchor (d,)"""
    features = yield (torch.randn(count, width) + 1) * torch.linspace(0.2, 9, count)[:, None]
    yield F.normalize(F.normalize(features, dim=1).mean(0), dim=0)
    unit = F.normalize(features, dim=1)
    vote = "long features outvote short ones: each sentence has one vote"
    length = "its direction is right, its length is not: with what length can cosines be read off?"
    mean = unit.mean(0)
    yield {
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


def _distances(side: int, power: float) -> torch.Tensor:
    places = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float()
    return torch.cdist(places, places, power)


@exercise("the reach", cases=((2, 3, 4, 1.0), (1, 2, 5, 3.0), (3, 1, 3, 0.5)))
def attention_reach(batch: int, heads: int, side: int, sharp: float) -> Steps:
    """(attention weights (B, heads, 1 + n * n, 1 + n * n), n) -> how many patches away patches
    look, on average
    """
    weights = (sharp * torch.randn(batch, heads, 1 + side**2, 1 + side**2)).softmax(-1)
    # the first patch looks only at its neighbour
    weights[..., 1, :] = F.one_hot(torch.tensor(2), 1 + side**2)
    weights, side = yield weights, side
    share = weights[..., 1:, 1:]
    share = share / share.sum(-1, keepdim=True)
    yield float((share * _distances(side, 2)).sum(-1).mean())
    far, patches, first = _distances(side, 2), weights[..., 1:, 1:], weights[..., :-1, :-1]
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
    known["only the patch that is looked at most counts; all of them do"] = far.expand_as(
        share
    ).gather(-1, share.argmax(-1, keepdim=True))
    yield {say: value.sum(-1).mean() for say, value in known.items()}


def _plain(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(2).sin()


def _across(x: torch.Tensor) -> torch.Tensor:
    """Attention over batch mates."""
    v = _plain(x).transpose(0, 1)
    return ((v @ v.mT).softmax(-1) @ v).transpose(0, 1)


def _one_patch(x: torch.Tensor) -> torch.Tensor:
    features = _plain(x)
    features[:, -1] += 0.3 * features[:, -1].mean(0)
    return features


TIGHT = {
    "an encoder that takes each picture for itself is called leaky": _plain,
    # in every real library rounding depends on the batch's size
    "rounding in the sixth digit is called a leak: compare with a tolerance": (
        lambda x: _plain(x) + 2e-6 * len(x)
    ),
}
LEAKY = {
    "attention across the batch goes unnoticed: different pictures as mates, and abs?": _across,
    "an encoder that subtracts the batch's mean goes unnoticed: compare with other mates": (
        lambda x: _plain(x - x.mean(0, keepdim=True))
    ),
    # the first picture sees nobody, then the last one
    "a leak into later pictures goes unnoticed: look at every place of the batch": (
        lambda x: _plain(x.cumsum(0))
    ),
    "a leak into earlier pictures goes unnoticed: look at every place of the batch, and at each "
    "picture alone": lambda x: _plain(x.flip(0).cumsum(0).flip(0)),
    "a leak of a few per cent goes unnoticed": (
        lambda x: _plain(x) + 0.05 * _plain(x).mean(0, keepdim=True)
    ),
    "a leak in a single patch goes unnoticed: look at every patch": _one_patch,
}


@exercise()
def leaks(learner):
    """(encode, images (B, ...)) -> True if a picture's features depend on its batch mates"""
    draw = torch.Generator().manual_seed(23)
    for batch in (2, 5):
        images, missed = torch.randn(batch, 3, 4, 4, generator=draw), []
        for sentence, encode in (TIGHT | LEAKY).items():
            result = learner(encode, images)
            if hasattr(result, "item") and np.size(as_array(result)) == 1:
                result = result.item()
            if not isinstance(result, bool):
                raise Hint(f"the answer is {kind_of(result)}, expected True or False")
            if result != (sentence in LEAKY):
                missed.append(sentence)
        if len(missed) >= len(TIGHT | LEAKY) - 1:
            raise Hint("the answer is turned round: True stands for a leak")
        if missed:
            raise Hint(missed[0])
