"""Checks of the exercises of chapter 03_adapters."""

from collections.abc import Callable

import torch

from ... import adapters
from .judge import Hint, Steps, either, exercise, kind_of, same
from .same import fits

MIXES = (((5, 8), 0.3), ((7,), 0.3), ((2, 5, 8), 0.1), ((3, 4, 6), 0.0), ((3, 4, 6), 1.0))


@exercise("the mix", cases=MIXES)
def norm_preserving_mix(shape: tuple, weight: float) -> Steps:
    x, a, weight = yield 2 * torch.randn(shape), 0.3 * torch.randn(shape), weight
    yield adapters.mix(x, a, weight)

    def length(t):
        return t.norm(dim=-1, keepdim=True)

    def mixed(a, x=x, weight=weight):
        return weight * a + (1 - weight) * x

    right = a * length(x) / length(a)
    whole = "x is added whole: what becomes of its share when the weight is 1?"
    again = "the result is brought to the length of x; only the adapted token is, before the mix"
    yield {
        "x is added whole, and the adapted token has a length of its own": x + weight * a,
        "x is given the length of the adapted token; it is the other way round": mixed(
            a, x * length(a) / length(x)
        ),
        "the weight that is given is not used": either(
            *(mixed(right, weight=w) for w in (0.1, 0.3, 0.5))
        ),
        whole: x + weight * right,
        "one mean length is taken for all tokens: each token has its own": mixed(
            a / length(a) * length(x).mean()
        ),
        again: mixed(a) * length(x) / length(mixed(a)),
        f"{again}, and needs no more": mixed(right) * length(x) / length(mixed(right)),
        "the ratio of the two lengths is upside down": mixed(a * length(a) / length(x)),
    }


COUNTS = [(64, 48, 5, 2, False, False), (64, 48, 5, 2, True, True), (192, 192, 8, 4, True, True)]
COUNTS += [(64, 48, 0, 1, True, True), (1024, 768, 6, 4, False, False)]
COUNTS += [(1024, 768, 6, 4, False, True)]


