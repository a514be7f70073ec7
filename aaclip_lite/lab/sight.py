"""What a frozen CLIP can and cannot do in the factory's world: abilities, blindness, sight.

  abilities  recognition, caption retrieval, colour, place, neutral things by their own phrase
  blindness  maps of the frozen words for "damaged" against "flawless" must fail: the course begins
             there
  sight      a linear probe on the frozen patch tokens must succeed: only the words miss it
  teaching   an AA-CLIP run must find defects of products that it never trained on; random weights
             must not

Special: all pictures are held out; `FLOORS` says what teaching needs of each figure. What pretraining
taught the patches is measured where it must hold, inside the object, for every level. `gates` and
`levers` both measure with this.
Use: `figures = measure(clip, train, data, run={"text_steps": 70, "image_steps": 150})`,
`judged(figures)`.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import metrics
from ..clip import FrozenCLIP
from ..course.phrases import enlarged, patch_heat
from ..datasets import AnomalyDataset
from ..evaluation import evaluate
from ..model import AdaptedCLIP
from ..recipe import Recipe
from ..world import factory
from ..world.products import PRODUCTS
from . import study

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
    "random_probe": ("<=", 0.60),  # the same probe, and the same run, on random weights
    "random_course": ("<=", 0.60),
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


# ---- abilities -----------------------------------------------------------------------------------


def picture_features(clip: FrozenCLIP, pictures: list) -> Tensor:
    images = torch.from_numpy(np.stack([picture.image for picture in pictures]))
    features = [
        clip.encode_image(clip.preprocess(some.permute(0, 3, 1, 2).to(clip.text_projection.device)))
        for some in images.split(64)
    ]
    return F.normalize(torch.cat(features), dim=-1)


def rank_of_own(scores: Tensor) -> Tensor:
    """scores (N, N) -> how many captions lie above a picture's own, (N,). A picture's own score is
    read from the same matrix: computed apart it differs in its last digit, and half of all
    pictures would lose to themselves.
    """
    return (scores > scores.diagonal()[:, None]).sum(1)


@torch.no_grad()
def abilities(clip: FrozenCLIP, each: int = 7, size: int = 128) -> dict[str, float]:
    """Recognition on normal pictures as the data sets have them, the rest on pictures with one
    neutral thing each; `each` of all products.
    """
    plain, drawn = (
        [
            factory.draw(name, i, size, things=things, split="heldout")
            for name in PRODUCTS
            for i in range(each)
        ]
        for things in (None, 1)
    )
    pictures = picture_features(clip, drawn)
    spoken = [f"a photo of a {item.spoken}." for item in PRODUCTS.values()]
    classes = F.normalize(clip.encode_text(spoken), dim=-1)
    truth = torch.tensor([list(PRODUCTS).index(p.product) for p in drawn])
    right = (picture_features(clip, plain) @ classes.T).argmax(1) == truth
    unseen = torch.tensor([PRODUCTS[p.product].split == "test" for p in drawn])
    rng = np.random.default_rng(0)
    some = rng.choice(len(drawn), min(500, len(drawn)), replace=False)
    captions = clip.encode_text([factory.caption(drawn[i].facts, rng) for i in some])
    ranks = rank_of_own(pictures[some] @ F.normalize(captions, dim=-1).T)
    figures = {
        "zero_shot": right.float().mean(),
        "zero_shot_test_products": right[unseen].float().mean(),
        "zero_shot_with_a_thing": ((pictures @ classes.T).argmax(1) == truth).float().mean(),
    }
    figures |= {f"recall_at_{k}": (ranks < k).float().mean() for k in (1, 5, 10)}
    figures |= colour_and_place(clip, drawn, pictures)
    counts = {"captions": len(some), "pictures": len(drawn)}
    return {name: round(float(value), 4) for name, value in figures.items()} | counts


def colour_and_place(clip: FrozenCLIP, drawn: list, pictures: Tensor) -> dict[str, float]:
    """Shares of pictures whose colour, and whose thing's place, are told right, beside chance."""
    colours = []
    places = []
    chance = []

    def told(feature: Tensor, options: list[str], sentences: list[str]) -> str:
        answers = F.normalize(clip.encode_text(sentences), dim=-1)
        return options[int((answers @ feature).argmax())]

    for picture, feature in zip(drawn, pictures, strict=True):
        item = PRODUCTS[picture.product]
        if len(item.colours) > 1:
            said = told(feature, item.colours, [f"a {c} {item.spoken}" for c in item.colours])
            colours.append(said == picture.facts["colour"])
            chance.append(1 / len(item.colours))
        thing, where = picture.facts["things"][0]
        sentences = [f"a {item.spoken} with a {thing} at the {p}" for p in factory.PLACES]
        places.append(told(feature, factory.PLACES, sentences) == where)
    return {
        "colour": np.mean(colours),
        "colour_chance": np.mean(chance),
        "place": np.mean(places),
        "place_chance": 1 / len(factory.PLACES),
    }


