"""products/: which products there are, and that every one is a drawable, varied, normal part at
any size.
"""

import numpy as np
import pytest

from aaclip_lite.world.canvas import Canvas
from aaclip_lite.world.draw import draw
from aaclip_lite.world.fields import PALETTE
from aaclip_lite.world.parts import Part
from aaclip_lite.world.products import PRODUCTS, names
from aaclip_lite.world.products.registry import REGISTERED

VISA = "candle capsules cashew chewinggum fryum macaroni1 macaroni2 pcb1 pcb2 pcb3 pcb4 pipe_fryum"
MVTEC = "bottle cable capsule carpet grid hazelnut leather metal_nut pill screw tile toothbrush transistor wood zipper"
OBJECTS = [name for name, item in PRODUCTS.items() if not item.texture]
TEXTURES = [name for name, item in PRODUCTS.items() if item.texture]


def test_names_and_numbers_of_the_splits():
    by_split = {
        split: [p.name for p in PRODUCTS.values() if p.split == split]
        for split in ("train", "val", "test")
    }
    extension = [p.name for p in PRODUCTS.values() if p.split == "extension"]
    assert sorted(by_split["train"]) == VISA.split() and sorted(by_split["test"]) == MVTEC.split()
    assert len(by_split["val"]) == 5 and len(extension) >= 28
    assert sum(PRODUCTS[name].texture for name in extension) >= 9
    assert {PRODUCTS[name].texture for name in by_split["val"]} == {True, False}
    # training means VisA's names and the extension
    assert names("train") == by_split["train"] + extension
    assert names("val") == by_split["val"] and names("test") == by_split["test"]
    assert not set(names("train")) & {*names("val"), *names("test")} and not set(
        names("val")
    ) & set(names("test"))
    assert len(PRODUCTS) == 12 + len(extension) + 5 + 15


def test_every_product_can_be_spoken_of():
    # a caption tells classes apart
    assert len({p.spoken for p in PRODUCTS.values()}) == len(PRODUCTS)
    for name, item in PRODUCTS.items():
        assert item.name == name and item.material and item.pose in ("free", "upright", "surface")
        assert len(item.colours) >= 3 and set(item.colours) <= set(PALETTE)


@pytest.mark.parametrize("size", [64, 128])
def test_every_product_draws_at(size):
    for name in PRODUCTS:
        picture = draw(name, 0, size)
        assert picture.image.shape == (size, size, 3) and picture.image.dtype == np.uint8
        assert picture.inside.shape == picture.mask.shape == (size, size) and not picture.mask.any()
        assert picture.image.std() > 8, name  # not a flat picture


@pytest.mark.parametrize("size", [256, 512])
def test_every_product_draws_large(size):
    for (
        name
    ) in PRODUCTS:  # light and camera do not depend on the product: a few whole pictures are enough
        canvas, _ = Part(name, (1, 2)).paint(size)
        layers = canvas.copy_layers()
        assert all(layer.dtype == np.float32 and np.isfinite(layer).all() for layer in layers), name
        assert np.ptp(canvas.albedo) > 0.1, name
    for name in ("bottle", "carpet", "pcb2"):
        assert draw(name, 0, size).image.shape == (size, size, 3)


def test_objects_fill_most_of_the_frame_and_textures_all_of_it():
    for name in OBJECTS:
        longest = []
        for seed in range(6):
            rows, columns = draw(name, seed, 64, things=0).inside.nonzero()
            longest.append(max(np.ptp(rows), np.ptp(columns)) / 63)
        assert 0.68 <= np.mean(longest) <= 1.0, f"{name}: {np.mean(longest):.2f}"
    assert all(draw(name, 0, 64).inside.all() for name in TEXTURES)


def test_no_two_parts_are_alike():
    for name in PRODUCTS:
        pictures = np.stack([draw(name, seed, 64, things=0).image for seed in range(3)]).astype(
            float
        )
        apart = [np.abs(pictures[a] - pictures[b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))]
        assert min(apart) > 6, name


def test_colours_follow_their_name():
    for name in ("candle", "egg", "bottle", "wood"):
        for seed in range(3):
            canvas, facts = Part(name, (seed,)).paint(64)
            assert facts["colour"] in PRODUCTS[name].colours
            assert np.abs(canvas.base - PALETTE[facts["colour"]]).max() < 0.15


def test_objects_have_pieces_that_can_be_missing():
    for name in OBJECTS:
        whole, _ = Part(name, (5,)).paint(64)
        assert 1 <= whole.pieces <= 4, name
        for piece in range(whole.pieces):
            wrong, _ = Part(name, (5,)).paint(64, fault=(piece, "missing", 0, 0, 0))
            layers = zip(whole.copy_layers(), wrong.copy_layers(), strict=True)
            assert any((a != b).any() for a, b in layers), f"{name}: piece {piece} is invisible"
            # the random numbers are used up all the same, so that nothing else of the part changes
            assert whole.rng.bit_generator.state == wrong.rng.bit_generator.state, (
                f"{name}: piece {piece}"
            )


def test_textures_have_no_pieces_and_cover_everything_at_any_shift():
    for name in TEXTURES:
        for turn in (0, 33, 270):
            canvas = Canvas(64, np.random.default_rng(turn))
            canvas.base = canvas.colour(PRODUCTS[name].colours[0])
            canvas.place(turn, 1.25, turn / 90 - 1, 1 - turn / 135)
            PRODUCTS[name].draw(canvas)
            assert canvas.pieces == 0 and canvas.cover.min() == 1, name
            corners = [
                canvas.albedo[i : i + 32, j : j + 32].std() for i in (0, 32) for j in (0, 32)
            ]
            assert min(corners) > 0.01, f"{name}: an empty corner"


def test_the_catalogue_has_a_place_for_every_product_in_its_order():
    """Records come in this order, and the shipped adapters' fingerprint of their data with them."""
    assert set(PRODUCTS) == set(REGISTERED)
    assert names("train")[:3] == ["candle", "capsules", "cashew"]
    assert names("val") == ["light_bulb", "hinge", "biscuit", "terrazzo", "tweed"]
