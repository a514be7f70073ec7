"""What the embedded CLIP must reach before AA-CLIP can be taught on it: abilities, blindness, sight.

  abilities  zero-shot recognition, caption retrieval, colour, place, neutral things found by their own phrase
  blindness  the frozen model's maps for "damaged" against "flawless" must fail: that is where the course begins
  sight      a linear probe on its frozen patch tokens must succeed: the knowledge is there, only the words miss it

Everything is measured on held-out pictures; choices are made on validation products only.

    python -m aaclip_lite gates                            # measures data/lite_clip, writes its card beside the weights
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import factory, metrics, plots
from .backbone import load_clip
from .datasets import AnomalyDataset, open_dataset
from .evaluate import evaluate, frozen_heat
from .frozen import FrozenCLIP
from .model import AdaptedCLIP
from .products import PRODUCTS
from .recipe import Recipe

FLOORS = {  # what teaching needs: the least (>=) or the greatest (<=) value of a figure
    "zero_shot": (">=", 0.85),
    "things_inside": (">=", 0.95),
    "frozen_pixel": ("<=", 0.66),
    "frozen_image": ("<=", 0.62),
    "cosine": (">=", 0.9),
    "probe_pixel": (">=", 0.80),
    "probe_inside": (">=", 0.72),
}


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


@torch.no_grad()
def abilities(clip: FrozenCLIP, each: int = 6, size: int = 128) -> dict[str, float]:
    """Recognition, retrieval, colour and place on held-out normal pictures of all products: recognition on pictures
    as the data sets have them, the rest on pictures with one neutral thing each."""
    plain, drawn = (
        [factory.draw(name, i, size, things=things, split="heldout") for name in PRODUCTS for i in range(each)]
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
    rank = ((pictures[some] @ captions.T) > (pictures[some] * captions).sum(1, keepdim=True)).sum(1)
    colours, places, chance = [], [], []
    for p, feature in zip(drawn, pictures, strict=True):
        item = PRODUCTS[p.product]
        if len(item.colours) > 1:
            options = words([f"a {c} {item.spoken}" for c in item.colours])
            colours.append(item.colours[int((options @ feature).argmax())] == p.facts["colour"])
            chance.append(1 / len(item.colours))
        thing, where = p.facts["things"][0]
        spots = [factory.place_name(x, y) for y in (-0.8, 0, 0.8) for x in (-0.8, 0, 0.8)]
        options = words([f"a {item.spoken} with a {thing} at the {spot}" for spot in spots])
        places.append(spots[int((options @ feature).argmax())] == where)
    figures = {
        "zero_shot": right.float().mean(),
        "zero_shot_test_products": right[unseen].float().mean(),
        "zero_shot_with_a_thing": ((pictures @ classes.T).argmax(1) == truth).float().mean(),
    }
    figures |= {f"recall_at_{k}": (rank < k).float().mean() for k in (1, 5, 10)}
    figures |= {
        "colour": np.mean(colours),
        "colour_chance": np.mean(chance),
        "place": np.mean(places),
        "place_chance": 1 / 9,
    }
    return {k: round(float(v), 4) for k, v in figures.items()} | {"pictures": len(drawn)}


@torch.no_grad()
def place_heat(clip: FrozenCLIP, image: np.ndarray, phrase: str, level: int | None = None) -> np.ndarray:
    """Where a picture (H, W, 3) shows what a phrase says: cosine of every patch with the phrase, (H, W)."""
    x = next(batches([image], clip))
    tokens = F.normalize(clip.visual_head(clip.image_tokens(x, (level or clip.vision_blocks,))[0][0, 1:]), dim=-1)
    heat = (tokens @ F.normalize(clip.encode_text([phrase]), dim=-1)[0]).view(1, 1, clip.grid, clip.grid)
    return F.interpolate(heat, image.shape[:2], mode="bilinear", align_corners=False)[0, 0].cpu().numpy()


def things(clip: FrozenCLIP, levels: tuple[int, ...], count: int = 150, size: int = 128) -> dict[str, float]:
    """AUROC of patch x own phrase inside the object, for neutral things on held-out pictures, at every level.

    "faint" things change their place by less than what a defect must (factory.VISIBLE); they are counted apart."""
    found: dict[str, list[float]] = {f"level_{level}": [] for level in levels} | {"faint": []}
    rng, names = np.random.default_rng(1), list(PRODUCTS)
    for i in range(count):
        name = str(rng.choice(names))
        picture = factory.draw(name, i, size, things=2, split="heldout-things", regions=True)
        bare = factory.draw(name, i, size, things=0, split="heldout-things").image.astype(int)
        change, inside = np.abs(picture.image - bare).max(-1) / 255, picture.inside > 0
        for phrase, mask in picture.regions:
            if phrase not in {thing for thing, _ in picture.facts["things"]} or not mask[inside].any():
                continue
            visible = change[mask].mean() >= factory.VISIBLE
            for level in levels if visible else levels[-1:]:
                heat = place_heat(clip, picture.image, phrase, level)
                auroc = metrics.image_metrics(heat[inside], mask[inside].astype(int))["image_auroc"]
                found[f"level_{level}" if visible else "faint"].append(auroc)
    return {name: round(float(np.mean(v)), 4) for name, v in found.items() if v}


@torch.no_grad()
def cosine(clip: FrozenCLIP, names: list[str]) -> float:
    """Mean cosine of CLIP's own normal and abnormal anchors: near 1, the words do not part."""
    anchors = AdaptedCLIP(clip).text_anchors(names, adapted=False).values()
    return round(float(np.mean([float(a[:, 0] @ a[:, 1]) for a in anchors])), 4)


