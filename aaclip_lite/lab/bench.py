"""Speed on this machine: the package beside the plain way of doing the same, and how fast the
factory draws.

Special: ratios, not seconds, are what to compare between machines. Both ways run in turn in one
process on the same weights, results that are not equal end the run, and CPU time is counted, so
that other work hardly shows; peak memory is that of a process of its own for each. One thread.

    python -m aaclip_lite bench                             # a reduced model, minutes; `make bench`
    python -m aaclip_lite bench --full                      # ViT-L/14-336 at 518 px with random
    weights python -m aaclip_lite bench --what growth memory        # how cost grows; peak memory
    beside the formula's python -m aaclip_lite bench --what views                # what kept
    features save and cost, on the embedded world
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import losses, metrics, scoring
from ..course import plots
from ..datasets import open_dataset
from ..evaluation import evaluate
from ..load import load_clip
from ..model import AdaptedCLIP, stack_anchors
from ..prompts import sentences
from ..recipe import Recipe
from ..service import memory
from ..service.runs import train_text
from ..world import factory
from ..world.products import PRODUCTS
from . import plain

REDUCED = {
    "embed_dim": 256,
    "vision_cfg": {
        "image_size": 224,
        "layers": 12,
        "width": 384,
        "head_width": 64,
        "patch_size": 14,
    },
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 256, "heads": 4, "layers": 12},
}
KEPT = "stage 1 step, kept"  # with the picture's features at hand, as --views keeps them
MODEL_CASES = ("text anchors", "stage 1 step", KEPT, "stage 2 step", "inference")
METRIC_CASES = ("metrics, exact", "metrics, binned")
SUMMED = "evaluation, 60 pictures"  # of one class: its anchors, inference, binned metrics
# what the package may differ from the plain way, in root mean squares; bf16's drift is told, not
# judged
EQUAL = 1e-4
# read when numpy is imported, not later
SINGLE_THREADED = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Bench:
    """Measure speed on this machine: the package against the plain way, and drawing."""

    # growth and views know no --full
    what: tuple[Literal["speed", "growth", "memory", "views"], ...] = ("speed",)
    # ViT-L/14-336 at 518 px, 60 pictures for the metrics; else a reduced model, 336 px
    full: bool = False
    rounds: int = 3  # every figure of speed and growth is the best of so many
    out: str = "build/bench"  # bench.json and pictures go there
    json: bool = False  # print JSON instead of the table


class Work:
    """What both ways do, on the same weights and pictures: `run(case, way)` gives the numbers to
    compare.
    """

    def __init__(
        self, full: bool, recipe: Recipe | None = None, size: int | None = None, batch: int = 1
    ):
        torch.manual_seed(0)
        size = size or (518 if full else 336)
        clip = load_clip("ViT-L-14-336" if full else REDUCED, weights=None, image_size=size)
        self.model = AdaptedCLIP(clip, recipe or Recipe.released())
        self.size, self.names = size, ["bottle", *PRODUCTS][:batch]
        drawn = [
            factory.draw(each, 1, min(size, 512), "hole", split="bench") for each in self.names
        ]
        pictures = torch.from_numpy(np.stack([p.image for p in drawn])).permute(0, 3, 1, 2)
        mask = torch.from_numpy(np.stack([p.mask for p in drawn]))[:, None].float()
        self.images, self.mask = (
            self.model.preprocess(pictures),
            torch.nn.functional.interpolate(mask, (size, size)),
        )
        self.label = torch.ones(len(self.names), dtype=torch.long)
        with torch.no_grad():
            self.own = stack_anchors(self.model.text_anchors(self.names), self.names)
        self.kept: tuple[Tensor, ...] = ()

    def prepare(self, case: str) -> None:
        """What is not part of the measured work."""
        self.kept = self.model.dense_features(self.images) if case == KEPT else ()

    def run(self, case: str, way: str) -> dict[str, Tensor]:
        """way: "plain", "package", or "bf16", the package under autocast."""
        model, ours = self.model, way != "plain"
        stage = {"stage 1 step": "text", KEPT: "text", "stage 2 step": "image"}.get(case)
        # plain: frozen weights get gradients, which nobody reads
        model.requires_grad_(not ours and stage is not None)
        trained = model.trainable(stage) if stage else {}
        for p in trained.values():
            p.requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=way == "bf16"):
            found = self._ours(case) if ours else self._plain(case)
        if stage:
            found["loss"].backward()
            found |= {name: p.grad for name, p in trained.items() if p.grad is not None}
        model.zero_grad(set_to_none=True)
        return {name: value.detach() for name, value in found.items()}

    def _plain(self, case: str) -> dict[str, Tensor]:
        model, images = self.model, self.images
        if case == "text anchors":
            with torch.no_grad():
                return plain.anchors(model, self.names)
        if case == "inference":
            return {"maps": plain.maps(model, images, self.own, self.size)}
        if case in ("stage 1 step", KEPT):
            return {"loss": plain.stage1(model, images, self.names, self.mask)}
        return {"loss": plain.stage2(model, images, self.own, self.mask, self.label)}

    def _ours(self, case: str) -> dict[str, Tensor]:
        model, images, recipe = self.model, self.images, self.model.recipe
        if case == "text anchors":
            with torch.no_grad():
                return model.text_anchors(self.names)
        if case == "inference":
            with torch.no_grad():
                return {"maps": scoring.anomaly_map(model(images).levels, self.own, self.size)}
        if case in ("stage 1 step", KEPT):
            own = stack_anchors(model.text_anchors(self.names), self.names)
            features = self.kept if case == KEPT else model.dense_features(images)
            return {"loss": losses.stage1(features, own, self.mask, recipe)}
        return {"loss": losses.stage2(model(images), self.own, self.mask, self.label, recipe)}


class Pixels:
    """The same for the metrics: maps of a class, one hot blob in every second picture."""

    def __init__(self, full: bool):
        rng, size = np.random.default_rng(0), 518 if full else 224
        self.maps = rng.standard_normal((60, size, size), np.float32)
        self.masks = np.zeros((60, size, size), bool)
        for i in range(0, 60, 2):
            y, x = rng.integers(0, size - size // 8, 2)
            self.masks[i, y : y + size // 8, x : x + size // 8] = True
        self.maps[self.masks] += 1

    def prepare(self, case: str) -> None:
        pass

    def run(self, case: str, way: str) -> dict[str, Tensor]:
        if way == "plain":
            flat = self.maps.ravel(), self.masks.ravel()
            found = [plain.auroc(*flat), plain.average_precision(*flat)]
        elif case == "metrics, exact":
            found = metrics.exact_curve(self.maps[self.masks], self.maps[~self.masks]).figures()[:2]
        else:
            result = metrics.PixelHistogram().update(self.maps, self.masks).result()
            found = [result["pixel_auroc"], result["pixel_ap"]]
        return {"figures": torch.tensor(found, dtype=torch.float64)}


def peak(full: bool, case: str, way: str) -> None:
    """In a process of its own: do it once, say the peak memory in MB."""
    torch.set_num_threads(1)
    work = Pixels(full) if case in METRIC_CASES else Work(full)
    work.prepare(case)
    work.run(case, way)
    say_peak()


def say_peak() -> None:
    # getrusage would give the parent's peak, which a child process inherits
    if sys.platform == "linux":
        print(_status("VmHWM") // 1024)
    else:
        import resource  # Windows has none

        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024**2)


def _status(name: str) -> int:
    """Of this process, in KB: VmRSS is its memory now, VmHWM its peak."""
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def _peak_elsewhere(full: bool, case: str, way: str) -> int:
    return _elsewhere(f"bench.peak({full}, {case!r}, {way!r})")


def _elsewhere(call: str, **variables: str) -> int:
    command = [sys.executable, "-c", f"from aaclip_lite.lab import bench; {call}"]
    return int(
        subprocess.run(
            command, capture_output=True, text=True, check=True, env=os.environ | variables
        ).stdout
    )


def difference(
    found: dict[str, Tensor], expected: dict[str, Tensor], typical: bool = False
) -> float:
    """The largest (typical: the root mean square) difference, in root mean squares of the worst
    tensor.
    """
    if found.keys() != expected.keys():
        raise RuntimeError(f"not the same results: {sorted(found.keys() ^ expected.keys())}")

    def size(x: Tensor) -> float:
        return float(x.double().square().mean().sqrt())

    gaps = {name: (found[name] - value).abs() for name, value in expected.items()}
    return max(
        (size(gap) if typical else float(gap.max())) / max(size(expected[n]), 1e-30)
        for n, gap in gaps.items()
    )


def compare(
    work, case: str, ways: tuple[str, ...], rounds: int, full: bool, memory: bool = True
) -> dict[str, dict]:
    """{way: {cpu, wall, difference, peak_mb}}, the ways in turn, best of `rounds`."""
    rows = {way: {"cpu": float("inf"), "wall": float("inf")} for way in ways}
    work.prepare(case)
    for _ in range(rounds):
        expected = None
        for way in ways:
            cpu, wall = time.process_time(), time.perf_counter()
            found = work.run(case, way)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            rows[way] |= {"cpu": min(rows[way]["cpu"], cpu), "wall": min(rows[way]["wall"], wall)}
            expected = expected or found
            rows[way]["difference"] = gap = difference(found, expected, typical=way == "bf16")
            if way == "package" and not gap <= EQUAL:
                raise RuntimeError(
                    f"{case}: the package differs from the plain way by {gap:.1e}, more than "
                    f"{EQUAL}"
                )
    for way in ways if memory else ():
        rows[way]["peak_mb"] = _peak_elsewhere(full, case, way)
    return rows


def growth(rounds: int) -> dict[str, dict[str, list]]:
    """{what grows: {"x": values, curve: CPU seconds, or MB}}; one picture or one call each."""

    def cpu(work: Work, case: str) -> float:
        return compare(work, case, ("package",), rounds, False, memory=False)["package"]["cpu"]

    found = {"picture size, px": {"x": [224, 336, 448, 518]}, "batch": {"x": [1, 2, 4, 8]}}
    for axis, row in found.items():
        for x in row["x"]:
            work = Work(False, size=x) if "px" in axis else Work(False, batch=x)
            for case in ("inference", "stage 2 step"):
                row.setdefault(f"{case}, CPU s a picture", []).append(
                    cpu(work, case) / len(work.names)
                )
    classes = found["classes"] = {"x": [1, 4, 16, 64], "anchors, CPU s": []}
    for x in classes["x"]:
        classes["anchors, CPU s"].append(cpu(Work(False, batch=x), "text anchors"))
    said = found["sentences of a class"] = {"x": [], "anchors, CPU s": []}
    for name in ("released", "course", "documented"):
        recipe = Recipe.released().replace(states=name, templates=name)
        said["x"].append(sum(map(len, sentences("bottle", name, name))))
        said["anchors, CPU s"].append(cpu(Work(False, recipe), "text anchors"))
    counts = [100, 300, 1000]
    peaks = [_elsewhere(f"bench.stream_pixels({n}); bench.say_peak()") for n in counts]
    found["pictures evaluated"] = {"x": counts, "binned metrics, peak MB": peaks}
    return found


def stream_pixels(pictures: int) -> None:
    """The metrics of so many pictures of 224 px, sixteen at a time, as `evaluate` meets them."""
    rng, histogram = np.random.default_rng(0), metrics.PixelHistogram()
    for _ in range(0, pictures, 16):
        maps = rng.standard_normal((16, 224, 224), np.float32)
        histogram.update(maps, maps > 3)
    histogram.result()


def memories(full: bool) -> dict[str, list[dict]]:
    """What a stage 2 step adds to a loaded model, measured and by the formula; and what the formula
    says of a T4.
    """
    if sys.platform != "linux":
        raise RuntimeError(
            "bench --what memory reads the peak of a step from /proc, which only Linux has"
        )
    work, rows = Work(full), []
    for half, checkpointing, pictures in (
        (h, c, n) for h in (False, True) for c in (False, True) for n in (1, 2, 4)
    ):
        formula = memory.stage2(work.model, pictures, half, checkpointing).step
        call = f"bench.step_peak({full}, {pictures}, {half}, {checkpointing})"
        # what is freed goes back at once
        measured = _elsewhere(call, MALLOC_MMAP_THRESHOLD_="65536")
        row = {
            "pictures": pictures,
            "half": half,
            "checkpointing": checkpointing,
            "measured_mb": measured,
        }
        rows.append(row | {"formula_mb": formula // 2**20})
    return {
        "step": rows,
        "t4": [memory.profile(work.model, effective) for effective in memory.EFFECTIVE],
    }


def step_peak(full: bool, pictures: int, half: bool, checkpointing: bool) -> None:
    """In a process of its own: one optimiser step of stage 2; say what it adds to the memory at its
    peak, in MB.
    """
    torch.set_num_threads(1)
    work = Work(full, batch=pictures)
    work.model.clip.checkpointing = checkpointing
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    before = _status("VmRSS")
    work.model.requires_grad_(False)
    weights = [p.requires_grad_() for p in work.model.trainable("image").values()]
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        loss = work._ours("stage 2 step")["loss"]
    loss.backward()
    torch.optim.Adam(weights).step()
    print((_status("VmHWM") - before) // 1024)


def kept_views(epochs: int = 10, each: int = 16, seeds: tuple[int, ...] = (0, 1)) -> list[dict]:
    """Stage 1 on one training picture in `each` of the embedded world, without kept features and
    with some views a
    picture: CPU time, and what the words find on validation products."""
    train, data = open_dataset("factory/train"), open_dataset("factory/val")
    train, data, rows = train.view(train.records[::each]), data.view(data.records[::3]), []
    for seed, views in ((s, v) for s in seeds for v in (None, 1, 2, 4)):
        torch.manual_seed(seed)
        model = AdaptedCLIP(load_clip("lite"), Recipe.course().replace(text_steps=None))
        with tempfile.TemporaryDirectory() as out:
            began = time.process_time()
            train_text(model, train, out, epochs=epochs, seed=seed, views=views, progress=False)
            cpu = time.process_time() - began
        mean = evaluate(model, data, stage="text", rounds=1, progress=False).mean
        found = {name: mean[name] for name in ("pixel_auroc", "inside_auroc", "peak_hit")}
        rows.append(
            {"views": views, "seed": seed, "pictures": len(train), "epochs": epochs, "cpu": cpu}
            | found
        )
    return rows


def drawing(size: int = 128, **options) -> Callable[[], int]:
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


def rate(work: Callable[[], int], rounds: int) -> float:
    """Units a CPU second, best of `rounds`; `work` returns how many units it did."""
    best = 0.0
    for _ in range(rounds):
        began = time.process_time()
        units = work()
        best = max(best, units / (time.process_time() - began))
    return best


def table(result: dict) -> str:
    lines = [f"{result['model']}; {result['machine']}, one thread, {result['date']}"]
    if "cases" in result:
        widths = {
            "CPU s": 9,
            "plain": 9,
            "ratio": 7,
            "wall": 7,
            "MB": 8,
            "plain ": 8,
            "share": 7,
            "off by": 9,
        }
        lines.append(" " * 26 + "".join(f"{text:>{width}}" for text, width in widths.items()))
    for case, rows in result.get("cases", {}).items():
        base = rows["plain"]
        for way, row in rows.items():
            if way != "plain":
                lines.append(
                    f"{case + (' (bf16)' if way == 'bf16' else ''):26}{row['cpu']:9.3f}{base['cpu']:9.3f}"
                    f"{base['cpu'] / row['cpu']:7.2f}{base['wall'] / row['wall']:7.2f}{row['peak_mb']:8.0f}"
                    f"{base['peak_mb']:8.0f}{row['peak_mb'] / base['peak_mb']:7.2f}{row['difference']:9.1e}"
                )
    lines += [
        f"{name:26}{value:9.0f} pictures/s" for name, value in result.get("drawing", {}).items()
    ]
    for row in result.get("memory", {}).get("step", []):
        how = "half precision" * row["half"] + ", " * (row["half"] and row["checkpointing"])
        how += "checkpointing" * row["checkpointing"]
        lines.append(
            f"stage 2 step of {row['pictures']:2} {how or 'fp32':31}{row['measured_mb']:8.0f} MB "
            "measured"
            f"{row['formula_mb']:8.0f} by formula{row['formula_mb'] / row['measured_mb']:7.2f}"
        )
    for row in result.get("memory", {}).get("t4", []):
        lines.append(
            f"14 GiB card, step of {row['effective']:2}: {row['accumulate']} x "
            f"{row['image_batch']} pictures, "
            f"checkpointing {row['checkpointing']}: {row['bytes'] / 2**30:.1f} GiB by formula"
        )
    for row in result.get("views", []):
        base = next(
            r["cpu"] for r in result["views"] if (r["seed"], r["views"]) == (row["seed"], None)
        )
        figures = "".join(
            f"  {name} {row[name]:.3f}" for name in ("pixel_auroc", "inside_auroc", "peak_hit")
        )
        lines.append(
            f"stage 1, seed {row['seed']}, views "
            f"{row['views'] or 'new each time'!s:13}{row['cpu']:7.0f} CPU s"
            f"{base / row['cpu']:7.2f}{figures}"
        )
    return "\n".join(lines)


def whole(cases: dict[str, dict]) -> dict[str, dict]:
    """Evaluating a class of 60 pictures, summed from its parts."""
    found = {}
    for way, inference in cases["inference"].items():
        anchors, pixels = (
            cases["text anchors"][way],
            cases["metrics, binned"]["plain" if way == "plain" else "package"],
        )
        spent = {key: anchors[key] + 60 * inference[key] + pixels[key] for key in ("cpu", "wall")}
        parts = anchors, inference, pixels
        found[way] = spent | {
            key: max(part[key] for part in parts) for key in ("difference", "peak_mb")
        }
    return found


def speed(options: Bench) -> dict:
    bf16 = ("bf16",) if torch.ops.mkldnn._is_mkldnn_bf16_supported() else ()
    work, pixels, cases = Work(options.full), Pixels(options.full), {}
    for case in tqdm(
        (*MODEL_CASES, *METRIC_CASES), desc="measuring", unit="case", disable=options.json
    ):
        of_metrics = case in METRIC_CASES
        ways = ("plain", "package") + (() if of_metrics else bf16)
        cases[case] = compare(
            pixels if of_metrics else work, case, ways, options.rounds, options.full
        )
    draw = {
        "draw a normal part": drawing(),
        "draw with things, regions": drawing(things=2, regions=True),
        "draw with a hole": drawing(defect="hole"),
    }
    drawn = {name: rate(each, options.rounds) for name, each in draw.items()}
    return {"cases": cases | {SUMMED: whole(cases)}, "drawing": drawn}


def run(options: Bench) -> int:
    if any(os.environ.get(name) != value for name, value in SINGLE_THREADED.items()):
        flags = [f"--{name}" for name, value in asdict(options).items() if value is True]
        command = [sys.executable, "-m", "aaclip_lite", "bench", "--what", *options.what, *flags]
        command += ["--rounds", str(options.rounds), "--out", options.out]
        return subprocess.call(command, env=os.environ | SINGLE_THREADED)
    torch.set_num_threads(1)
    out, model = (
        Path(options.out),
        "ViT-L/14-336 at 518 px" if options.full else "12 blocks of width 384, 336 px",
    )
    result = {"model": model, "machine": platform.machine() + " CPU", "date": str(date.today())}
    result |= speed(options) if "speed" in options.what else {}
    result |= {"growth": growth(options.rounds)} if "growth" in options.what else {}
    result |= {"memory": memories(options.full)} if "memory" in options.what else {}
    result |= {"views": kept_views()} if "views" in options.what else {}
    out.mkdir(parents=True, exist_ok=True)
    (out / ".bench.tmp").write_text(json.dumps(result, indent=1) + "\n")
    os.replace(out / ".bench.tmp", out / "bench.json")
    for part, picture, draw in (
        ("cases", "bench.png", plots.ratios),
        ("growth", "growth.png", plots.growth),
    ):
        if part in result:
            plots.save(draw(result), out / picture)
    print(
        json.dumps(result)
        if options.json
        else f"{table(result)}\n{out / 'bench.json'} and the pictures beside it"
    )
    return 0
