"""How hard one loss pulls beside another: what the two exercises on it know of mistakes."""

import torch

from .judge import Steps, either


def pull_steps(first, second, weights: list) -> Steps:
    """The ratio of the lengths of both gradients, and then what goes wrong."""
    one, two = (torch.autograd.grad(x, weights, retain_graph=True) for x in (first, second))
    a, b = torch.cat(one), torch.cat(two)
    true = a.norm() / b.norm()
    yield true
    parts, heights = list(zip(one, two, strict=True)), (first / second).detach()
    entry, adds = "entry by entry is no length: one norm over all weights", "backward adds to .grad"
    cancel = "slopes of opposite sign cancel in a sum: take lengths"
    lengths = "lengths of parts do not add up: all weights together are one vector"
    mistakes = {
        "those are two lengths: how long is the first for each of the second?": (
            lambda result: isinstance(result, list | tuple) and len(result) == 2
        ),
        "this is the ratio of the losses' values: their slopes pull": heights,
        "turned round: the first for each of the second": 1 / true,
        "the lengths are squared: take the root": true**2,
        cancel: either(a.sum() / b.sum(), (a.sum() / b.sum()).abs()),
        entry: either(
            (a / b).mean(), (a / b).abs().mean(), (a / b).abs().median(), (a / b).abs().max()
        ),
        "a norm of the ratio is not the ratio of the norms": (a / b).norm(),
        f"{adds}: the second gradient holds the first one too, so clear it between": (
            a.norm() / (a + b).norm()
        ),
        f"{adds}: clear it between the two": (a + b).norm() / b.norm(),
        f"{adds}, in the same tensor: keep a copy of the first, and clear it": torch.tensor(1.0),
        "the largest slope is not the whole pull": a.abs().max() / b.abs().max(),
        "a spread (std) takes the mean away: a length does not": a.std() / b.std(),
        "beside the second's gradient, not beside the weights themselves": (
            a.norm() / torch.cat([w.detach().flatten() for w in weights]).norm()
        ),
        "how many weights there are is not in it": either(true / len(a), true * len(a)),
        "the length is the root of the sum of squares, not the sum of sizes": (
            a.abs().sum() / b.abs().sum()
        ),
        "and the second term's? a ratio is asked for": a.norm(),
        "a ratio is asked for, not a difference": a.norm() - b.norm(),
        "the logarithms of the losses do not pull": (first.log() / second.log()).detach(),
        "a product of the two is no ratio of lengths": a @ b,
        "a slope is not weighed by its loss": true * heights,
        "this is how alike the directions are: their lengths are asked for": (
            torch.cosine_similarity(a, b, 0)
        ),
        "a ratio is asked for, not the share of both lengths": a.norm() / (a.norm() + b.norm()),
        "the logarithm is not asked for": true.log(),
    }
    if len(weights) > 1:
        mistakes |= {
            lengths: sum(p.norm() for p in one) / sum(p.norm() for p in two),
            f"{lengths}, nor do their ratios": torch.stack(
                [p.norm() / q.norm() for p, q in parts]
            ).mean(),
            "only the first tensor is counted; weights are a list": one[0].norm() / two[0].norm(),
            "only the last tensor is counted; weights are a list": one[-1].norm() / two[-1].norm(),
        }
    yield mistakes
