"""Do two models' logits have one scale? One that speaks ten times as loud hides the other in a sum.

Use: `doctor.scales(model, other, pictures)`.
"""

import math
from collections import defaultdict

import torch
from torch import Tensor

from ..scoring import similarity_logits
from .finding import Finding, Reasons, conclude, mean_and_error

FAR = 3.0  # ratio of logit scales beyond which one hides the other


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
