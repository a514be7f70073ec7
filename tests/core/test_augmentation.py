"""augment.py: batches on fixed numbers against slow per-picture references, and what the three
variants promise.
"""

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as tv
from scipy import ndimage

from aaclip_lite.augment import VARIANTS, Variant, apply, draw
from aaclip_lite.clip import MEAN_STD
from aaclip_lite.datasets import open_dataset
from tests import layouts

SIDE = 40


def batch(count=12, side=SIDE):
    """Smooth pictures and masks of blocks, with a second mask beside the first as datasets.py
    passes them.
    """
    generator = np.random.default_rng(0)
    images = ndimage.gaussian_filter(generator.random((count, 3, side, side)), (0, 0, 1, 1))
    images = (images - images.min()) / (images.max() - images.min())
    masks = np.zeros((count, 2, side, side))
    masks[:, 0, 8:20, 12:30] = masks[:, 1, 4:34, 6:36] = 1
    return torch.tensor(images, dtype=torch.float32), torch.tensor(masks, dtype=torch.float32)


def keys(count=12, seed=5):
    return [(seed, 0, index) for index in range(count)]


def jitter(image, drawn, row):
    """One picture's colours with torchvision, whose definitions are PIL's."""
    image = tv.adjust_brightness(image, drawn["brightness"][row])
    image = tv.adjust_contrast(image, drawn["contrast"][row])
    return tv.adjust_saturation(image, drawn["saturation"][row])


def test_released_equals_the_public_order_of_steps_done_picture_by_picture():
    """Colour, CLIP's normalisation, then rotation, shift, flips of picture and mask as four
    channels, zeros outside.
    """
    images, masks = batch()
    variant, drawn = VARIANTS["released"], draw(VARIANTS["released"], keys())
    result, moved = apply(variant, drawn, images, masks)
    mean, wrong = torch.tensor(MEAN_STD["clip"][0]).view(3, 1, 1), 0
    for row in range(len(images)):
        joined = torch.cat([jitter(images[row], drawn, row) - mean, masks[row]])
        if drawn["angle"][row]:
            joined = tv.rotate(joined, drawn["angle"][row])
        shift = [round(drawn[axis][row] * SIDE) for axis in ("shift_x", "shift_y")]
        joined = tv.affine(joined, angle=0.0, translate=shift, scale=1.0, shear=[0.0, 0.0])
        joined = tv.hflip(joined) if drawn["flip_x"][row] else joined
        joined = tv.vflip(joined) if drawn["flip_y"][row] else joined
        expected = torch.cat([joined[:3] + mean, joined[3:]])
        wrong += (
            ((torch.cat([result[row], moved[row]]) - expected).abs() > 1e-3).any(0).sum().item()
        )
    assert (
        wrong <= 2
        # of 19,200 pixels: where a turned pixel falls exactly between two, rounding may go either
        # way
    )
    for name in ("angle", "shift_x", "flip_x", "flip_y", "brightness"):
        assert len(set(drawn[name])) > 1, f"this batch does not try {name}"


def slow_warp(values, drawn, row, order, outside):
    """Each output pixel looks back: undo the flips, the shift, the quarter turns, the rotation and
    the zoom.
    """
    side = values.shape[-1]
    y, x = np.mgrid[:side, :side].astype(float) - (side - 1) / 2
    x, y = (-x if drawn["flip_x"][row] else x), (-y if drawn["flip_y"][row] else y)
    x, y = x - drawn["shift_x"][row] * (side - 1), y - drawn["shift_y"][row] * (side - 1)
    for _ in range(int(drawn["turns"][row])):
        x, y = -y, x
    angle = np.deg2rad(drawn["angle"][row])
    x, y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    at = np.stack([y, x]) / drawn["zoom"][row] + (side - 1) / 2
    return np.stack(
        [ndimage.map_coordinates(plane, at, order=order, mode=outside) for plane in values]
    )


@pytest.mark.parametrize("name, outside", [("documented", "grid-constant"), ("course", "mirror")])
def test_documented_and_course_equal_a_slow_reference(name, outside):
    images, masks = batch()
    variant, drawn = VARIANTS[name], draw(VARIANTS[name], keys())
    result, moved = apply(variant, drawn, images, masks)
    for row in range(len(images)):
        expected = slow_warp(jitter(images[row], drawn, row).numpy(), drawn, row, 1, outside)
        # torchvision rounds one grey weight
        assert np.abs(result[row].numpy() - expected).max() < 2e-3
        assert (
            moved[row].numpy() != slow_warp(masks[row].numpy(), drawn, row, 0, outside)
        ).sum() <= 2
    tried = ["angle", "shift_x", "shift_y", "flip_x", "contrast"] + ["turns", "zoom", "flip_y"] * (
        name == "course"
    )
    for part in tried:
        assert len(set(drawn[part])) > 1, f"this batch does not try {part}"


