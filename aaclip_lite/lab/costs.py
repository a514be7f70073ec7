"""What `bench --what growth memory views scales` measures: how cost grows with size, what a step adds
to memory beside the formula's word, what kept features save and cost, what each CLIP costs.

Special: peaks are read in a process of its own each, since memory that was once taken shows for
ever after.
Use: `measure(options)` with bench's options, `table(result)`.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch

from .. import metrics
from ..datasets import open_dataset
from ..load import load_clip
from ..model import AdaptedCLIP
from ..prompts import sentences
from ..recipe import Recipe
from ..service import memory
from ..service.runs import train_text
from . import study
from .work import Work, compare

VIEWS = (None, 1, 2, 4)
FIGURES = ("pixel_auroc", "inside_auroc", "peak_hit")
# the embedded CLIP, two real ones of ordinary size, the paper's: name, side of the picture
SCALES = (
    ("lite", 128),
    ("TinyCLIP-ViT-8M-16", 224),
    ("TinyCLIP-ViT-8M-16", 448),
    ("ViT-B-16", 224),
    ("ViT-B-16", 448),
    ("ViT-L-14-336", 518),
)


def measure(options) -> dict:
    """The parts of bench's result that --what asks for."""
    with_options = {"growth": growth, "memory": memories, "scales": scales}
    measures = {name: partial(measure, options) for name, measure in with_options.items()}
    measures["views"] = kept_views
    return {name: measures[name]() for name in measures if name in options.what}


# ---- processes of their own ----------------------------------------------------------------------


def elsewhere(call: str, until: float | None = None, **variables: str):
    """What a call into bench or costs gives in a new process of one thread; None: not by `until`."""
    left = None if until is None else until - time.monotonic()
    if left is not None and left <= 0:
        return None
    code = "import json, torch; from aaclip_lite.lab import bench, costs; torch.set_num_threads(1)"
    command = [sys.executable, "-c", f"{code}; print(json.dumps({call}))"]
    options = {"capture_output": True, "text": True, "env": os.environ | variables}
    try:
        done = subprocess.run(command, timeout=left, **options)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise RuntimeError(f"{call} failed in its own process:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_mb() -> int:
    # getrusage would give the parent's peak, which a child process inherits
    if sys.platform == "linux":
        return _status("VmHWM") // 1024
    import resource  # Windows has none

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024**2


def _status(name: str) -> int:
    """Of this process, in KB: VmRSS is its memory now, VmHWM its peak."""
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1])


# ---- growth --------------------------------------------------------------------------------------


def growth(options) -> dict[str, dict[str, list]]:
    """{what grows: {"x": values, curve: CPU seconds, or MB}}; one picture or one call each."""

    def cpu(work: Work, case: str) -> float:
        until = time.monotonic() + options.seconds
        return compare(work, case, ("package",), options.rounds, until)["package"]["cpu"]

    curves = {"picture size, px": {"x": [224, 336, 448, 518]}, "batch": {"x": [1, 2, 4, 8]}}
    for axis, row in curves.items():
        for x in row["x"]:
            work = Work(False, size=x) if "px" in axis else Work(False, batch=x)
            for case in ("inference", "stage 2 step"):
                each = cpu(work, case) / len(work.names)
                row.setdefault(f"{case}, CPU s a picture", []).append(each)
    counts = [1, 4, 16, 64]
    anchors = [cpu(Work(False, batch=x), "text anchors") for x in counts]
    curves["classes"] = {"x": counts, "anchors, CPU s": anchors}
    said = curves["sentences of a class"] = {"x": [], "anchors, CPU s": []}
    for name in ("released", "course", "documented"):
        recipe = Recipe.released().replace(states=name, templates=name)
        said["x"].append(sum(map(len, sentences("bottle", name, name))))
        said["anchors, CPU s"].append(cpu(Work(False, recipe), "text anchors"))
    counts = [100, 300, 1000]
    peaks = [elsewhere(f"costs.stream_pixels({n})") for n in counts]
    curves["pictures evaluated"] = {"x": counts, "binned metrics, peak MB": peaks}
    return curves


def stream_pixels(pictures: int) -> int:
    """Peak memory of the metrics of so many pictures of 224 px, sixteen at a time, as `evaluate`
    meets them.
    """
    rng = np.random.default_rng(0)
    histogram = metrics.PixelHistogram()
    for _ in range(0, pictures, 16):
        maps = rng.standard_normal((16, 224, 224), np.float32)
        histogram.update(maps, maps > 3)
    histogram.result()
    return peak_mb()


# ---- memory --------------------------------------------------------------------------------------


