"""From features and anchors to maps, picture scores and decisions: pure functions.

Special: after the similarity every step of a map is linear, so levels are summed first, then
blurred and enlarged once; the published picture score needs the whole test set (`fuse`), a
calibrated one a single picture (`picture_scores`).
The line above which a part counts as anomalous is drawn in decision.py, from these functions.
Use: `anomaly_map(features.levels, anchors, 518)`, `picture_scores(features, anchors, maps)`.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .files.blur import blurred

BLUR = {"industrial": (7, 1.0), "medical": (9, 1.5)}  # kernel and sigma, in patches
# the score "map_detection", each number chosen on validation stations
HOTTEST = (
    0.005,
    0.2,
)  # the map's part: mean of its hottest 0.5 % and of its hottest 20 % of pixels
DETECTED = 0.05  # the detection feature's part: its hottest patches count as much as their mean
DETECTION = 1000.0  # what that part's cosine difference of 1 counts; in a map it counts 50 a level


def similarity_logits(
    level: Float[Tensor, "B N d"], anchors: Float[Tensor, "*B d 2"], scale: float = 100.0
) -> Float[Tensor, "B 2 h w"]:
    """Scaled cosines on the patch grid, in full precision: 100 times bf16's rounding would show."""
    side = math.isqrt(level.shape[1])  # patches lie row by row on a square grid
    if side * side != level.shape[1]:
        raise ValueError(
            f"{level.shape[1]} patches do not form a square grid; was the class token left in?"
        )
    if anchors.shape[-2:] != (level.shape[-1], 2):
        raise ValueError(
            f"anchors have shape {tuple(anchors.shape)}, these features need (..., "
            f"{level.shape[-1]}, 2)"
        )
    if torch.is_autocast_enabled(level.device.type):  # it would round the product again
        with torch.autocast(level.device.type, enabled=False):
            return similarity_logits(level, anchors, scale)
    precision = torch.promote_types(level.dtype, torch.float32)  # half is raised, double stays
    # (B, N, 2): cosines of unit patches; of summed levels, or with the class feature, their sums
    similarity = level.to(precision) @ anchors.to(precision)
    return (scale * similarity).transpose(1, 2).unflatten(2, (side, side))  # (B, 2, h, w)


def probability_map(
    level: Float[Tensor, "B N d"],
    anchors: Float[Tensor, "*B d 2"],
    image_size: int | Sequence[int],
    scale: float = 100.0,
    align_corners: bool = True,
) -> Float[Tensor, "B 2 H W"]:
    """Training map: logits enlarged to the picture, then softmax over normal and abnormal."""
    logits = similarity_logits(level, anchors, scale)
    # bilinear: a map that jumps at each patch's rim could not follow a defect's outline
    large = F.interpolate(logits, image_size, mode="bilinear", align_corners=align_corners)
    return large.softmax(dim=1)  # after enlarging, as published: the order matters


def anomaly_map(
    levels: Sequence[Float[Tensor, "B N d"]],
    anchors: Float[Tensor, "*B d 2"],
    image_size: int | Sequence[int],
    domain: str = "industrial",
    scale: float = 100.0,
    align_corners: bool = True,
    blur: float | None = None,
) -> Float[Tensor, "B H W"]:
    """Test map: sum over levels of (abnormal + 1 - normal) / 2, blurred on the grid and enlarged."""
    # the similarity is linear too: one product with the summed levels stands for one a level
    logits = similarity_logits(torch.stack(tuple(levels)).sum(0), anchors, scale)
    # a level that can't decide adds 0.5: (abnormal + 1 - normal) / 2 with both equal
    summed = (logits[:, 1:] + len(levels) - logits[:, :1]) / 2  # (B, 1, h, w)
    return finish(summed, image_size, domain, align_corners, blur)


def finish(
    grid: Float[Tensor, "B 1 h w"],
    image_size: int | Sequence[int],
    domain: str = "industrial",
    align_corners: bool = True,
    blur: float | None = None,
) -> Float[Tensor, "B H W"]:
    """A map on the patch grid, blurred there and enlarged to the picture.

    blur: sigma in patches; None takes the domain's. align_corners=True is the published way: it
    puts the middle of a corner patch on the picture's corner, so that towards the edges everything
    lies up to half a patch too far out.
    """
    if domain not in BLUR:
        raise ValueError(f"domain = {domain!r} is not one of {', '.join(BLUR)}")
    kernel, sigma = BLUR[domain]
    sigma = sigma if blur is None else blur  # 0: no blur
    if min(grid.shape[-2:]) <= kernel // 2:  # the blur mirrors the rim: there must be so much
        raise ValueError(
            f"a grid of {grid.shape[-1]} patches is too small for the {domain} blur of {kernel}; "
            "use a larger image"
        )
    grid = blurred(grid, kernel, sigma) if sigma else grid  # cheaper here than on pixels
    return F.interpolate(grid, image_size, mode="bilinear", align_corners=align_corners)[:, 0]


def image_scores(
    detection: Float[Tensor, "B d"], anchors: Float[Tensor, "*B d 2"]
) -> Float[Tensor, " B"]:
    """Detection feature against the abnormal anchor, from [-1, 1] to [0, 1]."""
    return ((detection * anchors[..., 1]).sum(-1) + 1) / 2


