"""What each choice of the course recipe is worth: one change at a time, several seeds, measured on validation products.

Special: every run trains both stages in little (`text_steps`, `image_steps`) and differs from the course in one field,
which takes the value of the public code or of the reference document. Runs that share stage 1 share it in fact. Results
are kept line by line, so a stopped command goes on where it was; nothing here ever reads a test product.

    python -m aaclip_lite deviations                       # hours of two cores; writes data/checkpoints/deviations.md
    python -m aaclip_lite deviations --fields logit_scale image_mix --seeds 0 1 2
"""

import copy
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t
from tqdm.auto import tqdm

from .backbone import load_clip
from .datasets import AnomalyDataset, open_dataset
from .evaluate import evaluate
from .model import AdaptedCLIP
from .recipe import Recipe
from .train import train_image, train_text

FIGURES = ("pixel_auroc", "inside_auroc", "peak_hit", "image_auroc")
# How long to train follows from the size of the model and the data; at one short length it cannot be compared.
LENGTHS = (
    "text_steps", "text_epochs", "text_batch", "image_steps", "image_epochs", "image_batch", "milestones", "gamma",
)  # fmt: skip
STAGE_2 = (  # fields that stage 1 never reads (proj_init is not one: it also starts the text head)
    "image_blocks", "image_mix", "proj_relu", "detection_pool", "detection_scale", "detection_weight",
    "map_top_weight", "level_weights", "image_lr", "blur", "image_score",
)  # fmt: skip
TEST_ONLY = ("blur", "image_score")  # fields that no training reads
OPTIONS = {  # worth a look beside the three recipes: the reference document's list of improvements
    "map_top_weight": (1.0,), "detection_pool": ("cls", "attention"), "level_weights": ("learned",),
    "text_separation": ("contrastive", "triplet"), "norm_preserving": (False,), "joint": (True,),
    "stage1_classification_weight": (0.1,), "image_score": ("map_max", "detection"),
}  # fmt: skip


@dataclass(frozen=True)
class Deviations:
    """Measure what each field of the course recipe is worth, and write the table."""

    out: str = "data/checkpoints"  # deviations.jsonl (every run) and deviations.md (the table) go there
    fields: tuple[str, ...] = ()  # these only; default: every field in which a recipe differs, and some options
    seeds: tuple[int, ...] = (0, 1, 2)
    text_steps: int = 40  # steps of stage 1 in every run
    image_steps: int = 40  # steps of stage 2 in every run
    every: int = 3  # 3: every third validation picture is judged
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
    """Trains and judges one variant after the other; stage 1 is shared by those that do not differ in it."""

    def __init__(self, options: Deviations, train: AnomalyDataset, data: AnomalyDataset, clip=None):
        self.options, self.train, self.clip = options, train, clip or load_clip("lite")
        self.data = data.view(data.records[:: options.every])
        self.words: dict[str, dict] = {}  # trained text adapters, by what stage 1 reads
        self.both: dict[str, tuple] = {}  # trained text and image adapters, by what training reads

    def run(self, change: dict, seed: int) -> dict[str, float]:
        recipe = Recipe.course().replace(**change, milestones=self._milestones(), text_steps=self.options.text_steps,
                                         image_steps=self.options.image_steps)  # fmt: skip
        torch.manual_seed(seed)  # where adapters start at random, that is part of the run
        model = AdaptedCLIP(self.clip, recipe)
        parts = model.text_adapter, model.image_adapter
        stage_1, training = (
            json.dumps([{name: value for name, value in change.items() if name not in unread}, seed])
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

    def _milestones(self) -> tuple[int, ...]:
        """The course's drops of the learning rate, at the same shares of a shorter run."""
        course = Recipe.course()
        steps = [round(each * self.options.image_steps / course.image_steps) for each in course.milestones]
        return tuple(sorted({max(1, step) for step in steps}))


def table(rows: list[dict]) -> str:
    """Markdown: for each deviation the three recipes' values, and the change of two figures over the same seeds."""
    recipes = {name: getattr(Recipe, name)() for name in ("course", "documented", "released")}
    by = {}
    for row in rows:
        by.setdefault(row["variant"], {})[row["seed"]] = row
    lines = [
        "| field | documented | released | course | tried | pixel AUROC | its change | inside | image AUROC | kept |",
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
        spans = {f: interval([found[s][f] - base[s][f] for s in seeds]) for f in FIGURES if f != "peak_hit"}
        changes = [f"{middle:+.3f} ± {half:.3f}" for middle, half in spans.values()]
        better = spans["pixel_auroc"][0] - spans["pixel_auroc"][1] > 0
        kept = "the other would do better" if better else "the course's"
        lines.append("| " + " | ".join([field, *values, tried, f"{pixel:.3f}", *changes, kept]) + " |")
    if base:
        means = ", ".join(f"{f.replace('_', ' ')} {np.mean([row[f] for row in base.values()]):.3f}" for f in FIGURES)
        lines = [f"The course recipe itself, mean of {len(base)} seeds: {means}.", "", *lines]
    return "\n".join(lines) + "\n"


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval (Student's t)."""
    if len(values) < 2:
        return float(np.mean(values)), float("nan")
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return float(np.mean(values)), float(half)


def run(options: Deviations) -> Path:
    out, began = Path(options.out), time.monotonic()
    log = out / "deviations.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    clip = load_clip("lite")
    same = {"backbone": clip.fingerprint(), "text_steps": options.text_steps, "image_steps": options.image_steps,
            "every": options.every, "course": Recipe.course().to_dict()}  # fmt: skip
    same = json.loads(json.dumps(same))
    if rows and {key: rows[0].get(key) for key in same} != same:
        raise ValueError(f"{log} comes from another backbone, recipe or length: move it away, or use another --out")
    todo = [(name, change, seed) for seed in options.seeds for name, change in variants(options.fields).items()
            if not any(row["variant"] == name and row["seed"] == seed for row in rows)]  # fmt: skip
    trials = Trials(options, open_dataset("factory/train"), open_dataset("factory/val"), clip) if todo else None
    for name, change, seed in tqdm(todo, desc="deviations", unit="run"):
        if options.minutes is not None and time.monotonic() - began > 60 * options.minutes:
            break
        rows.append({"variant": name, "seed": seed} | trials.run(change, seed) | same)
        (out / ".deviations.tmp").write_text("".join(json.dumps(row) + "\n" for row in rows))
        os.replace(out / ".deviations.tmp", log)
    (out / ".deviations.tmp").write_text(table(rows))
    os.replace(out / ".deviations.tmp", out / "deviations.md")
    return out / "deviations.md"
