"""Speed on this machine: the package beside the plain way of doing the same, and how fast the
factory draws.

Special: ratios, not seconds, are what to compare between machines. Both ways run in turn in one
process on the same weights; results that are not equal are named, and the exit code is 1. CPU time
is counted, so that other work hardly shows; peak memory is that of a process of its own for each.
One thread. A case that takes longer than --seconds gets fewer rounds, after --minutes no case
begins, and what was left out is listed.

    python -m aaclip_lite lab bench                         # a reduced model, minutes; `make bench`
    python -m aaclip_lite lab bench --full                  # ViT-L/14-336 at 518 px, random weights
    python -m aaclip_lite lab bench --full --public PATH    # against your copy of the public code
    python -m aaclip_lite lab bench --what growth memory views scales   # see `costs.py`
"""

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import torch
from tqdm.auto import tqdm

from ..course import plots
from ..files import keep
from ..world import factory
from ..world.products import PRODUCTS
from . import costs
from .work import METRIC_CASES, MODEL_CASES, Pixels, Work, compare, unequal

DRAWN = {  # how, and its options
    "draw a normal part": {},
    "draw with things, regions": {"things": 2, "regions": True},
    "draw with a hole": {"defect": "hole"},
}
SUMMED = "evaluation, 60 pictures"  # of one class: its anchors, inference, binned metrics
# read when numpy is imported, not later
SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Bench:
    """Measure speed on this machine: the package against the plain way, and drawing."""

    # growth, views and scales know no --full
    what: tuple[Literal["speed", "growth", "memory", "views", "scales"], ...] = ("speed",)
    # ViT-L/14-336 at 518 px, 60 pictures for the metrics; else a reduced model, 336 px
    full: bool = False
    public: str = ""  # folder of the public code, measured in place of the plain way; with --full
    rounds: int = 3  # every figure of speed and growth is the best of so many
    # no round or process of a case begins later than this; the first round always runs
    seconds: float = 120.0
    minutes: float = 15.0  # no case of speed begins later than this, none of its rounds either
    out: str = "build/bench"  # bench.json and pictures go there
    json: bool = False  # print JSON instead of the table


def peak(full: bool, case: str, way: str, public: str) -> int:
    """In a process of its own: peak memory in MB of doing it once."""
    work = Pixels(full) if case in METRIC_CASES else Work(full, public=public)
    work.prepare(case)
    work.run(case, way)
    return costs.peak_mb()


# ---- speed ---------------------------------------------------------------------------------------


def speed(options: Bench) -> dict:
    bf16 = ("bf16",) if torch.ops.mkldnn._is_mkldnn_bf16_supported() else ()
    work = Work(options.full, public=options.public)
    pixels = Pixels(options.full)
    cases = {}
    skipped = []
    ends = time.monotonic() + 60 * options.minutes
    for case in tqdm((*MODEL_CASES, *METRIC_CASES), desc="measuring", disable=options.json):
        if time.monotonic() >= ends:
            skipped.append(case)
            continue
        of_metrics = case in METRIC_CASES
        ways = ("plain", "package") + (() if of_metrics else bf16)
        until = min(time.monotonic() + options.seconds, ends)
        rows = compare(pixels if of_metrics else work, case, ways, options.rounds, until)
        if (done := rows["plain"]["rounds"]) < options.rounds:
            skipped.append(f"{case}: rounds {done + 1} to {options.rounds}")
        for way in ways:
            call = f"bench.peak({options.full}, {case!r}, {way!r}, {options.public!r})"
            rows[way]["peak_mb"] = costs.elsewhere(call, until)
            if rows[way]["peak_mb"] is None:
                skipped.append(f"{case}, {way}: peak memory")
        cases[case] = rows
    late = time.monotonic() >= ends
    skipped += DRAWN if late else []
    drawn = {} if late else {n: drawn_per_second(options.rounds, **o) for n, o in DRAWN.items()}
    cases |= {SUMMED: whole(cases)} if {"inference", *METRIC_CASES} <= cases.keys() else {}
    return {"cases": cases, "drawing": drawn, "skipped": skipped}


