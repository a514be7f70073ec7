"""losses.py: perfect predictions, values by hand, shapes, gradients, and that totals are the sum of
their parts.
"""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from aaclip_lite import losses
from aaclip_lite.recipe import Recipe

COURSE, RELEASED = Recipe.course(), Recipe.released()


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    levels = [F.normalize(torch.randn(3, 9, 8, generator=generator), dim=-1) for _ in range(4)]
    anchors = F.normalize(torch.randn(3, 8, 2, generator=generator), dim=1)
    mask = (torch.rand(3, 1, 12, 12, generator=generator) > 0.8).float()
    mask[0] = 0
    detection = torch.randn(3, 8, generator=generator) / 8
    return (
        SimpleNamespace(levels=levels, detection=detection),
        anchors,
        mask,
        torch.tensor([0, 1, 1]),
    )


def perfect(mask):
    return torch.cat([1 - mask, mask], dim=1)


def test_perfect_prediction_costs_nothing(case):
    mask = case[2]
    assert losses.focal(perfect(mask), mask) < 1e-9
    assert losses.dice(mask[:, 0], mask) == 0
    assert losses.segmentation(perfect(mask), mask) < 1e-6
    assert losses.segmentation(perfect(1 - mask), mask) > 2


def test_hand_computed_focal():
    p = torch.tensor([0.7, 0.3]).view(1, 2, 1, 1)
    p_t = 2e-5 + (1 - 2e-5) * 0.3
    assert losses.focal(p, torch.ones(1, 1, 1, 1)).item() == pytest.approx(
        -((1 - p_t) ** 2) * math.log(p_t), rel=1e-6
    )
    flat = torch.full((2, 2, 5, 5), 0.5)
    assert losses.focal(flat, torch.zeros(2, 1, 5, 5)).item() == pytest.approx(
        0.25 * math.log(2), rel=1e-3
    )


