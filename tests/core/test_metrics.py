"""metrics.py against scikit-learn, torchmetrics and a slow PRO written here from its published
definition.
"""

import copy
import itertools
import json
import pickle

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn import metrics as sk
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from aaclip_lite import metrics
from aaclip_lite.files import curves
from aaclip_lite.metrics import IMAGE_NAMES, PIXEL_NAMES, PixelHistogram, Undefined


def scene(seed=0, pictures=6, side=32, levels=None):
    """Maps, masks and object masks (N, H, W); the first third of the pictures is normal; `levels`:
    equal scores.
    """
    generator = np.random.default_rng(seed)
    masks = np.zeros((pictures, side, side), np.uint8)
    for picture in range(pictures // 3, pictures):
        for _ in range(2):
            y, x, h, w = generator.integers([0, 0, 2, 2], [side - 8, side - 8, 8, 8])
            masks[picture, y : y + h, x : x + w] = 255
    maps = ndimage.gaussian_filter(generator.standard_normal(masks.shape), (0, 1, 1)) + 0.4 * (
        masks > 0
    )
    maps = np.round(maps * levels) / levels if levels else maps
    inside = np.zeros_like(masks)
    inside[:, 4:-4, 4:-4] = 1
    return maps.astype(np.float32), masks, inside


def f1max(labels, scores):
    precision, recall, _ = sk.precision_recall_curve(labels, scores)
    return (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()


def slow_pro(maps, masks, limit=0.3):
    """The definition, threshold by threshold: mean over 8-connected regions of the share found,
    against the share of defect-free pixels called defective; trapezoids up to `limit`, the last one
    cut by interpolation, over `limit`.
    """
    regions = []
    for picture, mask in enumerate(masks):
        numbered, count = ndimage.label(mask, np.ones((3, 3)))
        regions += [maps[picture][numbered == number + 1] for number in range(count)]
    normal = maps[masks == 0]
    points = [(0.0, 0.0)]
    for threshold in np.unique(maps)[::-1]:
        points.append(
            (
                (normal >= threshold).mean(),
                np.mean([(region >= threshold).mean() for region in regions]),
            )
        )
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x1 > limit:
            area += (limit - x0) * (y0 + y0 + (y1 - y0) * (limit - x0) / (x1 - x0)) / 2
            break
        area += (x1 - x0) * (y0 + y1) / 2
    return area / limit


@pytest.mark.parametrize(
    "levels", [None, 4, 1], ids=["all different", "many equal", "nearly all equal"]
)
def test_pixel_figures_equal_scikit_learn_and_the_definition_of_pro(levels):
    maps, masks, inside = scene(levels=levels)
    result = metrics.pixel_metrics(maps, masks, inside)
    truth, flat = (masks > 0).ravel(), maps.ravel()
    within = inside.ravel() > 0
    expected = {
        "pixel_auroc": sk.roc_auc_score(truth, flat),
        "pixel_ap": sk.average_precision_score(truth, flat),
        "pixel_f1max": f1max(truth, flat),
        "pixel_pro": slow_pro(maps, masks),
        "inside_auroc": sk.roc_auc_score(truth[within], flat[within]),
    }
    assert {name: result[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert tuple(result) == PIXEL_NAMES


@pytest.mark.parametrize("seed", range(5))
def test_image_figures_equal_torchmetrics_and_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    labels = np.arange(40) % 2
    scores = np.round(generator.standard_normal(40) + labels, 1)
    result = metrics.image_metrics(scores, labels)
    assert tuple(result) == IMAGE_NAMES
    tensors = torch.tensor(scores), torch.tensor(labels)
    assert result["image_auroc"] == pytest.approx(binary_auroc(*tensors).item(), abs=1e-6)
    assert result["image_ap"] == pytest.approx(binary_average_precision(*tensors).item(), abs=1e-6)
    assert result["image_f1max"] == pytest.approx(f1max(labels, scores))


def test_values_that_can_be_worked_out_by_hand():
    result = metrics.image_metrics([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0])
    assert result == pytest.approx(
        {"image_auroc": 0.75, "image_ap": (1 + 2 / 3) / 2, "image_f1max": 0.8}
    )
    perfect = np.array([[[9.0, 0.0], [0.1, 0.2]]])
    assert list(metrics.pixel_metrics(perfect, perfect > 1).values())[:4] == [1.0, 1.0, 1.0, 1.0]
    # One region of two pixels, ten normal ones; scores fall from left to right: D n D n n n n n n n
    # n n
    row = np.arange(12.0)[::-1].reshape(1, 1, 12)
    mask = np.isin(np.arange(12), [0, 2]).reshape(1, 1, 12)
    mask[0, 0, 1] = True  # joins the two; the picture is D D D n ..., so it is perfect
    assert metrics.pixel_metrics(row, mask)["pixel_pro"] == 1.0
    mask[0, 0, 1] = False  # two regions: overlap 1/2 up to a false-positive rate of 1/10, then 1
    assert metrics.pixel_metrics(row, mask)["pixel_pro"] == pytest.approx(
        (0.5 * 0.1 + 1.0 * 0.2) / 0.3
    )


def test_regions_touch_at_corners_but_not_across_pictures():
    masks = np.zeros((2, 4, 4), bool)
    masks[0, 0, 0] = masks[0, 1, 1] = masks[1, 0, 0] = masks[1, 3, 3] = True
    shares, count = curves.region_shares(masks)
    assert count == 3 and shares.tolist() == [0.5, 0.5, 1.0, 1.0]


def test_small_regions_count_as_much_as_large_ones_in_pro_only():
    masks = np.zeros((1, 20, 20), bool)
    masks[0, :10, :10] = masks[0, 15, 15] = True
    large, small = masks.astype(float), masks.astype(float)
    large[0, 15, 15], small[0, :10, :10] = -1, -1
    first, second = metrics.pixel_metrics(large, masks), metrics.pixel_metrics(small, masks)
    assert first["pixel_pro"] == pytest.approx(second["pixel_pro"])
    assert first["pixel_auroc"] > second["pixel_auroc"] + 0.9
    # one region of two is found at once, the other behind all 299 sound pixels
    assert [metrics.pro(m, masks) for m in (large, small)] == pytest.approx([0.5, 0.5])
    assert metrics.pro(masks.astype(float), masks) == pytest.approx(1)
    assert metrics.pro(large, np.zeros_like(masks)).reason == "only normal pixels"


def test_peak_hit_shares_equal_peaks_and_ignores_normal_pictures():
    masks = np.zeros((4, 2, 2))
    masks[0, 0, 0] = masks[1, 0, 0] = masks[2, 0, 0] = 1
    maps = np.zeros((4, 2, 2))
    # a hit, a miss, a flat map (a guess: 1/4), a normal picture
    maps[0, 0, 0] = maps[1, 1, 1] = 5.0
    assert metrics.pixel_metrics(maps, masks)["peak_hit"] == pytest.approx((1 + 0 + 0.25) / 3)


def test_numpy_torch_and_channel_axis_give_the_same():
    maps, masks, inside = scene()
    expected = metrics.evaluate(maps.max((1, 2)), masks.any((1, 2)), maps, masks, inside)
    channel = torch.tensor(masks)[:, None], torch.tensor(inside)[:, None]
    scores = torch.tensor(maps).amax((1, 2)).requires_grad_()
    assert (
        metrics.evaluate(
            scores, torch.tensor(masks).flatten(1).any(1), torch.tensor(maps), *channel
        )
        == expected
    )
    assert tuple(expected) == PIXEL_NAMES + IMAGE_NAMES


def test_undefined_figures_say_why_and_are_null_in_json():
    maps, masks, _ = scene()
    result = metrics.evaluate(np.arange(6.0), np.zeros(6), maps, masks * 0)
    assert all(isinstance(value, Undefined) for value in result.values())
    assert str(result["image_auroc"]) == "undefined: only normal pictures"
    assert str(result["pixel_pro"]) == "undefined: only normal pixels"
    assert str(result["inside_auroc"]) == "undefined: no object masks were given"
    assert (
        str(metrics.image_metrics([0.1, 0.2], [1, 1])["image_ap"])
        == "undefined: only defective pictures"
    )
    assert str(metrics.image_metrics([], [])["image_ap"]) == "undefined: no pictures"
    assert f"{result['pixel_ap']:.3f}" == "undefined" and np.isnan(result["pixel_ap"])
    for duplicate in (
        copy.deepcopy(result["pixel_ap"]),
        pickle.loads(pickle.dumps(result["pixel_ap"])),
    ):
        assert duplicate.reason == "only normal pixels"
    restored = json.loads(json.dumps(metrics.jsonable({"classes": [result]})))
    assert restored == {"classes": [dict.fromkeys(result)]}
    assert metrics.jsonable({"a": 0.5, "n": 3, "s": "x"}) == {"a": 0.5, "n": 3, "s": "x"}
    without = metrics.evaluate(None, None, None, None)
    assert without["pixel_ap"].reason == "no maps or masks were given"
    assert without["image_ap"].reason == "no image scores were given"


def test_bad_input_is_named():
    maps, masks, _ = scene()
    with pytest.raises(ValueError, match=r"maps: 1 of 6144 values are not finite"):
        metrics.pixel_metrics(
            np.where(np.arange(maps.size).reshape(maps.shape) == 7, np.nan, maps), masks
        )
    with pytest.raises(ValueError, match=r"\(6, 32, 32\).*\(5, 32, 32\)"):
        metrics.pixel_metrics(maps, masks[:5])
    with pytest.raises(ValueError, match="each 0 or 1"):
        metrics.image_metrics([0.1, 0.2], [0, 2])
    histogram = PixelHistogram().update(maps, masks)
    with pytest.raises(ValueError, match="for some pictures and not for others"):
        histogram.update(maps, masks, masks)


def curve_bounds(curve):
    """What AUROC, AP, F1-max and PRO lie between, however scores are ordered in each bin."""
    best = curve._replace(fp=curve.fp_above).figures()
    worst = curve._replace(fp_above=curve.fp).figures()
    # the bin's first defective item, behind all of its normal ones
    steps = np.diff(curve.tp, prepend=0)
    first = curve.tp - steps + 1
    worst[1] = float(steps @ (first / (first + curve.fp)) / curve.tp[-1])
    return list(zip(worst, best, strict=True))


def bounds_of(histogram):
    """(lowest, highest) value that the exact figure can have, for every figure of `result`."""
    positive, negative, shares, *within = histogram.counts[0]
    curve = curves.binned_curve(positive, negative, shares / histogram.regions)
    bounds = dict(zip(PIXEL_NAMES, curve_bounds(curve), strict=False))
    bounds["inside_auroc"] = curve_bounds(curves.binned_curve(*within))[0]
    return bounds | {"peak_hit": (histogram.result()["peak_hit"],) * 2}  # exact


@pytest.mark.parametrize("bins", [16, 256, 1 << 14])
@pytest.mark.parametrize("levels", [None, 4])
def test_binned_figures_lie_within_the_stated_bounds(bins, levels):
    for seed in range(4):
        maps, masks, inside = scene(seed, levels=levels)
        exact = metrics.pixel_metrics(maps, masks, inside)
        histogram = PixelHistogram(bins).update(maps, masks, inside)
        result, bounds = histogram.result(), bounds_of(histogram)
        for name in PIXEL_NAMES:
            low, high = bounds[name]
            assert low - 1e-12 <= exact[name] <= high + 1e-12, name
            assert low - 1e-12 <= result[name] <= high + 1e-12, name
        # equal scores keep the bounds wide: a bin cannot know that they are equal
        if bins == 1 << 14:
            assert levels or max(high - low for low, high in bounds.values()) < 0.02
            assert result == pytest.approx(exact, abs=2e-3)


@pytest.mark.parametrize("positive", [[0.1, 0.2], [0.8, 0.9], [0.1, 0.9]])
def test_bounds_hold_at_the_worst_when_one_bin_holds_everything(positive):
    negative = np.linspace(0.3, 0.7, 8)
    exact = metrics.exact_curve(np.array(positive), negative, np.full(2, 0.5)).figures()
    bounds = curve_bounds(curves.binned_curve(*np.array([[2.0], [8.0], [1.0]])))
    for value, (low, high) in zip(exact, bounds, strict=True):
        assert low - 1e-12 <= value <= high + 1e-12


def test_streaming_in_any_order_equals_one_update_although_the_range_is_not_known():
    maps, masks, inside = scene(pictures=12)
    # every picture widens the bins anew
    maps *= np.geomspace(1e-3, 1e3, 12, dtype=np.float32)[:, None, None]
    maps += 7
    whole = PixelHistogram(1024).update(maps, masks, inside)
    for order in (range(12), range(11, -1, -1), np.random.default_rng(0).permutation(12)):
        parts, held = PixelHistogram(1024), []
        for picture in order:
            one = slice(picture, picture + 1)
            held.append(len(pickle.dumps(parts.update(maps[one], masks[one], inside[one]))))
        assert max(held) - min(held) < 100  # bytes: nothing piles up
        assert parts.counts.sum() == pytest.approx(whole.counts.sum())
        for name, (low, high) in bounds_of(parts).items():
            assert low - 1e-12 <= metrics.pixel_metrics(maps, masks, inside)[name] <= high + 1e-12
        if parts.width == whole.width:
            assert parts.result() == pytest.approx(whole.result(), abs=1e-12)
        assert parts.width in (whole.width, 2 * whole.width)


def test_binned_handles_flat_and_shifted_maps():
    _, masks, _ = scene()
    flat = metrics.evaluate(None, None, np.full(masks.shape, 3.5), masks, binned=True)
    assert flat["pixel_auroc"] == 0.5 and flat["pixel_pro"] == pytest.approx(0.15)
    maps, _, _ = scene()
    shifted = metrics.evaluate(None, None, maps.astype(np.float64) + 1e6, masks, binned=True)
    assert shifted["pixel_auroc"] == pytest.approx(
        metrics.pixel_metrics(maps, masks)["pixel_auroc"], abs=1e-3
    )


def test_bootstrap_gives_the_class_mean_and_an_interval_that_shrinks_with_more_pictures():
    def auroc(scores, labels):
        return metrics.image_metrics(scores, labels)["image_auroc"]

    def classes(count):
        generator = np.random.default_rng(1)
        labels = np.arange(count) % 2
        return {name: (generator.standard_normal(count) + labels, labels) for name in "ab"}

    few, many = (metrics.bootstrap(classes(count), auroc, rounds=60) for count in (20, 500))
    assert few[0] == pytest.approx(np.mean([auroc(*arrays) for arrays in classes(20).values()]))
    assert few[1] < few[0] < few[2] and few[2] - few[1] > 2 * (many[2] - many[1])
    assert metrics.bootstrap(classes(20), auroc, rounds=60) == few
    one_kind = {"a": (np.arange(4.0), np.zeros(4))}
    assert isinstance(metrics.bootstrap(one_kind, auroc, rounds=3)[0], Undefined)
    with_one_kind = metrics.bootstrap(classes(20) | {"c": one_kind["a"]}, auroc, rounds=3)
    assert with_one_kind[0] == pytest.approx(few[0])
