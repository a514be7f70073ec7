"""The report on the shipped adapters: how good the course recipe is, and what its choices are worth.

First both stages are trained as shipped, with several seeds, and judged on the test products. Then
one change at a time is tried, measured on validation products. Special: each of these short runs
(`text_steps`, `image_steps`) differs from the course in one field, which takes the value of the
public code or of the reference document; no choice ever sees a test product. Results are kept line
by line (`study.py`), and the report is made from these alone. All of it is on the wild sets; how well
the detector decides at stations is for `deciding`.

    python -m aaclip_lite lab deviations                   # hours of two cores; writes the report
    python -m aaclip_lite lab deviations --fields logit_scale image_mix --seeds 0 1 2
    python -m aaclip_lite lab deviations --fields logit_scale --seeds 0 --full-length
    python -m aaclip_lite lab deviations --minutes 0       # the report from what has been measured
"""

import json
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ..course import plots
from ..datasets import AnomalyDataset, open_dataset
from ..detector import AnomalyDetector
from ..files import keep
from ..load import load_clip
from ..recipe import Recipe
from . import study

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
    text = card(out, course, set(variants()), clip.fingerprint())
    print(keep.write_text(out / "README.md", text))
    return out / "README.md"


def variants(fields: tuple[str, ...] = ()) -> dict[str, dict]:
    """{"field = value": change of the course recipe}, "course" first."""
    course = Recipe.course()
    changes = {"course": {}}
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
                changes[f"{field} = {value}"] = {field: value}
    return changes


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
        row = {name: getattr(report, name) for name in ("mean", "groups", "defects", "baselines")}
        row |= {"data": name, "cpu_seconds": spent, "intervals": report.intervals["mean"]}
        rows.append(row)
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
    changes = variants(options.fields)
    if options.full_length:
        del changes["course"]  # the seeds' own runs are that
    if not trials.in_time():
        return
    # as `train` reads it, so that it may take a run over
    trainer = study.Trainer(clip, open_dataset("factory/train", size=clip.image_size))
    for seed in options.seeds:
        measured = partial(judge_seed, trainer, course, seed, Path(options.runs))
        seeds.run({"seed": seed}, measured)
    data = open_dataset("factory/val_wild")
    data = data.view(data.records[:: options.every])

    def tried(recipe: Recipe, seed: int) -> dict:
        return study.figures(trainer(recipe, seed, UNREAD), data)

    for seed, name in tqdm([*product(options.seeds, changes)], desc="deviations", unit="run"):
        recipe = base.replace(**changes[name])
        trials.run({"variant": name, "seed": seed}, partial(tried, recipe, seed))


def at_random(detector: AnomalyDetector, data: AnomalyDataset, count: int = 20):
    """A sheet of defective pictures by lot with their maps, and in how many the peak lies inside."""
    defective = [i for i, record in enumerate(data.records) if record.label]
    samples = [data[int(i)] for i in np.random.default_rng(2026).choice(defective, count, False)]
    maps = [detector.predict(sample.image, sample.class_name).map for sample in samples]
    hits = [bool(s.mask.flat[each.argmax()]) for s, each in zip(samples, maps, strict=True)]
    titles = [
        f"{s.class_name}: {s.defect}, {'inside' if hit else '-'}"
        for s, hit in zip(samples, hits, strict=True)
    ]
    title = "Defective test pictures drawn by lot"
    return study.sheet(samples, maps, titles, title, columns=5), sum(hits)


# ---- the card ------------------------------------------------------------------------------------


def card(out: Path, course: Recipe, known: set[str], backbone: str) -> str:
    """From the logs in `out`. Trials on an earlier embedded CLIP and seeds of an earlier recipe are
    still shown, and the card says so; seeds and long runs count only if they ran on the CLIP with
    this fingerprint. known: names of the variants that there are today.
    """
    parts = study.template("deviations")
    logs = ("seeds", "deviations", "full_length")
    seeds, rows, long = (study.read(out / f"{name}.jsonl") for name in logs)
    seeds = [row for row in seeds if row["backbone"] == backbone]
    trained = [row["cpu_seconds"] for row in seeds if row["data"] == "test_wild"]
    text = parts["card"].format(
        seeds=seeds_part(seeds, course, parts) if seeds else "Not measured yet.",
        kinds=parts["kinds"].format(table=kind_table(seeds)) if seeds else "",
        today=date.today(),
        text=course.text_steps,
        minutes=np.mean(trained) / 60 if trained else float("nan"),
        image=course.image_steps,
        batch=course.image_batch,
    )
    if (out / "random.json").is_file():
        text += parts["random"].format(**json.loads((out / "random.json").read_text()))
    if not rows:
        return text + parts["nothing_tried"]
    measured = {row["variant"] for row in rows}
    count = {row["seed"]: sum(row["seed"] == other["seed"] for other in rows) for row in rows}
    text += parts["deviations"].format(
        known=len(measured),
        all=len(measured | known),
        text=rows[0]["text_steps"],
        image=rows[0]["image_steps"],
        every=rows[0]["every"],
        seeds=", ".join(f"{seed} ({count[seed]})" for seed in sorted(count)),
        table=table(rows),
        earlier="" if rows[0]["backbone"] == backbone else parts["earlier"].format(**rows[0]),
    )
    # they are compared with the seeds' own runs
    base = [r["mean"] | {"seed": r["seed"], "variant": "course"} for r in of_set(seeds, "val_wild")]
    long = [row for row in long if row["backbone"] == backbone]
    return text + (parts["full_length"].format(table=table([*base, *long])) if long else "")


