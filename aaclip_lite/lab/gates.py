"""What the embedded CLIP must reach before AA-CLIP can be taught on it: abilities, blindness,
sight.

  abilities  zero-shot recognition, caption retrieval, colour, place, neutral things found by their
  own phrase blindness  the frozen model's maps for "damaged" against "flawless" must fail: that is
  where the course begins sight      a linear probe on its frozen patch tokens must succeed: the
  knowledge is there, only the words miss it teaching   an AA-CLIP run on it must find defects of
  products that it never trained on; random weights must not

Everything is measured on held-out pictures; choices are made on validation products only.

    python -m aaclip_lite gates                            # measures data/lite_clip, writes its
    card beside the weights python -m aaclip_lite gates --checkpoints runs/pretrain/checkpoints   #
    and how its sight grew
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import metrics
from ..clip import FrozenCLIP
from ..course import plots
from ..datasets import AnomalyDataset, open_dataset
from ..evaluation import evaluate
from ..load import load_clip
from ..model import AdaptedCLIP
from ..recipe import Recipe
from ..service.baselines import frozen_maps
from ..service.runs import train_image, train_text
from ..world import factory
from ..world.products import PRODUCTS

FLOORS = {  # what teaching needs: the least (>=) or the greatest (<=) value of a figure
    "zero_shot": (">=", 0.85),
    "things_inside": (">=", 0.95),
    "frozen_pixel": ("<=", 0.66),
    "frozen_image": ("<=", 0.62),
    "cosine": (">=", 0.9),
    "probe_pixel": (">=", 0.80),
    "probe_inside": (">=", 0.72),
    "course_pixel": (">=", 0.86),
    "course_inside": (">=", 0.76),
    "course_peak": (">=", 0.45),
    "course_ap_above_rules": (">=", 0.0),  # over the best trivial rule
    "course_textures_above_rules": (">=", 0.0),
    # pixel AUROC of the same probe, and of the same run, on random weights
    "random_probe": (
        "<=",
        0.60,
    ),
    "random_course": ("<=", 0.60),
}
# of the AA-CLIP run
RUN = {name: getattr(Recipe.course(), name) for name in ("text_steps", "image_steps")}


@dataclass(frozen=True)
class Gate:
    figure: str
    value: float
    rule: str
    floor: float

    @property
    def passed(self) -> bool:
        return self.value >= self.floor if self.rule == ">=" else self.value <= self.floor


def batches(images: list[np.ndarray], clip: FrozenCLIP, size: int = 64):
    for i in range(0, len(images), size):
        pixels = torch.from_numpy(np.stack(images[i : i + size])).permute(0, 3, 1, 2)
        yield clip.preprocess(pixels.to(clip.text_projection.device))


@torch.no_grad()
def picture_features(clip: FrozenCLIP, images: list[np.ndarray]) -> Tensor:
    return F.normalize(torch.cat([clip.encode_image(x) for x in batches(images, clip)]), dim=-1)


def rank_of_own(scores: Tensor) -> Tensor:
    """scores (N, N) -> how many captions lie above a picture's own, (N,). A picture's own score is
    read from the same
    matrix: computed apart it differs in its last digit, and half of all pictures would lose to
    themselves.
    """
    return (scores > scores.diagonal()[:, None]).sum(1)


@torch.no_grad()
def abilities(clip: FrozenCLIP, each: int = 7, size: int = 128) -> dict[str, float]:
    """Recognition, retrieval, colour and place on held-out normal pictures of all products:
    recognition on pictures as the data sets have them, the rest on pictures with one neutral thing
    each.
    """
    plain, drawn = (
        [
            factory.draw(name, i, size, things=things, split="heldout")
            for name in PRODUCTS
            for i in range(each)
        ]
        for things in (None, 1)
    )
    pictures = picture_features(clip, [p.image for p in drawn])
    words = lambda texts: F.normalize(clip.encode_text(texts), dim=-1)  # noqa: E731
    classes = words([f"a photo of a {item.spoken}." for item in PRODUCTS.values()])
    truth = torch.tensor([list(PRODUCTS).index(p.product) for p in drawn])
    right = (picture_features(clip, [p.image for p in plain]) @ classes.T).argmax(1) == truth
    unseen = torch.tensor([PRODUCTS[p.product].split == "test" for p in drawn])
    rng = np.random.default_rng(0)
    some = rng.choice(len(drawn), min(500, len(drawn)), replace=False)
    captions = words([factory.caption(drawn[i].facts, rng) for i in some])
    ranks = rank_of_own(pictures[some] @ captions.T)
    colours, places, chance = [], [], []
    for p, feature in zip(drawn, pictures, strict=True):
        item = PRODUCTS[p.product]
        if len(item.colours) > 1:
            options = words([f"a {c} {item.spoken}" for c in item.colours])
            colours.append(item.colours[int((options @ feature).argmax())] == p.facts["colour"])
            chance.append(1 / len(item.colours))
        thing, where = p.facts["things"][0]
        options = words(
            [f"a {item.spoken} with a {thing} at the {place}" for place in factory.PLACES]
        )
        places.append(factory.PLACES[int((options @ feature).argmax())] == where)
    figures = {
        "zero_shot": right.float().mean(),
        "zero_shot_test_products": right[unseen].float().mean(),
        "zero_shot_with_a_thing": ((pictures @ classes.T).argmax(1) == truth).float().mean(),
    }
    figures |= {f"recall_at_{k}": (ranks < k).float().mean() for k in (1, 5, 10)}
    figures |= {
        "colour": np.mean(colours),
        "colour_chance": np.mean(chance),
        "place": np.mean(places),
        "place_chance": 1 / len(factory.PLACES),
    }
    return {k: round(float(v), 4) for k, v in figures.items()} | {
        "captions": len(some),
        "pictures": len(drawn),
    }


@torch.no_grad()
def patch_heat(
    clip: FrozenCLIP, image: np.ndarray, phrase: str, level: int | None = None
) -> Tensor:
    """Where a picture (H, W, 3) shows what a phrase says: cosine of every patch with the phrase,
    (grid, grid).
    """
    x = next(batches([image], clip))
    tokens = F.normalize(
        clip.visual_head(clip.image_tokens(x, (level or clip.vision_blocks,))[0][0, 1:]), dim=-1
    )
    return (tokens @ F.normalize(clip.encode_text([phrase]), dim=-1)[0]).view(clip.grid, clip.grid)


def enlarged(heat: Tensor, size: tuple[int, int]) -> np.ndarray:
    return (
        F.interpolate(heat[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        .cpu()
        .numpy()
    )


def place_heat(
    clip: FrozenCLIP, image: np.ndarray, phrase: str, level: int | None = None
) -> np.ndarray:
    """patch_heat as large as the picture, (H, W)."""
    return enlarged(patch_heat(clip, image, phrase, level), image.shape[:2])


def things(
    clip: FrozenCLIP, levels: tuple[int, ...], count: int = 150, size: int = 128
) -> dict[str, float]:
    """AUROC of patch x own phrase inside the object, for neutral things on held-out pictures, at
    every level.

    A patch holds a thing that covers a fifth of it, as in pretraining, or half as much as of the
    patch it covers most (a hair covers little anywhere). "pixels": the last level's map, enlarged,
    against the thing's pixels, where a thing much thinner than a patch can't reach 1. "faint"
    things change their place by less than what a defect must (factory.VISIBLE); they are counted
    apart.
    """
    found: dict[str, list[float]] = {f"level_{level}": [] for level in levels} | {
        "pixels": [],
        "faint": [],
    }
    rng, names, patch = np.random.default_rng(1), list(PRODUCTS), size // clip.grid
    share = lambda mask: mask.reshape(clip.grid, patch, clip.grid, patch).mean((1, 3))  # noqa: E731
    auroc = lambda heat, held: metrics.image_metrics(heat, held.astype(int))["image_auroc"]  # noqa: E731
    for i in range(count):
        name = str(rng.choice(names))
        picture = factory.draw(name, i, size, things=2, split="heldout-things", regions=True)
        bare = factory.draw(name, i, size, things=0, split="heldout-things").image.astype(int)
        change, inside = np.abs(picture.image - bare).max(-1) / 255, picture.inside > 0
        for phrase in dict(picture.facts["things"]):  # two things alike are one place to find
            mask = np.any(
                [shown for said, shown in picture.regions if said == phrase] or [inside & False],
                axis=0,
            )
            if not mask[inside].any():
                continue
            cover, visible = share(mask), change[mask].mean() >= factory.VISIBLE
            held = cover >= min(0.2, cover.max() / 2)
            judged = held | (share(inside) > 0.5)
            for level in levels if visible else levels[-1:]:
                heat = patch_heat(clip, picture.image, phrase, level)
                found[f"level_{level}" if visible else "faint"].append(
                    auroc(heat.cpu().numpy()[judged], held[judged])
                )
            if visible:
                found["pixels"].append(auroc(enlarged(heat, (size, size))[inside], mask[inside]))
    return {name: round(float(np.mean(v)), 4) for name, v in found.items() if v}


@torch.no_grad()
def cosine(clip: FrozenCLIP, names: list[str]) -> float:
    """Mean cosine of CLIP's own normal and abnormal anchors: near 1, the words do not part."""
    anchors = AdaptedCLIP(clip).text_anchors(names, adapted=False).values()
    return round(float(np.mean([float(a[:, 0] @ a[:, 1]) for a in anchors])), 4)