def memories(options) -> dict[str, list[dict]]:
    """What a stage 2 step adds to a loaded model, measured and by the formula; and what the formula
    says of a T4.
    """
    if sys.platform != "linux":
        raise RuntimeError("--what memory reads the peak of a step from /proc, only Linux has it")
    work = Work(options.full)
    rows = []
    for half, checkpointing, pictures in product((False, True), (False, True), (1, 2, 4)):
        formula = memory.stage2(work.model, pictures, half, checkpointing).step
        call = f"costs.step_peak({options.full}, {pictures}, {half}, {checkpointing})"
        row = {"pictures": pictures, "half": half, "checkpointing": checkpointing}
        # what is freed goes back at once
        row["measured_mb"] = elsewhere(call, MALLOC_MMAP_THRESHOLD_="65536")
        rows.append(row | {"formula_mb": formula // 2**20})
    profiles = [memory.profile(work.model, effective) for effective in memory.EFFECTIVE]
    return {"step": rows, "t4": profiles}


def step_peak(full: bool, pictures: int, half: bool, checkpointing: bool) -> int:
    """In a process of its own: what one optimiser step of stage 2 adds to the memory at its peak, in
    MB.
    """
    work = Work(full, batch=pictures)
    work.model.clip.checkpointing = checkpointing
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    before = _status("VmRSS")
    work.model.requires_grad_(False)
    weights = [p.requires_grad_() for p in work.model.trainable("image").values()]
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        loss = work.package("stage 2 step")["loss"]
    loss.backward()
    torch.optim.Adam(weights).step()
    return (_status("VmHWM") - before) // 1024


# ---- kept features -------------------------------------------------------------------------------


def kept_views(epochs: int = 10, each: int = 16, seeds: tuple[int, ...] = (0, 1)) -> list[dict]:
    """Stage 1 on one training picture in `each` of the embedded world, without kept features and
    with some views a picture: CPU time, and what the words find on validation products.
    """
    train = open_dataset("factory/train")
    data = open_dataset("factory/val_wild")
    train = train.view(train.records[::each])
    data = data.view(data.records[::3])
    recipe = Recipe.course().replace(text_steps=None)
    rows = []
    for seed in seeds:
        for views in VIEWS:
            torch.manual_seed(seed)
            model = AdaptedCLIP(load_clip("lite"), recipe)
            began = study.cpu_seconds()
            with tempfile.TemporaryDirectory() as out:
                train_text(model, train, out, epochs=epochs, seed=seed, views=views, progress=False)
            row = {"views": views, "seed": seed, "pictures": len(train), "epochs": epochs}
            row["cpu"] = study.cpu_seconds() - began
            rows.append(row | study.figures(model, data, FIGURES, stage="text"))
    return rows


# ---- what each CLIP costs ------------------------------------------------------------------------


def scales(options) -> list[dict]:
    """A row for each, from a process of its own."""
    if sys.platform != "linux":
        raise RuntimeError("--what scales reads peaks from /proc, only Linux has it")
    limits = f"{options.rounds}, {options.seconds}"
    calls = [f"costs.scale({name!r}, {size}, {limits})" for name, size in SCALES]
    return [elsewhere(call, MALLOC_MMAP_THRESHOLD_="65536") for call in calls]


def scale(name: str, size: int, rounds: int, seconds: float) -> dict:
    """CPU seconds of one picture, the process's memory at most, sizes; random weights."""
    work = Work(False, size=size, name=name)
    model = work.model
    adapters = [p for stage in ("text", "image") for p in model.trainable(stage).values()]
    row = {"name": name, "size": size, "patches": model.clip.grid**2}
    row["weights"] = sum(p.numel() for p in model.clip.parameters())
    row["adapters_mb"] = sum(4 * p.numel() for p in adapters) / 1e6
    for case in ("inference", "stage 2 step"):
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
        until = time.monotonic() + seconds
        row[case] = compare(work, case, ("package",), rounds, until)["package"]["cpu"]
        row[f"{case}, peak MB"] = peak_mb()
    return row


# ---- in words ------------------------------------------------------------------------------------


def table(result: dict) -> list[str]:
    """Lines on memory and views, where they were measured."""
    lines = []
    for row in result.get("memory", {}).get("step", []):
        parts = ["half precision"] * row["half"] + ["checkpointing"] * row["checkpointing"]
        lines.append(
            f"stage 2 step of {row['pictures']:2} {', '.join(parts) or 'fp32':31}"
            f"{row['measured_mb']:8.0f} MB measured{row['formula_mb']:8.0f} by formula"
            f"{row['formula_mb'] / row['measured_mb']:7.2f}"
        )
    for row in result.get("memory", {}).get("t4", []):
        lines.append(
            f"14 GiB card, step of {row['effective']:2}: {row['accumulate']} x "
            f"{row['image_batch']} pictures, checkpointing {row['checkpointing']}: "
            f"{row['bytes'] / 2**30:.1f} GiB by formula"
        )
    for row in result.get("scales", []):
        costs = "".join(
            f"  {case} {row[case]:.3f} CPU s, {row[f'{case}, peak MB']} MB"
            for case in ("inference", "stage 2 step")
        )
        lines.append(
            f"{row['name']:19}{row['size']:4} px{row['patches']:5} patches"
            f"{row['weights'] / 1e6:6.0f} M weights  adapters {row['adapters_mb']:5.1f} MB{costs}"
        )
    views = result.get("views", [])
    for row in views:
        (base,) = [r["cpu"] for r in views if (r["seed"], r["views"]) == (row["seed"], None)]
        said = str(row["views"] or "new each time")
        figures = "".join(f"  {name} {row[name]:.3f}" for name in FIGURES)
        lines.append(
            f"stage 1, seed {row['seed']}, views {said:13}{row['cpu']:7.0f} CPU s"
            f"{base / row['cpu']:7.2f}{figures}"
        )
    return lines