def fuse(
    maps: Float[Tensor, "n H W"], scores: Float[Tensor, " n"], domain: str = "industrial"
) -> Float[Tensor, " n"]:
    """Published picture score of one class: min-max over ALL its test pictures, then half map peak,
    half detection.

    Transductive: a picture's score changes with the others in the call. Medical data use the map
    peak alone.
    """
    if domain not in BLUR:
        raise ValueError(f"domain = {domain!r} is not one of {', '.join(BLUR)}")
    peaks = _min_max(torch.as_tensor(maps), "map values").flatten(1).amax(1)  # one pixel decides
    if domain == "medical":
        return peaks
    return 0.5 * peaks + 0.5 * _min_max(torch.as_tensor(scores), "detection scores")


def top_fraction(maps: Float[Tensor, "B H W"], fraction: float = 0.01) -> Float[Tensor, " B"]:
    """Mean of each map's hottest pixels: steadier than its single peak."""
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction = {fraction!r} must lie in (0, 1]")
    flat = maps.flatten(1)  # (B, H W)
    count = max(1, round(fraction * flat.shape[1]))  # at least one pixel
    return flat.topk(count, dim=1, sorted=False).values.mean(1)


def abnormal_margin(features: Any, anchors: Float[Tensor, "*B d 2"]) -> Float[Tensor, " B"]:
    """How much nearer to the abnormal anchor than to the normal one: half the detection feature,
    half its hottest patches.
    """
    direction = anchors[..., 1:] - anchors[..., :1]  # (B, d, 1): from sound to damaged
    whole = features.detection[:, None]  # (B, 1, d)
    patches = whole if features.patches is None else features.patches
    # the whole for damage all over the part, the hottest patches for a small one
    hottest = top_fraction(patches @ direction, DETECTED)  # (B,)
    return ((whole @ direction).flatten() + hottest) / 2


def picture_scores(
    features: Any,
    anchors: Float[Tensor, "*B d 2"],
    maps: Float[Tensor, "B H W"],
    kind: str = "map_late",
    domain: str = "industrial",
    blur: float | None = None,
) -> Float[Tensor, " B"]:
    """THE score of single pictures, as Recipe.image_score names it. features: what the model gives.

    "map_late" is the peak, on the patch grid, of the map of the later levels: early ones find edges
    as easily. "map_detection" is the hottest pixels' mean plus how much nearer detection feature and
    hottest patches lie to the abnormal anchor. "released", which needs a set (`fuse`): the peak.
    """
    if kind == "map_late":
        late = tuple(features.levels)[len(features.levels) // 2 :]  # the deeper half
        side = math.isqrt(late[0].shape[1])  # on the grid: enlarging makes no new peak
        return anomaly_map(late, anchors, side, domain, blur=blur).flatten(1).amax(1)
    if kind in ("map_max", "released"):
        return maps.flatten(1).amax(1)
    if kind == "map_top":
        return top_fraction(maps)
    if kind == "map_detection":
        peaks = sum(top_fraction(maps, share) for share in HOTTEST) / len(HOTTEST)  # narrow, wide
        return peaks + DETECTION * abnormal_margin(features, anchors)
    if kind == "detection":
        return image_scores(features.detection, anchors)
    known = "map_detection, map_late, map_max, map_top, detection, released"
    raise ValueError(f"kind = {kind!r} is no picture score; use one of {known}")


def fit_constants(values: Float[Tensor, "*any"]) -> tuple[float, float]:
    """(mean, standard deviation) of what normal pictures give."""
    values = torch.as_tensor(values).flatten().double()
    if len(values) < 2 or not values.isfinite().all() or values.std() == 0:
        raise ValueError(
            f"cannot calibrate on {len(values)} values: at least two finite, unlike ones are needed"
        )
    return float(values.mean()), float(values.std())  # numbers, so that JSON can hold them


def z_scores(
    values: Float[Tensor, "*any"], constants: tuple[float, float]
) -> Float[Tensor, "*any"]:
    """How many deviations above what is normal; for scores and for whole maps."""
    mean, deviation = constants
    return (values - mean) / deviation  # 0: an ordinary sound part; 3: rare among them


def threshold_at(normal_scores: Float[Tensor, "*any"], false_alarm_rate: float) -> float:
    """Threshold that a new normal picture exceeds with at most this probability (split-conformal
    order statistic).
    """
    scores = torch.as_tensor(normal_scores).flatten().sort().values
    if not 0 < false_alarm_rate < 1 or not len(scores) or not scores.isfinite().all():
        raise ValueError(
            f"false_alarm_rate = {false_alarm_rate!r} on {len(scores)} scores: needs a rate in (0, "
            "1) and finite scores"
        )
    # a new sound picture is as likely to land in each of the n + 1 gaps between n scores
    rank = math.ceil((len(scores) + 1) * (1 - false_alarm_rate) - 1e-9)  # 20 * 0.95 may exceed 19
    if rank > len(scores):
        raise ValueError(
            f"{len(scores)} normal pictures allow a false-alarm rate of "
            f"{1 / (len(scores) + 1):.3g} or more, not {false_alarm_rate}"
        )
    return float(scores[rank - 1])  # as many sound parts lie above as the rate allows


def _min_max(values: Float[Tensor, "*any"], what: str) -> Float[Tensor, "*any"]:
    low = values.min()
    high = values.max()
    if high == 1:  # the published code takes such values as scaled already
        return values
    if not high > low:
        raise ValueError(
            f"all {what} are equal or not finite: min-max over the test set needs pictures that "
            "differ"
        )
    return (values - low) / (high - low)