# ---- neutral things (a red dot, a metal screw, a dark seam), found by their own phrase ------------


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
    keys = [*(f"level_{level}" for level in levels), "pixels", "faint"]
    aurocs: dict[str, list[float]] = {key: [] for key in keys}
    rng = np.random.default_rng(1)
    for i in range(count):
        name = str(rng.choice(list(PRODUCTS)))
        picture = factory.draw(name, i, size, things=2, split="heldout-things", regions=True)
        bare = factory.draw(name, i, size, things=0, split="heldout-things").image.astype(int)
        change = np.abs(picture.image - bare).max(-1) / 255
        for phrase in dict(picture.facts["things"]):  # two things alike are one place to find
            for key, value in _one_thing(clip, levels, picture, phrase, change):
                aurocs[key].append(value)
    return {name: round(float(np.mean(values)), 4) for name, values in aurocs.items() if values}


def auroc(scores: np.ndarray, held: np.ndarray) -> float:
    return metrics.image_metrics(scores, held.astype(int))["image_auroc"]


def _one_thing(clip: FrozenCLIP, levels: tuple[int, ...], picture, phrase: str, change: np.ndarray):
    """(key of `things`, AUROC) for one phrase of a picture."""
    size = len(change)
    patch = size // clip.grid
    inside = picture.inside > 0
    shown = [mask for said, mask in picture.regions if said == phrase]
    mask = np.any(shown or [inside & False], axis=0)
    if not mask[inside].any():
        return

    def share(mask: np.ndarray) -> np.ndarray:
        return mask.reshape(clip.grid, patch, clip.grid, patch).mean((1, 3))

    cover = share(mask)
    visible = change[mask].mean() >= factory.VISIBLE
    held = cover >= min(0.2, cover.max() / 2)
    known = held | (share(inside) > 0.5)
    for level in levels if visible else levels[-1:]:
        patch_map = patch_heat(clip, picture.image, phrase, level)
        key = f"level_{level}" if visible else "faint"
        yield key, auroc(patch_map.cpu().numpy()[known], held[known])
    if visible:
        yield "pixels", auroc(enlarged(patch_map, (size, size))[inside], mask[inside])


# ---- blindness, sight, teaching ------------------------------------------------------------------


@torch.no_grad()
def cosine(clip: FrozenCLIP, names: list[str]) -> float:
    """Mean cosine of CLIP's own normal and abnormal anchors: near 1, the words do not part."""
    anchors = AdaptedCLIP(clip).text_anchors(names, adapted=False).values()
    return round(float(np.mean([float(a[:, 0] @ a[:, 1]) for a in anchors])), 4)


def course_run(clip: FrozenCLIP, train: AnomalyDataset, data: AnomalyDataset, run: dict) -> dict:
    """Figures on `data` of an AA-CLIP run of so many steps with the course recipe."""
    recipe = Recipe.course().of_length(**run)
    report = study.judge(study.Trainer(clip, train)(recipe), data)
    return report.mean | {"textures": report.groups["textures"]["pixel_auroc"]}


def measure(
    clip: FrozenCLIP,
    train: AnomalyDataset,
    data: AnomalyDataset,
    each: int = 7,
    run: dict | None = None,
) -> dict:
    """All figures. `train` teaches the probe, `data` judges; run: steps of both stages of an
    AA-CLIP run, None: there is none.
    """
    levels = Recipe.course().resolve(clip.vision_blocks, clip.text_blocks_count).levels
    report = evaluate(clip, data, baselines=True, train=train, rounds=1, progress=False)
    rows = report.baselines
    blind = {k: v for k, v in rows.items() if k.startswith(("frozen", "value_value"))}
    rules = [name for name in rows if name not in blind and name != "linear_probe"]
    textures = [name for name in data.classes if PRODUCTS[name].texture]

    def on_textures(rule: str) -> float:
        return np.mean([report.baseline_classes[rule][t]["pixel_auroc"] for t in textures])

    figures = {
        "abilities": abilities(clip, each),
        "things": things(clip, levels),
        "cosine": cosine(clip, data.classes),
        "blindness": metrics.jsonable(blind),
        "probe": metrics.jsonable(rows["linear_probe"]),
        "rules": {  # the best of the trivial ones
            "pixel_ap": max(rows[name]["pixel_ap"] for name in rules),
            "textures": max(on_textures(name) for name in rules),
        },
        "measured": str(date.today()),
    }
    if run:
        figures["course"] = metrics.jsonable(course_run(clip, train, data, run)) | run
    return figures


def judged(figures: dict) -> list[Gate]:
    """The gates whose figures were measured."""
    blind = figures["blindness"].values()
    levels = [v for name, v in figures["things"].items() if name.startswith("level_")]
    values = {
        "zero_shot": figures["abilities"]["zero_shot"],
        "things_inside": max(levels),
        "frozen_pixel": max(row["pixel_auroc"] for row in blind),
        "frozen_image": max(row["image_auroc"] for row in blind),
        "cosine": figures["cosine"],
        "probe_pixel": figures["probe"]["pixel_auroc"],
        "probe_inside": figures["probe"]["inside_auroc"],
    }
    if course := figures.get("course"):
        rules = figures["rules"]
        values |= {
            "course_pixel": course["pixel_auroc"],
            "course_inside": course["inside_auroc"],
            "course_peak": course["peak_hit"],
            "course_ap_above_rules": course["pixel_ap"] - rules["pixel_ap"],
            "course_textures_above_rules": course["textures"] - rules["textures"],
        }
    if random := figures.get("random"):
        values |= {"random_probe": random["probe"], "random_course": random["course"]}
    return [Gate(name, values[name], *FLOORS[name]) for name in FLOORS if name in values]
