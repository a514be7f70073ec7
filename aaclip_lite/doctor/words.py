"""Are the two anchors of a class apart, and do two models' logits have one scale?

Special: anchors stand beside CLIP's own and beside what random directions would give.
Use: `doctor.anchors(model, ["bottle"])`, `doctor.scales(model, other, pictures)`.
"""

import math
from collections import defaultdict

import torch
from torch import Tensor

from ..scoring import similarity_logits
from .finding import Finding, Reasons, conclude, mean_and_error, shown

UNDECIDED = math.log(9)  # the logit of p = 0.9
SATURATED = -math.log(1e-5)  # a logit beyond the focal loss's smoothing
FAR = 3.0  # ratio of logit scales beyond which one hides the other in a sum


@torch.no_grad()
def anchors(model, names) -> Finding:
    """Per class: cosine and distance of the two anchors, beside those of CLIP's own text tower
    (frozen).

    reach: logit scale x distance, the logit of a patch that points straight from normal to
    abnormal; random: what one that points anywhere gets. Cosines of random directions are 0 within
    1 / sqrt(d).
    """
    scale = model.recipe.logit_scale
    adapted, frozen = model.text_anchors(names), model.text_anchors(names, adapted=False)
    if not adapted:
        raise ValueError("anchors needs at least one class name")
    rows = [_anchor_row(name, anchors, frozen[name], scale) for name, anchors in adapted.items()]
    reach, error = mean_and_error([row["reach"] for row in rows])
    random, _ = mean_and_error([row["random"] for row in rows])
    reasons = {}
    if reach < UNDECIDED:
        surest = 1 / (1 + math.exp(-reach))
        reasons["collapsed"] = [
            f"scale x distance is {reach:.3g}: no patch gets beyond p = {surest:.2f}"
        ]
    if random > SATURATED:
        reasons["saturated"] = [
            f"random directions get logits of {random:.3g}, {SATURATED:.3g} leaves no gradient"
        ]
    moved = any(abs(row["cosine"] - row["frozen cosine"]) >= 1e-6 for row in rows)
    if model.recipe.trains_text and not moved:
        reasons["untrained"] = [
            "the anchors are those of CLIP's own text tower: stage 1 has not moved them"
        ]
    note = (
        f"mean of {len(rows)} classes: logit scale {scale:g} x distance = {reach:.3g} ± "
        f"{shown(error)}"
    )
    return conclude("anchors", f"anchors of {len(rows)} classes", reasons, rows, [note])


def _anchor_row(name: str, anchors: Tensor, frozen: Tensor, scale: float) -> dict:
    cosine, cosine0 = (float(a[:, 0] @ a[:, 1]) for a in (anchors, frozen))
    apart, apart0 = (float((a[:, 1] - a[:, 0]).norm()) for a in (anchors, frozen))
    return {
        "class": name,
        "cosine": cosine,
        "frozen cosine": cosine0,
        "random ±": len(anchors) ** -0.5,
        "distance": apart,
        "frozen distance": apart0,
        "reach": scale * apart,
        "frozen reach": scale * apart0,
        "random": scale * apart / len(anchors) ** 0.5,
    }


@torch.no_grad()
def scales(model_a, model_b, images: Tensor, name: str = "object") -> Finding:
    """Logits (abnormal minus normal) of two models on the same pictures (B, 3, H, W), uint8 or in
    [0, 1].
    """
    every = [_logits(model, images, name) for model in (model_a, model_b)]
    reasons: Reasons = defaultdict(list)
    rows = []
    for kind in every[0]:
        logits = [one[kind].double() for one in every]  # (B, N) each, or (1, B)
        spreads = [one.std(dim=1) for one in logits]
        if min(float(spread.min()) for spread in spreads) < 1e-9 or spreads[0].isnan().any():
            reasons["constant"].append(
                f"{kind}: one logit only, from a model or for want of pictures"
            )
            continue
        mean, error = mean_and_error((spreads[1] / spreads[0]).log())
        # one value a picture has no second set to compare with: the error of a deviation of B
        # normal values, twice
        error = error if error is not None else (1 / max(1, logits[0].shape[1] - 1)) ** 0.5
        rows += _scale_rows(kind, logits, math.exp(mean), error)
        if abs(mean) > math.log(FAR):
            reasons["scale mismatch"].append(
                f"{kind}: model b's logits spread {math.exp(mean):.3g} times as far as model a's"
            )
    return conclude("scales", "logit scales", reasons, rows)


def _logits(model, images: Tensor, name: str) -> dict[str, Tensor]:
    anchors = model.text_anchors([name])[name]
    features = model(model.preprocess(images.to(anchors.device)), [name] * len(images))
    maps = sum(
        similarity_logits(level, anchors, model.recipe.logit_scale).flatten(2)
        for level in features.levels
    )
    pictures = model.recipe.detection_scale * features.detection @ anchors  # (B, 2)
    return {"map": maps[:, 1] - maps[:, 0], "detection": pictures[:, 1:].T - pictures[:, :1].T}


def _scale_rows(kind: str, logits: list[Tensor], ratio: float, error: float) -> list[dict]:
    return [
        {
            "logits": kind,
            "model": label,
            "lowest": float(one.min()),
            "highest": float(one.max()),
            "mean": float(one.mean()),
            "std": float(one.std()),
            "b / a": ratio,
            "equal": 1.0,
            "±": ratio * error,
        }
        for label, one in zip("ab", logits, strict=True)
    ]
