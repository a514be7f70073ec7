"""Attention from one tower's tokens to the other's, and three ways to add what it finds.

Special: the parameter names are those of the public code, so its weights fit.
Use: `c = CrossAttention(1024, 768)(x, context)`, `x = add_context(x, c, "v3")`.
"""

from collections.abc import Mapping

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

VERSIONS = ("v1", "v2", "v3")
SHARE = 0.1  # of the context that v2 and v3 add


def cross_attention(
    x: Float[Tensor, "B N D"],
    context: Float[Tensor, "C M E"],
    params: Mapping[str, Tensor],
    heads: int,
    dropout: float = 0.0,
) -> Float[Tensor, "B N D"]:
    """What each token of x finds in the context: queries from x, keys and values from the context.

    params: weight and bias of q_proj, k_proj, v_proj, out_proj. A context of another batch size
    belongs to no row in particular: each row then sees its mean.
    """
    if len(context) != len(x):
        context = context.mean(0, keepdim=True).expand(len(x), -1, -1)

    def project(name: str, tokens: Tensor) -> Tensor:
        return F.linear(tokens, params[f"{name}.weight"], params[f"{name}.bias"])

    def split(tokens: Float[Tensor, "B N d"]) -> Float[Tensor, "B heads N d/heads"]:
        return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)

    query = split(project("q_proj", x))
    key = split(project("k_proj", context))
    value = split(project("v_proj", context))
    found = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
    return project("out_proj", found.transpose(1, 2).flatten(2))


def add_context(
    x: Float[Tensor, "*any D"], c: Float[Tensor, "*any D"], version: str
) -> Float[Tensor, "*any D"]:
    """x with what its tokens found: v1 in full; v2 a tenth; v3 a tenth of each token's own length,
    as adapters are mixed in.
    """
    refuse_version(version)
    if version == "v1":
        return x + c
    if version == "v2":
        return x + SHARE * c
    lengths = x.norm(dim=-1, keepdim=True) / (c.norm(dim=-1, keepdim=True) + 1e-6)
    return x + SHARE * c * lengths


def prepare_context(context: Float[Tensor, "*any E"], version: str) -> Float[Tensor, "*any E"]:
    """The words' states before pictures look at them: v3 takes their directions only."""
    refuse_version(version)
    return F.normalize(context, dim=-1) if version == "v3" else context


def refuse_version(version: str) -> None:
    if version not in VERSIONS:
        raise ValueError(f"version = {version!r}: choose one of {', '.join(VERSIONS)}")


class CrossAttention(nn.Module):
    """Tokens look at a context of another width; without one they are given back as they came.

    inner: width of queries, keys and values; default: the words', which is never the larger one.
    """

    def __init__(
        self,
        query_width: int,
        context_width: int,
        heads: int = 8,
        dropout: float = 0.1,
        inner: int | None = None,
    ) -> None:
        super().__init__()
        inner = min(query_width, context_width) if inner is None else inner
        if not isinstance(heads, int) or heads < 1 or inner % heads:
            raise ValueError(f"heads = {heads} do not divide the width {inner}: give a divisor")
        self.heads = heads
        self.dropout = dropout
        self.q_proj = nn.Linear(query_width, inner)
        self.k_proj = nn.Linear(context_width, inner)
        self.v_proj = nn.Linear(context_width, inner)
        self.out_proj = nn.Linear(inner, query_width)
        for linear in self.children():
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(
        self, x: Float[Tensor, "B N D"], context: Float[Tensor, "C M E"] | None
    ) -> Float[Tensor, "B N D"]:
        if context is None:
            return x
        dropout = self.dropout if self.training else 0.0
        return cross_attention(x, context, dict(self.named_parameters()), self.heads, dropout)


def count_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
