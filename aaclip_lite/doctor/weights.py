"""Is a checkpoint trained, untrained, half-trained, or of another model?

Special: size alone shows nothing: Xavier-uniform 768 x 768 has mean |w| 0.031, and between 0.030
and 0.032 after 100 steps of 1e-5. What tells is the share of weights beyond their start's support (a
uniform start leaves none there, so it tells how far weights moved, without knowing the start weight
by weight), and the distance to the start itself where seed and model are known.
Use: `print(doctor.checkpoint("runs/a/text.safetensors", model))`.
"""

import math
from collections import defaultdict
from typing import NamedTuple

import torch
from torch import Tensor

from ..adapters import image_adapters, text_adapters
from ..files.weights import WeightsError
from ..model import AdaptedCLIP
from ..recipe import Recipe
from ..train import unread
from .finding import Finding, Reasons, by_module, conclude, flat, shown
from .statistics import relative_distance, xavier_bound
from .stored import copied, neighbours, on_a_base, optimiser, reach, read, rebuilt, strangers

# events expected: where none is seen, fewer than three prove nothing, and ten prove it
TOO_FEW = 3
ENOUGH = 10
# of a variant whose towers look at each other: matrices start Xavier-uniform, biases at zero
ATTENTION = [f"{at}_proj.{kind}" for at in ("q", "k", "v", "out") for kind in ("weight", "bias")]


class Travel(NamedTuple):
    """How far the weights of a file moved on average, its error, and how far they could."""

    told: list[dict]  # rows whose start is known
    moved: float
    noise: float
    rate: float
    reach: float | None  # None: no step is stored


def checkpoint(path, model: AdaptedCLIP | None = None) -> Finding:
    """An adapter file, a resume file or a released .pth; with a model, also whether it belongs to
    it, and, where the file names its seed, how far it lies from that seed's own start.

    outside: share of weights beyond their initial support, exactly 0 before training; from it
    follows how far they "moved" on average, 2 * support * outside for uniform starts. reach: what
    Adam can do in the stored steps.
    """
    try:
        tensors, header = read(path)
    except WeightsError as error:
        return conclude("checkpoint", path, {"broken": [str(error)]})
    reasons = defaultdict(list, strangers(tensors, header, model))
    fitting = None if reasons["wrong backbone"] else model
    rows, reasons["broken"] = tensor_rows(tensors, header["recipe"], fitting)
    travel = _travel(rows, header)
    _age(rows, travel, header, reasons)
    _still(travel, header, reasons)
    _short(header, reasons)
    said = optimiser(header, reasons)
    start = ""
    if fitting is not None and not any(
        reasons[v] for v in ("wrong variant", "wrong recipe", "broken")
    ):
        start = _reference(tensors, header, fitting, rows)
    notes = [*_notes(travel, header, model), said, start, *neighbours(path, header)]
    reached = [row | {"reach": travel.reach} for row in rows]
    return conclude("checkpoint", path, reasons, reached, notes)


def _travel(rows: list[dict], header: dict) -> Travel:
    told = [row for row in rows if row["moved"] is not None]
    count = max(1, sum(row["weights"] for row in told))
    moved = sum(row["weights"] * row["moved"] for row in told) / count
    noise = math.hypot(*(row["weights"] * row["moved ±"] for row in told)) / count
    return Travel(told, moved, noise, *reach(header))


def _age(rows: list[dict], travel: Travel, header: dict, reasons: Reasons) -> None:
    """Untrained, or moved further than its steps could carry it."""
    if rows and not travel.told:
        why = "all weights start as CLIP's own projections: give model= to compare with them"
        reasons["unknown"].append(why)
    elif rows and not travel.moved:
        verdict, could = "untrained", "no steps are stored"
        if travel.reach:
            seen = expected_outside(travel.told, travel.reach)
            verdict = "unknown" if seen < TOO_FEW else "untrained"
            could = f"its steps could have put {seen:,.0f} there"
        reasons[verdict].append(f"no weight lies beyond its initial support; {could}")
    elif travel.reach is not None and travel.moved - 4 * travel.noise > travel.reach:
        steps = f"{header.get('step')} steps of {travel.rate}"
        reasons["inconsistent"].append(
            f"weights moved by {travel.moved:.3g}, which {steps} cannot do"
        )


def _still(travel: Travel, header: dict, reasons: Reasons) -> None:
    """Modules at their start although the others moved."""
    home = header["backbone"]
    silent = set()
    if home:
        depths = header["recipe"].resolve(home["vision_blocks"], home["text_blocks_count"])
        silent = unread(depths)
    still = [
        module
        for module, rows in by_module((row["tensor"], row) for row in travel.told).items()
        if travel.moved
        and module not in silent
        and not any(row["outside"] for row in rows)
        and expected_outside(rows, travel.moved) > ENOUGH
    ]
    if still:
        reasons["partial"].append(
            f"{', '.join(still)}: at the start, others moved (a detached loss?)"
        )


