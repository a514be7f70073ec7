"""The report on the shipped adapters: how good the course recipe is, and what each of its choices
is worth.

First both stages are trained as shipped, with several seeds, and judged on the test products. Then
one change at a time is tried, measured on validation products. Special: each of these runs trains
both stages in little (`text_steps`,
`image_steps`) and differs from the course in one field, which takes the value of the public code or
of the reference document. Runs that share stage 1 share it in fact. Results are kept line by line,
so a stopped command goes on where it was; no choice ever sees a test product.

    python -m aaclip_lite deviations                       # hours of two cores; writes
    data/checkpoints/README.md python -m aaclip_lite deviations --fields logit_scale image_mix
    --seeds 0 1 2 python -m aaclip_lite deviations --fields logit_scale --seeds 0 --full-length    #
    as long as the course trains python -m aaclip_lite deviations --minutes 0           # the report
    from what has been measured so far
"""

import copy
import json
import os
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t
from tqdm.auto import tqdm

from ..course import plots
from ..datasets import AnomalyDataset, open_dataset
from ..detector import AnomalyDetector
from ..evaluation import evaluate
from ..load import load_clip
from ..metrics import jsonable
from ..model import AdaptedCLIP
from ..recipe import Recipe
from ..service.runs import train_image, train_text

FIGURES = ("pixel_auroc", "inside_auroc", "peak_hit", "image_auroc")
# How long to train follows from the size of the model and the data; at one short length it cannot
# be compared.
LENGTHS = (
    "text_steps",
    "text_epochs",
    "text_batch",
    "image_steps",
    "image_epochs",
    "image_batch",
    "milestones",
    "lr_factor",
)
STAGE_2 = (  # fields that stage 1 never reads (proj_init is not one: it also starts the text head)
    "image_blocks",
    "image_mix",
    "proj_relu",
    "detection_scale",
    "image_lr",
    "blur",
    "image_score",
)
TEST_ONLY = ("blur", "image_score")  # fields that no training reads
OPTIONS = {  # worth a look beside the three recipes: the reference document's list of improvements
    "image_score": ("map_top", "map_max", "detection"),
}


@dataclass(frozen=True)
class Deviations:
    """Measure how good the course recipe is and what each of its fields is worth, and write the
    report.
    """

    # README.md, and seeds.jsonl and deviations.jsonl with a line a run, go there
    out: str = "data/checkpoints"
    runs: str = "runs/course"  # full trainings of the seeds go there, a folder each
    fields: tuple[
        str, ...
    ] = ()  # these only; default: every field in which a recipe differs, and some options
    seeds: tuple[int, ...] = (0, 1, 2)
    text_steps: int = 20  # steps of stage 1 in every run
    image_steps: int = 20  # steps of stage 2 in every run
    every: int = 3  # 3: every third validation picture is judged
    # train as long as the course does, judge every picture; kept in full_length.jsonl
    full_length: bool = False
    minutes: float | None = None  # begin no run after so many minutes


def variants(fields: tuple[str, ...] = ()) -> dict[str, dict]:
    """{"field = value": change of the course recipe}, "course" first."""
    course, found = Recipe.course(), {"course": {}}
    for field in course.to_dict():
        values = [getattr(recipe, field) for recipe in (Recipe.released(), Recipe.documented())]
        values = [*([] if field in LENGTHS or field == "name" else values), *OPTIONS.get(field, ())]
        for value in dict.fromkeys(values):
            if value != getattr(course, field) and (not fields or field in fields):
                found[f"{field} = {value}"] = {field: value}
    if unknown := set(fields) - set(course.to_dict()):
        raise ValueError(f"Recipe has no field {', '.join(sorted(unknown))}")
    return found


class Trials:
    """Trains and judges one variant after the other; stage 1 is shared by those that do not differ
    in it.
    """

    def __init__(self, options: Deviations, train: AnomalyDataset, data: AnomalyDataset, clip=None):
        self.options, self.train, self.clip = options, train, clip or load_clip("lite")
        self.data = data.view(data.records[:: options.every])
        self.words: dict[str, dict] = {}  # trained text adapters, by what stage 1 reads
        self.both: dict[str, tuple] = {}  # trained text and image adapters, by what training reads

    def run(self, change: dict, seed: int) -> dict[str, float]:
        recipe = (
            Recipe.course()
            .of_length(self.options.text_steps, self.options.image_steps)
            .replace(**change)
        )
        torch.manual_seed(seed)  # where adapters start at random, that is part of the run
        model = AdaptedCLIP(self.clip, recipe)
        parts = model.text_adapter, model.image_adapter
        stage_1, training = (
            json.dumps(
                [{name: value for name, value in change.items() if name not in unread}, seed]
            )
            for unread in (STAGE_2, TEST_ONLY)
        )
        with tempfile.TemporaryDirectory() as out:
            if training in self.both:
                for part, state in zip(parts, self.both[training], strict=True):
                    part.load_state_dict(state)
            else:
                if stage_1 in self.words:
                    model.text_adapter.load_state_dict(self.words[stage_1])
                else:
                    train_text(model, self.train, Path(out, "text"), seed=seed, progress=False)
                    self.words[stage_1] = copy.deepcopy(model.text_adapter.state_dict())
                train_image(model, self.train, Path(out, "image"), seed=seed, progress=False)
                self.both[training] = tuple(copy.deepcopy(part.state_dict()) for part in parts)
        report = evaluate(model, self.data, rounds=1, progress=False)
        return {name: report.mean[name] for name in FIGURES}