def of_set(seeds: list[dict], data: str) -> list[dict]:
    return [row for row in seeds if row["data"] == data]


def seeds_part(seeds: list[dict], course: Recipe, parts: dict[str, str]) -> str:
    """The table, and before it in what their recipe differs from today's."""
    now = json.loads(json.dumps(course.to_dict()))
    then = seeds[0]["course"]
    changed = [n for n in now if n in then and then[n] != now[n]]
    told = ", ".join(f"`{n}` was {then[n]}, is {now[n]} now" for n in changed)
    return (parts["older"].format(changed=told) if told else "") + seed_table(seeds)


def table(rows: list[dict]) -> str:
    """For each deviation the three recipes' values, and the change of three figures over the same
    seeds.
    """
    by: dict[str, list[dict]] = {}
    for row in rows:
        by.setdefault(row["variant"], []).append(row)
    base = by.pop("course", [])
    heads = ["documented", "released", "course", "tried"]
    lines = [["field", *heads, "pixel AUROC", "its change", "inside", "image AUROC", "kept"]]
    for name, measured in by.items():
        seeds = {row["seed"] for row in measured} & {row["seed"] for row in base}
        if not seeds:
            continue
        field, tried = name.split(" = ", 1)
        # the course's value when this was measured; a field that was retired since had it in all
        then = measured[0]["course"][field]
        values = [getattr(each, field, then) for each in (Recipe.documented(), Recipe.released())]
        pixel = float(np.mean([row["pixel_auroc"] for row in measured if row["seed"] in seeds]))
        named = ("pixel_auroc", "inside_auroc", "image_auroc")
        spans = [study.change(measured, base, figure) for figure in named]
        better = spans[0][0] - spans[0][1] > 0
        kept = "the other does better here" if better else "the course's"
        changes = [study.spoken(span, "+") for span in spans]
        lines.append([field, *map(str, [*values, then]), tried, pixel, *changes, kept])
    text = study.table(lines, "lllllrrrrl")
    if not base:
        return text
    means = [f"{study.words(f)} {np.mean([row[f] for row in base]):.3f}" for f in study.FIGURES]
    count = len({row["seed"] for row in base})
    return f"The course recipe itself, mean of {count} seeds: {', '.join(means)}.\n\n{text}"


SHOWN = {
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "pixel_pro": "PRO",
    "inside_auroc": "inside the object",
    "peak_hit": "peak on the defect",
    "image_auroc": "image AUROC",
}


def seed_table(rows: list[dict]) -> str:
    """The course recipe over its seeds, and the baselines beside it."""
    by_label: dict[str, list[dict]] = {}
    for name in dict.fromkeys(row["data"] for row in rows):
        mine = of_set(rows, name)
        label = f"**factory/{name}**, {len(mine)} seed{'s' * (len(mine) > 1)}"
        by_label[label] = [row["mean"] for row in mine]
        for group in mine[0].get("groups", {}) if name == "test_wild" else ():
            by_label[f"... its {group}"] = [row["groups"][group] for row in mine]
    for row in rows:
        by_label |= {
            study.words(label): [each] for label, each in (row.get("baselines") or {}).items()
        }
    lines = [["", *SHOWN.values()]]
    for label, each in by_label.items():
        columns = [[row[name] for row in each] for name in SHOWN]
        spans = ["-" if None in column else study.spoken_mean(column) for column in columns]
        lines.append([label, *spans])
    return study.table(lines)


def kind_table(seeds: list[dict]) -> str:
    """Two figures of each kind of defect on the test products, mean over the seeds."""
    kinds: dict[str, list] = {}
    for row in of_set(seeds, "test_wild"):
        for kind, figures in row["defects"].items():
            kinds.setdefault(kind, []).append([figures["pixel_auroc"], figures["peak_hit"]])
    rows = [[study.words(kind), *np.mean(values, 0)] for kind, values in kinds.items()]
    return study.table([["kind of defect", "pixel AUROC", "peak on the defect"], *rows])
