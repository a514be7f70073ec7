"""yardsticks.py: the U-Net learns what masks show, the tables say what was measured, sheets are
drawn.
"""

import numpy as np
import pytest
import torch
from PIL import Image

from aaclip_lite.datasets import Sample
from aaclip_lite.lab import yardsticks
from aaclip_lite.lab.yardsticks import (
    UNet,
    class_table,
    count_table,
    kind_table,
    mean,
    rule_table,
    tiles,
    train_unet,
)
from aaclip_lite.world import factory


class Bright:
    """Eight dark pictures; a bright square is the damage."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        image, mask = rng.integers(40, 90, (32, 32, 3), np.uint8), np.zeros((32, 32), np.uint8)
        y, x = rng.integers(0, 24, 2)
        mask[y : y + 8, x : x + 8] = 1
        image[mask > 0] = 230
        return Sample(image, mask, 1, "bolt", f"{index}.png", "spot", None)


def test_the_unet_learns_and_a_seed_decides():
    model, again = (train_unet(Bright(), steps=40, batch=8) for _ in range(2))
    sample = Bright()[1]
    x = torch.from_numpy(sample.image).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        logits = model(x)
        torch.testing.assert_close(logits, again(x))
    assert logits.shape == (1, 32, 32)
    damaged = torch.from_numpy(sample.mask) > 0
    assert logits[0][damaged].mean() > logits[0][~damaged].mean() + 1


def test_the_unet_is_small():
    assert sum(p.numel() for p in UNet().parameters()) < 1_000_000


def figures(value):
    return dict.fromkeys(("pixel_auroc", "inside_auroc", "peak_hit", "image_auroc"), value)


def test_tables_hold_means_over_objects_and_textures():
    rows = {"hinge": figures(0.6), "tweed": figures(0.8)}
    assert rule_table({"median_colour": rows}).splitlines()[-1] == (
        "| median colour | 0.700 | 0.600 | 0.800 | 0.700 | 0.700 | 0.700 |"
    )
    assert class_table(rows).splitlines()[-1] == "| tweed | 0.800 | 0.800 | 0.800 |"
    kinds = {"hole": figures(0.9) | {"areas": np.array([0.01, 0.02, 0.03])}}
    assert "| hole | 1.2, 2.0, 2.8 % | 0.900 |" in kind_table(kinds)
    assert mean([figures(0.5), figures(0.7)])["peak_hit"] == pytest.approx(0.6)


def test_counts_are_the_factorys():
    extra, normal, damaged = factory.COUNTS["test"]
    assert f"| test | 15 | {15 * normal} | {15 * damaged} |" in count_table() and extra


def test_a_sheet_holds_its_blocks(tmp_path):
    row = tiles("wood", 0) + tiles("wood", 0, defect="hole")
    # the outline
    assert len(row) == 3 and np.abs(np.asarray(row[1], int) - np.asarray(row[2], int)).max() > 100
    yardsticks.sheet(tmp_path / "s" / "a.png", [("wood: a_b", row), ("again", row)], across=2)
    with Image.open(tmp_path / "s" / "a.png") as made:
        assert made.size == (2 * (3 * yardsticks.TILE + 8), yardsticks.TILE + 18)
    assert [p.name for p in (tmp_path / "s").iterdir()] == ["a.png"]
