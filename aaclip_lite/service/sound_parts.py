"""What a few sound parts of one product teach a detector: the bank of their patches, constants of
map and score, and the line.

Special: a reference is judged against the other references only, as if it were a new part; a
picture that serves as reference can't be used to calibrate, for it looks like itself.
Copies count once, and parts that are unlike the others are named.
Use: `detector.remember(pictures, "bolt")` and `detector.calibrate(pictures, "bolt")` call
`of_references` and `of_parts`.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .. import decision, references
from ..detector import AnomalyDetector
from ..files.forms import Picture, alike
from ..files.sound import distinct, mark, named, unlike
from ..model import Features

BATCH = 16  # pictures in one pass


class Measured:
    """Scores of sound parts, and the mean and deviation of all values of their maps."""

    def __init__(self) -> None:
        self.scores: list[Tensor] = []
        self.sums = np.zeros(3)  # of all map values: their number, sum and sum of squares

    def add(self, maps: Float[Tensor, "B H W"], scores: Float[Tensor, " B"]) -> None:
        total = float(maps.double().sum())
        self.sums += maps.numel(), total, float(maps.double().square().sum())
        self.scores.append(scores)

    def entry(
        self,
        others: float | None,
        false_alarms: float,
        names: Sequence[str] = (),
        product: str = "",
    ) -> dict:
        """What is kept of a product. others: the spread that other products showed. names: of the
        parts, to say which are unlike the others.
        """
        scores = torch.cat(self.scores)
        mean, square = (self.sums[1:] / self.sums[0]).tolist()
        variance = max(square - mean**2, 0.0)  # rounding may take it below 0
        entry = {"map": (mean, variance**0.5)}
        entry |= decision.draw_line(scores, others, false_alarms)
        odd = unlike(decision.deviations(scores, others), names, product) if names else []
        return entry | ({"unlike": odd} if odd else {})


@torch.no_grad()
def of_references(
    detector: AnomalyDetector,
    pictures: Picture | Sequence[Picture],
    name: str,
    false_alarms: float,
    readings: int = references.READINGS,
    words: str | None = None,
) -> tuple[Float[Tensor, "M D"], dict]:
    """The bank of patches, and what the references say of the product."""
    if readings < 1:
        raise ValueError(f"readings = {readings}: give at least 1")
    parts = list(distinct(named(pictures)))  # a copy would vouch for itself
    images = [picture for _, picture in parts]
    steps = references.steps(len(images), readings)
    patches = []
    each = []  # the features of each picture as it lies
    for image in images:
        read = detector.features(image[None], name, steps)
        patches.append(references.patches_of(read.levels))
        # the first reading is the picture unmoved; cloned, so that the others can be forgotten
        as_it_lies = tuple(level[:1].clone() for level in read.levels)
        each.append(Features(as_it_lies, read.detection[:1], read.patches[:1].clone()))
    bank, owner = references.make_bank(patches)
    seen = [mark(image) for image in images]
    if len(images) < decision.FEWEST:  # maps and scores stay as they are, and there is no line
        entry = {"map": (0.0, 1.0), "score": (0.0, 1.0), "threshold": None}
        return bank, entry | {"pictures": len(images), "seen": seen}
    anchors = detector.anchor(name, words)[None]
    measured = Measured()
    for number, (features, image) in enumerate(zip(each, images, strict=True)):
        foreign = bank[owner != number]  # its own patches would match themselves
        if not len(foreign):
            raise ValueError("no patch of other references is left: are they the same picture?")
        grid = references.distances(features.levels, foreign)
        measured.add(*detector.judge(features, anchors, image.shape[-2:], grid))
    spread = detector.few("references").get("spread")
    entry = measured.entry(spread, false_alarms, [path for path, _ in parts], name)
    return bank, entry | {"seen": seen}


def of_parts(
    detector: AnomalyDetector,
    pictures: Picture | Sequence[Picture],
    name: str,
    false_alarms: float,
    words: str | None = None,
) -> dict:
    """What sound parts that are not its references say of a product."""
    bank = detector.references.get(name)
    seen = detector.calibration.get(name, {}).get("seen", [])
    measured = Measured()
    names: list[str] = []
    repeated = 0
    for group in alike(distinct(named(pictures)), BATCH):
        names += [path for path, _ in group]
        batch = torch.stack([picture for _, picture in group])
        repeated += sum(mark(picture) in seen for picture in batch)
        anchors = detector.anchor(name, words).expand(len(batch), -1, -1)
        measured.add(*detector.measure(batch, anchors, bank, name))
    if repeated:
        raise ValueError(
            f"{repeated} of these pictures are the references of {name}, which look like "
            "themselves: give other sound parts; remember() has drawn a line already"
        )
    few = detector.few("words" if bank is None else "references")
    return measured.entry(few.get("spread"), false_alarms, names, name) | {"seen": seen}