def _short(header: dict, reasons: Reasons) -> None:
    unit = "step"
    planned = header.get("steps", getattr(header["recipe"], f"{header['stage']}_steps"))
    if planned is None:
        unit = "epoch"
        planned = header.get("epochs", getattr(header["recipe"], f"{header['stage']}_epochs"))
    if header.get(unit) is not None and header[unit] < planned and not copied(header):
        reasons["short"].append(f"{unit} {header[unit]} of the {planned} that were planned")


def _reference(tensors: dict[str, Tensor], header: dict, model, rows: list[dict]) -> str:
    """Distance to the start that the run's seed draws, beside that to another seed's.

    Only tensors that differ from seed to seed count; each row gets its own distance.
    """
    seed = header.get("seed")
    if seed is None:
        return ""
    begun, other = (
        rebuilt(model, header["recipe"], number, header["stage"]) for number in (seed, seed + 1)
    )
    new = [n for n in begun if "attention." in n or not on_a_base(header)]
    drawn = [n for n in new if n in tensors and not begun[n].equal(other[n])]
    if not drawn:
        return f"seed {seed}: no tensor of this recipe starts at random"
    for row in rows:
        if row["tensor"] in begun and begun[row["tensor"]].any():
            row["from seed"] = relative_distance(tensors[row["tensor"]], begun[row["tensor"]])
    near, far = (
        relative_distance(*(flat(each[n] for n in drawn) for each in (tensors, start)))
        for start in (begun, other)
    )
    if near > far / 2:
        return (
            f"seed {seed} does not rebuild its start: relative distance {near:.3g}, as any seed's"
        )
    return (
        f"relative distance {near:.3g} to the start of its seed {seed}; another seed's: {far:.3g}"
    )


def _notes(travel: Travel, header: dict, model) -> list[str]:
    step = header.get("step")
    null = max((row["null"] for row in travel.told if row["support"]), default=0.0)
    notes = [
        f"stage {header['stage']}, recipe {header['recipe'].name!r}, epoch "
        f"{shown(header.get('epoch'))}, optimiser step {shown(step)}"
    ]
    if travel.told:
        notes.append(f"weights moved by {travel.moved:.3g} ± {travel.noise:.1g} on average")
    if step is None:
        notes.append("no step is stored: how far they could move is not known")
    elif copied(header):
        notes.append("no step of this run: the text adapters that it began with, kept as they were")
    elif travel.reach is None:
        notes.append("it began with the adapters of another run: how far they moved is not known")
    else:
        notes.append(
            f"{step} steps of {travel.rate} move a weight by about {travel.reach:.3g} at most"
        )
    if travel.reach and null > 4 * travel.reach:
        notes.append(f"mean |w| shows nothing: at the start it is {null:.3g}, far above that")
    if model and not header["backbone"]:
        notes.append("the file does not name its backbone: only shapes compared")
    return notes


# ---- how tensors started, and how far they moved -------------------------------------------------


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
        weights = {n.removeprefix(start): w for n, w in tensors.items() if n.startswith(start)}
        fresh = _fresh(part, weights, recipe)
        fitting = {n for n in weights.keys() & fresh.keys() if weights[n].shape == fresh[n].shape}
        if strange := {*weights, *fresh} - fitting:
            names = ", ".join(sorted(strange))
            broken.append(f"{part}: {names}: unlike recipe {recipe.name!r} in name or shape")
        for name in sorted(fitting):
            w = weights[name]
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
        if start.ndim > 1:
            return start, xavier_bound(start.shape)
        return start, math.sqrt(1 / fresh[f"{name.removesuffix('bias')}weight"].shape[1])
    if copied and model is not None:
        clip = model.clip
        projection = clip.text_projection if part == "text_adapter" else clip.visual.proj
        start = projection.detach().cpu().T
    return start, 0.0


def _fresh(part: str, weights: dict[str, Tensor], recipe: Recipe) -> dict[str, Tensor]:
    """The adapters as training starts them, NaN where that is CLIP's own projection."""
    if part.endswith("_attention"):
        like = {name: weights.get(name, torch.zeros(1)) for name in ATTENTION}
        return {n: torch.full(w.shape, float(n.endswith("weight"))) for n, w in like.items()}
    numbers = [int(name.split(".")[0]) for name in weights if name[0].isdigit()]
    head = "det_proj" if part == "image_adapter" else str(max(numbers, default=0))
    first = weights.get(f"{head}.fc.0.weight", torch.zeros(1, 1))
    blank = torch.full(weights.get(f"{head}.fc.weight", first).shape[::-1], math.nan)
    blocks, levels = (
        len({n.split(".")[1] for n in weights if n.startswith(kind)}) for kind in ("layer_", "seg_")
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
