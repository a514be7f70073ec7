"""How the network learns: crops of parts, mirrored and turned, their masks as the answer.

Special: a defect is small, so most crops of a damaged part are drawn around a pixel of it; every
kind is drawn equally often, and every fourth crop shows a sound part.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from .network import STEP, PixelNet

Images = UInt8[Tensor, "n 3 h w"]
Kinds = UInt8[Tensor, "n h w"]  # of each pixel: number of its kind of defect, from 0; NONE: sound
NONE = 255
ROUNDS = (  # first near the defects, then nearly whole pictures
    {"side": 64, "batch": 32, "rate": 3e-3, "pool": 0.3},
    {"side": 96, "batch": 16, "rate": 2e-3, "pool": 1.0},
)


def label_map(masks: Mapping[int, Tensor], side: int) -> UInt8[Tensor, "side side"]:
    """{kind: mask} of a part as the number of the kind at each pixel."""
    numbers = torch.full((side, side), NONE, dtype=torch.uint8)
    for kind, mask in masks.items():
        numbers[torch.as_tensor(mask) > 0] = kind
    return numbers


def crops(images: Images, kinds: Kinds, rows: list[int], side: int, drawn) -> tuple[Images, Kinds]:
    """A square of each of these pictures; four of five hold a pixel of the damage, if there is any."""

    def lot(n):
        return int(torch.randint(n, (1,), generator=drawn))

    cut = []
    for row in rows:
        places = (kinds[row] != NONE).nonzero()
        corner = [lot(size - side + 1) for size in kinds.shape[1:]]
        if len(places) and lot(5):
            place = places[lot(len(places))].tolist()
            sizes = zip(place, kinds.shape[1:], strict=True)
            corner = [min(max(at - lot(side), 0), size - side) for at, size in sizes]
        y, x = (slice(start, start + side) for start in corner)
        turns, mirrored = lot(4), lot(2)
        both = images[row, :, y, x], kinds[row, y, x]
        both = (each.flip(-1) if mirrored else each for each in both)
        cut.append([each.rot90(turns, (-2, -1)) for each in both])
    return tuple(torch.stack(each) for each in zip(*cut, strict=True))


def relit(images: Images, most: float = 0.2) -> Float[Tensor, "n 3 h w"]:
    """Contrast, saturation and each colour changed by lot, a picture at a time."""

    def factor(share, channels=1):
        return 1 + share * (2 * torch.rand(len(images), channels, 1, 1) - 1)

    x = images.float()
    middle = x.mean((1, 2, 3), keepdim=True)
    x = (x - middle) * factor(most) + middle * factor(most)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * factor(most)
    return (x * factor(0.4 * most, 3)).clamp(0, 255)


def loss(logits: Float[Tensor, "b kinds+1 h w"], kinds: Kinds, pool: float) -> Float[Tensor, ""]:
    """Cross-entropy of every cell, damaged ones up to three times; `pool`: of each map's maximum."""
    count = logits.shape[1] - 1
    each_kind = torch.stack([(kinds == k).float() for k in range(count)], 1)
    # the root: a thin line that fills a quarter of a cell is half of its answer
    share = F.avg_pool2d(each_kind, STEP).sqrt()
    none = 1 - share.sum(1, keepdim=True).clamp(max=1)
    sure = logits.log_softmax(1)
    costs = -(torch.cat([share, none], 1) * sure).sum(1)
    weight = 3 - 2 * none[:, 0]
    there = (share.flatten(2).amax(2) > 0.5).float()
    peaks = sure[:, :-1].flatten(2).amax(2).exp().clamp(1e-6, 1 - 1e-6)
    return (costs * weight).sum() / weight.sum() + pool * F.binary_cross_entropy(peaks, there)


def train(net: PixelNet, images: Images, kinds: Kinds, steps: int, seed: int, **options) -> None:
    """One round of AdamW; options: side of a crop, crops a step, rate, and `pool` of the loss."""
    side, batch = options.get("side", 64), options.get("batch", 32)
    rate, pool = options.get("rate", 3e-3), options.get("pool", 0.3)
    torch.manual_seed(seed)
    drawn = torch.Generator().manual_seed(seed)
    first = torch.stack([k[k != NONE][0] if (k != NONE).any() else k[0, 0] for k in kinds])
    groups = [(first == k).nonzero().flatten() for k in range(net.head.out_channels - 1)]
    sound = (first == NONE).nonzero().flatten()
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.1)
    for _ in range(steps):
        which = torch.randint(len(groups), (batch,), generator=drawn).tolist()
        pools = [sound if i % 4 == 0 else groups[k] for i, k in enumerate(which)]
        rows = [
            int(pool_rows[torch.randint(len(pool_rows), (), generator=drawn)])
            for pool_rows in pools
        ]
        x, answer = crops(images, kinds, rows, side, drawn)
        with torch.autocast("cpu", torch.bfloat16):  # half the time where the processor knows it
            logits = net.train()(relit(x))
        optimiser.zero_grad()
        loss(logits.float(), answer, pool).backward()
        optimiser.step()
        schedule.step()
    net.eval()


def teach(net: PixelNet, images: Images, kinds: Kinds, steps: int = 2500) -> None:
    """Both rounds, as the shipped network was taught."""
    for seed, options in enumerate(ROUNDS):
        train(net, images, kinds, steps, seed, **options)