def course_run(
    clip: FrozenCLIP, train: AnomalyDataset, data: AnomalyDataset, text_steps: int, image_steps: int
):
    """An AA-CLIP run of so many steps with the course recipe, both stages on `train`: its figures
    on `data`.
    """
    torch.manual_seed(0)
    model = AdaptedCLIP(clip, Recipe.course().of_length(text_steps, image_steps))
    with tempfile.TemporaryDirectory() as out:
        for stage in (train_text, train_image):
            stage(model, train, out, progress=False)
    report = evaluate(model, data, rounds=1, progress=False)
    return report.mean | {"textures": report.groups["textures"]["pixel_auroc"]}


def measure(
    clip: FrozenCLIP,
    train: AnomalyDataset,
    data: AnomalyDataset,
    each: int = 7,
    run: dict | None = None,
) -> tuple[dict, list[Gate]]:
    """All figures as one dictionary, and the gates they pass or miss. `train` teaches the probe,
    `data` judges.

    run: steps of both stages of an AA-CLIP run; None: there is none.
    """
    levels = Recipe.course().resolve(clip.vision_blocks, clip.text_blocks_count).levels
    report = evaluate(clip, data, baselines=True, train=train, rounds=1)
    blind = {k: v for k, v in report.baselines.items() if k.startswith(("frozen", "value_value"))}
    sight = report.baselines["linear_probe"]
    rules = [name for name in report.baselines if name not in blind and name != "linear_probe"]
    textures = [name for name in data.classes if PRODUCTS[name].texture]
    figures = {
        "abilities": abilities(clip, each),
        "things": things(clip, levels),
        "cosine": cosine(clip, data.classes),
        "blindness": metrics.jsonable(blind),
        "probe": metrics.jsonable(sight),
        "rules": {  # the best of the trivial ones
            "pixel_ap": max(report.baselines[name]["pixel_ap"] for name in rules),
            "textures": max(
                np.mean([report.baseline_classes[n][t]["pixel_auroc"] for t in textures])
                for n in rules
            ),
        },
        "measured": str(date.today()),
    }
    if run:
        figures["course"] = metrics.jsonable(course_run(clip, train, data, **run)) | run
    return figures, judged(figures)


