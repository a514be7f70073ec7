"""The fair trial of chapter 12: is AA-CLIP better when its towers look at each other?

Special: every contestant has had the same steps in all, of the same pictures in the same order by
seed; only what begins with a base shares that base's steps. Judged on validation stations, with and
without words at test time. Rows are kept as they come, so a stopped command goes on where it was.

    python -m aaclip_lite lab crossing               # 35 minutes of two cores; data/clinic/crossing.jsonl
    python -m aaclip_lite lab crossing --seeds 1     # one seed
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..files.environment import PACKAGE
from ..model import AdaptedCLIP
from ..recipe import Recipe
from ..service.runs import train_image, train_text
from ..variants.cross_attention import VERSIONS, CrossAttentionCLIP, load_base
from .study import cpu_seconds, figures, trial

TARGET = PACKAGE.parent / "data" / "clinic" / "crossing.jsonl"
BASE = {"text": 30, "image": 60}  # steps
EXTRA = {"text": 15, "image": 30}


@dataclass(frozen=True)
class Crossing:
    """Train base and variants at equal cost, judge them on validation, keep the figures."""

    seeds: int = 3
    every: int = 2  # judge every so many of the validation pictures
    minutes: float | None = None  # begin nothing new after so many
    out: str = str(TARGET)


def run(options: Crossing) -> int:
    return trial(options, [BASE, EXTRA], CONTESTANTS, Contest().row, "base, more steps")


# name: (version of the residual or None for the method, what it begins with, steps that it trains)
CONTESTANTS = {
    "base": (None, None, "base"),
    "base, more steps": (None, "base", "extra"),
    **{f"{v} from base": (v, "base", "extra") for v in VERSIONS},
    "v3 from nothing": ("v3", None, "all"),
}
LENGTHS = {
    "base": BASE,
    "extra": EXTRA,
    "all": {stage: BASE[stage] + EXTRA[stage] for stage in BASE},
}


class Contest:
    """Trains contestants; a seed's base is trained once and kept for those that begin with it."""

    def __init__(self) -> None:
        self.bases = tempfile.TemporaryDirectory()

    def row(self, name: str, seed: int, clip, data, val) -> dict:
        self.clip = clip
        self.data = data
        version, start, length = CONTESTANTS[name]
        model = self.begin(version, start, seed)
        began = cpu_seconds()
        with tempfile.TemporaryDirectory() as folder:
            # more steps see other pictures than the base's did
            order = seed if start is None else seed + 100
            histories = self.train(model, folder, LENGTHS[length], order)
        row = {"losses": {h.stage: ends(h) for h in histories}}
        row["seconds"] = cpu_seconds() - began
        row["gradients"] = {h.stage: shares(h) for h in histories}
        row["weights"] = sum(p.numel() for s in BASE for p in model.trainable(s).values())
        row |= figures(model, val)
        if version is not None:
            model.use_context = False
            row["without"] = figures(model, val)
        return row

    def begin(self, version: str | None, start: str | None, seed: int) -> AdaptedCLIP:
        torch.manual_seed(seed)
        model = AdaptedCLIP(self.clip, Recipe.course())
        if version is not None:
            model = CrossAttentionCLIP(self.clip, Recipe.course(), version)
        if start is not None:
            load_base(model, self.base(seed))
        return model

    def base(self, seed: int) -> Path:
        """The folder of a seed's base, trained when it is first asked for."""
        folder = Path(self.bases.name, str(seed))
        if not folder.exists():
            torch.manual_seed(seed)
            self.train(AdaptedCLIP(self.clip, Recipe.course()), folder, BASE, seed)
        return folder

    def train(self, model: AdaptedCLIP, folder, steps: dict[str, int], seed: int):
        options = {"seed": seed, "progress": False}
        return [
            train_text(model, self.data, folder, steps=steps["text"], **options),
            train_image(model, self.data, folder, steps=steps["image"], **options),
        ]


def ends(history) -> list[float]:
    """Mean loss of the first and of the last five steps."""
    losses = history.column("loss")
    return [float(np.mean(losses[:5])), float(np.mean(losses[-5:]))]


def shares(history) -> dict[str, float]:
    """Norm of the gradient by module (adapters, projections, attention), median of the steps."""
    found: dict[str, list] = {}
    for row in history.rows:
        squares: dict[str, float] = {}
        for name, value in row.items():
            if name.startswith("gradient/") and value is not None:
                part = "attention" if "attention" in name else name.split("/")[1]
                squares[part] = squares.get(part, 0.0) + value**2
        for part, square in squares.items():
            found.setdefault(part, []).append(square**0.5)
    return {part: float(np.median(values)) for part, values in found.items()}
