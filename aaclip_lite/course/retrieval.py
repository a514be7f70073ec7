"""The retrieval task of chapter 14: drawn pictures with five captions each, and who is right.

Special: a caption is right for every picture of which the factory could have said it, not only for
the one that it was written for; `Task.right` says so exactly. The camera delivers blue first, as
cameras read with OpenCV do, so that a CLIP which knows this world has something to learn.
Use: `task = draw_task("held out", 16)`; `table(similarity, task.owner)`.
"""

import copy
import csv
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from ..files import seeds
from ..metrics import bootstrap
from ..variants.contrastive import mean_average_precision, ranked, recall_at_k
from ..world import factory, products

CAPTIONS = 5  # for each picture
PRODUCTS = tuple(products.names("train")[:16])
COLUMNS = ("epoch", "step", "loss", "temp", "lr")  # of a log, as S2 read them; then of the weights
COLUMNS += ("w_mean", "band_coverage_pct", "w_low_pct", "w_high_pct", "cross_entropy", "grad_norm")


@dataclass(frozen=True)
class Task:
    images: UInt8[Tensor, "N 3 S S"]
    captions: list[str]  # of picture 0, of picture 1, ...
    owner: Int[Tensor, " captions"]  # the picture that a caption was written for
    right: Bool[Tensor, "N captions"]  # of which pictures a caption is right
    topic: Int[Tensor, " N"]  # the product's number


def sayings(facts: dict) -> re.Pattern:
    """Every caption that the factory could have written for a picture with these facts."""

    def maybe(text: str) -> str:
        return f"(?:{text})?"

    said = {key: re.escape(facts[key] or "") for key in ("colour", "material", "pose", "ground")}
    names = (facts["spoken"], facts["product"].replace("_", " "))
    nouns = "|".join(re.escape(noun) for noun in names)
    things = [
        f"a {re.escape(thing)}" + maybe(f" (?:at|in) the {re.escape(where)}")
        for thing, where in facts["things"]
    ]
    return re.compile(
        maybe("a photo of |a picture of |an image of ")
        + maybe("a |the ")
        + maybe(f"{said['colour']} ")
        + f"(?:{nouns})"
        + maybe(f" made of {said['material']}")
        + maybe(f", {said['pose']}")
        + (maybe(f" on a {said['ground']} (?:background|ground|table)") if said["ground"] else "")
        + (maybe(" with " + " and ".join(things)) if things else "")
        + r"\.?"
    )


def draw_task(name: str, count: int, names: Sequence[str] = PRODUCTS, seed: int = 0) -> Task:
    """`count` sound pictures of each product, with at most one neutral thing on it. Tasks of
    different names share no picture.
    """
    rng = np.random.default_rng([seed, *name.encode()])
    pictures = [
        factory.draw(product, i, things=int(rng.integers(2)), split=f"retrieval/{name}/{seed}")
        for product in names
        for i in range(count)
    ]
    captions = [factory.caption(p.facts, rng) for p in pictures for _ in range(CAPTIONS)]
    allowed = [sayings(picture.facts) for picture in pictures]
    right = [[bool(each.fullmatch(caption)) for caption in captions] for each in allowed]
    images = torch.from_numpy(np.stack([picture.image for picture in pictures])).movedim(-1, 1)
    return Task(
        images.flip(1),  # blue first
        captions,
        torch.arange(len(pictures)).repeat_interleave(CAPTIONS),
        torch.tensor(right),
        torch.arange(len(names)).repeat_interleave(count),
    )


class Towers(nn.Module):
    """A trainable copy of a CLIP whose picture tower is locked: what follows its last block, and
    the text tower without its word rows. Answers as an open_clip model does.
    """

    def __init__(self, clip):
        super().__init__()
        self.clip = copy.deepcopy(clip)
        for name, weight in self.clip.named_parameters():
            head = name.startswith(("visual.ln_post", "visual.proj"))
            weight.requires_grad_(head or not name.startswith(("visual.", "token_embedding")))

    def forward(self, class_tokens: Float[Tensor, "B D"], ids: Int[Tensor, "B L"]) -> tuple:
        image = F.normalize(self.clip.visual_head(class_tokens), dim=-1)
        text = F.normalize(self.clip.encode_text(ids), dim=-1)
        return image, text, self.clip.logit_scale.exp()

    @torch.no_grad()
    def similarity(self, class_tokens: Tensor, ids: Tensor) -> Float[Tensor, "N captions"]:
        image, text, _ = self(class_tokens, ids.flatten(0, -2))
        return image @ text.T


