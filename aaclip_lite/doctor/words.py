"""Are the two anchors of a class apart?

Special: anchors stand beside CLIP's own and beside what random directions would give.
Use: `doctor.anchors(model, ["bottle"])`.
"""

import math

import torch
from torch import Tensor

from .finding import Finding, conclude, mean_and_error, shown

UNDECIDED = math.log(9)  # the logit of p = 0.9
SATURATED = -math.log(1e-5)  # a logit beyond the focal loss's smoothing


@torch.no_grad()
def anchors(model, names) -> Finding:
    """Per class: cosine and distance of the two anchors, beside those of CLIP's own text tower
    (frozen).

    reach: logit scale x distance, the logit of a patch that points straight from normal to
    abnormal; random: what one that points anywhere gets. Cosines of random directions are 0 within
    1 / sqrt(d).
    """
    scale = model.recipe.logit_scale
    own, frozen = model.text_anchors(names), model.text_anchors(names, adapted=False)
    if not own:
        raise ValueError("anchors needs at least one class name")
    rows = [_anchor_row(name, pair, frozen[name], scale) for name, pair in own.items()]
    reach, error = mean_and_error([row["reach"] for row in rows])
    random, _ = mean_and_error([row["random"] for row in rows])
    found = {}
    if reach < UNDECIDED:
        surest = 1 / (1 + math.exp(-reach))
        found["collapsed"] = [
            f"scale x distance is {reach:.3g}: no patch gets beyond p = {surest:.2f}"
        ]
    if random > SATURATED:
        found["saturated"] = [
            f"random directions get logits of {random:.3g}, {SATURATED:.3g} leaves no gradient"
        ]
    moved = any(abs(row["cosine"] - row["frozen cosine"]) >= 1e-6 for row in rows)
    if model.recipe.trains_text and not moved:
        found["untrained"] = [
            "the anchors are those of CLIP's own text tower: stage 1 has not moved them"
        ]
    note = (
        f"mean of {len(rows)} classes: logit scale {scale:g} x distance = {reach:.3g} ± "
        f"{shown(error)}"
    )
    return conclude("anchors", f"anchors of {len(rows)} classes", found, rows, [note])


def _anchor_row(name: str, pair: Tensor, frozen: Tensor, scale: float) -> dict:
    cosine, cosine0 = (float(a[:, 0] @ a[:, 1]) for a in (pair, frozen))
    apart, apart0 = (float((a[:, 1] - a[:, 0]).norm()) for a in (pair, frozen))
    return {
        "class": name,
        "cosine": cosine,
        "frozen cosine": cosine0,
        "random ±": len(pair) ** -0.5,
        "distance": apart,
        "frozen distance": apart0,
        "reach": scale * apart,
        "frozen reach": scale * apart0,
        "random": scale * apart / len(pair) ** 0.5,
    }
