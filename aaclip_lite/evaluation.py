"""How good is it, honestly: a model or detector on a data set, class by class, beside baselines that
know less.

Special: pictures stream through and only histograms stay. Where torch.distributed is up, each
process takes its share of the classes and all get the whole report.

    report = evaluate(model, open_dataset("factory/test"), baselines=True, train=train_set)
    print(report.table()); report.save("runs/a/report.json"); report.mean["pixel_auroc"]
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, distributed
from tqdm.auto import tqdm

from . import metrics, scoring
from .clip import FrozenCLIP
from .datasets import AnomalyDataset
from .files.keep import table, write_json, write_text
from .files.late import late
from .files.tally import Tally
from .model import AdaptedCLIP, Features, stack_anchors

NAMES = (*metrics.PIXEL_NAMES, *metrics.IMAGE_NAMES)
HEADS = ("pixel AUROC", "AP", "F1-max", "PRO", "inside", "peak hit", "image AUROC", "AP", "F1-max")
JUDGED = ("image", "text", "frozen")
# what gives maps and scores of a batch, under the name of each source
MapsAndScores = dict[str, tuple[Float[Tensor, "B H W"], Float[Tensor, "B"]]]
Judged = Callable[[dict], MapsAndScores]


@dataclass(repr=False)
class Report:
    """Figures under their names in metrics.py. One without a value is NaN with a reason, null in
    JSON, - in tables.
    """

    mean: dict[str, float]  # plain mean over the classes that have the figure
    classes: dict[str, dict[str, float]]
    groups: dict[str, dict[str, float]]  # means over groups of classes, as the data set has them
    # by kind: pixels of its own pictures; its pictures against all normal ones
    defects: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, tuple[float, float]]]  # 95 %, by class and for "mean"
    baselines: dict[str, dict[str, float]]  # their means, and below, class by class
    baseline_classes: dict[str, dict[str, dict[str, float]]]
    # index in the data set, path, class_name, defect, label, score, its own pixel_ap and peak_hit
    pictures: list[dict]
    about: dict[str, str | int]

    def table(self, markdown: bool = False) -> str:
        """Classes, means with their interval, kinds of defect and baselines, one row each."""
        rows = {**self.classes, "MEAN": self.mean}
        for end, words in enumerate(("  95 % from", "  95 % to")):
            known = self.intervals["mean"]
            rows[words] = {name: known.get(name, (np.nan, np.nan))[end] for name in NAMES}
        rows |= self.groups
        rows |= {f"defect: {name}": row for name, row in self.defects.items()}
        rows |= {f"baseline: {name}": row for name, row in self.baselines.items()}
        cells = [["", *HEADS]]
        for name, row in rows.items():
            cells.append([name, *("-" if np.isnan(row[n]) else f"{row[n]:.3f}" for n in NAMES)])
        return table(cells, markdown)

    __repr__ = table

    def to_dict(self) -> dict:
        return metrics.jsonable(asdict(self))

    def save(self, path: str | Path) -> Path:
        """All of it as .json, or what was judged and the table as .md."""
        path = Path(path)
        if path.suffix == ".json":
            return write_json(path, self.to_dict())
        if path.suffix != ".md":
            raise ValueError(f"{path}: a report is saved as .json or .md")
        about = [f"- {key.replace('_', ' ')}: {value}" for key, value in self.about.items()]
        return write_text(path, "\n".join([*about, "", self.table(True), ""]))

    def extremes(self, count: int = 8) -> dict[str, list[dict]]:
        """Defective pictures with the best and worst maps (by their own pixel AP), normal ones that
        score highest.
        """
        known = [row for row in self.pictures if row["pixel_ap"] is not None]
        known.sort(key=lambda row: -row["pixel_ap"])
        alarms = sorted(
            (row for row in self.pictures if not row["label"]), key=lambda row: -row["score"]
        )
        return {"best": known[:count], "worst": known[::-1][:count], "false alarms": alarms[:count]}


@dataclass(frozen=True)
class Options:
    """How evaluate goes about it."""

    rounds: int = 100  # of the bootstrap behind the intervals
    groups: Mapping[str, str] | None = None  # {class: its group}; None: as the data set has them
    batch_size: int = 32
    seed: int = 0  # of the bootstrap
    progress: bool = True


def evaluate(
    model: AdaptedCLIP | FrozenCLIP | object,
    data: AnomalyDataset,
    stage: str = "image",
    baselines: bool = False,
    train: AnomalyDataset | None = None,
    domain: str = "industrial",
    **options,
) -> Report:
    """Run over the data once and report.

    model: an AdaptedCLIP, a FrozenCLIP, or an AnomalyDetector (with its own scores and domain).
    stage: what of an AdaptedCLIP is judged: "image" (all of it), "text" (stage 1: trained words on
    frozen dense patches) or "frozen" (CLIP's own words on them). baselines: also judge frozen CLIP,
    trivial rules and, given `train`, a linear probe. options: see Options.
    """
    options = Options(**options)
    if not len(data) or options.rounds < 1:
        raise ValueError(
            f"there are {len(data)} pictures to judge, and rounds = {options.rounds}: both must be "
            "at least 1"
        )
    if isinstance(model, FrozenCLIP):
        model = AdaptedCLIP(model)
        stage = "frozen"
    inner = getattr(model, "model", model)  # a detector holds its model
    detects = inner is not model
    sources = [maps_of(model, stage, domain)]
    if baselines:
        sources += late("baselines")(inner, domain, train)
    # a detector scores each picture by itself, whatever was published
    whole = inner.recipe.image_score == "released" and not detects
    fuse = partial(scoring.fuse, domain=domain) if whole else None
    ruler = _Ruler(sources, fuse, inner.clip.text_projection.device, options)
    results = {}
    rank, world = _processes()
    hidden = not options.progress or rank > 0
    with tqdm(total=len(data), desc="evaluating", unit="picture", disable=hidden) as bar:
        for name in data.classes[rank::world]:
            results[name] = ruler.judge(name, data.filter(name), bar)
            _name_pictures(results[name][""]["pictures"], data, name)
    shares = [results] * world
    if world > 1:
        distributed.all_gather_object(shares, results)
    everyones = {name: result for share in shares for name, result in share.items()}
    results = {name: everyones[name] for name in data.classes}
    about = {
        "data": repr(data),
        "recipe": inner.recipe.name,
        "judged": "detector" if detects else "model",
        "stage": stage,
        "image_score": inner.recipe.image_score,
        "domain": model.domain if detects else domain,
        "rounds": options.rounds,
    }
    if whole:
        about["image_score"] += ", brought to one scale over the whole class"
    groups = data.groups if options.groups is None else options.groups
    return _report(results, about, groups)


class _Ruler(NamedTuple):
    """What every class is judged by."""

    sources: list[Judged]
    fuse: Callable | None  # of a published score, which looks at all pictures of a class
    device: torch.device
    options: Options

    def judge(self, name: str, part: AnomalyDataset, bar: tqdm) -> dict[str, dict]:
        """{source of maps ("" for what is judged): its results} on one class."""
        tallies: dict[str, Tally] = {}
        for batch in part.batches(self.options.batch_size, device=self.device):
            defects = [part.records[i].defect for i in batch["index"]]
            for source in self.sources:
                with torch.no_grad():
                    judged = source(batch)
                for label, (maps, scores) in judged.items():
                    if label not in tallies:
                        rounds = 0 if label else self.options.rounds
                        tallies[label] = Tally(rounds, name, self.options.seed)
                    tallies[label].update(maps, scores, batch, defects)
            bar.update(len(defects))
        return {
            label: tally.result(None if label else self.fuse) for label, tally in tallies.items()
        }


def _name_pictures(rows: list[dict], data: AnomalyDataset, class_name: str) -> None:
    own = [(i, r) for i, r in enumerate(data.records) if r.class_name == class_name]
    for row, (index, record) in zip(rows, own, strict=True):
        row["index"] = index
        row["path"] = record.image
        row["class_name"] = class_name
        row["defect"] = record.defect


class Words:
    """Anchors of a model, made when a class first comes."""

    def __init__(self, model: AdaptedCLIP, adapted: bool | None) -> None:
        self.model = model
        self.adapted = adapted
        self.known: dict[str, Float[Tensor, "d 2"]] = {}

    def __call__(self, names: Sequence[str]) -> Float[Tensor, "B d 2"]:
        new = sorted(set(names) - self.known.keys())
        self.known |= self.model.text_anchors(new, self.adapted)
        return stack_anchors(self.known, names)


def maps_of(model, stage: str = "image", domain: str = "industrial") -> Judged:
    """What evaluate judges, under the name "": a detector's maps; an adapted model's; its stage
    1's, whose detection feature is the class token; or those of CLIP's own words on dense patches.
    """
    if stage not in JUDGED:
        raise ValueError(f"stage = {stage!r} is not one of {', '.join(JUDGED)}")
    if hasattr(model, "anomaly_maps"):
        return lambda batch: {"": model.anomaly_maps(batch["image"], batch["class_name"])}
    if isinstance(model, FrozenCLIP):
        model = AdaptedCLIP(model)
        stage = "frozen"
    words = Words(model, adapted=False if stage == "frozen" else None)
    recipe = model.recipe

    def judge(batch: dict) -> MapsAndScores:
        anchors = words(batch["class_name"])
        x = model.preprocess(batch["image"])
        if stage == "image":
            features = model(x)
        else:
            token = F.normalize(model.clip.encode_image(x), dim=-1)
            features = Features(model.dense_features(x), token)
        size = batch["image"].shape[-2:]
        maps = scoring.anomaly_map(features.levels, anchors, size, domain, **recipe.finish)
        # the published score is put together later, from all maps of a class
        kind = "detection" if recipe.image_score == "released" else recipe.image_score
        scores = scoring.picture_scores(features, anchors, maps, kind, domain, recipe.blur)
        return {"": (maps, scores)}

    return judge


# ---- putting classes together --------------------------------------------------------------------


def _processes() -> tuple[int, int]:
    """(this one's number, how many)"""
    up = distributed.is_available() and distributed.is_initialized()
    return (distributed.get_rank(), distributed.get_world_size()) if up else (0, 1)


def _mean(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Figure by figure, over those classes that have it."""
    rows = list(rows)
    means = {}
    for name in NAMES:
        known = [row[name] for row in rows if not np.isnan(row[name])]
        means[name] = float(np.mean(known)) if known else rows[0][name]
    return means


def _interval(
    replicas: Float[np.ndarray, "rounds_and_1 9"], figures: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """Where 95 % of the replicas lie; the offset that coarse bins give all of them is taken out."""
    intervals = {}
    for name, (coarse, *drawn) in zip(NAMES, replicas.T, strict=True):
        if not np.isnan(figures[name]) and not np.isnan(drawn).all():
            ends = np.nanquantile(drawn, (0.025, 0.975)) - coarse + figures[name]
            intervals[name] = tuple(ends.clip(0, 1).tolist())
    return intervals


def _report(results: dict[str, dict], about: dict, group_of: Mapping[str, str]) -> Report:
    """{class: {source ("" for what is judged): its results}} -> Report"""
    judged = {name: result[""] for name, result in results.items()}
    classes = {name: result["figures"] for name, result in judged.items()}
    replicas = {name: result["replicas"] for name, result in judged.items()}
    mean = _mean(classes.values())
    together = np.ma.masked_invalid(np.stack(list(replicas.values()))).mean(0).filled(np.nan)
    intervals = {"mean": _interval(together, mean)}
    intervals |= {name: _interval(replicas[name], classes[name]) for name in classes}
    groups = defaultdict(list)
    defects = defaultdict(list)
    for name in classes:
        if name in group_of:
            groups[group_of[name]].append(classes[name])
        for kind, figures in judged[name]["kinds"].items():
            defects[kind].append(figures)
    labels = [label for label in next(iter(results.values())) if label]
    baselines = {
        label: {name: result[label]["figures"] for name, result in results.items()}
        for label in labels
    }
    return Report(
        mean=mean,
        classes=classes,
        groups={word: _mean(groups[word]) for word in sorted(groups)},
        defects={kind: _mean(defects[kind]) for kind in sorted(defects)},
        intervals=intervals,
        baselines={label: _mean(rows.values()) for label, rows in baselines.items()},
        baseline_classes=baselines,
        pictures=[row for result in judged.values() for row in result["pictures"]],
        about=about,
    )