def measure_random(
    folder: Path, train: AnomalyDataset, data: AnomalyDataset, run: dict
) -> dict[str, float]:
    """What the same probe and the same run make of random weights: how much is the picture's own
    doing.
    """
    torch.manual_seed(0)
    clip = load_clip(folder / "config.json", weights=None)
    report = evaluate(clip, data, baselines=True, train=train, rounds=1)
    return {
        "probe": report.baselines["linear_probe"]["pixel_auroc"],
        "course": course_run(clip, train, data, **run)["pixel_auroc"],
    }


def judged(figures: dict) -> list[Gate]:
    blind, sight = figures["blindness"], figures["probe"]
    values = {
        "zero_shot": figures["abilities"]["zero_shot"],
        "things_inside": max(
            value for name, value in figures["things"].items() if name.startswith("level_")
        ),
        "frozen_pixel": max(row["pixel_auroc"] for row in blind.values()),
        "frozen_image": max(row["image_auroc"] for row in blind.values()),
        "cosine": figures["cosine"],
        "probe_pixel": sight["pixel_auroc"],
        "probe_inside": sight["inside_auroc"],
    }
    if course := figures.get("course"):
        names = {
            "course_pixel": "pixel_auroc",
            "course_inside": "inside_auroc",
            "course_peak": "peak_hit",
        }
        values |= {gate: course[name] for gate, name in names.items()}
        for gate, name in (
            ("course_ap_above_rules", "pixel_ap"),
            ("course_textures_above_rules", "textures"),
        ):
            values[gate] = course[name] - figures["rules"][name]
    if random := figures.get("random"):
        values |= {"random_probe": random["probe"], "random_course": random["course"]}
    return [Gate(name, values[name], *FLOORS[name]) for name in FLOORS if name in values]


