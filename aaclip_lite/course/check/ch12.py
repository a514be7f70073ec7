"""Checks of the exercises of chapter 12_cross_attention."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F

from ...variants.cross_attention import add_context
from .judge import drawn, exercise

CHAPTER = "12_cross_attention"


@exercise(CHAPTER, "what the queries find")
def attend(learner: Callable) -> Iterator:
    for queries, keys, width in ((3, 5, 4), (4, 6, 9), (5, 3, 16)):
        q, k = drawn(2, queries, width), drawn(2, keys, width, seed=1)
        v = drawn(2, keys, width, seed=2)
        yield learner(q, k, v), (q @ k.mT / width**0.5).softmax(-1) @ v, _other_finds(q, k, v)


def _other_finds(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> dict:
    (queries, width), keys, plain = q.shape[1:], k.shape[1], q @ k.mT
    scores = plain / width**0.5
    right = scores.softmax(-1) @ v
    softmax = "without softmax the weights of a query do not add up to 1"
    each = "softmax over the keys: the weights of each QUERY add up to 1"
    root = "the scores are divided by the root before the softmax, not"
    return {
        "the scores are not divided by the root of the width": plain.softmax(-1) @ v,
        "divide by the ROOT of the width": (plain / width).softmax(-1) @ v,
        "divide by the root of the width, do not multiply": (plain * width**0.5).softmax(-1) @ v,
        "the width of a key counts, not the number of keys": (plain / keys**0.5).softmax(-1) @ v,
        "the width counts, not the number of queries": (plain / queries**0.5).softmax(-1) @ v,
        f"{root} its result": plain.softmax(-1) @ v / width**0.5,
        softmax: scores @ v,
        f"{softmax}: a sigmoid is none": scores.sigmoid() @ v,
        f"{softmax}: relu is none": scores.relu() @ v,
        f"{softmax}: exp is only half of it": scores.exp() @ v,
        "log_softmax gives logarithms of weights, not weights": scores.log_softmax(-1) @ v,
        each: scores.softmax(1) @ v,
        "softmax over the keys, not over the pictures": scores.softmax(0) @ v,
        "weights choose values; the keys have done their part": scores.softmax(-1) @ k,
        "these are the weights: the values are still to be mixed by them": scores.softmax(-1),
        "cosines are not asked for: q and k keep their lengths": (
            (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT).softmax(-1) @ v
        ),
        "the sign is turned: the best key gets the least weight": (-scores).softmax(-1) @ v,
        "only the best key is taken: attention mixes all of them": (
            F.one_hot(scores.argmax(-1), keys).to(v) @ v
        ),
        "every key counts the same: where are the scores?": v.mean(1, True).expand_as(right),
        "the queries are added: only what they find is asked for": q + right,
    }


@exercise(CHAPTER, "x with a tenth of its length")
def add_a_tenth(learner: Callable) -> Iterator:
    for tokens, width in ((3, 4), (5, 3)):
        x, c = 3 * drawn(2, tokens, width), 20 * drawn(2, tokens, width, seed=1)
        yield learner(x, c), add_context(x, c, "v3"), _other_sums(x, c)


def _other_sums(x: torch.Tensor, c: torch.Tensor) -> dict:
    long_x, long_c = x.norm(dim=-1, keepdim=True), c.norm(dim=-1, keepdim=True)
    fitted, own = c * long_x / long_c, "each token has its own length;"
    right = x + 0.1 * fitted
    across = x.norm(dim=1, keepdim=True), c.norm(dim=1, keepdim=True)
    return {
        "c is added in full and as long as it came: that is v1": x + c,
        "a tenth of c's own length: that is v2": x + 0.1 * c,
        "x's length is right, the tenth is missing": x + fitted,
        "the tenth is taken twice": x + 0.01 * fitted,
        "ten times x's length is added, not a tenth": x + 10 * fitted,
        "that is an adapter's mix: here x itself stays whole": 0.9 * x + 0.1 * fitted,
        "x stays whole, and c is to get x's length": 0.9 * x + 0.1 * c,
        "this is what is added: x is missing": 0.1 * fitted,
        "it is taken away from x, not added": x - 0.1 * fitted,
        "a tenth of length 1: give it a tenth of x's length": x + 0.1 * c / long_c,
        "x keeps its own length: only c is brought to another": x / long_x + 0.1 * c / long_c,
        "the lengths stand upside down": x + 0.1 * c * long_c / long_x,
        f"{own} here all have one": x + 0.1 * c * x.norm() / c.norm(),
        f"{own} the norm runs over the tokens (dim=-1 is meant)": x
        + 0.1 * c * across[0] / across[1],
        f"{own} F.normalize without dim=-1 runs over the tokens": x + 0.1 * F.normalize(c) * long_x,
        "c still has its own length: divide by it": x + 0.1 * c * long_x,
        "the lengths are squared: a root is missing": x + 0.1 * c * (long_x / long_c) ** 2,
        "the sum is brought back to x's length: that is not asked for": (
            right * long_x / right.norm(dim=-1, keepdim=True)
        ),
    }


@exercise(CHAPTER, "the number of weights", 1e-9)
def count_block(learner: Callable) -> Iterator:
    for query, context in ((1024, 768), (512, 768), (192, 192)):
        inner = min(query, context)
        matrices = 2 * query * inner + 2 * context * inner
        right = matrices + 3 * inner + query
        yield learner(query, context), right, _other_sizes(query, context, matrices, right)


def _other_sizes(query: int, context: int, matrices: int, right: int) -> dict:
    inner, most = min(query, context), max(query, context)

    def block(q: int, c: int, i: int) -> int:
        return 2 * q * i + 2 * c * i + 3 * i + q

    return {
        "each of the four projections has a bias": matrices,
        "the last bias is as wide as what leaves: the query's width": matrices + 4 * inner,
        "the last bias is as wide as what leaves, not the context": matrices + 3 * inner + context,
        "three biases are as wide as the inner tokens": matrices + 4 * query,
        "the bias of the way back is missing": matrices + 3 * inner,
        "only the way back has its bias here: each of the four has one": matrices + query,
        "one bias is not enough: each of the four has one": matrices + inner,
        "the inner width is the smaller of both, not the larger": block(query, context, most),
        "the inner width is the smaller of both, not always the query's": block(
            query, context, query
        ),
        "the inner width is the smaller of both, not always the context's": block(
            query, context, context
        ),
        "heads share the width: eight of them need no more weights": 8 * right,
        "four projections: the way back is one of them": right - query * inner - query,
        "queries, keys and values have the words' width": block(query, query, query),
        "keys and values have a projection each": right - inner * context - inner,
        "keys come from the context, not from the query": right + (query - context) * inner,
        "the way back leads to the query's width, not to the context's": (
            query * inner + 3 * context * inner + 3 * inner + context
        ),
        "every matrix is taken as square, inner times inner": 4 * inner**2 + 4 * inner,
        "a matrix has the inner width on one side": 4 * query * context + 4 * inner,
        "the context's matrices are not all: queries come in with their own width": (
            4 * context * inner + 4 * inner
        ),
    }