def measure(clip: FrozenCLIP, train: AnomalyDataset, data: AnomalyDataset, each: int = 6) -> tuple[dict, list[Gate]]:
    """All figures as one dictionary, and the gates they pass or miss. `train` teaches the probe, `data` judges."""
    levels = Recipe.course().resolve(clip.vision_blocks, clip.text_blocks_count).levels
    report = evaluate(clip, data, baselines=True, train=train, rounds=1)
    blind = {k: v for k, v in report.baselines.items() if k.startswith(("frozen", "value_value"))}
    sight = report.baselines["linear_probe"]
    figures = {
        "abilities": abilities(clip, each),
        "things": things(clip, levels),
        "cosine": cosine(clip, data.classes),
        "blindness": metrics.jsonable(blind),
        "probe": metrics.jsonable(sight),
    }
    return figures, judged(figures)


def judged(figures: dict) -> list[Gate]:
    blind, sight = figures["blindness"], figures["probe"]
    values = {
        "zero_shot": figures["abilities"]["zero_shot"],
        "things_inside": max(value for name, value in figures["things"].items() if name != "faint"),
        "frozen_pixel": max(row["pixel_auroc"] for row in blind.values()),
        "frozen_image": blind["frozen"]["image_auroc"],
        "cosine": figures["cosine"],
        "probe_pixel": sight["pixel_auroc"],
        "probe_inside": sight["inside_auroc"],
    }
    return [Gate(name, values[name], *FLOORS[name]) for name in FLOORS]


def side_by_side(clip: FrozenCLIP, train: AnomalyDataset, data: AnomalyDataset):
    """A defective picture of each validation product: the frozen words' map, and the linear probe's."""
    heat = frozen_heat(AdaptedCLIP(clip), "industrial", train)
    order = np.random.default_rng(5).permutation(len(data))
    rows = [
        next(int(i) for i in order if data.records[i].class_name == n and data.records[i].label) for n in data.classes
    ]
    samples = [data[i] for i in rows]
    batch = {"image": torch.from_numpy(np.stack([s.image for s in samples])).permute(0, 3, 1, 2) / 255}
    with torch.no_grad():
        found = heat(batch | {"class_name": [s.class_name for s in samples]})
    pictures, maps, masks, titles = [], [], [], []
    for label, words in (("frozen", "frozen words"), ("linear_probe", "linear probe")):
        for i, sample in enumerate(samples):
            pictures.append(sample.image)
            maps.append(found[label][0][i])
            masks.append(sample.mask)
            titles.append(f"{words}: {sample.class_name.replace('_', ' ')}, {sample.defect.replace('_', ' ')}")
    return plots.sheet(pictures, maps, masks, titles, "Same patches, other question", columns=len(samples), scale="own")


def lever_rows(log: Path) -> list[dict]:
    """What `python -m aaclip_lite levers` has found so far, a row a lever."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.is_file() else []


def lever_table(rows: list[dict]) -> str:
    columns = ("things_inside", "probe_pixel", "probe_inside", "frozen_pixel", "zero_shot")
    lines = ["| lever | what changes | pictures | " + " | ".join(c.replace("_", " ") for c in columns) + " |"]
    lines.append("| --- | --- |" + " ---: |" * (1 + len(columns)))
    for row in rows:
        cells = " | ".join(f"{row[column]:.3f}" for column in columns)
        lines.append(f"| {row['lever']} | {row['what']} | {row['pictures']:,} | {cells} |")
    return "\n".join(lines)


def write_card(folder: Path, figures: dict, gates: list[Gate], data: AnomalyDataset) -> Path:
    """README.md, gates.json and pictures beside the weights; run.json and log.jsonl are the run's own."""
    run = json.loads((folder / "run.json").read_text())
    rows = "".join(
        f"| {g.figure} | {g.value:.3f} | {g.rule} {g.floor} | {'yes' if g.passed else 'NO'} |\n" for g in gates
    )
    able = "".join(f"| {k.replace('_', ' ')} | {v} |\n" for k, v in figures["abilities"].items())
    spots = "".join(f"| {k.replace('_', ' ')} | {v:.3f} |\n" for k, v in figures["things"].items())
    kinds = figures["blindness"] | {"linear probe": figures["probe"]}
    frozen = "".join(
        f"| {k.replace('_', ' ')} | {v['pixel_auroc']:.3f} | {v['inside_auroc']:.3f} | {v['image_auroc']:.3f} |\n"
        for k, v in kinds.items()
    )
    legs = "\n".join(
        f"  - from about step {leg['step']:,}: rate {leg['lr']}, every picture used {leg['replays']} times, relief, "
        f"drops,\n    hairs and grains drawn {leg['hard_things']:g} times for each other thing"
        for leg in run["legs"]
    )
    levers = "It has not been measured what each part of the making is worth."
    if rows_of := lever_rows(folder / "levers.jsonl"):
        levers = LEVERS.format(minutes=rows_of[0]["minutes"], seen=run["seen"], table=lever_table(rows_of))
    size = (folder / "model.safetensors").stat().st_size / 1e6
    text = CARD.format(
        size=size, rows=rows, able=able, spots=spots, frozen=frozen, classes=", ".join(data.classes),
        today=date.today(), **(run | {"minutes": run["elapsed"] / 60, "legs": legs, "levers": levers}),
    )  # fmt: skip
    for name, content in (("gates.json", json.dumps(figures, indent=1) + "\n"), ("README.md", text)):
        (folder / f".{name}.tmp").write_text(content)
        os.replace(folder / f".{name}.tmp", folder / name)
    return folder / "README.md"