def side_by_side(clip: FrozenCLIP, train: AnomalyDataset, data: AnomalyDataset):
    """A defective picture of each validation product: the frozen words' map, and the linear
    probe's.
    """
    heat = frozen_maps(AdaptedCLIP(clip), "industrial", train)
    order = np.random.default_rng(5).permutation(len(data))
    rows = [
        next(int(i) for i in order if data.records[i].class_name == n and data.records[i].label)
        for n in data.classes
    ]
    samples = [data[i] for i in rows]
    batch = {
        "image": torch.from_numpy(np.stack([s.image for s in samples])).permute(0, 3, 1, 2) / 255
    }
    with torch.no_grad():
        found = heat(batch | {"class_name": [s.class_name for s in samples]})
    pictures, maps, masks, titles = [], [], [], []
    for label, words in (("frozen", "frozen words"), ("linear_probe", "linear probe")):
        for i, sample in enumerate(samples):
            pictures.append(sample.image)
            maps.append(found[label][0][i])
            masks.append(sample.mask)
            titles.append(
                f"{words}: {sample.class_name.replace('_', ' ')}, {sample.defect.replace('_', ' ')}"
            )
    return plots.sheet(
        pictures,
        maps,
        masks,
        titles,
        "Same patches, other question",
        columns=len(samples),
        scale="own",
    )


