"""Checks of the exercises of chapter 12_cross_attention."""

from collections.abc import Callable

import torch

from ...variants.cross_attention import add_context
from .judge import exercise, same

CHAPTER = "12_cross_attention"


def _drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@exercise(CHAPTER)
def attend(learner: Callable) -> None:
    q, k, v = _drawn(2, 3, 4), _drawn(2, 5, 4, seed=1), _drawn(2, 5, 4, seed=2)
    scores = q @ k.transpose(1, 2)
    true = (scores / 4**0.5).softmax(-1) @ v
    hints = [
        (scores.softmax(-1) @ v, "the scores are not divided by the root of the width"),
        ((scores / 4).softmax(-1) @ v, "divide by the ROOT of the width"),
        ((scores * 4**0.5).softmax(-1) @ v, "divide by the root of the width, do not multiply"),
        ((scores / 5**0.5).softmax(-1) @ v, "the width of a key counts, not the number of keys"),
        ((scores / 4**0.5) @ v, "without softmax the weights of a query do not add up to 1"),
        (
            (scores / 4**0.5).softmax(1) @ v,
            "softmax over the keys: the weights of each QUERY add up to 1",
        ),
        ((scores / 4**0.5).softmax(0) @ v, "softmax over the keys, not over the pictures"),
        ((scores / 4**0.5).softmax(-1) @ k, "weights choose values; the keys have done their part"),
    ]
    same(learner(q, k, v), true, "what 3 queries find among 5 keys of width 4", hints=hints)


@exercise(CHAPTER)
def add_a_tenth(learner: Callable) -> None:
    x, c = 3 * _drawn(2, 3, 4), 20 * _drawn(2, 3, 4, seed=1)
    long_x, long_c = x.norm(dim=-1, keepdim=True), c.norm(dim=-1, keepdim=True)
    fitted = c * long_x / long_c
    hints = [
        (x + c, "c is added in full and as long as it came: that is v1"),
        (x + 0.1 * c, "a tenth of c's own length: that is v2"),
        (x + fitted, "x's length is right, the tenth is missing"),
        (0.9 * x + 0.1 * fitted, "that is an adapter's mix: here x itself stays whole"),
        (0.1 * fitted, "this is what is added: x is missing"),
        (x + 0.1 * c / long_c, "a tenth of length 1: give it a tenth of x's length"),
        (x + 0.1 * c * long_c / long_x, "the lengths stand upside down"),
        (x + 0.1 * c * x.norm() / c.norm(), "one length for all: each token has its own"),
        (x + 0.1 * c * long_x, "c still has its own length: divide by it"),
    ]
    same(learner(x, c), add_context(x, c, "v3"), "x with a tenth of its length", hints=hints)


@exercise(CHAPTER)
def count_block(learner: Callable) -> None:
    for query, context in ((1024, 768), (768, 768), (192, 192)):
        inner = min(query, context)
        ways = 2 * query * inner + 2 * context * inner
        true = ways + 3 * inner + query
        hints = [
            (ways, "each of the four projections has a bias"),
            (ways + 4 * inner, "the last bias is as wide as what leaves: the query's width"),
            (ways + 4 * query, "three biases are as wide as the inner tokens"),
            (8 * true, "heads share the width: eight of them need no more weights"),
            (true - query * inner - query, "four projections: the way back is one of them"),
            (4 * query * query + 4 * query, "queries, keys and values have the words' width"),
            (true - inner * context - inner, "keys and values have a projection each"),
        ]
        hints = [hint for hint in hints if hint[0] != true]
        what = f"weights of a block, queries {query} wide, context {context}"
        same(learner(query, context), true, what, 1e-9, hints)
