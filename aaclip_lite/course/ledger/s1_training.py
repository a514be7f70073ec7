"""S1, the architecture reference: rows about losses, constants and training."""

import math

import torch
import torch.nn.functional as F

from ... import losses
from ...recipe import Recipe
from .claim import MEASURES, measures

RELEASED = Recipe.released()
COMMAND = 15 * 32 // 2 * 20  # steps of the command that the document gives
SHARP = 1 / (1 + math.exp(-100 * 0.05))  # what a cosine 0.05 larger makes of one half


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def few_pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and masks of four small pictures, two of them defective."""
    z = torch.randn(4, 2, 12, 12, generator=generator())
    mask = torch.zeros(4, 1, 12, 12)
    mask[:2, :, 3:6, 3:6] = 1
    return z, mask


@measures("S1:256")
def pixels() -> float:
    maps = F.interpolate(torch.zeros(1, 2, 37, 37), 518, mode="bilinear", align_corners=True)
    return maps[0, 0].numel()


@measures("S1:251")
def levels_with_gradient() -> float:
    z, mask = few_pictures()
    levels = [z.clone().requires_grad_() for _ in range(4)]
    for level in levels:
        loss = losses.segmentation(level.softmax(1), mask)
    loss.backward()
    return sum(level.grad is not None for level in levels)


@measures("S1:354")
def sum_over_four() -> float:
    z, mask = few_pictures()
    levels = [scale * z for scale in (0.25, 0.5, 1.0, 2.0)]
    each = [float(losses.segmentation(level.softmax(1), mask)) for level in levels]
    return sum(each) / (4 * each[-1])


@measures("S1:454")
def three_terms() -> float:
    z, mask = few_pictures()
    p = z.softmax(1)
    parts = losses.focal(p, mask) + losses.dice(p[:, 0], 1 - mask) + losses.dice(p[:, 1], mask)
    return float(losses.segmentation(p, mask) - parts)


@measures("S1:461")
def focal_on_the_defect() -> float:
    z = torch.zeros(1, 2, 100, 100, requires_grad=True)
    mask = torch.zeros(1, 1, 100, 100)
    mask[..., :10, :10] = 1
    losses.focal(z.softmax(1), mask).backward()
    strength = z.grad[0, 1].abs()
    return float(strength[mask[0, 0] > 0].sum() / strength.sum())


@measures("S1:467")
def dice_by_hand() -> float:
    p, mask = torch.zeros(2, 1, 1, 8)
    p[..., :4] = 1
    mask[..., 1:5] = 1
    return float(losses.dice(p, mask))


@measures("S1:485")
def loss_of_opposites() -> float:
    anchors = torch.tensor([[1.0, -1.0], [0.0, 0.0]])[None]
    return float(losses.orthogonal(anchors))


@measures("S1:489")
def farther_than_orthogonal() -> float:
    a, b = torch.eye(2)
    return float((a - -a).norm() / (a - b).norm())


@measures("S1:496")
def detection_floor() -> float:
    feature = torch.tensor([[1.0, 0.0]])
    anchors = torch.tensor([[1.0, -1.0], [0.0, 0.0]])[None]
    return float(losses.detection(feature, anchors, torch.tensor([0])))


@measures("S1:779")
def batch_noise() -> float:
    pictures = torch.randn(32000, generator=generator())
    return float(pictures.view(-1, 2).mean(1).std() / pictures.view(-1, 16).mean(1).std())


@measures("S1:992")
def accumulation() -> float:
    z, mask = few_pictures()
    whole, halves = (z.double().requires_grad_() for _ in range(2))
    losses.segmentation(whole.softmax(1), mask.double()).backward()
    for part in (slice(0, 2), slice(2, 4)):
        (losses.segmentation(halves[part].softmax(1), mask[part].double()) / 2).backward()
    return float((whole.grad - halves.grad).abs().max() / whole.grad.abs().max())


@measures("S1:820")
def length_matters() -> float:
    anchors = torch.randn(3, 8, 2, generator=generator(), dtype=torch.float64)
    return float(losses.orthogonal(2 * anchors) / losses.orthogonal(anchors))


MEASURES |= {  # what one line measures
    "S1:202": lambda: RELEASED.text_lr,
    "S1:295": lambda: RELEASED.image_lr / RELEASED.text_lr,
    "S1:604": lambda: math.isqrt(1369),
    "S1:943": lambda: RELEASED.text_epochs + RELEASED.image_epochs,
    "S1:944": lambda: RELEASED.betas[0],
    "S1:945": lambda: sum(milestone <= COMMAND for milestone in RELEASED.milestones),
    "S1:950": lambda: len(RELEASED.resolve(24, 12).image_blocks),
    "S1:952": lambda: 518 % 14,
    "S1:627": lambda: SHARP,
    "S1:951": lambda: sum(RELEASED.resolve(24, 12).levels),
    "S1:362": lambda: COMMAND,
}