def test_hand_computed_dice():
    p = torch.tensor([[[0.5, 0.25], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    mask = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    first = (2 * 1.5 + 1) / (1.75 + 2 + 1)
    assert losses.dice(p, mask).item() == pytest.approx(1 - (first + 1) / 2)
    assert losses.dice(p, mask[:, None]).item() == losses.dice(p, mask).item()


def test_hand_computed_map_top():
    """Of 121 patches the hottest 1 % is one: its logit is scale x (1 - 0) in the abnormal picture,
    0 elsewhere.
    """
    anchors = torch.eye(2).expand(2, 2, 2)
    level = torch.full((2, 121, 2), 0.5**0.5)
    level[1, 7] = torch.tensor([0.0, 1.0])
    loss = losses.map_top((level, level), anchors, torch.tensor([0, 1]), scale=3.0)
    assert loss.item() == pytest.approx((math.log(2) + math.log(1 + math.exp(-3))) / 2)


def test_map_top_counts_in_stage_2_by_its_weight(case):
    features, anchors, _, label = case
    plain, more = (losses.stage2(*case, COURSE.replace(map_top_weight=w)) for w in (0.0, 2.0))
    expected = 2 * losses.map_top(features.levels, anchors, label, COURSE.logit_scale)
    torch.testing.assert_close(more - plain, expected)


def test_segmentation_is_its_three_parts(case):
    p = torch.rand(3, 2, 12, 12, generator=torch.Generator().manual_seed(1)).softmax(1)
    mask = case[2]
    parts = losses.focal(p, mask) + losses.dice(p[:, 0], 1 - mask) + losses.dice(p[:, 1], mask)
    torch.testing.assert_close(losses.segmentation(p, mask), parts)


def test_separations():
    # both anchors (1, 0)
    same = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).T.reshape(1, 2, 2).repeat(2, 1, 1)
    right_angle = torch.eye(2).repeat(2, 1, 1)
    assert losses.orthogonal(same) == 1 and losses.orthogonal(right_angle) == 0
    assert (
        losses.contrastive(same).item() == pytest.approx(2)
        and losses.contrastive(right_angle) < 1e-12
    )
    assert losses.triplet(same) == 0.5 and losses.triplet(right_angle) == 0
    mixed = torch.stack([same[0], right_angle[0]])
    # square of the mean, not mean of squares
    assert losses.orthogonal(mixed).item() == pytest.approx(0.25)


@pytest.mark.parametrize("name", losses.SEPARATIONS)
def test_every_separation_parts_the_anchors(name):
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
        losses.SEPARATIONS[name](torch.stack([normal, F.normalize(raw, dim=-1)], dim=-1)).backward()
        optimizer.step()
    assert cosine().item() < before - 0.2


def test_stage_1_reads_the_last_level_or_all(case):
    features, anchors, mask, _ = case
    parts = {
        kind: losses.stage1_parts(
            features.levels, anchors, mask, RELEASED.replace(stage1_levels=kind)
        )
        for kind in ("last", "all")
    }
    last = losses.stage1_parts(features.levels[-1:], anchors, mask, RELEASED)
    assert parts["last"]["segmentation"] == last["segmentation"]
    singles = [
        losses.stage1_parts([level], anchors, mask, RELEASED)["segmentation"]
        for level in features.levels
    ]
    torch.testing.assert_close(parts["all"]["segmentation"], torch.stack(singles).sum())
    # counted once
    torch.testing.assert_close(parts["all"]["separation"], 0.1 * losses.orthogonal(anchors))


def test_stage_2_detection_has_no_scale_when_released(case):
    features, anchors, mask, label = case
    logits = torch.einsum("bd,bdc->bc", features.detection, anchors)
    parts = losses.stage2_parts(features, anchors, mask, label, RELEASED)
    torch.testing.assert_close(parts["detection"], F.cross_entropy(logits, label))
    scaled = losses.stage2_parts(
        features, anchors, mask, label, RELEASED.replace(detection_scale=30.0)
    )
    torch.testing.assert_close(scaled["detection"], F.cross_entropy(30 * logits, label))
    assert torch.equal(parts["segmentation"], scaled["segmentation"])


@pytest.mark.parametrize(
    "recipe",
    [COURSE, RELEASED, COURSE.replace(stage1_classification_weight=0.5, text_separation="triplet")],
)
def test_totals_are_the_sum_of_their_parts(case, recipe):
    features, anchors, mask, label = case
    first = losses.stage1_parts(features.levels, anchors, mask, recipe)
    second = losses.stage2_parts(features, anchors, mask, label, recipe)
    torch.testing.assert_close(
        losses.stage1(features.levels, anchors, mask, recipe), sum(first.values())
    )
    torch.testing.assert_close(
        losses.stage2(features, anchors, mask, label, recipe), sum(second.values())
    )
    assert ("classification" in first) == bool(recipe.stage1_classification_weight)


def test_gradients_are_the_analytic_ones():
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(2, 2, 3, 3, generator=generator, dtype=torch.double).softmax(1).requires_grad_()
    mask = (torch.rand(2, 1, 3, 3, generator=generator) > 0.5).double()
    anchors = torch.randn(2, 4, 2, generator=generator, dtype=torch.double).requires_grad_()
    level = torch.randn(2, 4, 4, generator=generator, dtype=torch.double)
    assert torch.autograd.gradcheck(lambda x: losses.segmentation(x, mask), p)
    for separation in losses.SEPARATIONS.values():
        assert torch.autograd.gradcheck(separation, anchors)
    mild = RELEASED.replace(logit_scale=2.0)
    assert torch.autograd.gradcheck(lambda x: losses.stage1([level], x, mask, mild), anchors)


@pytest.mark.parametrize(
    "p, mask",
    [
        ((2, 3, 4, 4), (2, 1, 4, 4)),
        ((2, 2, 4, 4), (2, 4, 4)),
        ((2, 2, 4, 4), (2, 1, 4, 5)),
        ((2, 2, 16), (2, 1, 16)),
    ],
)
def test_focal_refuses_other_shapes(p, mask):
    with pytest.raises(ValueError, match="focal takes"):
        losses.focal(torch.rand(p), torch.ones(mask))


def test_dice_refuses_other_shapes():
    with pytest.raises(ValueError, match="dice takes"):
        losses.dice(torch.rand(2, 4, 4), torch.ones(2, 1, 4, 5))
