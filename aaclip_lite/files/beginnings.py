"""Which beginnings the sentences of a batch share, so that each is read once."""

import torch
from jaxtyping import Int
from torch import Tensor


def shared_beginnings(tokens: Int[Tensor, "B L"]) -> tuple[Int[Tensor, "B L"], Int[Tensor, " N"]]:
    """Which of the N different beginnings ends at each place, behind a sentence's end the whole
    sentence; and where in the flattened ids each beginning first ends.
    """
    known: dict[tuple[int, int], int] = {}  # (beginning, next token) -> longer beginning
    first = []
    places = []
    length = tokens.shape[1]
    ends = tokens.argmax(dim=-1).tolist()  # end of text has the highest id
    for row, (ids, end) in enumerate(zip(tokens.tolist(), ends, strict=True)):
        node = -1
        path = []
        for place, token in enumerate(ids[: end + 1]):
            if (node, token) not in known:
                known[node, token] = len(known)
                first.append(row * length + place)
            node = known[node, token]
            path.append(node)
        places.append(path + [node] * (length - len(path)))
    return torch.tensor(places), torch.tensor(first)
