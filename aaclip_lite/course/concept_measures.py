"""How good concepts, maps, prototypes and verdicts are, each beside what knows nothing would give.

Special: a map's peak counts as a hit when its cell touches the box of the defect; the null value is
the share of cells that boxes touch. Intervals come from drawing products, not pictures, anew.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ..metrics import image_metrics
from ..variants.concepts import Batch, ConceptModel, box_mask
from .flawed_parts import Parts


def batch_of(tokens: Tensor, parts: Parts) -> Batch:
    """What training takes: tokens beside labels, boxes and verdicts."""
    return Batch(tokens, parts.labels, parts.boxes, parts.verdicts)


@torch.no_grad()
def seen(call: Callable[[Tensor], Tensor], tokens: Float[Tensor, "n width h w"]) -> Tensor:
    """What `model.cams`, `model.scores` or `model` say of many pictures, in batches."""
    return torch.cat([call(chunk.float()) for chunk in tokens.split(64)])


def concept_auroc(cams: Float[Tensor, "n k h w"], labels: Float[Tensor, "n k"]) -> list[float]:
    """AUROC of each concept by its map's maximum; 0.5 knows nothing."""
    peaks = cams.flatten(2).amax(-1)
    columns = zip(peaks.unbind(1), labels.unbind(1), strict=True)
    return [float(image_metrics(peak, label)["image_auroc"]) for peak, label in columns]


def pointing(
    cams: Float[Tensor, "n k h w"], boxes: list[list[tuple]]
) -> tuple[list[float], list[float]]:
    """For every box: 1 if its concept's map peaks in it, and the share of cells it touches, which is
    what a blind guess hits.
    """
    size = tuple(cams.shape[-2:])
    hits, chance = [], []
    for maps, marked in zip(cams, boxes, strict=True):
        for concept, *box in marked:
            touched = box_mask(box, size, "ceil").flatten()
            hits.append(float(touched[maps[concept].flatten().argmax()]))
            chance.append(float(touched.mean()))
    return hits, chance


def macro_f1(said: Int[Tensor, " n"], true: Int[Tensor, " n"], classes: int = 3) -> float:
    """Mean over classes of 2 TP / (2 TP + FP + FN); a class that is never said nor true counts 0."""
    scores = []
    for c in range(classes):
        both = ((said == c) & (true == c)).sum()
        total = (said == c).sum() + (true == c).sum()
        scores.append(float(2 * both / total.clamp(min=1)))
    return sum(scores) / classes


def majority(train: Int[Tensor, " n"], true: Int[Tensor, " m"]) -> float:
    """Macro F1 of always saying what is most frequent in training."""
    return macro_f1(torch.full_like(true, int(train.bincount().argmax())), true)


def pooled(tokens: Float[Tensor, "n width h w"]) -> Float[Tensor, "n twice"]:
    """What a linear probe sees: mean and maximum of every feature over the patches."""
    flat = tokens.flatten(2)
    return torch.cat([flat.float().mean(-1), flat.amax(-1).float()], 1)


def linear_probe(
    train: Tensor, verdicts: Tensor, others: list[Tensor], decay: float, steps: int = 300
) -> list[Tensor]:
    """Verdicts that multinomial logistic regression on pooled tokens gives on other sets."""
    mean, deviation = train.mean(0), train.std(0) + 1e-6
    head = torch.nn.Linear(train.shape[1], int(verdicts.max()) + 1)
    optimiser = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=decay)
    x = (train - mean) / deviation
    for _ in range(steps):
        optimiser.zero_grad()
        F.cross_entropy(head(x), verdicts).backward()
        optimiser.step()
    with torch.no_grad():
        return [head((other - mean) / deviation).argmax(1) for other in others]


def prototype_figures(
    model: ConceptModel, tokens: Tensor, labels: Float[Tensor, "n k"]
) -> dict[str, float]:
    """Validation of stage 2: does the vector of a concept that is there lie nearest to one of its
    own prototypes, and how many prototypes are ever nearest?
    """
    vectors = F.normalize(seen(model.vectors, tokens), dim=-1)
    nearest = (vectors @ F.normalize(model.prototypes.detach(), dim=-1).mT).argmax(-1)
    present = labels == 1
    concept = torch.arange(labels.shape[1]).expand_as(nearest)
    hits = (nearest // model.per_concept == concept)[present]
    used = nearest[present].unique()
    return {
        "nearest_is_own": float(hits.float().mean()),
        "in_use": len(used) / len(model.prototypes),
    }


def interval(
    figure: Callable[[np.ndarray], float], products: list[str], rounds: int = 200
) -> tuple[float, float]:
    """95 % interval of a figure of picture numbers, with products drawn anew."""
    rng, names = np.random.default_rng(0), sorted(set(products))
    rows = {name: np.flatnonzero(np.array(products) == name) for name in names}
    drawn = (rng.choice(names, len(names)) for _ in range(rounds))
    figures = [figure(np.concatenate([rows[name] for name in chosen])) for chosen in drawn]
    return tuple(float(end) for end in np.percentile(figures, (2.5, 97.5)))
