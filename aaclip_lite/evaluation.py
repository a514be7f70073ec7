"""How good is it, honestly: a model or detector on a data set, class by class, beside baselines that
know less.

Special: pictures stream through and only histograms stay. Where torch.distributed is up, each
process takes its share of the classes and all get the whole report.

    report = evaluate(model, open_dataset("factory/test"), baselines=True, train=train_set)
    print(report.table()); report.save("runs/a/report.json"); report.mean["pixel_auroc"]
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from . import scoring
from .clip import FrozenCLIP
from .datasets import AnomalyDataset
from .files.door import expect
from .files.late import late
from .files.report import NAMES, Report, assemble
from .files.tally import Ruler
from .model import AdaptedCLIP, Features, stack_anchors

__all__ = ["NAMES", "Judged", "MapsAndScores", "Options", "Report", "Words", "evaluate", "maps_of"]

JUDGED = ("image", "text", "frozen")  # from all of the method to none of it
# what gives maps and scores of a batch, under the name of each source
MapsAndScores = dict[str, tuple[Float[Tensor, "B H W"], Float[Tensor, " B"]]]
Judged = Callable[[dict], MapsAndScores]


@dataclass(frozen=True)
class Options:
    """How evaluate goes about it."""

    rounds: int = 100  # of the bootstrap behind the intervals
    groups: Mapping[str, str] | None = None  # {class: its group}; None: as the data set has them
    references: int = 0  # sound parts a product, from the set's split "train"; needs a detector
    batch_size: int = 32
    seed: int = 0  # of the bootstrap
    progress: bool = True


def evaluate(
    model: Any,
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
    _refuse_unfit(model, data, stage, train, domain)
    how = Options(**options)
    if not len(data) or how.rounds < 1:  # an empty mean would look like a figure
        raise ValueError(
            f"there are {len(data)} pictures to judge, and rounds = {how.rounds}: both must be "
            "at least 1"
        )
    if isinstance(model, FrozenCLIP):  # wrapped, so that one path judges all kinds
        model = AdaptedCLIP(model)
        stage = "frozen"
    inner = getattr(model, "model", model)  # a detector holds its model
    detects = inner is not model
    if how.references:  # of each product the same ones in every run
        if not detects:
            raise ValueError(
                f"references = {how.references}: only an AnomalyDetector remembers them"
            )
        model = model.with_references(data.references(how.references))
    sources = [maps_of(model, stage, domain)]  # all are judged in the one pass over the pictures
    if baselines:
        sources += late("baselines")(inner, domain, train)
    # a detector scores each picture by itself, whatever was published
    whole = inner.recipe.image_score == "released" and not detects
    fuse = partial(scoring.fuse, domain=domain) if whole else None  # needs all maps of a class
    ruler = Ruler(sources, fuse, inner.clip.text_projection.device, how)
    results = ruler.judge_all(data)
    about = _about(model, inner, data, stage, domain) | {"rounds": how.rounds}
    about["references"] = how.references  # without them two reports can't be compared
    # a mean over all classes can hide a kind of product that fails
    groups = data.groups if how.groups is None else how.groups
    return assemble(results, about, groups)


def _about(model: Any, inner: AdaptedCLIP, data: AnomalyDataset, stage: str, domain: str) -> dict:
    """What was judged, and how, for the report."""
    detects = inner is not model
    score = inner.recipe.image_score
    if score == "released" and not detects:  # said, for a single picture has no such score
        score += ", brought to one scale over the whole class"
    return {
        "data": repr(data),  # with the number of pictures
        "recipe": inner.recipe.name,
        "judged": "detector" if detects else "model",
        "stage": stage,
        "image_score": score,
        "domain": model.domain if detects else domain,
    }


class Words:
    """Anchors of a model, made when a class first comes."""

    def __init__(self, model: AdaptedCLIP, adapted: bool | None) -> None:
        self.model = model
        self.adapted = adapted
        self.known: dict[str, Float[Tensor, "d 2"]] = {}

    def __call__(self, names: Sequence[str]) -> Float[Tensor, "B d 2"]:
        new = sorted(set(names) - self.known.keys())  # the text tower runs once a class
        self.known |= self.model.text_anchors(new, self.adapted)
        return stack_anchors(self.known, names)


def _refuse_unfit(model: object, data: object, stage: str, train: object, domain: str) -> None:
    if not isinstance(model, AdaptedCLIP | FrozenCLIP) and not hasattr(model, "anomaly_maps"):
        expect("evaluate: model", model, (AdaptedCLIP, FrozenCLIP))
    expect("evaluate: data", data, AnomalyDataset)
    expect("evaluate: train", train, (AnomalyDataset, None))
    if stage not in JUDGED or domain not in scoring.BLUR:
        raise ValueError(
            f"evaluate: stage = {stage!r}, domain = {domain!r}: choose a stage of "
            f"{', '.join(JUDGED)} and a domain of {', '.join(scoring.BLUR)}"
        )


def maps_of(model: Any, stage: str = "image", domain: str = "industrial") -> Judged:
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
        training = (
            model.training
        )  # evaluation in the midst of training gives the model back as it was
        model.eval()
        anchors = words(batch["class_name"])
        x = model.preprocess(batch["image"])
        if stage == "image":
            features = model(x, batch["class_name"])
        else:
            token = F.normalize(model.clip.encode_image(x), dim=-1)  # (B, d)
            features = Features(model.dense_features(x), token)
        model.train(training)
        size = batch["image"].shape[-2:]  # maps are judged at the masks' size, not the tower's
        maps = scoring.anomaly_map(features.levels, anchors, size, domain, **recipe.finish)
        # the published score is put together later, from all maps of a class
        kind = "detection" if recipe.image_score == "released" else recipe.image_score
        if stage != "image" and kind == "map_detection":
            kind = "map_top"  # the class token is no trained detection feature
        scores = scoring.picture_scores(features, anchors, maps, kind, domain, recipe.blur)
        return {"": (maps, scores)}

    return judge
