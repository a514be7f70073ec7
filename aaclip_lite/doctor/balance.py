"""Do the loss's parts and the modules' gradients pull as they should?

Special: each part stands beside its value for a constant answer, each gradient beside the least that
moves a weight; gradients are measured after unscaling.
Use: `doctor.losses(model, batch)`, `doctor.gradients(model, batch, "image")`.
"""

import math
from collections import defaultdict

import torch
from torch import Tensor

from ..losses import detection, dice, focal, orthogonal
from ..model import stack_anchors
from ..scoring import probability_map
from ..train import unread
from .finding import Finding, Reasons, by_module, conclude, flat, mean_and_error

EPSILON = 1e-8  # Adam's: below it gradients stop moving weights
HALF_MAX = 65504.0  # above it half precision ends
DOMINATED = 0.97  # share of the gradient beyond which the other parts hardly count
SEGMENTATION = {  # parts of the segmentation loss, a value a picture
    "focal": lambda p, m: focal(p, m, reduction="none"),
    "dice normal": lambda p, m: dice(p[:, 0], 1 - m, "none"),
    "dice abnormal": lambda p, m: dice(p[:, 1], m, "none"),
}


@torch.enable_grad()
def losses(model, batch: dict, stages: tuple[str, ...] = ("text", "image")) -> Finding:
    """Each weighted part of the loss beside its value for equal anchors ("undecided") and for the
    answer "all normal", with the length of its gradient at weights that the parts share: text
    adapters, or adapters of the image blocks.
    """
    batch = _ready(model, batch)
    reasons, rows, mask = defaultdict(list), [], batch["mask"]
    if len(batch["label"].unique()) < 2:
        reasons["one label"] = [f"all {len(mask)} pictures have label {int(batch['label'][0])}"]
    for stage in stages:
        rows += _stage_rows(model, batch, stage, reasons)
    return conclude("losses", f"loss of {len(mask)} pictures", reasons, rows)


def constant_answer(mask: Tensor, abnormal: float) -> dict[str, float]:
    """What each part of the segmentation loss costs, one level, for the same answer everywhere:
    0 is "all normal", 0.5 a coin toss.
    """
    everywhere = torch.full_like(mask, abnormal)
    p = torch.cat([1 - everywhere, everywhere], dim=1)
    return {part: float(loss(p, mask).mean()) for part, loss in SEGMENTATION.items()}


def _stage_rows(model, batch: dict, stage: str, reasons: Reasons) -> list[dict]:
    """A stage's rows of the table; what is wrong goes into `reasons`."""
    values, undecided, levels = _values(model, batch, stage)
    normal = {part: levels * cost for part, cost in constant_answer(batch["mask"], 0).items()}
    every = model.trainable(stage)
    shared = [w for name, w in every.items() if stage == "text" or "layer_adapters" in name]
    shared = shared or list(every.values())
    lengths = {
        part: float(flat(_backward(value.mean(), shared)).norm()) for part, value in values.items()
    }
    rows = []
    for part, value in values.items():
        mean, error = mean_and_error(value)
        share = lengths[part] / (sum(lengths.values()) or 1.0)
        row = {"stage": stage, "part": part, "value": mean, "±": error}
        row |= {"undecided": mean_and_error(undecided[part])[0], "all normal": normal.get(part)}
        rows.append(row | {"gradient": lengths[part], "share": share, "even": 1 / len(values)})
        if not math.isfinite(mean):
            reasons["not finite"].append(f"{stage}: {part} is {mean}")
        elif mean and not lengths[part]:
            reasons["detached"].append(f"{stage}: {part} has no gradient at the shared weights")
        elif share > DOMINATED:
            reasons["dominated"].append(f"{stage}: {part} has {share:.0%} of the gradient")
    ours, theirs = (sum(parts[part] for part in SEGMENTATION) for parts in (values, undecided))
    mean, error = mean_and_error(ours)
    null = min(mean_and_error(theirs)[0], sum(normal.values()))
    if not mean < null - 2 * (error or 0.0):
        reasons["at null"].append(
            f"{stage}: segmentation {mean:.3g} is not below a constant answer's {null:.3g}"
        )
    return rows


