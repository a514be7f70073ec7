"""Checks of the exercises of chapter 03_adapters."""

from collections.abc import Callable

import torch

from ... import adapters
from ...recipe import Recipe
from .judge import Hint, exercise, kind_of, same


@exercise("03_adapters")
def norm_preserving_mix(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    for shape, weight in (
        ((7,), 0.3),
        ((5, 8), 0.1),
        ((2, 5, 8), 0.3),
        ((3, 4, 6), 0.0),
        ((3, 4, 6), 1.0),
    ):
        x, adapted = (factor * torch.randn(shape, generator=generator) for factor in (2.0, 0.3))
        lengths = x.norm(dim=-1, keepdim=True)
        unit = adapted / adapted.norm(dim=-1, keepdim=True)
        hints = [
            (
                weight * adapted + (1 - weight) * x,
                "the adapted token is mixed in with a length of its own",
            ),
            (
                weight * x + (1 - weight) * unit * lengths,
                "the weight belongs to the adapted token, the rest to x",
            ),
            (
                weight * unit + (1 - weight) * x,
                "the adapted token has length 1, not the length of x",
            ),
            (
                x + weight * unit * lengths,
                "x is added whole: what becomes of its share when the weight is 1?",
            ),
            (
                weight * adapted * x.norm() / adapted.norm() + (1 - weight) * x,
                "one length is taken of all tokens together: each token has its own",
            ),
        ]
        given = x.clone(), adapted.clone()
        what, true = (
            f"the mix of tokens {shape}, weight {weight},",
            adapters.mix(x, adapted, weight),
        )
        same(learner(*given, weight), true, what, 1e-4, hints)
        same(given[0], x, "x after the call (your function changed it in place)")


@exercise("03_adapters")
def adapter_weight_count(learner: Callable) -> None:
    cases = [(64, 48, 3, 2, False, False), (64, 48, 3, 2, True, True), (192, 192, 8, 4, True, True)]
    cases += [
        (64, 48, 0, 1, True, True),
        (1024, 768, 6, 4, False, False),
        (1024, 768, 6, 4, False, True),
    ]
    for width, joint, blocks, levels, bottleneck, bias in cases:
        recipe = Recipe.course().replace(
            adapter="bottleneck" if bottleneck else "linear", adapter_bias=bias
        )
        with torch.device("meta"):
            modules = adapters.image_adapters(recipe, width, joint, blocks, levels)
        true, projection = (
            sum(p.numel() for p in modules.parameters()),
            width * joint + bias * joint,
        )
        bias_less = true - bias * (
            blocks * (width + bottleneck * (width // 2)) + (levels + 1) * joint
        )
        hints = [
            (true - projection, "the projection for detection is missing"),
            (true - (levels + 1) * projection, "the projections are missing"),
            (bias_less, "the biases are missing"),
            (
                true + bias * (levels + 1) * (width - joint),
                "a projection's bias is as long as what it puts out",
            ),
            (
                true - bottleneck * blocks * width * (width // 2),
                "a bottleneck goes down and up again: two matrices",
            ),
            (
                true - bias * bottleneck * blocks * (width // 2),
                "the bottleneck's first matrix has a bias too",
            ),
        ]
        what = f"the count for {'bottleneck' if bottleneck else 'square'} adapters, bias {bias},"
        hints = [hint for hint in hints if hint[0] != true]
        same(learner(width, joint, blocks, levels, bottleneck, bias), true, what, 1e-9, hints)


@exercise("03_adapters")
def adapted_walk(learner: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.randn(6, 6, generator=generator) / 2 for _ in range(9)]
    for depth, behind, levels, weight in (
        (4, (1, 2), (2, 4), 0.1),
        (5, (1, 3, 5), (1, 3, 5), 0.3),
        (3, (), (3,), 0.5),
    ):
        x = torch.randn(2, 3, 6, generator=generator)
        blocks = [lambda t, m=m: t + torch.tanh(t @ m) for m in matrices[:depth]]
        modules = {number: (lambda t, m=matrices[-number]: torch.tanh(t @ m)) for number in behind}

        case = x, blocks, modules, levels, weight
        expected, found = _walk(*case), learner(x.clone(), *case[1:])
        if not isinstance(found, (list, tuple)):
            raise Hint(f"expected a list of tokens, one a level, not {kind_of(found)}")
        if len(found) != len(levels):
            counted = " Are blocks counted from 1?" if len(found) == len(levels) - 1 else ""
            raise Hint(
                f"{len(found)} levels came back of the {len(levels)} asked for: {levels}.{counted}"
            )
        wrong = {
            "a level is read before its adapter has spoken": _walk(*case, early=True),
            "blocks seem to be counted from 0: level 1 is what the first block puts out": _walk(
                *case, shift=1
            ),
            "every adapter stands one block too late": _walk(*case, adapter_shift=1),
            "the adapters have no effect": _walk(x, blocks, {}, levels, weight),
        }
        for place, level in enumerate(levels):
            hints = [(each[place], say) for say, each in wrong.items() if len(each) == len(levels)]
            same(found[place], expected[place], f"level {level} of {depth} blocks", 1e-4, hints)


def _walk(x, blocks, behind, levels, weight, shift=0, adapter_shift=0, early=False):
    """The walk of the exercise, or one of its mistakes."""
    found = []
    for number, block in enumerate(blocks, start=1 - shift):
        plain = x = block(x)
        if number - adapter_shift in behind:
            x = adapters.mix(x, behind[number - adapter_shift](x), weight)
        if number in levels:
            found.append(plain if early else x)
    return found
