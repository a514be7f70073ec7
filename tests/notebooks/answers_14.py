"""Chapter 14: solutions, and what learners get wrong."""

import torch
import torch.nn.functional as F


def solved_factor(a, b, unit):
    low = [(x - unit / 2) / (y + unit / 2) for x, y in zip(a, b, strict=True)]
    high = [(x + unit / 2) / (y - unit / 2) for x, y in zip(a, b, strict=True)]
    return max(low) <= min(high)


def factor_of_equal_ratios(a, b, unit):
    ratios = [x / y for x, y in zip(a, b, strict=True)]
    return all(abs(ratio - ratios[0]) < 1e-6 for ratio in ratios)


def factor_within_a_unit(a, b, unit):
    ratios = [x / y for x, y in zip(a, b, strict=True)]
    return max(ratios) - min(ratios) <= unit


def factor_with_one_row_rounded(a, b, unit):
    low = [(x - unit / 2) / y for x, y in zip(a, b, strict=True)]
    high = [(x + unit / 2) / y for x, y in zip(a, b, strict=True)]
    return max(low) <= min(high)


def factor_with_whole_units(a, b, unit):
    return solved_factor(a, b, 2 * unit)


def factor_with_ends_swapped(a, b, unit):
    low = [(x - unit / 2) / (y + unit / 2) for x, y in zip(a, b, strict=True)]
    high = [(x + unit / 2) / (y - unit / 2) for x, y in zip(a, b, strict=True)]
    return min(low) <= max(high)


def factor_of_neighbours(a, b, unit):
    pairs = range(len(a) - 1)
    return all(solved_factor(a[i : i + 2], b[i : i + 2], unit) for i in pairs)


def factor_added(a, b, unit):
    gaps = [x - y for x, y in zip(a, b, strict=True)]
    return max(gaps) - min(gaps) <= 2 * unit


def factor_turned_round(a, b, unit):
    return not solved_factor(a, b, unit)


def factor_by_column(a, b, unit):
    return [abs(x / y - a[0] / b[0]) < unit for x, y in zip(a, b, strict=True)]


def factor_itself(a, b, unit):
    return a[0] / b[0]


def solved_recall(similarity, owner, k):
    best = similarity.topk(min(k, similarity.shape[1]), dim=1).indices
    own = owner[best] == torch.arange(len(similarity))[:, None]
    return own.any(1).float().mean()


def recall_by_sorting(similarity, owner, k):
    order = similarity.argsort(1, descending=True)[:, :k]
    found = [bool((owner[order[i]] == i).any()) for i in range(len(order))]
    return sum(found) / len(found)


def recall_of_the_diagonal(similarity, owner, k):
    best = similarity.topk(min(k, similarity.shape[1]), dim=1).indices
    return (best == torch.arange(len(similarity))[:, None]).any(1).float().mean()


def recall_of_the_first_caption(similarity, owner, k):
    rows = torch.arange(len(similarity))[:, None]
    first = (owner[None] == rows).long().argmax(1)
    best = similarity.topk(min(k, similarity.shape[1]), dim=1).indices
    return (best == first[:, None]).any(1).float().mean()


def own_among_first(similarity, owner, k, largest=True):
    best = similarity.topk(min(k, similarity.shape[1]), dim=1, largest=largest).indices
    return owner[best] == torch.arange(len(similarity))[:, None]


def recall_of_all_captions(similarity, owner, k):
    own = own_among_first(similarity, owner, k).sum(1)
    return (own == torch.bincount(owner).clamp(max=k)).float().mean()


def recall_of_captions(similarity, owner, k):
    return (own_among_first(similarity, owner, k).sum(1) / torch.bincount(owner)).mean()


def recall_as_precision(similarity, owner, k):
    return own_among_first(similarity, owner, k).float().mean()


def recall_of_the_worst(similarity, owner, k):
    return own_among_first(similarity, owner, k, largest=False).any(1).float().mean()


def recall_of_captions_asking(similarity, owner, k):
    best = similarity.T.topk(min(k, len(similarity)), dim=1).indices
    return (best == owner[:, None]).any(1).float().mean()


def recall_counted(similarity, owner, k):
    return own_among_first(similarity, owner, k).any(1).sum()


def recall_in_per_cent(similarity, owner, k):
    return 100 * solved_recall(similarity, owner, k)


def recall_by_picture(similarity, owner, k):
    return own_among_first(similarity, owner, k).any(1).float()


