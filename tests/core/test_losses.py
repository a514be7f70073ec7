"""losses.py: perfect predictions, values by hand, properties, shapes, gradients."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as some

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


def test_gradients_are_the_analytic_ones():
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(2, 2, 3, 3, generator=generator, dtype=torch.double).softmax(1).requires_grad_()
    mask = (torch.rand(2, 1, 3, 3, generator=generator) > 0.5).double()
    anchors = torch.randn(2, 4, 2, generator=generator, dtype=torch.double).requires_grad_()
    level = torch.randn(2, 4, 4, generator=generator, dtype=torch.double)
    assert torch.autograd.gradcheck(lambda x: losses.segmentation(x, mask), p)
    assert torch.autograd.gradcheck(losses.orthogonal, anchors)
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


def test_orthogonal_is_the_square_of_the_mean_cosine():
    same = torch.tensor([[1.0, 1.0], [0.0, 0.0]]).repeat(2, 1, 1)
    right_angle = torch.eye(2).repeat(2, 1, 1)
    assert losses.orthogonal(same) == 1 and losses.orthogonal(right_angle) == 0
    # not the mean of squares, which would be 0.5
    mixed = torch.stack([same[0], right_angle[0]])
    assert losses.orthogonal(mixed).item() == pytest.approx(0.25)


def drawn(seed, pictures=2, side=5):
    generator = torch.Generator().manual_seed(seed)
    p = torch.randn(pictures, 2, side, side, generator=generator, dtype=torch.double).softmax(1)
    mask = (torch.rand(pictures, 1, side, side, generator=generator) > 0.7).double()
    return p, mask


@given(some.integers(0, 10**6))
def test_segmentation_lies_between_perfect_and_reversed_and_mirrors_with_its_channels(seed):
    p, mask = drawn(seed)
    value = losses.segmentation(p, mask)
    lowest = losses.segmentation(perfect(mask), mask)
    highest = losses.segmentation(perfect(1 - mask), mask)
    assert lowest <= value <= highest
    swapped = losses.segmentation(p.flip(1), 1 - mask)
    assert swapped.item() == pytest.approx(value.item(), rel=1e-9)


@given(some.integers(0, 10**6))
def test_a_value_a_picture_averages_to_the_loss_and_knows_nothing_of_its_neighbours(seed):
    p, mask = drawn(seed, pictures=3)
    for loss in (losses.focal, losses.segmentation):
        each = loss(p, mask, reduction="none")
        assert each.mean().item() == pytest.approx(loss(p, mask).item(), rel=1e-9)
        assert each[1].item() == pytest.approx(loss(p[1:2], mask[1:2]).item(), rel=1e-9)


@given(some.integers(0, 10**6), some.floats(0.05, 0.95))
def test_moving_towards_the_mask_never_costs_more(seed, share):
    p, mask = drawn(seed)
    nearer = (1 - share) * p + share * perfect(mask)
    assert losses.dice(nearer[:, 1], mask) <= losses.dice(p[:, 1], mask) + 1e-12
    assert losses.focal(nearer, mask) <= losses.focal(p, mask) + 1e-12
