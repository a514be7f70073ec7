"""The report that `deviations` writes: tables of the seeds and of the choices tried.

Special: made from the logs alone; a field that was retired since still has its row.
Use: `card(Path("data/checkpoints"), Recipe.course(), set(variants()), clip.fingerprint())`.
"""

import json
from datetime import date
from pathlib import Path

import numpy as np

from ..recipe import Recipe
from . import cards, study


def card(out: Path, course: Recipe, known: set[str], backbone: str) -> str:
    """From the logs in `out`. Trials on an earlier embedded CLIP and seeds of an earlier recipe are
    still shown, and the card says so; seeds and long runs count only if they ran on the CLIP with
    this fingerprint.
    """
    parts = cards.template("deviations")
    logs = ("seeds", "deviations", "full_length")
    seeds, rows, long = (study.read(out / f"{name}.jsonl") for name in logs)
    seeds = [row for row in seeds if row["backbone"] == backbone]
    trained = [row["cpu_seconds"] for row in seeds if row["data"] == "test_wild"]
    kinds = kind_table(seeds)
    text = parts["card"].format(
        seeds=seeds_part(seeds, course, parts) if seeds else "Not measured yet.",
        kinds=parts["kinds"].format(table=kinds) if kinds else "",
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
    text += deviations_part(rows, known, backbone, parts)
    own = [row["mean"] | {"seed": row["seed"]} for row in seeds if row["data"] == "val_wild"]
    base = [row | {"variant": "course"} for row in own]
    # they are compared with the seeds' own runs
    long = [row for row in long if row["backbone"] == backbone]
    return text + (parts["full_length"].format(table=table([*base, *long])) if long else "")


def seeds_part(seeds: list[dict], course: Recipe, parts: dict[str, str]) -> str:
    """The table, and before it in what their recipe differs from today's."""
    now = json.loads(json.dumps(course.to_dict()))
    then = seeds[0]["course"]
    changed = [n for n in now if n in then and then[n] != now[n]]
    told = ", ".join(f"`{n}` was {then[n]}, is {now[n]} now" for n in changed)
    return (parts["older"].format(changed=told) if told else "") + seed_table(seeds)


def deviations_part(rows: list[dict], known: set[str], backbone: str, parts: dict[str, str]) -> str:
    """known: names of the variants that there are today."""
    seeds = sorted({row["seed"] for row in rows})
    count = [f"{seed} ({sum(row['seed'] == seed for row in rows)})" for seed in seeds]
    measured = {row["variant"] for row in rows}
    earlier = rows[0]["backbone"] != backbone
    return parts["deviations"].format(
        known=len(measured),
        all=len(measured | known),
        text=rows[0]["text_steps"],
        image=rows[0]["image_steps"],
        every=rows[0]["every"],
        seeds=", ".join(count),
        table=table(rows),
        earlier=parts["earlier"].format(backbone=rows[0]["backbone"]) if earlier else "",
    )


def table(rows: list[dict]) -> str:
    """For each deviation the three recipes' values, and the change of three figures over the same
    seeds.
    """
    by: dict[str, list[dict]] = {}
    for row in rows:
        by.setdefault(row["variant"], []).append(row)
    base = by.get("course", [])
    heads = ["documented", "released", "course", "tried"]
    lines = [["field", *heads, "pixel AUROC", "its change", "inside", "image AUROC", "kept"]]
    for name, found in by.items():
        seeds = {row["seed"] for row in found} & {row["seed"] for row in base}
        if name == "course" or not seeds:
            continue
        field, tried = name.split(" = ", 1)
        # the course's value when this was measured; a field that was retired since had it in all
        then = found[0]["course"][field]
        values = [getattr(each, field, then) for each in (Recipe.documented(), Recipe.released())]
        pixel = float(np.mean([row["pixel_auroc"] for row in found if row["seed"] in seeds]))
        named = ("pixel_auroc", "inside_auroc", "image_auroc")
        spans = [study.change(found, base, figure) for figure in named]
        better = spans[0][0] - spans[0][1] > 0
        kept = "the other does better here" if better else "the course's"
        changes = [study.spoken(span, "+") for span in spans]
        lines.append([field, *map(str, [*values, then]), tried, pixel, *changes, kept])
    text = cards.table(lines, "lllllrrrrl")
    if not base:
        return text
    means = [f"{cards.words(f)} {np.mean([row[f] for row in base]):.3f}" for f in study.FIGURES]
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
    lines = [["", *SHOWN.values()]]

    def line(label: str, found: list[dict]) -> None:
        columns = [[row[name] for row in found] for name in SHOWN]
        spans = ["-" if None in each else study.spoken(study.interval(each)) for each in columns]
        lines.append([label, *spans])

    for name in dict.fromkeys(row["data"] for row in rows):
        mine = [row for row in rows if row["data"] == name]
        count = f"{len(mine)} seed{'s' * (len(mine) > 1)}"
        line(f"**factory/{name}**, {count}", [row["mean"] for row in mine])
        for group in mine[0].get("groups", {}) if name == "test_wild" else ():
            line(f"... its {group}", [row["groups"][group] for row in mine])
    for row in rows:
        for label, figures in (row.get("baselines") or {}).items():
            line(cards.words(label), [figures])
    return cards.table(lines)


def kind_table(seeds: list[dict]) -> str:
    """Two figures of each kind of defect on the test products, mean over the seeds."""
    kinds: dict[str, list] = {}
    for row in seeds:
        for kind, figures in row["defects"].items() if row["data"] == "test_wild" else ():
            kinds.setdefault(kind, []).append([figures["pixel_auroc"], figures["peak_hit"]])
    rows = [[cards.words(kind), *np.mean(values, 0)] for kind, values in kinds.items()]
    heads = ["kind of defect", "pixel AUROC", "peak on the defect"]
    return cards.table([heads, *rows]) if rows else ""
