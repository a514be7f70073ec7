"""Parts with one and two defects, their boxes, and the figures of chapter 16, on small numbers."""

import numpy as np
import pytest
import torch
from torch import tensor

from aaclip_lite.course import concept_measures as measures
from aaclip_lite.course import concept_views as views
from aaclip_lite.course import flawed_parts as parts
from aaclip_lite.variants import concepts
from aaclip_lite.world import factory


def test_box_holds_its_mask_and_no_more():
    mask = np.zeros((8, 10), np.uint8)
    mask[2:4, 5] = 1
    assert parts.box_of_mask(mask) == pytest.approx((0.5, 0.25, 0.6, 0.5))
    with pytest.raises(ValueError, match="empty"):
        parts.box_of_mask(np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize(
    "kinds, said",
    [([], "pass"), (["stain"], "rework"), (["stain", "crack"], "reject"), (["hole"], "reject")],
)
def test_verdict_follows_the_worst_defect(kinds, said):
    assert parts.VERDICTS[parts.verdict(kinds)] == said


def test_two_defects_lie_apart_on_one_part():
    found = None
    seed = 0
    while found is None:
        seed += 1
        found = parts.two_defects("gear", "stain", "hole", seed, "test-double")
    image, masks = found
    assert set(masks) == {"stain", "hole"} and not (masks["stain"] * masks["hole"]).any()
    plain = factory.draw("gear", seed, split="test-double", things=0).image
    changed = (image != plain).any(-1)
    assert all(changed[mask > 0].mean() > 0.9 for mask in masks.values())


def test_boxes_that_cannot_teach_are_counted():
    labels = tensor([[1.0, 0.0], [0.0, 1.0]])
    boxes = [[(0, 0.3, 0.3, 0.45, 0.45), (1, 0, 0, 0.5, 0.5)], [(1, 0.5, 0.9, 0.2, 1.2)]]
    assert dict(parts.check_boxes(boxes, labels, 4)) == {
        "vanishes on the grid": 2,
        "its concept is labelled absent": 1,
        "no area": 1,
        "outside the picture": 1,
    }
    assert not parts.check_boxes([[(0, 0, 0, 0.5, 0.5)], None], labels, 4)


def test_whitened_tokens_have_unit_variance_and_no_correlation():
    torch.manual_seed(0)
    tokens = torch.einsum("nchw,dc->ndhw", torch.randn(200, 3, 4, 4), torch.randn(5, 3)) + 2
    flat = parts.Whitening.fit(tokens, kept=3)(tokens).float().movedim(1, 0).flatten(1)
    torch.testing.assert_close(torch.cov(flat), torch.eye(3), atol=0.05, rtol=0)


def test_macro_f1_by_hand():
    said, true = tensor([0, 0, 1, 2, 2]), tensor([0, 1, 1, 2, 0])
    assert measures.macro_f1(said, true) == pytest.approx((2 / 4 + 2 / 3 + 2 / 3) / 3)
    assert measures.majority(tensor([1, 1, 0]), tensor([1, 0, 1, 2])) == pytest.approx(4 / 6 / 3)


def test_pointing_counts_peaks_in_boxes():
    cams = torch.zeros(2, 2, 4, 4)
    cams[0, 1, 2, 3] = 5
    cams[1, 0, 0, 0] = 5
    hits, chance = measures.pointing(cams, [[(1, 0.6, 0.5, 1, 0.7)], [(0, 0.5, 0.5, 1, 1)]])
    assert hits == [1.0, 0.0] and chance == pytest.approx([2 / 16, 4 / 16])


def test_interval_draws_products_not_pictures():
    values = np.array([0.0, 0.0, 1.0, 1.0])
    low, high = measures.interval(lambda rows: values[rows].mean(), ["a", "a", "b", "b"])
    assert (low, high) == (0.0, 1.0)
    same = measures.interval(lambda rows: values[rows].mean(), ["a", "b", "a", "b"])
    assert same == (0.5, 0.5)


def test_hiding_everything_leaves_only_the_bias():
    torch.manual_seed(0)
    model = concepts.ConceptModel(6, 2, 3, per_concept=2, inner=8).eval()
    show = views.masking(model, torch.randn(6, 4, 4), torch.zeros(3, 16, 16, dtype=torch.uint8))
    view = show(views.Mask(size=4))
    expected = model.task_head.bias.detach().softmax(0).tolist()
    assert list(view.figures.values()) == pytest.approx(expected, abs=1e-6)
    assert show(views.Mask()).figures != view.figures


def test_nearest_patch_of_a_prototype_is_found():
    torch.manual_seed(0)
    model = concepts.ConceptModel(6, 2, 3, per_concept=2, inner=8).eval()
    tokens = torch.randn(5, 6, 4, 4)
    with torch.no_grad():
        model.prototypes[3] = model.projector(model.neck(tokens))[2, :, 1, 2]
    assert views.nearest_patches(model, tokens)[3] == (2, 6)
