"""Do pictures find captions, and captions pictures? Rows ask, columns are ranked. `owner` names the
picture of each column (pictures ask) or of each row (captions ask), told by its length; or it is
the whole matrix of what is right. Any correct answer counts.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def ranked(similarity: Float[Tensor, "rows columns"], owner) -> Bool[Tensor, "rows columns"]:
    """Right or wrong, best first; equals count against the model. Square: `owner` is by column."""
    owner = torch.as_tensor(owner, device=similarity.device)
    rows, columns = (torch.arange(n, device=owner.device) for n in similarity.shape)
    if owner.shape == columns.shape:
        owner = owner == rows[:, None]
    elif owner.shape == rows.shape:
        owner = owner[:, None] == columns
    if owner.shape != similarity.shape or similarity.isnan().any():
        raise ValueError(f"{tuple(owner.shape)} fits no {tuple(similarity.shape)} free of NaN")
    right, wrong_first = owner.long().sort(stable=True)
    order = similarity.gather(1, wrong_first).argsort(descending=True, stable=True)
    return right.gather(1, order).bool()


def recall_at_k(similarity: Tensor, owner, k: int) -> float:
    """Share of the rows with a right answer among their first k."""
    return float(ranked(similarity, owner)[:, : max(k, 0)].any(1).double().mean())


def mean_average_precision(similarity: Tensor, owner, k: int) -> float:
    """Mean over rows: precision at each right answer of the first k, over min(number right, k)."""
    hits = ranked(similarity, owner).double()
    precision = hits.cumsum(1) / torch.arange(1, hits.shape[1] + 1, device=hits.device)
    return float(((precision * hits)[:, :k].sum(1) / hits.sum(1).clamp(1, k)).mean())
