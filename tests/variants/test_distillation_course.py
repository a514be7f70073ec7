"""Chapter 15's helpers: repairs stay where they belong, the tree names its branches, the belt."""

import numpy as np
import pytest
import torch

from aaclip_lite.course import belt, repairs
from aaclip_lite.course.situations import FAULTS, s3_verdict, spoil_labels, spoil_maps, verdict


@pytest.mark.parametrize("way", repairs.WAYS)
def test_a_repair_changes_its_region_and_takes_the_grain_away(way):
    rng = np.random.default_rng(0)
    image = np.clip(128 + rng.normal(0, 12, (64, 64, 3)), 0, 255).astype(np.uint8)
    changed, mask = repairs.repair(image, way, rng)
    assert (changed == image)[mask == 0].all()
    inside, outside = changed[mask == 1].std(), image[mask == 0].std()
    assert mask.sum() > 200 and inside < 0.7 * outside


def test_drawn_repairs_alternate_and_seeds_differ():
    drawn = repairs.draw_repairs(6, seed=3)
    assert drawn.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert drawn.ways == ["", "resampled", "", "blended", "", "inpainted"]
    assert [bool(mask.any()) for mask in drawn.masks] == [False, True] * 3
    again, other = repairs.draw_repairs(6, seed=3), repairs.draw_repairs(6, seed=4)
    assert torch.equal(drawn.images, again.images)
    assert not torch.equal(drawn.images, other.images)


def test_settled_norms_hold_the_statistics_of_the_pictures():
    norm = torch.nn.BatchNorm2d(3, momentum=0.001)
    images = 5 + 2 * torch.randn(256, 3, 4, 4)
    repairs.settle(norm, images)
    torch.testing.assert_close(norm.running_mean, images.mean((0, 2, 3)))
    assert norm.momentum == 0.001 and not norm.training
    assert norm(images).std().item() == pytest.approx(1, rel=0.02)


GOOD = {"chance": 0.05, "control": 0.95, "alone": 0.95, "teacher": 0.97, "own": 0.97}
GOOD |= {"tail": 4.0, "core": 0.8, "student": 0.96}
SIGNS = {
    "healthy": {},
    "broken data": {"control": 0.55, "alone": 0.55, "teacher": 0.52, "own": 0.52},
    "flipped labels": {"teacher": 0.03, "own": 0.03, "control": 0.6},
    "swapped preprocessing": {"teacher": 0.4},
    "uninformative teacher": {"teacher": 0.55, "own": 0.55},
    "outlier": {"tail": 90.0},
    "scale mismatch": {"core": 0.05},
    "frozen student": {"alone": 0.6, "core": 0.05},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_tree_names_each_branch(fault):
    cause, reason = verdict(GOOD | SIGNS[fault])
    assert cause == fault and reason


def test_the_reports_tree_has_a_hole_between_its_limits():
    assert s3_verdict(0.54, 1, 1, 0.9).startswith("domain shift")
    assert s3_verdict(0.60, 1, 1, 0.9) == "no answer"
    assert s3_verdict(0.80, 4, 1, 0.9).startswith("scale")
    assert s3_verdict(0.80, 1, 101, 0.9).startswith("scale")
    assert s3_verdict(0.80, 1, 1, 0.5) == "data problem"


def test_what_is_spoilt_and_what_is_left_alone():
    maps, labels = torch.randn(40, 1, 4, 4), (torch.arange(40) % 2).float()
    assert torch.equal(spoil_maps(maps, "healthy"), maps)
    struck = spoil_maps(maps, "outlier")
    assert int((struck != maps).sum()) == 2 and struck.min() == -1190
    assert maps.min() > -10  # the teacher's own map is not written to
    assert torch.equal(spoil_labels(labels, "flipped labels"), 1 - labels)
    broken = spoil_labels(labels, "broken data")
    assert broken.sum() == 20 and not torch.equal(broken, labels)


def test_belt_student_is_small_and_gives_a_map_of_the_picture():
    student = belt.BeltStudent().eval()
    assert 1000 < sum(w.numel() for w in student.parameters()) < 10_000
    maps, scores = student(torch.rand(2, 3, 128, 128))
    assert maps.shape == (2, 128, 128) and scores.shape == (2,)
    top = student.cells(torch.zeros(1, 3, 128, 128)).flatten().sort().values[-belt.TOP :]
    torch.testing.assert_close(student(torch.zeros(1, 3, 128, 128))[1], top.mean()[None])


def test_hard_cells_count_thin_lines():
    masks = torch.zeros(1, 128, 128, dtype=torch.uint8)
    masks[0, :8, 0] = 1  # a line of 8 pixels in a cell of 64
    masks[0, 8:16, :8] = 1  # a full cell
    cells = belt.hard_cells(masks)[0, 0]
    assert cells[0, 0] == (1 + 8 / 64) / 2 and cells[1, 0] == 1 and cells.sum() == 1.5625


def test_an_unknown_source_is_named():
    parts = belt.Parts(torch.zeros(1), torch.zeros(1), torch.zeros(1, 128, 128))
    with pytest.raises(ValueError, match="source = 'teacher'"):
        belt.train(parts, torch.zeros(1), "teacher")


@pytest.mark.parametrize(
    "alarm, defective, name",
    [(1, 1, "found"), (0, 1, "missed"), (1, 0, "false alarm"), (0, 0, "passed")],
)
def test_outcomes(alarm, defective, name):
    assert belt.outcome(bool(alarm), bool(defective)) == name


def test_the_belt_carries_one_defective_part_in_ten():
    flags = [defective for _, defective in belt.belt_of_parts("wood", 20, seed=1)]
    assert [place for place, flag in enumerate(flags, 1) if flag] == [10, 20]
