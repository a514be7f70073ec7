"""The report on the shipped adapters: how good the course recipe is, and what its choices are worth.

First both stages are trained as shipped, with several seeds, and judged on the test products. Then
one change at a time is tried, measured on validation products. Special: each of these short runs
(`text_steps`, `image_steps`) differs from the course in one field, which takes the value of the
public code or of the reference document; no choice ever sees a test product. Results are kept line
by line (`study.py`), so a stopped command goes on where it was. All of it is on the wild sets; how well
the detector decides at stations is for `deciding`.

    python -m aaclip_lite lab deviations                   # hours of two cores; writes the report
    python -m aaclip_lite lab deviations --fields logit_scale image_mix --seeds 0 1 2
    python -m aaclip_lite lab deviations --fields logit_scale --seeds 0 --full-length
    python -m aaclip_lite lab deviations --minutes 0       # the report from what has been measured
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ..course import plots
from ..datasets import AnomalyDataset, open_dataset
from ..detector import AnomalyDetector
from ..files import keep
from ..load import load_clip
from ..recipe import Recipe
from . import cards, study
from .deviations_card import card

# How long to train follows from the size of the model and the data; at one short length it cannot
# be compared.
LENGTHS = (
    *("text_steps", "text_epochs", "text_batch", "milestones", "lr_factor"),
    *("image_steps", "image_epochs", "image_batch"),
)
# What a stage never reads, so that variants share it (proj_init also starts stage 1's text head).
TEST_ONLY = ("name", "blur", "image_score")
STAGE_2 = (*("image_blocks", "image_mix", "proj_relu", "detection_scale", "image_lr"), *TEST_ONLY)
UNREAD = {"text": STAGE_2, "image": TEST_ONLY}
# worth a look beside the three recipes
OPTIONS = {"image_score": ("map_top", "map_max", "detection")}


@dataclass(frozen=True)
class Deviations:
    """Measure how good the course recipe is and what each of its fields is worth, and write the
    report.
    """

    # README.md, and seeds.jsonl and deviations.jsonl with a line a run, go there
    out: str = "data/checkpoints"
    runs: str = "runs/course"  # full trainings of the seeds go there, a folder each
    # these only; default: every field in which a recipe differs, and some options
    fields: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    text_steps: int = 20  # steps of stage 1 in every run
    image_steps: int = 20  # steps of stage 2 in every run
    every: int = 3  # 3: every third validation picture is judged
    # train as long as the course does, judge every picture; kept in full_length.jsonl
    full_length: bool = False
    minutes: float | None = None  # begin no run after so many minutes


def variants(fields: tuple[str, ...] = ()) -> dict[str, dict]:
    """{"field = value": change of the course recipe}, "course" first."""
    course = Recipe.course()
    found = {"course": {}}
    if unknown := set(fields) - set(course.to_dict()):
        raise ValueError(
            f"--fields {' '.join(sorted(unknown))}: the recipe has none of that name; choose from "
            "what `recipes` lists"
        )
    for field in course.to_dict():
        values = [getattr(recipe, field) for recipe in (Recipe.released(), Recipe.documented())]
        values = [*([] if field in LENGTHS or field == "name" else values), *OPTIONS.get(field, ())]
        for value in dict.fromkeys(values):
            if value != getattr(course, field) and (not fields or field in fields):
                found[f"{field} = {value}"] = {field: value}
    return found


# ---- measuring -----------------------------------------------------------------------------------


def judge_seed(trainer: study.Trainer, recipe: Recipe, seed: int, runs: Path) -> list[dict]:
    """Train both stages as `train` does and judge them: rows for validation, test and hard
    products, and for stage 1 alone.
    """
    began = study.cpu_seconds()
    model = trainer(recipe, seed, out=runs / f"seed_{seed}")
    spent = round(study.cpu_seconds() - began)
    rows = []
    for name in ("val_wild", "test_wild", "test_hard"):
        first = name == "test_wild" and seed == 0  # baselines do not depend on the seed
        known_less = {"baselines": True, "train": trainer.data} if first else {}
        report = study.judge(model, open_dataset(f"factory/{name}"), rounds=100, **known_less)
        own = {name: getattr(report, name) for name in ("mean", "groups", "defects", "baselines")}
        own |= {"data": name, "cpu_seconds": spent, "intervals": report.intervals["mean"]}
        rows.append(own)
    words = study.judge(model, open_dataset("factory/test_wild"), stage="text")
    return [*rows, {"data": "test_wild, stage 1 alone", "mean": words.mean}]


def measure(options: Deviations, clip, course: Recipe) -> None:
    """Add what is missing to the logs, until the time is over."""
    out = Path(options.out)
    shipped = {"backbone": clip.fingerprint(), "course": course.to_dict()}
    seeds = study.Study(out / "seeds.jsonl", shipped, options.minutes)
    log = out / ("full_length.jsonl" if options.full_length else "deviations.jsonl")
    base = course.of_length(options.text_steps, options.image_steps)
    lengths = {name: getattr(options, name) for name in ("text_steps", "image_steps", "every")}
    trials = study.Study(log, shipped | {"course": base.to_dict()} | lengths, options.minutes)
    todo = [
        (seed, name, change)
        for seed in options.seeds
        for name, change in variants(options.fields).items()
        if not (options.full_length and name == "course")  # the seeds' own runs are that
    ]
    if not trials.in_time():
        return
    # as `train` reads it, so that it may take a run over
    trainer = study.Trainer(clip, open_dataset("factory/train", size=clip.image_size))
    runs = Path(options.runs)
    for seed in options.seeds:
        seeds.run({"seed": seed}, lambda seed=seed: judge_seed(trainer, course, seed, runs))
    data = open_dataset("factory/val_wild")
    data = data.view(data.records[:: options.every])
    for seed, name, change in tqdm(todo, desc="deviations", unit="run"):
        recipe = base.replace(**change)

        def measured(recipe: Recipe = recipe, seed: int = seed) -> dict:
            return study.figures(trainer(recipe, seed, UNREAD), data)

        trials.run({"variant": name, "seed": seed}, measured)


def at_random(detector: AnomalyDetector, data: AnomalyDataset, count: int = 20, seed: int = 2026):
    """A sheet of defective pictures drawn by lot with their maps, and in how many the peak lies
    inside the outline.
    """
    defective = [i for i, record in enumerate(data.records) if record.label]
    chosen = np.random.default_rng(seed).choice(defective, count, replace=False)
    samples = [data[int(i)] for i in chosen]
    maps = [detector.predict(sample.image, sample.class_name).map for sample in samples]
    hits = [bool(s.mask.flat[heat.argmax()]) for s, heat in zip(samples, maps, strict=True)]
    titles = [
        cards.words(f"{s.class_name}: {s.defect}, {'inside' if hit else '-'}")
        for s, hit in zip(samples, hits, strict=True)
    ]
    sheet = plots.sheet(
        [s.image for s in samples],
        maps,
        [s.mask for s in samples],
        titles,
        "Defective test pictures drawn by lot",
        columns=5,
        scale="own",
    )
    return sheet, sum(hits)


def run(options: Deviations) -> Path:
    out = Path(options.out)
    course = Recipe.course()
    if options.full_length:
        steps = {name: getattr(course, name) for name in ("text_steps", "image_steps")}
        options = replace(options, every=1, **steps)
    clip = load_clip("lite")
    measure(options, clip, course)
    # with another --out no detector lies beside the card
    if options.minutes != 0 and (out / "course").is_dir():
        detector = AnomalyDetector.load(out / "course")
        sheet, hits = at_random(detector, open_dataset("factory/test"))
        plots.save(sheet, out / "random.png", dpi=80)
        keep.write_json(out / "random.json", {"hits": hits})
    return cards.write(out / "README.md", card(out, course, set(variants()), clip.fingerprint()))
