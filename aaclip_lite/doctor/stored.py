"""What a checkpoint says of itself: tensors, step, seed, optimiser, time; and whether that agrees.

Special: reads this project's adapter and resume files and the public code's `.pth`; nothing in a
file is ever run.
Use: `tensors, header = read("runs/a/text.safetensors")`, `optimiser(header)`.
"""

import math
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoint import FORMAT, read_metadata
from ..files.late import late
from ..files.weights import WeightsError, existing, read_pickle, read_safetensors
from ..model import AdaptedCLIP
from ..recipe import Recipe
from .finding import Reasons


def read(path) -> tuple[dict[str, Tensor], dict]:
    """(tensors under this project's names, what the file says of itself)."""
    path = Path(existing(path))
    if path.suffix == ".safetensors":
        tensors = read_safetensors(path)
        header = read_metadata(path)
    else:
        contents = read_pickle(path)
        contents = contents if isinstance(contents, dict) else {}
        if contents.get("format") == f"{FORMAT} resume":
            tensors = contents["adapters"]
            recipe = Recipe.from_dict(contents["recipe"])
            header = contents["progress"] | contents | {"recipe": recipe}
        else:
            tensors, header = _released(path, contents)
    return tensors, header | {"written": written(path)}


def _released(path: Path, contents: dict) -> tuple[dict[str, Tensor], dict]:
    """The public code's file: {"epoch", "text_adapter", "text_optimizer"} or the image side's."""
    sides = ("text_adapter", "image_adapter")
    parts = [part for part in sides if isinstance(contents.get(part), dict)]
    if not parts:
        raise WeightsError(f"{path} has neither an entry 'text_adapter' nor 'image_adapter'")
    named = ((f"{part}.{name}", w) for part in parts for name, w in contents[part].items())
    tensors = {name: w for name, w in named if isinstance(w, Tensor)}
    recipe = Recipe.released().replace(proj_relu="image_adapter.det_proj.fc.0.weight" in tensors)
    stage = parts[0].removesuffix("_adapter")
    header = {"recipe": recipe, "stage": stage, "backbone": None, "epoch": contents.get("epoch")}
    states = (v for v in contents.values() if isinstance(v, dict) and v.get("param_groups"))
    for state in states:
        group = state["param_groups"][0]
        header |= {
            "optimizer": state,
            "lr": group.get("initial_lr", group["lr"]),
            "step": max(_steps(state), default=0),
        }
    return tensors, header


def written(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime).replace(microsecond=0)


def _steps(state: dict) -> list[int]:
    return [int(one["step"]) for one in state["state"].values() if "step" in one]


def optimiser(header: dict, reasons: Reasons) -> str:
    """A sentence about the optimiser's state, where the file holds one; what is wrong goes into
    `reasons`.
    """
    state = header.get("optimizer")
    if not state:
        return ""
    steps = _steps(state)
    most = max(steps, default=0)
    groups = state["param_groups"]
    count = sum(len(group["params"]) for group in groups)
    for number, one in state["state"].items():
        sick = [k for k, v in one.items() if isinstance(v, Tensor) and not v.isfinite().all()]
        if sick:
            reasons["broken"].append(f"optimiser state {number}: {', '.join(sick)} not finite")
    if (header.get("epoch") or 0) > 0 and not most:
        reasons["inconsistent"].append(
            f"the file says epoch {header['epoch']}, but its optimiser has made no step"
        )
    elif header.get("step") is not None and most != header["step"]:
        reasons["inconsistent"].append(
            f"the file says step {header['step']}, its optimiser {most}: not of one run"
        )
    length = _last_step(state)
    last = "" if length is None else f"; its last step moved a weight by about {length:.2g}"
    rate, betas = groups[0]["lr"], tuple(groups[0].get("betas", ()))
    return (
        f"optimiser: rate {rate:g}, betas {betas}, step {most}, state for {len(steps)} of "
        f"{count} tensors{last}"
    )


