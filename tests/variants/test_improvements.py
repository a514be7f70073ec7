"""Plug-ins of the improvement lab: other separations of the anchors, a loss on the map's top."""

import math

import pytest
import torch
import torch.nn.functional as F

from aaclip_lite import losses
from aaclip_lite.variants.improvements import contrastive, map_top, triplet


def test_hand_computed_map_top():
    """Of 121 patches the hottest 1 % is one: its logit is scale x (1 - 0) in the abnormal picture,
    0 elsewhere.
    """
    anchors = torch.eye(2).expand(2, 2, 2)
    level = torch.full((2, 121, 2), 0.5**0.5)
    level[1, 7] = torch.tensor([0.0, 1.0])
    loss = map_top((level, level), anchors, torch.tensor([0, 1]), scale=3.0)
    assert loss.item() == pytest.approx((math.log(2) + math.log(1 + math.exp(-3))) / 2)


def test_separations():
    # both anchors (1, 0)
    same = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).T.reshape(1, 2, 2).repeat(2, 1, 1)
    right_angle = torch.eye(2).repeat(2, 1, 1)
    assert contrastive(same).item() == pytest.approx(2) and contrastive(right_angle) < 1e-12
    assert triplet(same) == 0.5 and triplet(right_angle) == 0


@pytest.mark.parametrize("separation", [losses.orthogonal, contrastive, triplet])
def test_every_separation_parts_the_anchors(separation):
    normal = F.normalize(torch.randn(2, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    raw = (
        normal + 0.3 * torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    ).requires_grad_()

    def cosine():
        return (normal * F.normalize(raw, dim=-1)).sum(-1).mean()

    before = cosine().item()
    optimizer = torch.optim.Adam([raw], lr=0.05)
    for _ in range(30):
        optimizer.zero_grad()
        separation(torch.stack([normal, F.normalize(raw, dim=-1)], dim=-1)).backward()
        optimizer.step()
    assert cosine().item() < before - 0.2


@pytest.mark.parametrize("separation", [contrastive, triplet])
def test_gradients_of_separations_are_the_analytic_ones(separation):
    generator = torch.Generator().manual_seed(0)
    anchors = torch.randn(2, 4, 2, generator=generator, dtype=torch.double).requires_grad_()
    assert torch.autograd.gradcheck(separation, anchors)