@torch.no_grad()
def class_tokens(clip, images: Tensor) -> Float[Tensor, "N D"]:
    """What the locked tower says of each picture; computed once, used in every step."""
    last = clip.vision_blocks
    chunks = [clip.image_tokens(clip.preprocess(x), (last,))[0][:, 0] for x in images.split(32)]
    return torch.cat(chunks)


def token_ids(clip, task: Task) -> Int[Tensor, "N 5 L"]:
    """Captions as the CLIP reads them; the few that are longer than its context are cut."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "cut to the")
        return clip.tokenize(task.captions).unflatten(0, (-1, CAPTIONS))


@dataclass
class TopicBatches:
    """Batches of few products at a time, so that negatives are hard and some of them are right.
    Every epoch draws anew: the products, the pictures, and one of the five captions of each.
    """

    tokens: Tensor  # (N, D) class tokens
    ids: Tensor  # (N, 5, L)
    topic: Tensor  # (N,)
    seed: int = 0
    size: int = 32
    topics: int = 4

    def __post_init__(self):
        self.generator = torch.Generator().manual_seed(self.seed)

    def __len__(self) -> int:
        return sum(len(pictures) // self.size for pictures in self._groups())

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for chosen in self.indices():
            caption = torch.randint(CAPTIONS, (self.size,), generator=self.generator)
            yield self.tokens[chosen], self.ids[chosen, caption]

    def indices(self) -> Iterator[Tensor]:
        order = torch.randperm(int(self.topic.max()) + 1, generator=self.generator)
        for pictures in self._groups(order):
            mixed = pictures[torch.randperm(len(pictures), generator=self.generator)]
            yield from (part for part in mixed.split(self.size) if len(part) == self.size)

    def _groups(self, order: Tensor | None = None) -> list[Tensor]:
        order = torch.arange(int(self.topic.max()) + 1) if order is None else order
        return [torch.isin(self.topic, group).nonzero()[:, 0] for group in order.split(self.topics)]


def median_rank(similarity: Tensor, owner) -> float:
    """Median place of the first right answer, from 1; rows without one stand past the end."""
    place = (ranked(similarity, owner).cumsum(1) == 0).sum(1) + 1
    return float(place.double().quantile(0.5))


def table(similarity: Float[Tensor, "N captions"], owner) -> dict[str, float]:
    """R@1, R@5, R@10, mAP@10 and the median rank, when pictures ask (i2t) and captions ask (t2i).
    `owner`: by caption, or the matrix of what is right.
    """
    turned, figures = owner.T if owner.ndim == 2 else owner, {}
    for way, S, right in (("i2t", similarity, owner), ("t2i", similarity.T, turned)):
        figures |= {f"{way} R@{k}": recall_at_k(S, right, k) for k in (1, 5, 10)}
        figures[f"{way} mAP@10"] = mean_average_precision(S, right, 10)
        figures[f"{way} median rank"] = median_rank(S, right)
    return figures


def hits(similarity: Tensor, owner, k: int) -> Float[Tensor, " N"]:
    """Each picture's share of R@k: 0 or 1 where pictures ask, a mean over five captions where
    captions ask. What belongs to one picture stays together when pictures are drawn anew.
    """
    hit = ranked(similarity, owner)[:, :k].any(1).double()
    return hit if len(similarity) < similarity.shape[1] else hit.view(-1, CAPTIONS).mean(1)


def interval(values: Tensor, rounds: int = 1000) -> tuple[float, float, float]:
    """(mean, low, high): 95 % of the means lie between, when the pictures are drawn anew."""
    return bootstrap({"pictures": [values.numpy()]}, np.mean, rounds)


def difference(
    result: Mapping, name: str, parent: str, figure: str, judge: str = "owner"
) -> tuple[float, float, float]:
    """(mean, low, high) of a figure's change over the seeds that two runs share."""
    return change(result, name, lambda seed: seed[judge][figure], parent)


def change(
    result: Mapping, name: str, read: Callable[[Mapping], float], parent: str | None = None
) -> tuple[float, float, float]:
    """The same of what `read` finds in a seed's result, against the run's own parent or the one that
    is named: seed by seed, 95 % by Student's t.
    """
    parent = parent or result["runs"][name]["parent"]
    mine, theirs = (result["runs"][each]["seeds"] for each in (name, parent))
    middle, half = seeds.interval([read(mine[seed]) - read(theirs[seed]) for seed in mine])
    return middle, middle - half, middle + half


def write_log(rows: Sequence[Mapping], path: str | Path) -> Path:
    """A run's rows as CSV, always with the same columns; what a loss has no use for stays empty."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path
