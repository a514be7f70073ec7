"""How a checkpoint's tensors started, and how far they moved from there.

Special: a uniform start leaves no weight beyond its support, so the share outside tells how far
weights moved, without knowing the start weight by weight.
Use: `rows, broken = tensor_rows(tensors, recipe, model)`.
"""

import math

import torch
from torch import Tensor

from ..adapters import image_adapters, text_adapters
from ..recipe import Recipe

# of a variant whose towers look at each other: matrices start Xavier-uniform, biases at zero
ATTENTION = [f"{at}_proj.{kind}" for at in ("q", "k", "v", "out") for kind in ("weight", "bias")]
TOO_FEW = 3  # events expected: where none is seen, fewer prove nothing


def expected_outside(rows: list[dict], distance: float) -> float:
    """How many weights lie beyond their support once all have moved so far."""
    return sum(
        r["weights"] * (min(1.0, distance / (2 * r["support"])) if r["support"] else 1.0)
        for r in rows
    )


def tensor_rows(tensors: dict[str, Tensor], recipe: Recipe, model) -> tuple[list[dict], list[str]]:
    """(one row a tensor, what is broken); starts are those of the code that builds adapters."""
    rows, broken = [], []
    for part in sorted({name.split(".")[0] for name in tensors}):
        start = f"{part}."
        own = {n.removeprefix(start): w for n, w in tensors.items() if n.startswith(start)}
        fresh = _fresh(part, own, recipe)
        strange = sorted(
            name
            for name in {*own, *fresh}
            if name not in own or name not in fresh or own[name].shape != fresh[name].shape
        )
        if strange:
            names = ", ".join(strange)
            broken.append(f"{part}: {names}: unlike recipe {recipe.name!r} in name or shape")
        for name in sorted(own.keys() - set(strange)):
            w = own[name]
            begun, support = _begun(part, name, fresh, model)
            row = {"tensor": f"{part}.{name}", **_movement(w, begun.to(w.dtype), support)}
            rows.append(row)
            if not w.isfinite().all():
                broken.append(f"{part}.{name} is not finite")
            elif row["null"] and not w.any():
                broken.append(f"{part}.{name} is all zero")
    return rows, broken


def _begun(part: str, name: str, fresh: dict[str, Tensor], model) -> tuple[Tensor, float]:
    """(a tensor's start, NaN where it is not known; the support of a uniform start, else 0)."""
    start = fresh[name]
    copied = bool(start.isnan().any())
    if start.any() and not copied:  # matrices start Xavier-uniform, biases as torch does it
        fans = start.shape
        if start.ndim < 2:
            fans = fresh[f"{name.removesuffix('bias')}weight"].shape[1:] * 6
        return start, math.sqrt(6 / sum(fans))
    if copied and model is not None:
        clip = model.clip
        projection = clip.text_projection if part == "text_adapter" else clip.visual.proj
        start = projection.detach().cpu().T
    return start, 0.0


def _fresh(part: str, own: dict[str, Tensor], recipe: Recipe) -> dict[str, Tensor]:
    """The adapters as training starts them, NaN where that is CLIP's own projection."""
    if part.endswith("_attention"):
        like = {name: own.get(name, torch.zeros(1)) for name in ATTENTION}
        return {n: torch.full(w.shape, float(n.endswith("weight"))) for n, w in like.items()}
    numbers = [int(name.split(".")[0]) for name in own if name[0].isdigit()]
    head = "det_proj" if part == "image_adapter" else str(max(numbers, default=0))
    shape = own.get(f"{head}.fc.weight", own.get(f"{head}.fc.0.weight", torch.zeros(1, 1))).shape
    blank = torch.full(shape[::-1], math.nan)
    blocks, levels = (
        len({n.split(".")[1] for n in own if n.startswith(kind)}) for kind in ("layer_", "seg_")
    )
    # a diagnosis must not change what a training run draws next
    with torch.random.fork_rng(devices=[]):
        if part == "text_adapter":
            return text_adapters(recipe, *blank.shape, int(head), blank).state_dict()
        return image_adapters(recipe, *blank.shape, blocks, levels, blank).state_dict()


def _movement(w: Tensor, start: Tensor, support: float) -> dict:
    """Mean |w| beside its value before training, and what moved; support 0: the start is known
    weight by weight.
    """
    n, slack, w, start = w.numel(), 1 + torch.finfo(w.dtype).eps, w.double(), start.double()
    row = {"weights": n, "mean |w|": float(w.abs().mean())}
    if start.isnan().any():
        return row | dict.fromkeys(("null", "±", "support", "outside", "moved", "moved ±"))
    away = (w.abs() - support * slack).clamp(min=0) if support else (w - start).abs()
    outside = float((away > 0).double().mean())
    # where none is seen, three may have been missed
    noise = math.sqrt(max(outside * (1 - outside), TOO_FEW / n) / n)
    return row | {
        "null": support / 2 or float(start.abs().mean()),
        "±": support / math.sqrt(12 * n),
        "support": support,
        "outside": outside,
        "moved": 2 * support * outside or float(away.mean()),
        "moved ±": 2 * support * noise,
    }