def _last_step(state: dict) -> float | None:
    """Mean length of a weight's last step, from Adam's two moments."""
    lengths, count = 0.0, 0
    group = state["param_groups"][0]
    for one in state["state"].values():
        if {"exp_avg", "exp_avg_sq", "step"} <= one.keys() and int(one["step"]):
            made = int(one["step"])
            first, second = (1 - beta**made for beta in group["betas"])
            ratio = (one["exp_avg"] / first) / ((one["exp_avg_sq"] / second).sqrt() + group["eps"])
            lengths += float(ratio.double().abs().sum()) * group["lr"]
            count += ratio.numel()
    return lengths / count if count else None


def neighbours(path, header: dict) -> list[str]:
    """What the file's time and the files beside it tell."""
    path = Path(path)
    saved = header["written"]
    said = [f"file time {saved}; a copy without its times shows the copy's"]
    for name in ("text.safetensors", "text_adapter.pth"):
        other = path.with_name(name)
        if header["stage"] == "image" and other.is_file() and written(other) > saved:
            said.append(f"older than {name} ({written(other)}): stage 2 saw other words than these")
    resume = path.with_name(f"{header['stage']}.resume")
    if path.suffix == ".safetensors" and resume.is_file():
        said.append(f"{resume.name} lies beside it: that run was not finished, or goes on now")
    return said


def strangers(tensors: dict[str, Tensor], header: dict, model) -> Reasons:
    """Where file and model disagree; a released file names neither backbone nor recipe, so shapes
    must do.
    """
    pairs = {}
    home = header["backbone"]
    if model is not None and home:
        pairs["backbone"] = {k: (home[k], v) for k, v in model.clip.describe().items()}
        pairs["recipe"] = header["recipe"].differences(model.recipe, training=False)
        pairs["variant"] = {"variant": (header.get("variant"), model.variant)}
    elif model is not None:
        weights = {k: w.shape for k, w in model.trainable(header["stage"]).items() if k in tensors}
        pairs["backbone"] = {k: (tuple(tensors[k].shape), tuple(s)) for k, s in weights.items()}
    return {
        f"wrong {what}": [
            f"{k} is {a!r} in the file, {b!r} in the model" for k, (a, b) in both.items() if a != b
        ]
        for what, both in pairs.items()
    }


def on_a_base(header: dict) -> bool:
    """Whether the run began with the adapters of another one; its data names them."""
    return ", base " in str(header.get("data"))


def copied(header: dict) -> bool:
    """Whether a run kept the text adapters that it began with: it made no step on them, and names
    neither seed nor data.
    """
    nameless = header.get("backbone") and not header.keys() & {"seed", "data"}
    return header["stage"] == "text" and header.get("step") == 0 and bool(nameless)


def reach(header: dict) -> tuple[float, float | None]:
    """(learning rate, its sum over all steps, None if those are not stored): Adam moves a weight
    one rate a step.
    """
    recipe, stage, step = header["recipe"], header["stage"], header.get("step")
    rate = header.get("lr") or getattr(recipe, f"{stage}_lr")
    if step is None or on_a_base(header) or copied(header):
        return rate, None
    edges = [0, *(min(at, step) for at in recipe.milestones if stage != "text"), step]
    spans = enumerate(pairwise(edges))
    return rate, math.fsum((b - a) * rate * recipe.lr_factor**i for i, (a, b) in spans)


def rebuilt(model, recipe: Recipe, seed: int, stage: str) -> dict[str, Tensor]:
    """The adapters that this seed starts with, as the train command draws them."""
    # a diagnosis must not change what a training run draws next
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = model.variant and late("variant")(model.variant, model.clip, recipe)
        fresh = fresh or AdaptedCLIP(model.clip, recipe)
    return {name: weight.detach().cpu() for name, weight in fresh.trainable(stage).items()}