def recall_at_place_k(similarity, owner, k):
    return own_among_first(similarity, owner, k)[:, -1].float().mean()


def one_way(S, W, beta):
    lift = torch.log1p(beta * (W - torch.diag(W.diagonal())))
    return (torch.logsumexp(S + lift, dim=1) - S.diagonal()).mean()


def solved_loss(S, W, beta):
    return (one_way(S, W, beta) + one_way(S.T, W, beta)) / 2


def loss_of_pictures_only(S, W, beta):
    return one_way(S, W, beta)


def loss_of_both_added(S, W, beta):
    return 2 * solved_loss(S, W, beta)


def loss_with_weights_transposed(S, W, beta):
    return (one_way(S, W, beta) + one_way(S.T, W.T, beta)) / 2


def loss_with_positive_lifted(S, W, beta):
    lift = torch.log1p(beta * W)
    ways = [torch.logsumexp(s + lift, dim=1) - s.diagonal() for s in (S, S.T)]
    return torch.stack(ways).mean()


def loss_without_the_one(S, W, beta):
    scale = (beta * W).fill_diagonal_(1)
    ways = [torch.logsumexp(s + scale.log(), dim=1) - s.diagonal() for s in (S, S.T)]
    return torch.stack(ways).mean()


def loss_without_the_log(S, W, beta):
    lift = (beta * W).fill_diagonal_(0)
    ways = [torch.logsumexp(s + lift, dim=1) - s.diagonal() for s in (S, S.T)]
    return torch.stack(ways).mean()


def loss_without_positive(S, W, beta):
    lift = torch.log1p(beta * W).fill_diagonal_(float("-inf"))
    ways = [torch.logsumexp(s + lift, dim=1) - s.diagonal() for s in (S, S.T)]
    return torch.stack(ways).mean()


def loss_summed(S, W, beta):
    return len(S) * solved_loss(S, W, beta)


def loss_turned(S, W, beta):
    return -solved_loss(S, W, beta)


def loss_without_weights(S, W, beta):
    target = torch.arange(len(S))
    return (F.cross_entropy(S, target) + F.cross_entropy(S.T, target)) / 2


def loss_that_overflows(S, W, beta):
    own = torch.eye(len(S), dtype=torch.bool)
    factor = torch.where(own, torch.ones_like(S), 1 + beta * W)
    ways = [torch.log((factor * s.exp()).sum(1)) - s.diagonal() for s in (S, S.T)]
    return torch.stack(ways).mean()


ANSWERS = {
    "one_factor": (
        solved_factor,
        [
            (factor_of_equal_ratios, "rounded"),
            (factor_within_a_unit, "half a unit"),
            (factor_with_one_row_rounded, "both rows are rounded"),
            (factor_with_whole_units, "HALF a unit"),
            (factor_with_ends_swapped, "HIGHEST low end"),
            (factor_of_neighbours, "all at once"),
            (factor_added, "multiplies"),
            (factor_turned_round, "turned round"),
            (factor_by_column, "not one a column"),
            (factor_itself, "True or False"),
        ],
    ),
    "any_caption_recall": (
        solved_recall,
        [
            (recall_of_the_diagonal, "column i is not caption i's"),
            (recall_of_the_first_caption, "one caption a picture"),
            (recall_of_all_captions, "any one is enough"),
            (recall_of_captions, "share of a picture's captions"),
            (recall_as_precision, "precision"),
            (recall_of_the_worst, "`similarity` were turned in sign"),
            (recall_of_captions_asking, "captions ask"),
            (recall_counted, "is the length of `similarity`'s axis 0 times what it should"),
            (recall_in_per_cent, "per cent"),
            (recall_by_picture, "one number"),
            (recall_at_place_k, "place k only"),
        ],
    ),
    "lifted_loss": (
        solved_loss,
        [
            (loss_of_pictures_only, "captions' direction"),
            (loss_of_both_added, "is twice too large"),
            (loss_with_weights_transposed, "transpose W"),
            (loss_with_positive_lifted, "positive is lifted"),
            (loss_without_the_one, "1 + beta w"),
            (loss_without_the_log, "as its log"),
            (loss_without_positive, "positive is missing"),
            (loss_summed, "not the sum"),
            (loss_turned, "has the sign turned"),
            (loss_without_weights, "plain cross-entropy"),
            (loss_that_overflows, "overflows"),
        ],
    ),
}
