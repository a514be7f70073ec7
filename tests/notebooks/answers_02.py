"""Chapter 02: a solution of every exercise, and mistakes that learners make, each with a word of
the hint it gets.
"""

import torch
import torch.nn.functional as F


def mean_anchor(features):
    return F.normalize(F.normalize(features, dim=1).mean(dim=0), dim=0)


def long_ones_outvote(features):
    return F.normalize(features.mean(dim=0), dim=0)


def not_unit(features):
    return F.normalize(features, dim=1).mean(dim=0)


def mean_over_channels(features):
    return F.normalize(features, dim=1).mean(dim=1)


def distances(side):
    places = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float()
    return torch.cdist(places, places)


def attention_reach(weights, side):
    patches = weights[..., 1:, 1:]
    patches = patches / patches.sum(dim=-1, keepdim=True)
    return float((patches * distances(side)).sum(dim=-1).mean())


def class_share_lost(weights, side):
    return float((weights[..., 1:, 1:] * distances(side)).sum(dim=-1).mean())


def mean_over_pairs(weights, side):
    patches = weights[..., 1:, 1:]
    return (patches / patches.sum(dim=-1, keepdim=True) * distances(side)).mean()


def along_the_list(weights, side):
    patches, index = weights[..., 1:, 1:], torch.arange(side * side)
    return (patches / patches.sum(-1, keepdim=True) * (index[:, None] - index).abs()).sum(-1).mean()


def a_reach_each(weights, side):
    patches = weights[..., 1:, 1:]
    return (patches / patches.sum(dim=-1, keepdim=True) * distances(side)).sum(dim=-1)


def leaks(encode, images):
    together = encode(images)
    alone = torch.cat([encode(image[None]) for image in images])
    return bool((together - alone).abs().max() > 1e-3 * together.abs().max())


def first_picture_only(encode, images):
    return not torch.allclose(encode(images)[0], encode(images[:1])[0], rtol=1e-3, atol=1e-4)


def to_the_last_bit(encode, images):
    return not torch.equal(encode(images), torch.cat([encode(image[None]) for image in images]))


def copies_as_mates(encode, images):
    copies = images[:1].expand(4, *images.shape[1:])
    return not torch.allclose(encode(copies)[0], encode(images[:1])[0], rtol=1e-3, atol=1e-4)


def order_only(encode, images):
    return not torch.allclose(encode(images.flip(0)).flip(0), encode(images), rtol=1e-3, atol=1e-4)


def the_change_itself(encode, images):
    return encode(images) - torch.cat([encode(image[None]) for image in images])


def columns_add_up(weights, side):
    patches = weights[..., 1:, 1:]
    return (patches / patches.sum(dim=-2, keepdim=True) * distances(side)).sum(-1).mean()


def last_picture_only(encode, images):
    return not torch.allclose(encode(images)[-1], encode(images[-1:])[0], rtol=1e-3, atol=1e-4)


ANSWERS = {
    "mean_anchor": (
        mean_anchor,
        [
            (long_ones_outvote, "one vote"),
            (not_unit, "length"),
            (mean_over_channels, "over the sentences"),
        ],
    ),
    "attention_reach": (
        attention_reach,
        [
            (class_share_lost, "made without a division"),
            (mean_over_pairs, "is 1 / `side` squared of what it should be"),
            (along_the_list, "list of patches"),
            (a_reach_each, "mean is still to be taken"),
            (columns_add_up, "`weights` were transposed"),
            (
                lambda weights, side: attention_reach(weights, side) / side,
                "is 1 / `side` of what it should be",
            ),
            (lambda weights, side: attention_reach(weights.flip(-1, -2), side), "not last"),
        ],
    ),
    "leaks": (
        leaks,
        [
            (first_picture_only, "every place"),
            (to_the_last_bit, "tolerance"),
            (copies_as_mates, "different pictures"),
            (order_only, "goes unnoticed"),
            (the_change_itself, "True or False"),
            (last_picture_only, "into earlier pictures"),
            (lambda encode, images: not leaks(encode, images), "turned round"),
        ],
    ),
}
