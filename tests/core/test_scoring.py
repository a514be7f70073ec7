"""scoring.py: maps against their definition level by level, picture scores, calibration."""

import pytest
import torch
import torch.nn.functional as F

from aaclip_lite import scoring
from aaclip_lite.model import Features


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    levels = tuple(
        F.normalize(torch.randn(2, 64, 6, generator=generator), dim=-1) for _ in range(4)
    )
    return levels, F.normalize(torch.randn(6, 2, generator=generator), dim=0)


def blurred(grid, kernel, sigma):
    """The blur by definition: a normalised Gaussian, reflected borders, rows then columns."""
    x = torch.arange(kernel, dtype=torch.float64) - kernel // 2
    weights = torch.exp(-(x**2) / (2 * sigma**2))
    weights = (weights / weights.sum()).float()
    padded = F.pad(grid, [kernel // 2] * 4, mode="reflect")
    rows = F.conv2d(padded, weights.view(1, 1, -1, 1))
    return F.conv2d(rows, weights.view(1, 1, 1, -1))


@pytest.mark.parametrize("domain, kernel, sigma", [("industrial", 7, 1.0), ("medical", 9, 1.5)])
def test_anomaly_map_equals_the_definition_level_by_level(case, domain, kernel, sigma):
    levels, anchors = case
    total = 0
    for level in levels:
        z = 100 * (level @ anchors)
        grid = ((z[..., 1] + 1 - z[..., 0]) / 2).reshape(2, 1, 8, 8)
        total = (
            total
            + F.interpolate(
                blurred(grid, kernel, sigma), (40, 40), mode="bilinear", align_corners=True
            )[:, 0]
        )
    torch.testing.assert_close(
        scoring.anomaly_map(levels, anchors, 40, domain), total, rtol=1e-5, atol=1e-4
    )
    assert scoring.anomaly_map(levels, anchors, (40, 32), domain).shape == (2, 40, 32)


def test_probability_map(case):
    levels, anchors = case
    p = scoring.probability_map(levels[0], anchors, 30)
    assert p.shape == (2, 2, 30, 30)
    torch.testing.assert_close(p.sum(1), torch.ones(2, 30, 30))
    corner = (100 * levels[0][:, 0] @ anchors).softmax(-1)
    torch.testing.assert_close(p[:, :, 0, 0], corner)  # corners are aligned


def test_an_enlarged_patch_lies_where_it_was_unless_corners_are_aligned():
    grid = torch.zeros(1, 1, 8, 8)
    grid[..., 1, 6] = 1  # of pixels 8 to 15 and 48 to 55: its middle is (11.5, 51.5)
    found = {}
    for align in (False, True):
        heat = scoring.finish(grid, 64, align_corners=align, blur=0.0)[0]
        total = heat / heat.sum()
        place = torch.arange(64.0)
        found[align] = float((total.sum(1) * place).sum()), float((total.sum(0) * place).sum())
    assert found[False] == pytest.approx((11.5, 51.5), abs=0.01)
    assert found[True] == pytest.approx((9.0, 54.0), abs=0.1)  # towards the edge on both sides


def test_blur_of_ones_own(case):
    levels, anchors = case
    maps = {
        blur: scoring.anomaly_map(levels, anchors, 8, blur=blur) for blur in (None, 1.0, 0.5, 0.0)
    }
    torch.testing.assert_close(maps[None], maps[1.0])
    z = 100 * sum(levels) @ anchors
    torch.testing.assert_close(maps[0.0].flatten(1), (z[..., 1] + 4 - z[..., 0]) / 2)
    assert maps[1.0].std() < maps[0.5].std() < maps[0.0].std()


def test_anchors_may_be_shared_or_one_a_picture(case):
    levels, anchors = case
    stacked = torch.stack([anchors, anchors.flip(1)])
    maps = scoring.anomaly_map(levels, stacked, 16)
    torch.testing.assert_close(maps[0], scoring.anomaly_map(levels, anchors, 16)[0])
    torch.testing.assert_close(maps[1], scoring.anomaly_map(levels, anchors.flip(1), 16)[1])
    detection = torch.randn(2, 6)
    torch.testing.assert_close(
        scoring.image_scores(detection, stacked)[0], (detection[0] @ anchors[:, 1] + 1) / 2
    )
    torch.testing.assert_close(
        scoring.image_scores(detection, stacked)[1], (detection[1] @ anchors[:, 0] + 1) / 2
    )


def test_logits_keep_full_precision_under_autocast(case):
    levels, anchors = case
    exact = scoring.similarity_logits(levels[0], anchors)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(
            scoring.similarity_logits(levels[0], anchors), exact, rtol=0, atol=0
        )
    assert scoring.similarity_logits(levels[0].bfloat16(), anchors).dtype == torch.float32


def test_wrong_inputs_are_refused(case):
    levels, anchors = case
    with pytest.raises(ValueError, match="65 patches"):
        scoring.similarity_logits(torch.randn(1, 65, 6), anchors)
    with pytest.raises(ValueError, match=r"anchors have shape \(2, 6\)"):
        scoring.similarity_logits(levels[0], anchors.T)
    with pytest.raises(ValueError, match="domain = 'textile'"):
        scoring.anomaly_map(levels, anchors, 16, "textile")
    with pytest.raises(ValueError, match="too small for the medical blur"):
        scoring.anomaly_map([level[:, :16] for level in levels], anchors, 16, "medical")


def test_fuse_is_min_max_over_the_whole_set():
    maps = torch.tensor([[[0.0, 2.0]], [[1.0, 5.0]], [[3.0, 4.0]]])
    scores = torch.tensor([0.2, 0.6, 0.4])
    torch.testing.assert_close(scoring.fuse(maps, scores), torch.tensor([0.2, 1.0, 0.65]))
    torch.testing.assert_close(scoring.fuse(maps, scores, "medical"), torch.tensor([0.4, 1.0, 0.8]))
    assert not torch.allclose(
        scoring.fuse(maps[:2], scores[:2])[0], scoring.fuse(maps[::2], scores[::2])[0]
    )
    torch.testing.assert_close(
        scoring.fuse(maps.numpy(), scores.numpy()), scoring.fuse(maps, scores)
    )
    with pytest.raises(ValueError, match="all detection scores are equal"):
        scoring.fuse(maps[:1], scores[:1])


def test_top_fraction():
    maps = torch.arange(200.0).reshape(2, 10, 10)
    torch.testing.assert_close(scoring.top_fraction(maps, 0.05), torch.tensor([97.0, 197.0]))
    torch.testing.assert_close(scoring.top_fraction(maps, 0.001), torch.tensor([99.0, 199.0]))
    torch.testing.assert_close(scoring.top_fraction(maps, 1.0), maps.flatten(1).mean(1))
    with pytest.raises(ValueError, match="fraction"):
        scoring.top_fraction(maps, 0)
    with pytest.raises(ValueError, match="fraction = 2"):
        scoring.top_fraction(maps, 2.0)


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(3)
    levels = [torch.randn(3, 49, 8, generator=generator) for _ in range(4)]
    levels = tuple(F.normalize(level, dim=-1) for level in levels)
    patches = F.normalize(torch.randn(3, 40, 8, generator=generator), dim=-1)
    return Features(levels, patches.mean(1), patches)


def test_map_late_reads_the_later_half_of_the_levels(features):
    levels = features.levels
    anchors = F.normalize(torch.randn(3, 8, 2), dim=1)
    maps = scoring.anomaly_map(levels, anchors, 28, blur=0.5)
    expected = scoring.anomaly_map(levels[2:], anchors, 7, blur=0.5).flatten(1).amax(1)
    late = scoring.picture_scores(features, anchors, maps, "map_late", blur=0.5)
    torch.testing.assert_close(late, expected)
    changed = Features((*(torch.zeros_like(level) for level in levels[:2]), *levels[2:]), None)
    late = scoring.picture_scores(changed, anchors, maps, "map_late", blur=0.5)
    torch.testing.assert_close(late, expected)
    # of three levels the last two
    odd = scoring.anomaly_map(levels[1:3], anchors, 7).flatten(1).amax(1)
    late = scoring.picture_scores(Features(levels[:3], None), anchors, maps, "map_late")
    torch.testing.assert_close(late, odd)


def test_map_detection_looks_at_the_hottest_and_at_the_whole_of_map_and_patches(features):
    anchors = F.normalize(torch.randn(3, 8, 2), dim=1)
    maps = torch.zeros(3, 20, 20)
    maps[:, 0, :2] = 8.0  # half a percent of the pixels; of a fifth, one in forty
    cosines = features.patches @ anchors
    between = (cosines[..., 1] - cosines[..., 0]).sort().values  # of 40 patches
    patches = (between[:, -2:].mean(1) + between.mean(1)) / 2
    scores = scoring.picture_scores(features, anchors, maps, "map_detection")
    torch.testing.assert_close(scores, (8 + 8 / 40) / 2 + scoring.DETECTION * patches)


def test_a_detection_feature_without_its_patches_counts_as_one_of_them(features):
    anchors = F.normalize(torch.randn(3, 8, 2), dim=1)
    maps = torch.rand(3, 20, 20)
    alone = features._replace(patches=None)
    one_patch = features._replace(patches=features.detection[:, None])
    scores = [scoring.picture_scores(f, anchors, maps, "map_detection") for f in (alone, one_patch)]
    torch.testing.assert_close(*scores)


def test_of_another_ground_map_detection_sees_half_of_what_the_mean_of_all_patches_does(features):
    anchors = F.normalize(torch.randn(8, 2), dim=0)
    words = anchors[:, 1] - anchors[:, 0]
    maps = torch.rand(3, 20, 20)
    coolest = (features.patches @ words).argsort(1)[:, :38, None].expand(-1, -1, 8)
    patches = features.patches.scatter(1, coolest, -F.normalize(words, dim=0).expand_as(coolest))
    moved = ((patches - features.patches).mean(1) * words).sum(-1)
    scores = [
        scoring.picture_scores(each, anchors, maps, "map_detection")
        for each in (features, Features(features.levels, patches.mean(1), patches))
    ]
    torch.testing.assert_close(scores[1] - scores[0], scoring.DETECTION * moved / 2)


@pytest.mark.parametrize(
    "kind", ["map_detection", "map_late", "map_max", "map_top", "detection", "released"]
)
def test_the_score_of_one_picture_does_not_depend_on_others(features, kind):
    anchors = F.normalize(torch.randn(8, 2), dim=0)
    maps = scoring.anomaly_map(features.levels, anchors, 28)
    levels = tuple(level[1:2] for level in features.levels)
    one = Features(levels, features.detection[1:2], features.patches[1:2])
    together = scoring.picture_scores(features, anchors, maps, kind)
    alone = scoring.picture_scores(one, anchors, maps[1:2], kind)
    torch.testing.assert_close(together[1:2], alone)


def test_an_unknown_picture_score_is_named(features):
    with pytest.raises(
        ValueError, match="kind = 'peak' is no picture score; use one of map_detection, map_late"
    ):
        scoring.picture_scores(features, torch.eye(8)[:, :2], torch.rand(3, 9, 9), "peak")


def test_calibration_brings_normal_scores_to_zero_mean_and_unit_deviation():
    values = torch.tensor([1.0, 2.0, 3.0, 6.0])
    constants = scoring.fit_constants(values)
    assert constants == pytest.approx((3.0, values.std().item()))
    z = scoring.z_scores(values, constants)
    assert z.mean().item() == pytest.approx(0, abs=1e-6) and z.std().item() == pytest.approx(1)
    for useless in (torch.ones(5), torch.ones(1), torch.tensor([1.0, float("nan")])):
        with pytest.raises(ValueError, match="cannot calibrate"):
            scoring.fit_constants(useless)


def test_threshold_holds_its_false_alarm_rate_on_new_normal_pictures():
    generator = torch.Generator().manual_seed(0)
    alarms = []
    for _ in range(400):
        scores = torch.randn(60, generator=generator)
        alarms.append((scores[40:] > scoring.threshold_at(scores[:40], 0.1)).float().mean())
    rate = torch.stack(alarms).mean().item()
    assert 0.07 < rate <= 0.105
    assert scoring.threshold_at(torch.arange(99.0), 0.01) == 98
    assert scoring.threshold_at(torch.arange(9.0), 0.5) == 4


def test_a_rate_that_the_data_cannot_support_is_refused_with_the_smallest_one():
    with pytest.raises(
        ValueError, match=r"20 normal pictures allow a false-alarm rate of 0\.0476 or more"
    ):
        scoring.threshold_at(torch.randn(20), 0.01)
    for scores, rate in (
        (torch.randn(20), 0),
        (torch.randn(0), 0.1),
        (torch.tensor([float("nan")]), 0.5),
    ):
        with pytest.raises(ValueError, match="false_alarm_rate"):
            scoring.threshold_at(scores, rate)
