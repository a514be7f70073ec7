"""The study behind chapter 15, kept in data/clinic/distillation.json.

Special: every row is written as it comes and has a key, so a stopped command goes on. One core.

    python -m aaclip_lite.lab.distillation                     # tree, losses and belt, all seeds
    python -m aaclip_lite.lab.distillation tree 0              # one part, one seed
"""

import json
import os
import sys
import time
from datetime import date
from pathlib import Path

import torch
from safetensors.torch import save_file

from ..course import belt, situations
from ..course.repairs import maps_of, task_only
from ..course.situations import FAULTS
from ..datasets import open_dataset
from ..detector import AnomalyDetector
from ..files.keep import write_json
from ..variants import distillation

PATH = Path(__file__).parents[2] / "data" / "clinic" / "distillation.json"
SEEDS = (0, 1, 2)
PRODUCTS = ("bottle", "wood", "metal_nut", "carpet")
DRAWN, SEEN = 800, 240  # parts drawn for a belt student, and how many of them the detector saw


def rows_of() -> dict[str, dict]:
    return json.loads(PATH.read_text(encoding="utf-8"))["rows"] if PATH.exists() else {}


def keep(key: str, row: dict) -> None:
    """Add a row and replace the file as a whole."""
    rows = rows_of() | {key: row | {"date": str(date.today())}}
    machine = f"{os.cpu_count()}-core cloud CPU, one thread"
    command = "python -m aaclip_lite.lab.distillation"
    stored = {"command": command, "machine": machine, "rows": dict(sorted(rows.items()))}
    write_json(PATH, stored)
    print(key, {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)


def tree(seed: int) -> None:
    """Each fault put in, and what is read; trees are asked when the rows are shown."""
    missing = [fault for fault in FAULTS if f"tree/{fault}/{seed}" not in rows_of()]
    world = situations.make_world(seed) if missing else None
    for fault in missing:
        r = situations.run(fault, world)
        keep(f"tree/{fault}/{seed}", {"fault": fault, "seed": seed} | r)


def losses(seed: int) -> None:
    """Every version of the loss at equal cost, and the report's own stages from a random start."""
    plans = {version: (version, situations.FREE) for version in distillation.WEIGHTS}
    plans |= {"labels alone": (task_only, situations.FREE)}
    plans |= {"the report's stages": ("plain", situations.REPORT)}
    missing = {name: plan for name, plan in plans.items() if f"loss/{name}/{seed}" not in rows_of()}
    if not missing:
        return
    world = situations.make_world(seed)
    maps, judged = maps_of(world.teacher, world.train.images), world.val.labels
    val_maps = maps_of(world.teacher, world.val.images)
    for name, (loss, stages) in missing.items():
        student, rows = situations.trained(world, maps, world.train.labels, stages, loss)
        found = distillation.diagnose_maps(maps_of(student, world.val.images), val_maps, judged)
        row = {"version": name, "seed": seed, "auc": found["student"]["auc"]}
        row |= {"error": found["student"]["error"], "teacher_auc": found["teacher"]["auc"]}
        row |= {k: found[k] for k in ("r2", "correlation", "range_ratio")}
        keep(f"loss/{name}/{seed}", row | {k: rows[-1][k] for k in ("distill", "task")})


def belt_study(seed: int) -> None:
    """Students of one product from the detector's map, from masks, and from both."""
    for name in PRODUCTS:
        keys = {source: f"belt/{name}/{source}/{seed}" for source in belt.SOURCES}
        missing = {source: key for source, key in keys.items() if key not in rows_of()}
        if not missing:
            continue
        detector = AnomalyDetector.load("course")
        data = open_dataset("factory/test").filter(classes=[name])
        images, labels, masks = belt.stack(data)
        if f"belt/{name}/detector" not in rows_of():
            row = belt.figures(*belt.look(detector, images, name), labels, masks)
            keep(f"belt/{name}/detector", {"product": name} | row)
        parts = belt.draw_parts(name, DRAWN)
        soft = belt.soft_cells(belt.look(detector, parts.images[:SEEN], name)[0])
        for source, key in missing.items():
            began = time.process_time()
            student = belt.train(parts, soft, source, seed=seed)
            seconds = time.process_time() - began
            row = {"product": name, "source": source, "seed": seed, "cpu_seconds": seconds}
            if source == "both" and seed == SEEDS[0]:  # the chapter's stream uses these weights
                save_file(student.state_dict(), PATH.with_name(f"belt_{name}.safetensors"))
            keep(key, row | belt.judge(student, images, labels, masks))


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