@torch.enable_grad()
def gradients(model, batch: dict | None = None, stage: str = "image", scale=1.0) -> Finding:
    """By module: of a batch's loss or, without one, of what backward() left in .grad.

    scale: the factor (or GradScaler) that is still in .grad; the numbers here are without it.
    """
    weights = model.trainable(stage)
    factor = 1.0
    if batch is None:
        factor = float(scale.get_scale() if hasattr(scale, "get_scale") else scale)
        every = [w.grad for w in weights.values()]
    else:
        values = _values(model, _ready(model, batch), stage)[0]
        every = _backward(sum(value.mean() for value in values.values()), [*weights.values()])
    reasons, rows, owned = defaultdict(list), [], by_module(weights.items())
    if any(w.requires_grad for w in weights.values()) and all(g is None for g in every):
        reasons["detached"] = [
            "no weight has a gradient: backward() did not run, or the loss was detached"
        ]
    for module, parts in by_module(zip(weights, every, strict=True)).items():
        pull, count = flat(parts) / factor, sum(w.numel() for w in owned[module])
        length = float(pull.norm())
        row = {"module": module, "weights": count, "length": length}
        rows.append(row | {"a weight": length / count**0.5, "epsilon": EPSILON})
        known = reasons["detached"] or module in unread(model.depths)
        _module(rows[-1], pull, owned[module], not known, reasons)
    return conclude("gradients", f"gradients of stage {stage}", reasons, rows)


def _module(row: dict, pull: Tensor, weights: list[Tensor], cut: bool, reasons: Reasons) -> None:
    """What is wrong with a module's gradient goes into `reasons`; cut: 0 is wrong here."""
    name, length, each = row["module"], row["length"], row["a weight"]
    if not any(w.requires_grad for w in weights):
        reasons["frozen"].append(f"{name}: requires_grad is False")
    elif not math.isfinite(length) or (len(pull) and float(pull.abs().max()) > HALF_MAX):
        reasons["exploding"].append(
            f"{name}: length {length:.3g}, beyond what half precision holds"
        )
    elif not length and cut:
        reasons["cut off"].append(f"{name}: the loss does not depend on it")
    elif length and each < EPSILON:
        reasons["vanishing"].append(f"{name}: {each:.3g} a weight, below Adam's epsilon {EPSILON}")


def _ready(model, batch: dict) -> dict:
    """The batch on the model's device."""
    if "mask" not in batch:
        raise ValueError(
            "the losses need masks, this batch has none: is its data set image-level only?"
        )
    device = model.clip.text_projection.device
    return {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}


def _values(model, batch: dict, stage: str) -> tuple[dict[str, Tensor], dict[str, Tensor], int]:
    """(weighted parts of a stage's loss, each (B,), whose means add up to what training minimises,
    with its graph; the same for two equal anchors; number of levels).
    """
    recipe = model.recipe
    mask = batch["mask"]
    images = model.preprocess(batch["image"])
    with torch.set_grad_enabled(stage != "image"):
        adapted = True if stage == "text" else None
        anchors = model.text_anchors(list(dict.fromkeys(batch["class_name"])), adapted=adapted)
        anchors = stack_anchors(anchors, batch["class_name"])
    if stage == "text":
        levels = model.dense_features(images)
        levels = levels if recipe.stage1_levels == "all" else levels[-1:]
        feature = None
    else:
        levels, feature, _ = model(images, batch["class_name"])

    def parts(anchors: Tensor) -> dict[str, Tensor]:
        scale = recipe.logit_scale
        size = mask.shape[-2:]
        maps = [probability_map(x, anchors, size, scale, recipe.align_corners) for x in levels]
        values = {part: sum(loss(p, mask) for p in maps) for part, loss in SEGMENTATION.items()}
        if feature is None:
            values["separation"] = recipe.orthogonal_weight * orthogonal(anchors)[None]
        else:
            values["detection"] = detection(
                feature, anchors, batch["label"], recipe.detection_scale, reduction="none"
            )
        return values

    return parts(anchors), parts(anchors[..., :1].expand_as(anchors)), len(levels)


def _backward(loss: Tensor, weights: list[Tensor]) -> list[Tensor | None]:
    """The gradient of each weight; None where the weight is frozen or the loss does not depend on
    it.
    """
    able = [w for w in weights if w.requires_grad and loss.requires_grad]
    grads = iter(
        torch.autograd.grad(loss, able, retain_graph=True, allow_unused=True) if able else ()
    )
    return [next(grads) if able and w.requires_grad else None for w in weights]