def test_ranges_and_frequencies_are_those_of_the_recipes():
    numbers = {name: draw(variant, keys(4000)) for name, variant in VARIANTS.items()}
    released, documented = numbers["released"], numbers["documented"]
    assert (
        29 < np.abs(released["angle"]).max() <= 30
        and abs((released["angle"] != 0).mean() - 0.5) < 0.03
    )
    assert (
        0.145 < np.abs(released["shift_x"]).max() <= 0.15
        and abs((released["shift_y"] != 0).mean() - 0.5) < 0.03
    )
    assert ((released["shift_x"] != 0) == (released["shift_y"] != 0)).all()
    assert (
        abs(released["flip_x"].mean() - 0.5) < 0.03 and abs(released["flip_y"].mean() - 0.5) < 0.03
    )
    for factor in ("brightness", "contrast", "saturation"):
        assert abs((released[factor] != 1).mean() - 0.7) < 0.03 and released[factor].min() < 0.51
        assert abs((documented[factor] != 1).mean() - 0.7) < 0.03
        assert documented[factor].min() >= 0.8 and 1.19 < documented[factor].max() <= 1.2
    assert ((released["brightness"] != 1) != (released["contrast"] != 1)).any()  # one decision each
    assert (
        (documented["brightness"] != 1) == (documented["contrast"] != 1)
    ).all()  # one for the three
    assert 4.9 < np.abs(documented["angle"]).max() <= 5 and not documented["flip_y"].any()
    assert set(numbers["course"]["turns"]) == {0, 1, 2, 3} and set(released["turns"]) == {0}
    assert abs(np.corrcoef(released["angle"], released["shift_x"])[0, 1]) < 0.05


def test_documented_crop_never_leaves_the_picture():
    variant = Variant(**{**VARIANTS["documented"].__dict__, "rotation": 0.0})
    _, masks = batch()
    _, moved = apply(
        variant, draw(variant, keys()), torch.ones(12, 3, SIDE, SIDE), torch.ones_like(masks)
    )
    images, _ = apply(
        variant, draw(variant, keys()), torch.ones(12, 3, SIDE, SIDE), masks, with_colour=False
    )
    assert moved.min() == 1 and images.min() > 0.999


@pytest.mark.parametrize("name", VARIANTS)
def test_what_holds_in_every_variant(name):
    images, masks = batch()
    drawn = draw(VARIANTS[name], keys())
    result, moved = apply(VARIANTS[name], drawn, images, masks)
    assert result.shape == images.shape and result.min() >= 0 and result.max() <= 1
    assert set(moved.unique().tolist()) == {0.0, 1.0}
    # a picture's fate does not depend on its neighbours
    third = {key: values[2:3] for key, values in drawn.items()}
    alone, alone_mask = apply(VARIANTS[name], third, images[2:3], masks[2:3])
    assert torch.equal(alone[0], result[2]) and torch.equal(alone_mask[0], moved[2])
    still = {
        key: np.isin(key, ("zoom", "brightness", "contrast", "saturation")) * np.ones(12)
        for key in drawn
    }
    unchanged, same_masks = apply(VARIANTS[name], still, images, masks)
    assert torch.allclose(unchanged, images, atol=1e-5) and torch.equal(same_masks, masks)


@pytest.mark.parametrize("name", VARIANTS)
def test_picture_and_mask_stay_together(name):
    """A picture that is its own mask: wherever it goes, the mask goes along."""
    _, masks = batch(side=64)
    images = masks[:, :1].expand(-1, 3, -1, -1)
    result, moved = apply(
        VARIANTS[name], draw(VARIANTS[name], keys()), images, masks, with_colour=False
    )
    outside = torch.tensor(VARIANTS[name].fill)[0]
    seen = (result[:, :1] - moved[:, :1]).abs()
    assert (
        (seen <= 0.75) | ((seen - outside).abs() < 1e-3)
    ).all()  # 3/4: a corner read between pixels


def test_colour_is_for_stage_2_only_and_names_or_recipes_choose_the_variant(tmp_path):
    layouts.write_mvtec(tmp_path)
    data = open_dataset(tmp_path, size=16)

    class Recipe:
        augmentation = "documented"

    first, second = (next(data.batches(14, augment=Recipe(), stage=stage)) for stage in (1, 2))
    variant, (images, masks) = (
        VARIANTS["documented"],
        (next(data.batches(14))[name] for name in ("image", "mask")),
    )
    drawn = draw(variant, [(0, 0, index) for index in range(14)])
    expected, moved = apply(variant, drawn, images, masks, with_colour=False)
    assert torch.equal(first["image"], expected) and torch.equal(first["mask"], moved)
    assert torch.equal(second["mask"], moved) and not torch.equal(second["image"], expected)
    assert torch.equal(next(data.batches(14, augment="none"))["image"], images)
