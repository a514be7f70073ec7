"""Checks of the exercises of chapter 12_cross_attention."""

import torch
import torch.nn.functional as F

from ...variants.cross_attention import add_context
from .judge import Steps, either, exercise


@exercise("what the queries find", cases=((3, 5, 4), (4, 6, 9), (5, 3, 16)))
def attend(queries: int, keys: int, width: int) -> Steps:
    k, v = torch.randn(2, keys, width), torch.randn(2, keys, width)
    q, k, v = yield torch.randn(2, queries, width), k, v
    yield (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
    plain = q @ k.mT
    scores = plain / width**0.5
    right = scores.softmax(-1) @ v
    softmax = "without softmax the weights of a query do not add up to 1"
    each = "softmax over the keys: the weights of each QUERY add up to 1"
    root = "the scores are divided by the root before the softmax, not"
    yield {
        "the width of a key counts, not the number of keys": (plain / keys**0.5).softmax(-1) @ v,
        "the width counts, not the number of queries": (plain / queries**0.5).softmax(-1) @ v,
        "divide by the root of d, not by d": (plain / width).softmax(-1) @ v,
        f"{root} its result": plain.softmax(-1) @ v / width**0.5,
        softmax: scores @ v,
        f"{softmax}: relu is none": scores.relu() @ v,
        each: scores.softmax(1) @ v,
        "these are the weights: the values are still to be mixed by them": scores.softmax(-1),
        "cosines are not asked for: q and k keep their lengths": (
            (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT).softmax(-1) @ v
        ),
        "the queries are added: only what they find is asked for": q + right,
    }


@exercise("x with a tenth of its length", cases=((3, 4), (5, 3)))
def add_a_tenth(tokens: int, width: int) -> Steps:
    x, c = yield 3 * torch.randn(2, tokens, width), 20 * torch.randn(2, tokens, width)
    yield add_context(x, c, "v3")
    long_x, long_c = x.norm(dim=-1, keepdim=True), c.norm(dim=-1, keepdim=True)
    fitted = c * long_x / long_c
    right = x + 0.1 * fitted
    yield {
        "c is added in full and as long as it came: that is v1": x + c,
        "a tenth of c's own length: that is v2": x + 0.1 * c,
        "the tenth is taken twice": x + 0.01 * fitted,
        "that is an adapter's mix: here x itself stays whole": 0.9 * x + 0.1 * fitted,
        "x stays whole, and c is to get x's length": 0.9 * x + 0.1 * c,
        "the sum is brought back to x's length: that is not asked for": (
            right * long_x / right.norm(dim=-1, keepdim=True)
        ),
    }


def _block(query: int, context: int, inner: int) -> int:
    return 2 * query * inner + 2 * context * inner + 3 * inner + query


@exercise("the number of weights", 1e-9, cases=((1024, 768), (512, 768), (192, 192)))
def count_block(query: int, context: int) -> Steps:
    query, context = yield query, context
    inner = min(query, context)
    right = _block(query, context, inner)
    yield right
    matrices = 2 * query * inner + 2 * context * inner
    yield {
        "each of the four projections has a bias": matrices,
        "the last bias is as wide as what leaves: the query's width": matrices + 4 * inner,
        "one bias is not enough: each of the four has one": matrices + inner,
        "three biases are as wide as the inner tokens": matrices + 4 * query,
        "the bias of the way back is missing": matrices + 3 * inner,
        "only the way back has its bias here: each of the four has one": matrices + query,
        "keys and values have a projection each": right - inner * context - inner,
        "the inner width is the smaller of both, not the larger": _block(
            query, context, max(query, context)
        ),
        "the inner width is the smaller of both, not always that of one": either(
            _block(query, context, query), _block(query, context, context)
        ),
        "four projections: the way back is one of them": right - query * inner - query,
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