@exercise("the count", 1e-9, cases=COUNTS)
def adapter_weight_count(width, joint, blocks, levels, bottleneck, bias) -> Steps:
    given = width, joint, blocks, levels, bottleneck, bias
    width, joint, blocks, levels, bottleneck, bias = yield given

    def count(blocks=blocks, heads=levels + 1, inner=width // 2, goes=(width, joint), **other):
        deep, ups = other.get("bottleneck", bottleneck), other.get("ups", 1)
        down, up, head = (
            other.get("bias", bias) * n for n in other.get("biases", (inner, width, goes[1]))
        )
        adapter = (1 + ups) * width * inner + down + up if deep else width * width + up
        return blocks * adapter + heads * (goes[0] * goes[1] + head)

    yield count()
    half = width // 2
    yield {
        "there is one projection too many: one a level, and one for detection": count(
            heads=levels + 2
        ),
        "the projections are missing": count(heads=0),
        "the adapters are missing": count(blocks=0),
        "a projection goes from the width to the joint space": either(
            count(goes=(joint, joint)), count(goes=(width, width))
        ),
        "one projection is missing: one a level, and one more for detection": count(heads=levels),
        "the adapters are counted by levels: there is one a block": count(blocks=levels),
        "the projections are counted by blocks: there is one a level": count(heads=blocks + 1),
        "blocks and levels are swapped": count(blocks=levels, heads=blocks + 1),
        "only one block's adapter is counted": count(blocks=1),
        "one block's adapter is missing": count(blocks=blocks - 1),
        "one adapter is too many: one a block": count(blocks=blocks + 1),
        "the biases are missing": count(biases=(0, 0, 0)),
        "the biases of the projections are missing": count(biases=(half, width, 0)),
        "the biases of the adapters are missing": count(biases=(0, 0, joint)),
        "a bottleneck has two matrices and two biases: the first bias is missing, or it is square": count(
            biases=(0, width, joint)
        ),
        "the second matrix (or the only one) has a bias too": count(biases=(half, 0, joint)),
        "a bias is as long as what its matrix puts out: half the width, where it goes down": count(
            biases=(width, width, joint)
        ),
        "a projection's bias is as long as what it puts out": count(biases=(half, width, width)),
        "each matrix has one bias; in an adapter there is one too many": count(
            biases=(half, 2 * width, joint)
        ),
        "a bottleneck goes down and up again: two matrices": either(
            count(ups=0), count(ups=0, biases=(half, 0 if bottleneck else width, joint))
        ),
        "without `bottleneck` an adapter is one square matrix": count(bottleneck=True),
        "with `bottleneck` an adapter goes down to half the width and up": count(bottleneck=False),
        "`bias` is turned round": count(biases=(half, width, joint), bias=1 - bias),
        "`bottleneck` is turned round": count(bottleneck=not bottleneck),
        "the bottleneck is as wide as half the width, not as a quarter": count(inner=width // 4),
        "the bottleneck is as wide as half the width, not as the joint space": count(inner=joint),
        "the bottleneck is as wide as half the width, not as the width": count(inner=width),
        "a projection's bias has one weight for each number it puts out, not one": count(
            biases=(half, width, 1)
        ),
        "the biases of the levels' projections are missing": count() - bias * levels * joint,
        "the bias of the projection for detection is missing": count() - bias * joint,
        "there is one adapter a block, not one for each block and level": count(
            blocks=blocks * levels
        ),
        "one projection is missing, one adapter too many": count(blocks=blocks + 1, heads=levels),
    }


@exercise()
def adapted_walk(learner: Callable) -> None:
    draw = torch.Generator().manual_seed(0)
    matrices = [torch.randn(6, 6, generator=draw) / 2 for _ in range(9)]
    for depth, behind, levels, weight in (
        (4, (1, 2), (2, 4), 0.1),
        (5, (1, 3, 5), (1, 3, 5), 0.3),
        (3, (), (3,), 0.5),
    ):
        x = torch.randn(2, 3, 6, generator=draw)
        blocks = [lambda t, m=m: t + torch.tanh(t @ m) for m in matrices[:depth]]
        modules = {number: (lambda t, m=matrices[-number]: torch.tanh(t @ m)) for number in behind}
        case = x, blocks, modules, levels, weight
        result, here = learner(*case), f"{depth} blocks, adapters behind {behind}: "
        if not isinstance(result, (list, tuple)):
            raise Hint(f"expected a list of tokens, one a level, not {kind_of(result)}")
        right = dict(zip(levels, _walk(*case), strict=True))
        if len(result) != len(levels):
            why = {
                len(levels) - 1: ". Are blocks counted from 1?",
                depth: ", but only at levels, not behind every block",
            }.get(len(result), "")
            there = [n for n in levels if any(fits(each, right[n], 1e-4) for each in result)]
            if 0 < len(there) == len(result) < len(levels):
                why = f". Those of {there} are right: collect one at every level on the way"
            raise Hint(f"{here}{len(result)} tokens came back, levels are {levels}{why}")
        wrong = {fault: _walk(*case, fault) for fault in WALKS}
        for place, (level, expected) in enumerate(right.items()):
            hints = {
                here + WALKS[fault]: each[place]
                for fault, each in wrong.items()
                if len(each) == len(levels)
            }
            same(result[place], expected, f"{here}level {level}", hints=hints)


WALKS = {
    "early": "a level is read before its adapter has spoken",
    "from 0": "blocks seem to be counted from 0: level 1 is what the first block puts out",
    "late": "every adapter stands one block too late",
    "none": "the adapters have no effect",
    "before": "an adapter works before its block; it stands behind it",
    "input": "an adapter is given what goes into its block; it is to see what comes out",
    "aside": "a level is adapted, but the next block goes on with tokens that are not",
    "afresh": "every block starts from the first tokens, not from what the one before it puts out",
    "levels": "only adapters at levels work; the others stand behind their blocks as well",
    "twice": "an adapter works twice behind its block",
    "last": "every level shows the last block's tokens: read them while you walk",
    "replaced": "the adapter's tokens replace the others: where is aa.adapters.mix?",
    "added": "the adapter's tokens are added: where is aa.adapters.mix, which keeps lengths?",
    "unscaled": "tokens are mixed without keeping their length: use aa.adapters.mix",
    "turned": "the weight belongs to the adapted tokens, the rest to the block's",
    "skipped": "a block without an adapter is left out: every block works",
    "swapped": "mix takes the block's tokens first, then the adapted ones",
}


def _walk(x, blocks, behind, levels, weight, fault=""):
    """The walk of the exercise, or one of its mistakes (WALKS)."""
    start, tokens = x, []
    for number, block in enumerate(blocks, 0 if fault == "from 0" else 1):
        adapter = None if fault == "none" else behind.get(number - (fault == "late"))
        source = start if fault == "afresh" else x
        if adapter and fault == "before":
            source = adapters.mix(source, adapter(source), weight)
        plain = x = block(source) if adapter or fault != "skipped" else source
        if adapter and fault != "before" and (fault != "levels" or number in levels):
            x = _mixed(plain, adapter(source if fault == "input" else plain), weight, fault)
            x = _mixed(x, adapter(x), weight) if fault == "twice" else x
        if number in levels:
            tokens.append(plain if fault == "early" else x)
        x = plain if fault == "aside" else x
    return [x] * len(levels) if fault == "last" else tokens


def _mixed(x, adapted, weight, fault=""):
    if fault == "unscaled":
        return weight * adapted + (1 - weight) * x
    if fault == "swapped":
        return adapters.mix(adapted, x, weight)
    if fault == "turned":
        return adapters.mix(x, adapted, 1 - weight)
    if fault in ("replaced", "added"):
        return adapted if fault == "replaced" else x + weight * adapted
    return adapters.mix(x, adapted, weight)
