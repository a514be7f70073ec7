"""The study behind chapter 15, kept in data/clinic/distillation.json.

Special: every row is written as it comes and has a key, so a stopped command goes on. One core.

    python -m aaclip_lite.lab.distillation                     # tree, losses and belt, all seeds
    python -m aaclip_lite.lab.distillation tree 0              # one part, one seed
"""

import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from ..course import belt, situations
from ..course.repairs import maps_of, task_only
from ..course.situations import FAULTS
from ..datasets import open_dataset
from ..detector import AnomalyDetector
from ..variants import distillation
from .study import Runs, cpu_seconds

PATH = Path(__file__).parents[2] / "data" / "clinic" / "distillation.json"
ABOUT = {
    "command": "python -m aaclip_lite.lab.distillation",
    "machine": f"{os.cpu_count()}-core cloud CPU, one thread",
}
RUNS = Runs(PATH, "rows", ABOUT)
SEEDS = (0, 1, 2)
PRODUCTS = ("bottle", "wood", "metal_nut", "carpet")
DRAWN, SEEN = 800, 240  # parts drawn for a belt student, and how many of them the detector saw


def missing(part: str, names, seed: int) -> list[str]:
    """Of these names, those whose row is not kept yet."""
    return [name for name in names if f"{part}/{name}/{seed}" not in RUNS.rows]


def tree(seed: int) -> None:
    """Each fault put in, and what is read; trees are asked when the rows are shown."""
    faults = missing("tree", FAULTS, seed)
    world = situations.make_world(seed) if faults else None
    for fault in faults:
        row = {"fault": fault, "seed": seed} | situations.run(fault, world)
        RUNS.add(f"tree/{fault}/{seed}", row)


def losses(seed: int) -> None:
    """Every version of the loss at equal cost, and the report's own stages from a random start."""
    plans = {version: (version, situations.FREE) for version in distillation.WEIGHTS}
    plans |= {"labels alone": (task_only, situations.FREE)}
    plans |= {"the report's stages": ("plain", situations.REPORT)}
    names = missing("loss", plans, seed)
    if not names:
        return
    world = situations.make_world(seed)
    maps, judged = maps_of(world.teacher, world.train.images), world.val.labels
    val_maps = maps_of(world.teacher, world.val.images)
    for name in names:
        loss, stages = plans[name]
        student, rows = situations.trained(world, maps, world.train.labels, stages, loss)
        diagnosis = distillation.diagnose_maps(maps_of(student, world.val.images), val_maps, judged)
        row = {"version": name, "seed": seed, "auc": diagnosis["student"]["auc"]}
        row |= {"error": diagnosis["student"]["error"], "teacher_auc": diagnosis["teacher"]["auc"]}
        row |= {k: diagnosis[k] for k in ("r2", "correlation", "range_ratio")}
        RUNS.add(f"loss/{name}/{seed}", row | {k: rows[-1][k] for k in ("distill", "task")})


def belt_study(seed: int) -> None:
    """Students of one product from the detector's map, from masks, and from both."""
    for name in PRODUCTS:
        sources = missing(f"belt/{name}", belt.SOURCES, seed)
        if not sources:
            continue
        detector = AnomalyDetector.load("course")
        images, labels, masks = belt.stack(open_dataset("factory/test").filter(classes=[name]))
        if f"belt/{name}/detector" not in RUNS.rows:
            row = belt.figures(*belt.look(detector, images, name), labels, masks)
            RUNS.add(f"belt/{name}/detector", {"product": name} | row)
        parts = belt.draw_parts(name, DRAWN)
        soft = belt.soft_cells(belt.look(detector, parts.images[:SEEN], name)[0])
        for source in sources:
            began = cpu_seconds()
            student = belt.train(parts, soft, source, seed=seed)
            seconds = cpu_seconds() - began
            row = {"product": name, "source": source, "seed": seed, "cpu_seconds": seconds}
            if source == "both" and seed == SEEDS[0]:  # the chapter's stream uses these weights
                save_file(student.state_dict(), PATH.with_name(f"belt_{name}.safetensors"))
            row |= belt.judge(student, images, labels, masks)
            RUNS.add(f"belt/{name}/{source}/{seed}", row)


def main(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    parts = {"tree": tree, "losses": losses, "belt": belt_study}
    chosen = [name for name in arguments if name in parts] or list(parts)
    seeds = [int(word) for word in arguments if word.isdigit()] or SEEDS
    for seed in seeds:
        for name in chosen:
            parts[name](seed)


if __name__ == "__main__":
    main(sys.argv[1:])
