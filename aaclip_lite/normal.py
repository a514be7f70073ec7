"""What a detector knows of one product's sound parts: constants of map and score, and its line.

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

from . import decision, references, scoring
from .files.forms import Picture, alike
from .files.sound import distinct, mark, named, note, unlike
from .model import Features


class Measured:
    """Scores of sound parts, and the mean and deviation of all values of their maps."""

    def __init__(self) -> None:
        self.scores: list[Tensor] = []
        self.pixels = np.zeros(3)  # number, sum and sum of squares

    def add(self, maps: Float[Tensor, "B H W"], scores: Float[Tensor, " B"]) -> None:
        total = float(maps.double().sum())
        self.pixels += maps.numel(), total, float(maps.double().square().sum())
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
        mean, square = (self.pixels[1:] / self.pixels[0]).tolist()
        entry = {"map": (mean, max(square - mean**2, 0.0) ** 0.5)}
        entry |= decision.draw_line(scores, others, false_alarms)
        odd = unlike(decision.deviations(scores, others), names, product) if names else []
        return entry | ({"unlike": odd} if odd else {})


@torch.no_grad()
def of_references(
    detector,
    pictures: Picture | Sequence[Picture],
    name: str,
    false_alarms: float,
    readings: int = references.READINGS,
    words: str | None = None,
) -> tuple[Float[Tensor, "M D"], dict]:
    """The bank of patches, and what the references say of the product."""
    if readings < 1:
        raise ValueError(f"readings = {readings}: give at least 1")
    given = list(distinct(named(pictures)))
    images = [picture for _, picture in given]
    steps = references.steps(len(images), readings)
    patches = []
    each = []  # the features of each picture as it lies
    for image in images:
        read = detector.features(image[None], name, steps)
        patches.append(references.patches_of(read.levels))
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
        others = bank[owner != number]
        if not len(others):
            raise ValueError("no patch of other references is left: are they the same picture?")
        grid = references.distances(features.levels, others)
        measured.add(*detector.judge(features, anchors, image.shape[-2:], grid))
    scatter = detector.few("references").get("spread")
    entry = measured.entry(scatter, false_alarms, [path for path, _ in given], name)
    return bank, entry | {"seen": seen}


def of_parts(
    detector,
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
    for group in alike(distinct(named(pictures)), 16):
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


def calibrated(
    maps: Float[Tensor, "B H W"], scores: Float[Tensor, " B"], constants: dict | None
) -> tuple[Float[Tensor, "B H W"], Float[Tensor, " B"]]:
    """Deviations above normal, where it is known what is normal."""
    if constants is None:
        return maps, scores
    return scoring.z_scores(maps, constants["map"]), scoring.z_scores(scores, constants["score"])


def threshold_of(
    detector, constants: dict | None, name: str, words: str | None
) -> tuple[float | None, str]:
    """The threshold of a product that is called so, and why there is none."""
    if constants is None or constants["threshold"] is None:
        return None, detector.line(name)
    own = name in detector.calibration
    if own and not torch.equal(detector.anchor(name, words), detector.anchor(name)):
        why = f"the line of {name} was drawn with other words; remember again with them"
        note(why)
        return None, why
    return constants["threshold"], ""
