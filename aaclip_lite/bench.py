"""Speed on this machine: how fast the factory draws, and what a step of the method costs on the embedded CLIP.

Special: CPU time of one thread, not wall time, so other work on the machine hardly shows; and every figure also as a
ratio to a fixed piece of arithmetic timed in the same run, which is what to compare between machines and versions.
Use: `python -m aaclip_lite bench`, or `make bench`.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from . import factory, losses
from .backbone import load_clip
from .model import AdaptedCLIP, stack_anchors
from .products import PRODUCTS


@dataclass(frozen=True)
class Bench:
    """Measure speed on this machine: drawing, inference and a step of each stage, one thread."""

    size: int = 128  # side of the drawn pictures
    rounds: int = 3  # every figure is the best of so many
    json: bool = False  # print JSON instead of the table


def seconds(work: Callable[[], int], rounds: int) -> float:
    """CPU seconds a unit, best of `rounds`; `work` returns how many units it did."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        units = work()
        best = min(best, (time.process_time() - began) / units)
    return best


def drawing(size: int, **options) -> Callable[[], int]:
    def work() -> int:
        for number, name in enumerate(PRODUCTS):
            for attempt in range(50):
                try:
                    factory.draw(name, 100 * attempt + number, size, split="bench", **options)
                    break
                except factory.NotShown:
                    continue
        return len(PRODUCTS)

    return work


def stages(batch: int = 8) -> dict[str, Callable[[], int]]:
    model = AdaptedCLIP(load_clip("lite"))
    names = list(PRODUCTS)[:batch]
    drawn = [factory.draw(name, 1, model.clip.image_size, "hole", split="bench") for name in names]
    images = torch.from_numpy(np.stack([p.image for p in drawn])).permute(0, 3, 1, 2)
    mask = torch.from_numpy(np.stack([p.mask for p in drawn]))[:, None].float()
    label, x = torch.ones(batch, dtype=torch.long), model.preprocess(images)
    with torch.no_grad():
        fixed = stack_anchors(model.text_anchors(names), names)

    def inference() -> int:
        with torch.no_grad():
            model(x)
        return batch

    def stage1() -> int:
        with torch.no_grad():
            levels = model.dense_features(x)
        losses.stage1(levels, stack_anchors(model.text_anchors(names), names), mask, model.recipe).backward()
        return batch

    def stage2() -> int:
        losses.stage2(model(x), fixed, mask, label, model.recipe).backward()
        return batch

    return {"inference": inference, "stage 1 step": stage1, "stage 2 step": stage2}


def run(options: Bench) -> int:
    torch.set_num_threads(1)
    a = torch.randn(512, 512)

    def arithmetic() -> int:
        for _ in range(20):
            a @ a
        return 20

    unit = seconds(arithmetic, 5)
    work = {
        "draw a normal part": drawing(options.size),
        "draw with things and regions": drawing(options.size, things=2, regions=True),
        "draw with a hole": drawing(options.size, defect="hole"),
        **stages(),
    }
    rows = {name: seconds(each, options.rounds) for name, each in work.items()}
    if options.json:
        print(json.dumps({name: {"pictures_per_second": 1 / s, "products_512": s / unit} for name, s in rows.items()}))
        return 0
    print(f"one thread, CPU time; {options.size} px; a 512 x 512 matrix product takes {unit * 1e3:.2f} ms here")
    print(f"{'':30}{'pictures/s':>12}{'in matrix products':>20}")
    for name, each in rows.items():
        print(f"{name:30}{1 / each:12.0f}{each / unit:20.1f}")
    return 0
