"""The trials of chapters 12 and 13: contestants at equal cost, beside the one that they must beat.

Special: every contestant has had the same steps in all, of the same pictures by seed ("batches of 2"
thus sees an eighth of them); in `crossing`, only what begins with a base shares that base's steps.
Judged on validation stations. Rows are kept as they come, so a stopped command goes on where it was.

    python -m aaclip_lite lab crossing               # 35 minutes of two cores; data/clinic/crossing.jsonl
    python -m aaclip_lite lab crossing --seeds 1     # one seed
    python -m aaclip_lite lab improvements                       # all ideas, three seeds
    python -m aaclip_lite lab improvements --only "class token"  # one of them
"""

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..clip import FrozenCLIP
from ..course.trials import trial_table
from ..datasets import AnomalyDataset, open_dataset
from ..files.environment import PACKAGE
from ..load import load_clip
from ..model import AdaptedCLIP
from ..recipe import Recipe
from ..service.runs import train_image, train_text
from ..variants.cross_attention import VERSIONS, CrossAttentionCLIP, load_base
from ..variants.improvements import IDEAS
from .study import Study, cpu_seconds, figures

TARGET = PACKAGE.parent / "data" / "clinic"


@dataclass(frozen=True)
class Trial:
    """Contestants by seed, and how they are judged."""

    seeds: int = 3
    every: int = 2  # judge every so many of the validation pictures
    minutes: float | None = None  # begin nothing new after so many


@dataclass(frozen=True)
class Crossing(Trial):
    """Train base and variants at equal cost, judge them on validation, keep the figures."""

    out: str = str(TARGET / "crossing.jsonl")


@dataclass(frozen=True)
class Improvements(Trial):
    """Try every idea of chapter 13 against the recipe, and keep the figures."""

    only: str | None = None  # one idea, by name
    out: str = str(TARGET / "improvements.jsonl")

    def __post_init__(self) -> None:
        if self.only is not None and self.only not in IDEAS:
            raise ValueError(f"--only {self.only!r}: choose one of {', '.join(IDEAS)}")


def run(options: Trial) -> int:
    if isinstance(options, Crossing):
        with tempfile.TemporaryDirectory() as bases:
            row = partial(crossed, Path(bases))
            return trial(options, [BASE, EXTRA], CONTESTANTS, row, "base, more steps")
    rival = "the recipe"
    names = IDEAS if options.only is None else (rival, options.only)
    return trial(options, STEPS, names, improved, rival)


def trial(options: Trial, steps, contestants: Iterable[str], row: Callable, rival: str) -> int:
    """Every contestant with every seed, and the table against the rival.
    row(name, seed, clip, data, val): trains and judges one.
    """
    clip = load_clip("lite")
    settings = {"steps": steps, "every": options.every, "fingerprint": clip.fingerprint()}
    log = Study(options.out, settings, options.minutes)
    data = open_dataset("factory/train", size=clip.image_size)
    val = open_dataset("factory/val", size=clip.image_size)
    val = val.view(val.records[:: options.every])
    for seed in range(options.seeds):
        for name in contestants:
            if log.run({"name": name, "seed": seed}, partial(row, name, seed, clip, data, val)):
                print(f"seed {seed}: {name}", flush=True)
    print(trial_table(log.rows, rival))
    return 0


def weights_of(model: AdaptedCLIP) -> int:
    """How many are trained, in both stages."""
    return sum(p.numel() for stage in STEPS for p in model.trainable(stage).values())


# ---- chapter 13: every idea of S1's ten areas beside the recipe ----------------------------------

STEPS = {"text": 15, "image": 20}


def improved(name: str, seed: int, clip: FrozenCLIP, data: AnomalyDataset, val) -> dict:
    torch.manual_seed(seed)
    idea = IDEAS[name]
    model = idea.build(clip, Recipe.course())
    began, clock = cpu_seconds(), time.monotonic()
    histories = idea.fit(model, data, STEPS, seed)
    seconds, wall = cpu_seconds() - began, time.monotonic() - clock
    steps = sum(len(history.rows) for history in histories)
    known = {"area": idea.area, "weights": weights_of(model), "seconds": seconds}
    return known | {"step_s": wall / steps} | figures(model, val)


# ---- chapter 12: is AA-CLIP better when its towers look at each other? ---------------------------

BASE = {"text": 30, "image": 60}
EXTRA = {"text": 15, "image": 30}
ALL = {stage: BASE[stage] + EXTRA[stage] for stage in BASE}
# name: (version of the residual or None for the method, whether it begins with the seed's base,
# steps that it trains)
CONTESTANTS = {
    "base": (None, False, BASE),
    "base, more steps": (None, True, EXTRA),
    **{f"{v} from base": (v, True, EXTRA) for v in VERSIONS},
    "v3 from nothing": ("v3", False, ALL),
}


def crossed(bases: Path, name: str, seed: int, clip, data: AnomalyDataset, val) -> dict:
    """bases: folder in which a seed's base is kept for all that begin with it."""
    version, from_base, steps = CONTESTANTS[name]
    model = fresh(clip, version, seed)
    if from_base:
        folder = bases / str(seed)
        if not folder.exists():
            trained(fresh(clip, None, seed), data, folder, BASE, seed)
        load_base(model, folder)
    began = cpu_seconds()
    with tempfile.TemporaryDirectory() as folder:
        # more steps see other pictures than the base's did
        histories = trained(model, data, folder, steps, seed + 100 if from_base else seed)
    row = {"losses": {h.stage: ends(h) for h in histories}}
    row["seconds"] = cpu_seconds() - began
    row["gradients"] = {h.stage: shares(h) for h in histories}
    row["weights"] = weights_of(model)
    row |= figures(model, val)
    if version is not None:
        model.use_context = False  # without words at test time
        row["without"] = figures(model, val)
    return row


def fresh(clip, version: str | None, seed: int) -> AdaptedCLIP:
    torch.manual_seed(seed)
    model = AdaptedCLIP(clip, Recipe.course())
    return model if version is None else CrossAttentionCLIP(clip, Recipe.course(), version)


def trained(model: AdaptedCLIP, data: AnomalyDataset, folder, steps: dict, seed: int) -> list:
    options = {"seed": seed, "progress": False}
    return [
        train_text(model, data, folder, steps=steps["text"], **options),
        train_image(model, data, folder, steps=steps["image"], **options),
    ]


def ends(history) -> list[float]:
    """Mean loss of the first and of the last five steps."""
    losses = history.column("loss")
    return [float(np.mean(losses[:5])), float(np.mean(losses[-5:]))]


def shares(history) -> dict[str, float]:
    """Norm of the gradient by module (adapters, projections, attention), median of the steps."""
    norms: dict[str, list] = {}
    for row in history.rows:
        squares: dict[str, float] = {}
        for name, value in row.items():
            if name.startswith("gradient/") and value is not None:
                part = "attention" if "attention" in name else name.split("/")[1]
                squares[part] = squares.get(part, 0.0) + value**2
        for part, square in squares.items():
            norms.setdefault(part, []).append(square**0.5)
    return {part: float(np.median(values)) for part, values in norms.items()}