def table(rows: list[dict]) -> str:
    """Markdown: for each deviation the three recipes' values, and the change of two figures over
    the same seeds.
    """
    recipes = {name: getattr(Recipe, name)() for name in ("course", "documented", "released")}
    by = {}
    for row in rows:
        by.setdefault(row["variant"], {})[row["seed"]] = row
    lines = [
        "| field | documented | released | course | tried | pixel AUROC | its change | inside | "
        "image AUROC | kept |",
        "| --- | --- | --- | --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    base = by.get("course", {})
    for name, found in by.items():
        seeds = sorted(found.keys() & base.keys())
        if name == "course" or not seeds:
            continue
        field, tried = name.split(" = ", 1)
        values = [f"{getattr(recipes[r], field)}" for r in ("documented", "released", "course")]
        pixel = np.mean([found[seed]["pixel_auroc"] for seed in seeds])
        spans = {
            f: interval([found[s][f] - base[s][f] for s in seeds])
            for f in FIGURES
            if f != "peak_hit"
        }
        changes = [
            f"{middle:+.3f}" + (f" ± {half:.3f}" if half == half else "")
            for middle, half in spans.values()
        ]
        better = spans["pixel_auroc"][0] - spans["pixel_auroc"][1] > 0
        kept = "the other does better here" if better else "the course's"
        lines.append(
            "| " + " | ".join([field, *values, tried, f"{pixel:.3f}", *changes, kept]) + " |"
        )
    if base:
        means = ", ".join(
            f"{f.replace('_', ' ')} {np.mean([row[f] for row in base.values()]):.3f}"
            for f in FIGURES
        )
        lines = [f"The course recipe itself, mean of {len(base)} seeds: {means}.", "", *lines]
    return "\n".join(lines) + "\n"


def judge_seed(seed: int, runs: Path) -> list[dict]:
    """Train both stages as `train` does and judge them: rows for validation, test and hard
    products.
    """
    torch.manual_seed(seed)
    model, rows = AdaptedCLIP(load_clip("lite")), []
    # as `train` does, so that it may take over
    train = open_dataset("factory/train", size=model.clip.image_size)
    began = time.process_time()
    for stage in (train_text, train_image):
        stage(model, train, runs / f"seed_{seed}", seed=seed, progress=False)
    spent = round(time.process_time() - began)
    for name in ("val", "test", "test_hard"):
        first = name == "test" and seed == 0  # baselines do not depend on the seed
        data = open_dataset(f"factory/{name}")
        report = evaluate(
            model, data, baselines=first, train=train if first else None, progress=False
        )
        row = {
            "data": name,
            "seed": seed,
            "cpu_seconds": spent,
            "mean": report.mean,
            "groups": report.groups,
        }
        row |= {
            "defects": report.defects,
            "intervals": report.intervals["mean"],
            "baselines": report.baselines,
        }
        rows.append(jsonable(row))
    words = evaluate(model, open_dataset("factory/test"), stage="text", rounds=1, progress=False)
    return [*rows, jsonable({"data": "test, stage 1 alone", "seed": seed, "mean": words.mean})]


def seed_table(rows: list[dict]) -> str:
    """Markdown: the course recipe over its seeds, and the baselines beside it."""
    shown = ("pixel_auroc", "pixel_ap", "pixel_pro", "inside_auroc", "peak_hit", "image_auroc")
    heads = (
        "pixel AUROC",
        "pixel AP",
        "PRO",
        "inside the object",
        "peak on the defect",
        "image AUROC",
    )
    lines = ["| | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(heads)]

    def line(label: str, found: list[dict]) -> None:
        spans = [
            interval([row[name] for row in found])
            for name in shown
            if None not in [row[name] for row in found]
        ]
        cells = [
            f"{middle:.3f}" + (f" ± {half:.3f}" if half == half else "") for middle, half in spans
        ]
        lines.append(f"| {label} | " + " | ".join(cells + ["-"] * (len(shown) - len(cells))) + " |")

    for name in dict.fromkeys(row["data"] for row in rows):
        mine = [row for row in rows if row["data"] == name]
        line(
            f"**factory/{name}**, {len(mine)} seed{'s' * (len(mine) > 1)}",
            [row["mean"] for row in mine],
        )
        for group in mine[0].get("groups", {}) if name == "test" else ():
            line(f"... its {group}", [row["groups"][group] for row in mine])
    for row in rows:
        for label, figures in (row.get("baselines") or {}).items():
            line(label.replace("_", " "), [figures])
    return "\n".join(lines)


def at_random(detector: AnomalyDetector, data: AnomalyDataset, count: int = 20, seed: int = 2026):
    """A sheet of defective pictures drawn by lot with their maps, and in how many the peak lies
    inside the outline.
    """
    defective = [i for i, record in enumerate(data.records) if record.label]
    samples = [
        data[int(i)] for i in np.random.default_rng(seed).choice(defective, count, replace=False)
    ]
    maps = [detector.predict(sample.image, sample.class_name).map for sample in samples]
    hits = [
        bool(sample.mask.flat[heat.argmax()]) for sample, heat in zip(samples, maps, strict=True)
    ]
    words = [
        f"{s.class_name}: {s.defect}, {'inside' if hit else '-'}"
        for s, hit in zip(samples, hits, strict=True)
    ]
    given = (
        [s.image for s in samples],
        maps,
        [s.mask for s in samples],
        [each.replace("_", " ") for each in words],
    )
    return plots.sheet(*given, "Defective test pictures drawn by lot", columns=5, scale="own"), sum(
        hits
    )


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval (Student's t)."""
    if len(values) < 2:
        return float(np.mean(values)), float("nan")
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return float(np.mean(values)), float(half)


def run(options: Deviations) -> Path:
    out, began = Path(options.out), time.monotonic()
    course, backbone = (
        json.loads(json.dumps(Recipe.course().to_dict())),
        load_clip("lite").fingerprint(),
    )
    log = out / ("full_length.jsonl" if options.full_length else "deviations.jsonl")
    if options.full_length:
        long = {
            "text_steps": course["text_steps"],
            "image_steps": course["image_steps"],
            "every": 1,
        }
        options = replace(options, **long)
    base = Recipe.course().of_length(options.text_steps, options.image_steps).to_dict()
    same = {
        "backbone": backbone,
        "text_steps": options.text_steps,
        "image_steps": options.image_steps,
        "every": options.every,
        "course": json.loads(json.dumps(base)),
    }
    rows = _rows(log)

    def in_time() -> bool:
        return options.minutes is None or time.monotonic() - began < 60 * options.minutes

    if in_time() and rows and {key: rows[0].get(key) for key in same} != same:
        raise ValueError(
            f"{log} comes from another backbone, recipe or length: move it, or use another --out; "
            "--minutes 0 only "
            "writes the report again"
        )
    shipped = {"backbone": backbone, "course": course}
    seeds = [
        row for row in _rows(out / "seeds.jsonl") if {key: row[key] for key in shipped} == shipped
    ]
    for seed in options.seeds:
        if in_time() and not any(row["seed"] == seed for row in seeds):
            seeds += [row | shipped for row in judge_seed(seed, Path(options.runs))]
            _write(out / "seeds.jsonl", "".join(json.dumps(row) + "\n" for row in seeds))
    # fmt: skip  (the seeds' own runs are that)
    todo = [
        (name, change, seed)
        for seed in options.seeds
        for name, change in variants(options.fields).items()
        if not any(row["variant"] == name and row["seed"] == seed for row in rows)
        and not (options.full_length and name == "course")
    ]
    trials = (
        Trials(options, open_dataset("factory/train"), open_dataset("factory/val"))
        if todo and in_time()
        else None
    )
    for name, change, seed in tqdm(todo, desc="deviations", unit="run", disable=trials is None):
        if in_time():
            rows.append({"variant": name, "seed": seed} | trials.run(change, seed) | same)
            _write(log, "".join(json.dumps(row) + "\n" for row in rows))
    hits = None
    if (out / "course").is_dir():  # with another --out no detector lies beside the card
        sheet, hits = at_random(AnomalyDetector.load(out / "course"), open_dataset("factory/test"))
        plots.save(sheet, out / "random.png", dpi=80)
    text = card(
        seeds, _rows(out / "deviations.jsonl"), _rows(out / "full_length.jsonl"), hits, backbone
    )
    _write(out / "README.md", text)
    print(out / "README.md")
    return out / "README.md"


def _rows(path: Path) -> list[dict]:
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if path.exists()
        else []
    )


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def card(
    seeds: list[dict], rows: list[dict], long: list[dict], hits: int | None, backbone: str
) -> str:
    """long: runs of full length; hits: peaks inside the outline in random.png, if it was drawn;
    backbone: fingerprint of the embedded CLIP shipped now. Runs on an earlier one are still shown,
    and the card says so.
    """
    course = Recipe.course()
    trained = [row["cpu_seconds"] for row in seeds if row["data"] == "test"]
    text = CARD.format(
        seeds=seed_table(seeds) if seeds else "Not measured yet.",
        today=date.today(),
        text=course.text_steps,
        minutes=np.mean(trained) / 60 if trained else float("nan"),
        image=course.image_steps,
        batch=course.image_batch,
    )
    kinds = {}
    for row in (row for row in seeds if row["data"] == "test"):
        for kind, figures in row["defects"].items():
            kinds.setdefault(kind, []).append(
                [figures[name] for name in ("pixel_auroc", "peak_hit")]
            )
    if kinds:
        text += "\n| kind of defect | pixel AUROC | peak on the defect |\n| --- | ---: | ---: |\n"
        for kind, values in kinds.items():
            text += (
                f"| {kind.replace('_', ' ')} | "
                + " | ".join(f"{v:.3f}" for v in np.mean(values, 0))
                + " |\n"
            )
    text += "" if hits is None else RANDOM.format(hits=hits)
    known = len({row["variant"] for row in rows}), len(variants())
    of_all = {
        seed: sum(row["seed"] == seed for row in rows)
        for seed in sorted({row["seed"] for row in rows})
    }
    if not rows:
        return text + NOTHING_TRIED
    text += DEVIATIONS.format(
        known=known[0],
        all=known[1],
        text=rows[0]["text_steps"],
        image=rows[0]["image_steps"],
        every=rows[0]["every"],
        seeds=", ".join(f"{seed} ({count})" for seed, count in of_all.items()),
        table=table(rows),
        earlier=""
        if rows[0]["backbone"] == backbone
        else EARLIER.format(backbone=rows[0]["backbone"]),
    )
    base = [
        {"variant": "course", "seed": row["seed"]} | row["mean"]
        for row in seeds
        if row["data"] == "val"
    ]
    # they are compared with the seeds' own runs
    long = [row for row in long if row["backbone"] == backbone]
    return text + (FULL_LENGTH.format(table=table([*base, *long])) if long else "")


CARD = """# The shipped adapters

`course/` holds both stages (`text.safetensors`, `image.safetensors`) and the calibration (`detector.json`), for
`aa.AnomalyDetector.load("course")`. Adapter weights only; recipe, backbone and data fingerprints are in the files'
metadata, and `python -m aaclip_lite doctor data/checkpoints/course` reads them.

- **Made by** `python -m aaclip_lite train --out runs/course` on the embedded CLIP and factory/train, seed 0, calibrated
  on the normal pictures of factory/val. Both stages take {minutes:.1f} minutes of CPU time on one thread.
- **Recipe**: `Recipe.course()`. Stage 1: {text} steps. Stage 2: {image} steps of {batch} pictures.
- This report is made by `python -m aaclip_lite deviations`, {today}.

## How good it is

Test and hard products are ones that no stage has seen; every choice was made on factory/val. Means over the products;
± is the 95 % interval of the mean over the seeds (Student's t). Baselines on factory/test.

{seeds}
"""
DEVIATIONS = """
## What each choice is worth

{known} of {all} variants, each differing from the course in one field that takes the value of the public code, of the
reference document, or of its list of improvements. Trained in little ({text} and {image} steps), judged on one picture
in {every} of factory/val. Seeds (runs): {seeds}. "its change" is against the course with the same seeds, ± the 95 %
interval of the mean; with one seed there is none.
{earlier}
{table}"""
EARLIER = """
**Measured on an earlier embedded CLIP** (fingerprint {backbone}), which had less pretraining than the one shipped now,
and not measured again since.
"""
FULL_LENGTH = """
### The same at full length

Short runs favour what learns fast. These are as long as the course's own, judged on all of factory/val.

{table}"""
RANDOM = """
![Twenty defective test pictures with outlines, and the maps beside them](random.png)

*Twenty defective test pictures drawn by lot, each map stretched to its own ends. The hottest pixel lies inside the
outline in {hits} of them; some others peak beside it, on a print, or on a sound part of the object.*
"""
NOTHING_TRIED = """
## What each choice is worth

Not measured on this embedded CLIP yet.
"""