@dataclass(frozen=True)
class Gates:
    """Measure the embedded CLIP against its gates and write its card, curves and pictures beside the weights."""

    folder: str = "data/lite_clip"  # config.json, model.safetensors, run.json, log.jsonl: as pretrain leaves them


def run(options: Gates) -> int:
    """Exit code 1 if a gate is missed."""
    folder = Path(options.folder)
    clip = load_clip(folder / "config.json", weights=folder / "model.safetensors")
    train, data = open_dataset("factory/train"), open_dataset("factory/val")
    figures, gates = measure(clip, train, data)
    plots.save(side_by_side(clip, train, data), folder / "sight.png")
    plots.save(plots.curves(folder / "log.jsonl", title="Pretraining the embedded CLIP"), folder / "curves.png")
    for gate in gates:
        print(f"{gate.figure:16}{gate.value:8.3f}  {gate.rule} {gate.floor}  {'passed' if gate.passed else 'MISSED'}")
    print(write_card(folder, figures, gates, data))
    return int(not all(gate.passed for gate in gates))


LEVERS = """Short pretrainings from nothing, {minutes:g} minutes of one process each, one seed, one change at a time
(`python -m aaclip_lite levers`). They tell how a lever acts early on, not where a long run would end. "pictures": how
many fitted into the time. The largest lever is the amount: compare the base with the gates above, reached after
{seen:,} pictures.

{table}"""
CARD = """# The embedded CLIP

A small CLIP for a small world: an ordinary open_clip model ({size:.1f} MB in fp16), trained from scratch on pictures of
this project's factory. It exists so that the course runs offline; it knows nothing about the real world.

- **Model**: `config.json` in open_clip's form: 128 px, patch 8, width 192, 8 blocks; text width 192, 4 blocks, CLIP's
  tokenizer with a context of 32. The file holds only the word rows that occur in this project; other words get the
  mean row.
- **Made by**: `torchrun --nproc-per-node 2 -m aaclip_lite pretrain` with the options in `run.json`: {minutes:.0f}
  minutes on two CPU cores of a cloud machine (shared with other work), {seen:,} pictures in {step:,} steps of {batch}
  a process. It was put down and taken up again, each time with a new cosine over the minutes then allowed:
{legs}
- **Losses**: captions; the mean patch of a neutral thing against all phrases of the batch; every patch against its own
  picture's phrases, at four levels; patches redraw themselves. `log.jsonl` has every part, `curves.png` shows them.
- **What it has seen**: undamaged parts of all 74 products with zero to three neutral things on them (a red dot, a
  metal screw, a dark seam ...), on validation and test products too. Damage: only on training products, in
  {damage_share:.1%} of the pictures, named in the caption, never with a mask. No damaged validation or test product,
  in picture or word.

![Losses over the run](curves.png)

## Gates

Measured {today} by `python -m aaclip_lite gates` on factory/val ({classes}), whose damage the model has never seen.

| figure | value | gate | passed |
| --- | ---: | --- | --- |
{rows}
## Blindness and sight

Frozen maps compare patches with CLIP's own words for normal and abnormal. The linear probe is a classifier on the same
frozen patch tokens, trained on the training products: the knowledge is in the patches, only the words miss it.

| map | pixel AUROC | inside the object | image AUROC |
| --- | ---: | ---: | ---: |
{frozen}
![Maps of the frozen words, and of the linear probe on the same patches](sight.png)

## Abilities, on held-out pictures of all products

| ability | value |
| --- | ---: |
{able}
Neutral things, found by their own phrase inside the object (AUROC of patches). "faint" are those that change their
place by less than a defect must to count as visible:

| after | AUROC |
| --- | ---: |
{spots}
## Levers

{levers}

## Limits

Synthetic pictures only; words outside the factory mean nothing to it; places ("at the top left") are read by patches,
not by the picture's feature. One run, one seed. It has not been compared with other sizes or with a longer run.
"""