def lever_rows(log: Path) -> list[dict]:
    """What `python -m aaclip_lite levers` has found so far, a row a lever."""
    return (
        [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        if log.is_file()
        else []
    )


def lever_table(rows: list[dict]) -> str:
    columns = ["things_inside", "probe_pixel", "probe_inside", "frozen_pixel", "zero_shot"]
    columns += [name for name in ("course_pixel", "course_inside") if name in rows[0]]
    lines = [
        "| lever | what changes | pictures | "
        + " | ".join(c.replace("_", " ") for c in columns)
        + " |"
    ]
    lines.append("| --- | --- |" + " ---: |" * (1 + len(columns)))
    for row in rows:
        cells = " | ".join(f"{row[column]:.3f}" for column in columns)
        lines.append(f"| {row['lever']} | {row['what']} | {row['pictures']:,} | {cells} |")
    return "\n".join(lines)


def write_card(folder: Path, figures: dict, gates: list[Gate], data: AnomalyDataset) -> Path:
    """README.md, gates.json and pictures beside the weights; run.json and log.jsonl are the run's
    own.
    """
    run = json.loads((folder / "run.json").read_text())
    rows = "".join(
        f"| {g.figure} | {g.value:.3f} | {g.rule} {g.floor} | {'yes' if g.passed else 'NO'} |\n"
        for g in gates
    )
    able = "".join(f"| {k.replace('_', ' ')} | {v} |\n" for k, v in figures["abilities"].items())
    spots = "".join(f"| {k.replace('_', ' ')} | {v:.3f} |\n" for k, v in figures["things"].items())
    kinds = figures["blindness"] | {"linear probe": figures["probe"]}
    frozen = "".join(
        f"| {k.replace('_', ' ')} | {v['pixel_auroc']:.3f} | {v['inside_auroc']:.3f} | "
        f"{v['image_auroc']:.3f} |\n"
        for k, v in kinds.items()
    )
    legs = "\n".join(
        f"  - from about step {leg['step']:,}: rate {leg['lr']}, every picture used "
        f"{leg['replays']} times, relief, "
        f"drops,\n    hairs and grains drawn {leg['hard_things']:g} times for each other thing"
        + (
            f"; phrases pick their patches, weight {leg['where_weight']:g}"
            if leg.get("where_weight")
            else ""
        )
        + ("; captions with\n    wrong places to refuse" if leg.get("wrong_places") else "")
        for leg in run["legs"]
    )
    levers = "It has not been measured what each part of the making is worth."
    if rows_of := lever_rows(folder / "levers.jsonl"):
        rounds: dict[str, list[dict]] = {}
        for row in rows_of:
            rounds.setdefault(f"**{row['round']}, {row['minutes']:g} minutes each**", []).append(
                row
            )
        tables = "\n\n".join(f"{name}\n\n{lever_table(mine)}" for name, mine in rounds.items())
        levers = LEVERS.format(seen=run["seen"], table=tables)
    if (folder / "growth.png").is_file():
        spots += GROWTH
    taught = TAUGHT.format(**figures["course"]) if "course" in figures else ""
    if random := figures.get("random"):
        taught += RANDOM.format(**random)
    size = (folder / "model.safetensors").stat().st_size / 1e6
    text = CARD.format(
        size=size,
        rows=rows,
        able=able,
        taught=taught,
        spots=spots,
        frozen=frozen,
        classes=", ".join(data.classes),
        today=figures["measured"],
        **(run | {"minutes": run["elapsed"] / 60, "legs": legs, "levers": levers}),
    )
    for name, content in (
        ("gates.json", json.dumps(figures, indent=1) + "\n"),
        ("README.md", text),
    ):
        (folder / f".{name}.tmp").write_text(content)
        os.replace(folder / f".{name}.tmp", folder / name)
    return folder / "README.md"


@dataclass(frozen=True)
class Gates:
    """Measure the embedded CLIP against its gates and write its card, curves and pictures beside
    the weights.
    """

    # config.json, model.safetensors, run.json, log.jsonl: as pretrain leaves them
    folder: str = "data/lite_clip"
    checkpoints: str = ""  # folder of the run's checkpoints; "": their curve stays as it is


def growth(checkpoints: Path, log: Path, train: AnomalyDataset, data: AnomalyDataset) -> None:
    """The gates at every checkpoint of a run, added to `log` line by line; those that stand there
    are not run again.
    """
    known = {row["step"] for row in lever_rows(log)}
    folders = sorted(
        (each for each in checkpoints.iterdir() if each.name.isdigit()),
        key=lambda each: int(each.name),
    )
    for folder in folders:
        if int(folder.name) not in known:
            told = json.loads((folder / "run.json").read_text())
            _, gates = measure(load_clip(folder), train, data, each=3)
            row = {"step": told["step"], "seen": told["seen"]} | {
                g.figure: round(g.value, 4) for g in gates
            }
            with open(log, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def run(options: Gates) -> int:
    """Exit code 1 if a gate is missed."""
    folder = Path(options.folder)
    clip = load_clip(folder / "config.json", weights=folder / "model.safetensors")
    train, data = open_dataset("factory/train"), open_dataset("factory/val")
    if options.checkpoints:
        growth(Path(options.checkpoints), folder / "growth.jsonl", train, data)
    if (folder / "growth.jsonl").is_file():
        title = "The gates at checkpoints of the last leg"
        plots.save(
            plots.curves(folder / "growth.jsonl", title=title, x="seen"), folder / "growth.png"
        )
    figures, _ = measure(clip, train, data, run=RUN)
    figures["random"] = measure_random(folder, train, data, RUN)
    gates = judged(figures)
    plots.save(side_by_side(clip, train, data), folder / "sight.png")
    plots.save(
        plots.curves(folder / "log.jsonl", title="Pretraining the embedded CLIP"),
        folder / "curves.png",
    )
    for gate in gates:
        print(
            f"{gate.figure:28}{gate.value:8.3f}  {gate.rule} {gate.floor}  "
            f"{'passed' if gate.passed else 'MISSED'}"
        )
    print(write_card(folder, figures, gates, data))
    return int(not all(gate.passed for gate in gates))


LEVERS = """Short pretrainings from nothing, the same minutes of one process each, one seed, one change at a time
(`python -m aaclip_lite levers`). They tell how a lever acts early on, not where a long run would end. "pictures": how
many fitted into the time; fewer, for a dearer step or other work on the machine, is a handicap of its own. "course":
pixel AUROC and inside the object after an AA-CLIP run of 30 and 60 steps. The largest lever is the amount: compare the
base with the gates above, reached after {seen:,} pictures. Each round has a base of its own; in the first, things were
judged pixel by pixel.

{table}"""
TAUGHT = """
"course" is an AA-CLIP run on it, the course recipe in {text_steps} and {image_steps} steps, judged on validation
products: pixel AUROC {pixel_auroc:.3f}, inside the object {inside_auroc:.3f}, peak on the defect {peak_hit:.3f}, image
AUROC {image_auroc:.3f}. "above rules" is by how much it beats the best trivial rule (brightness, contrast, edges ...)
in pixel AP, and in pixel AUROC on textures.
"""
RANDOM = """
On random weights the same probe reaches {probe:.3f} and the same run {course:.3f} (pixel AUROC). Even random features
hold a picture's colours and contrasts, and trivial rules on these alone pass 0.60 in this world (`../README.md`): the
gate for random weights can't be reached by a probe that learns.
"""
GROWTH = """
![The gates at checkpoints](growth.png)

*The gates at checkpoints of the last leg: recognition on three pictures of each product, neutral things as above, the
rest on validation products.*
"""
CARD = """# The embedded CLIP

A small CLIP for a small world: an ordinary open_clip model ({size:.1f} MB in fp16), trained from scratch on pictures of
this project's factory. It exists so that the course runs offline; it knows nothing about the real world.

- **Model**: `config.json` in open_clip's form: 128 px, patch 8, width 192, 8 blocks; text width 192, 4 blocks, CLIP's
  tokenizer with a context of 32. The file holds only the word rows that occur in this project; other words get the
  mean row.
- **Made by**: `torchrun --nproc-per-node 2 -m aaclip_lite pretrain` with the options in `run.json`: {minutes:.0f}
  minutes on two CPU cores of a cloud machine (shared with other work), {seen:,} pictures in {step:,} steps of {batch}
  a process. It was put down and taken up again, with a cosine anew or over the minutes then left:
{legs}
- **Losses**: captions; the mean patch of a neutral thing against all phrases of the batch; every patch against its own
  picture's phrases and, in the last leg, every phrase against its own picture's patches, at four levels; patches redraw
  themselves. `log.jsonl` has every part, `curves.png` shows them.
- **What it has seen**: undamaged parts of all 74 products with zero to three neutral things on them (a red dot, a
  metal screw, a dark seam ...), on validation and test products too. Damage: only on training products, in
  {damage_share:.1%} of the pictures, named in the caption, never with a mask. No damaged validation or test product,
  in picture or word.

![Losses over the run](curves.png)

## Gates

Measured {today} by `python -m aaclip_lite gates` on factory/val ({classes}),
whose damage the model has never seen.

| figure | value | gate | passed |
| --- | ---: | --- | --- |
{rows}
## Blindness and sight

Frozen maps compare patches with CLIP's own words for normal and abnormal. The linear probe is a classifier on the same
frozen patch tokens, trained on the training products: the knowledge is in the patches, only the words miss it.
{taught}
| map | pixel AUROC | inside the object | image AUROC |
| --- | ---: | ---: | ---: |
{frozen}
![Maps of the frozen words, and of the linear probe on the same patches](sight.png)

## Abilities, on held-out pictures of all products

| ability | value |
| --- | ---: |
{able}
Neutral things, found by their own phrase inside the object (AUROC of patches). "pixels" is the last level's map
enlarged and judged pixel by pixel, which things thinner than a patch can't win. "faint" are things that change their
place by less than a defect must to count as visible:

| after | AUROC |
| --- | ---: |
{spots}
## Levers

{levers}

## Limits

Synthetic pictures only; words outside the factory mean nothing to it; places ("at the top left") are read by patches,
hardly by the picture's feature. One run, one seed; other sizes were compared early on only (levers).
"""
