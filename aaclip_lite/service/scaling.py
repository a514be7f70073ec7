"""What a training will take, said before it starts: batch, memory, hours, and money where it costs.

Special: speed is measured in a few true steps whose gradients are thrown away, so the model is not
changed; memory follows from the formula in memory.py. Then it trains with what it said.
Use: `plan(model, data, price=0.5)` only tells; `scale_up(model, data, "runs/full")` also trains.
"""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from accelerate import Accelerator

from ..datasets import AnomalyDataset
from ..files.door import door
from ..files.keep import only_one
from ..model import STAGES, AdaptedCLIP
from ..train import endless, free
from . import memory
from .matmul import quick_products
from .options import chosen
from .processes import choose_accelerator, described, processes
from .runs import train_image, train_text
from .share import BatchShare, borrowed

MOST_STEPS = 1000  # that are measured in each stage


@dataclass(frozen=True)
class Plan:
    device: str
    batch: int  # pictures at once in stage 2
    accumulate: int
    checkpointing: bool
    needed: int  # bytes of a stage 2 step with its weights, by the formula
    there: int  # bytes that the device has
    speeds: dict[str, float]  # measured pictures a second, by stage
    pictures: dict[str, int]  # that the recipe shows, by stage
    price: float  # of an hour

    @property
    def hours(self) -> float:
        return sum(self.pictures[s] / self.speeds[s] for s in self.speeds) / 3600

    @property
    def cost(self) -> float:
        return self.hours * self.price

    def __str__(self) -> str:
        fits = "activations computed again" if self.checkpointing else "activations kept"
        at_once = f"{self.batch} pictures at once, {self.accumulate} times a step, {fits}"
        gib = 2**30
        room = f"{self.needed / gib:.1f} of {self.there / gib:.1f} GiB by the formula"
        lines = [f"{self.device}: {at_once}; {room}"]
        for stage, speed in self.speeds.items():
            hours = self.pictures[stage] / speed / 3600
            shown = f"{self.pictures[stage]:,} pictures at {speed:.1f} a second"
            lines.append(f"stage {stage!r}: {shown}, {spoken(hours)}")
        money = f", {self.cost:.2f} at {self.price:g} an hour" if self.price else ""
        return "\n".join([*lines, f"together {spoken(self.hours)}{money}"])


def spoken(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"


@door(model=AdaptedCLIP, data=AnomalyDataset, price=(float, int), probe=int, bf16=bool)
def plan(
    model: AdaptedCLIP,
    data: AnomalyDataset,
    price: float = 0.0,
    probe: int = 10,
    bf16: bool = False,
) -> Plan:
    """What training with the model's recipe will take here. price: of an hour; probe: steps that
    are measured in each stage; bf16: as train_image takes it.
    """
    if not 1 <= probe <= MOST_STEPS or not 0 <= price < math.inf:  # also true for NaN
        raise ValueError(
            f"probe = {probe}, price = {price}: give 1 to {MOST_STEPS} steps, and a price of at "
            "least 0"
        )
    on = choose_accelerator()
    there = room(on)
    half = bf16 or on.mixed_precision != "no"
    chosen = memory.profile(model, model.recipe.image_batch, there, half)
    stages = [s for s in STAGES if s == "image" or model.recipe.trains_text]
    # as training does, or the plan would be of other products
    with quick_products(model.clip):
        return Plan(
            device=described(on, bf16),
            batch=chosen["image_batch"],
            accumulate=chosen["accumulate"],
            checkpointing=chosen["checkpointing"],
            needed=chosen["bytes"],
            there=there,
            speeds={stage: speed(model, data, stage, probe, on, chosen, bf16) for stage in stages},
            pictures={stage: shown(model, data, stage) for stage in stages},
            price=float(price),
        )


def room(on: Accelerator) -> int:
    if on.device.type == "cuda":
        return torch.cuda.mem_get_info(on.device)[1]
    return psutil.virtual_memory().available


def shown(model: AdaptedCLIP, data: AnomalyDataset, stage: str) -> int:
    """Pictures that a stage of the recipe sees, each as often as it comes."""
    recipe = model.recipe
    steps = getattr(recipe, f"{stage}_steps")
    if steps is None:
        return len(data) * getattr(recipe, f"{stage}_epochs")
    return steps * getattr(recipe, f"{stage}_batch")


def speed(model, data, stage: str, probe: int, on: Accelerator, chosen: dict, bf16: bool) -> float:
    """Pictures a second of forward and backward passes, the first step left out."""
    with borrowed(model):
        model.to(on.device)
        if stage == "image":
            model.recipe = model.recipe.replace(image_batch=chosen["image_batch"])
            model.clip.checkpointing = chosen["checkpointing"]
        free(model, stage)
        parts = BatchShare(model, stage, bf16)  # what training runs
        with torch.no_grad():
            parts.anchors = model.text_anchors(data.classes) if stage == "image" else None
        batches = endless(data, model.recipe, stage, device=on.device)
        pictures = 0
        for number, batch in zip(range(probe + 1), batches, strict=False):
            if number == 1:
                began = _now(on)
            with on.autocast():
                loss = parts(batch, batch["class_name"], 1.0)["loss"]
            loss.backward()
            model.zero_grad(set_to_none=True)
            pictures += len(batch["label"]) if number else 0
        return pictures / (_now(on) - began)


def _now(on: Accelerator) -> float:
    if on.device.type == "cuda":
        torch.cuda.synchronize(on.device)
    return time.perf_counter()


@door(model=AdaptedCLIP, data=AnomalyDataset, out=(str, Path), price=(float, int), probe=int)
def scale_up(
    model: AdaptedCLIP,
    data: AnomalyDataset,
    out: str | Path,
    price: float = 0.0,
    probe: int = 10,
    **options,
) -> Plan:
    """Say what it will take, then train both stages so. options: those of train_image, apart from
    batch, accumulate and checkpointing, which follow from the memory.
    """
    taken = {"batch", "accumulate", "checkpointing", "views"} & options.keys()
    if taken:
        raise ValueError(f"scale_up: {', '.join(sorted(taken))}: chosen by it; leave them out")
    asked = chosen(options)
    asked.applied_to(model.recipe, "image")
    with only_one(out, ours=processes().is_main_process):  # before anything is measured
        planned = plan(model, data, price, probe, asked.bf16)
        print(planned, flush=True)
        began = time.perf_counter()
        if "text" in planned.speeds:
            train_text(model, data, out, **options)
        fitted = {"batch": planned.batch, "accumulate": planned.accumulate}
        train_image(model, data, out, **fitted, checkpointing=planned.checkpointing, **options)
    print(f"it took {spoken((time.perf_counter() - began) / 3600)}")
    return planned