def whole(cases: dict[str, dict]) -> dict[str, dict]:
    """Evaluating a class of 60 pictures, summed from its parts."""
    rows = {}
    for way, inference in cases["inference"].items():
        anchors = cases["text anchors"][way]
        pixels = cases["metrics, binned"]["plain" if way == "plain" else "package"]
        parts = (anchors, inference, pixels)
        rows[way] = {k: anchors[k] + 60 * inference[k] + pixels[k] for k in ("cpu", "wall")}
        rows[way]["difference"] = max(part["difference"] for part in parts)
        peaks = [part["peak_mb"] for part in parts]
        rows[way]["peak_mb"] = None if None in peaks else max(peaks)
    return rows


def drawn_per_second(rounds: int, **options) -> float:
    """Pictures a CPU second, one of each product, best of `rounds`."""
    best = 0.0
    for _ in range(rounds):
        began = time.process_time()
        for number, name in enumerate(PRODUCTS):
            factory.first_shown(name, range(number, 5000, 100), 128, split="bench", **options)
        best = max(best, len(PRODUCTS) / (time.process_time() - began))
    return best


def table(result: dict) -> str:
    """Speed as text; costs.table has the rest."""
    rows = [["", "CPU s", "plain", "ratio", "wall", "MB", "plain", "share", "off by"]]
    for case, by_way in result["cases"].items():
        base = by_way["plain"]
        for way in (way for way in by_way if way != "plain"):
            row = by_way[way]
            cells = [f"{row['cpu']:.3f}", f"{base['cpu']:.3f}"]
            cells += [f"{base[k] / row[k]:.2f}" for k in ("cpu", "wall")]
            peaks = (row["peak_mb"], base["peak_mb"])
            cells += (
                ["-"] * 3 if None in peaks else [*map(str, peaks), f"{peaks[0] / peaks[1]:.2f}"]
            )
            name = f"{case} (bf16)" if way == "bf16" else case
            rows.append([name, *cells, f"{row['difference']:.1e}"])
    drawn = [f"{name:26}{value:9.0f} pictures/s" for name, value in result["drawing"].items()]
    return "\n".join([keep.table(rows), *drawn])


def run(options: Bench) -> int:
    if options.public and not options.full:
        raise ValueError("--public needs --full: the public code knows ViT-L/14-336 only")
    if options.public and not Path(options.public).is_dir():
        raise FileNotFoundError(f"--public {options.public}: no such folder; name the code's")
    if any(os.environ.get(name) != value for name, value in SINGLE_THREADED.items()):
        call = f"from aaclip_lite.lab import bench; bench.run(bench.Bench(**{asdict(options)!r}))"
        return subprocess.call([sys.executable, "-c", call], env=os.environ | SINGLE_THREADED)
    torch.set_num_threads(1)
    out = Path(options.out)
    model = "ViT-L/14-336 at 518 px" if options.full else "12 blocks of width 384, 336 px"
    result = {"model": model, "machine": platform.machine() + " CPU", "date": str(date.today())}
    result |= {"against": "the public code" if options.public else "the plain way"}
    result |= speed(options) if "speed" in options.what else {}
    result |= costs.measure(options)
    keep.write_json(out / "bench.json", result)
    if result.get("cases"):
        plots.save(plots.ratios(result), out / "bench.png")
    if "growth" in result:
        plots.save(plots.growth(result), out / "growth.png")
    wrong = unequal(result.get("cases", {}))
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    if options.json:
        print(json.dumps(result))
        return int(bool(wrong))
    print(f"{result['model']}; {result['machine']}, one thread, {result['date']}")
    print(*([table(result)] if "cases" in result else []), *costs.table(result), sep="\n")
    if result.get("skipped"):
        bounds = f"{options.seconds:g} s a case or {options.minutes:g} minutes"
        print(f"skipped, {bounds} were over:", *result["skipped"], sep="\n  ")
    print(f"{out / 'bench.json'} and the pictures beside it")
    return int(bool(wrong))
