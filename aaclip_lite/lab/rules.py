"""What knows less than the detector at a station, with and without references of the product.

Special: all give maps on the detector's own grid and by its own finish, so that what differs is what
they know: patches of random, frozen or adapted features alone (references read once, or moved as the
detector does), the mean picture, a linear probe, trivial rules. A part may lie moved and turned in
its picture, so for the mean picture the references are registered: turned and shifted until they
agree best, first at a quarter of the size.
Use: `Rules(detector).maps(batch, references)`; `lab.deciding --rules` judges them.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from .. import references, scoring
from ..datasets import open_dataset
from ..detector import AnomalyDetector
from ..service.baselines import frozen_maps, trivial_maps


class Rules:
    """What knows less than the detector: rules that give maps of one product's pictures."""

    def __init__(self, detector: AnomalyDetector) -> None:
        self.detector = detector
        self.model = detector.model
        self.blind = frozen_maps(self.model, detector.domain, open_dataset("factory/train"))

    def frozen(self, x: Float[Tensor, "B 3 S S"]) -> list[Float[Tensor, "B N d"]]:
        """The backbone's own patches, in the joint space."""
        clip = self.model.clip
        tokens = clip.image_tokens(x, self.model.depths.levels)
        return [F.normalize(clip.visual_head(level[:, 1:]), dim=-1) for level in tokens]

    def adapted(self, x: Float[Tensor, "B 3 S S"]) -> tuple[Float[Tensor, "B N d"], ...]:
        return self.model(x, ["object"] * len(x)).levels

    def random(self, x: Float[Tensor, "B 3 S S"]) -> tuple[Float[Tensor, "B N d"]]:
        """Two layers of convolutions with random weights, averaged on the grid of patches."""
        chance = torch.Generator().manual_seed(0)
        for _ in range(2):
            weights = torch.randn(64, x.shape[1], 5, 5, generator=chance)
            x = F.relu(F.conv2d(x, weights / weights[0].numel() ** 0.5, stride=2, padding=2))
        grid = F.adaptive_avg_pool2d(x, self.model.clip.grid)
        return (grid.flatten(2).transpose(1, 2),)

    def nearest(
        self, levels: Callable, pictures: Float[Tensor, "B 3 S S"], known: Tensor, readings: int
    ) -> Float[Tensor, "B 1 h w"]:
        """Distance from the nearest patch of the known pictures, each read once or oftener."""
        steps = references.steps(len(known), readings)
        patch = self.model.clip.patch
        read = (levels(references.moved(one, patch, steps)) for one in known.split(1))
        bank, _ = references.make_bank([references.patches_of(one) for one in read])
        return torch.cat([references.distances(levels(x), bank) for x in pictures.split(16)])

    def maps(
        self, batch: dict, known: Float[Tensor, "n 3 H W"] | None
    ) -> Iterator[tuple[str, Float[Tensor, "B H W"]]]:
        """Of one product's pictures, by the rules that need references or by those that don't."""
        if known is None:
            for name, (maps, _) in (trivial_maps(batch) | self.blind(batch)).items():
                yield name.replace("_", " "), maps
            return
        yield "mean picture", mean_difference(known, batch["image"])
        size = batch["image"].shape[-2:]
        pictures = self.model.preprocess(batch["image"])
        known = self.model.preprocess(known)
        kinds = {"random": self.random, "frozen": self.frozen, "adapted": self.adapted}
        for rule, levels in kinds.items():
            for how, readings in ((" alone", 1), (" alone, read moved", references.READINGS)):
                grid = self.nearest(levels, pictures, known, readings)
                maps = scoring.finish(grid, size, self.detector.domain, **self.model.recipe.finish)
                yield f"nearest {rule} patch{how}", maps


# ---- the mean picture ----------------------------------------------------------------------------


def _turned(image: np.ndarray, angle: float) -> np.ndarray:
    """image (H, W, 3), turned about its middle; the rim is continued."""
    return ndimage.rotate(image, angle, (0, 1), reshape=False, order=1, mode="nearest")


def _shift_and_fit(fixed: np.ndarray, moving: np.ndarray) -> tuple[tuple[int, int], float]:
    """The whole-pixel shift of `moving` (H, W) that agrees best with `fixed`, and how well."""
    spectrum = np.fft.rfft2(fixed - fixed.mean()) * np.conj(np.fft.rfft2(moving - moving.mean()))
    agreement = np.fft.irfft2(spectrum, fixed.shape)
    reach = len(fixed) // 8  # a part lies nearly in its place
    rows = cols = [*range(reach + 1), *range(-reach, 0)]
    near = agreement[np.ix_(rows, cols)]
    row, col = np.unravel_index(int(near.argmax()), near.shape)
    return (rows[row], cols[col]), float(near.max())


class Registration:
    """Finds the turn and shift that bring a template onto a picture, at a quarter of the size."""

    def __init__(self, template: np.ndarray, turns: np.ndarray):
        self.template, self.turns = template, turns
        self.small = [self._small(_turned(template, angle)) for angle in turns]

    @staticmethod
    def _small(image: np.ndarray) -> np.ndarray:
        return image.mean(-1).reshape(len(image) // 4, 4, -1, 4).mean((1, 3))

    def onto(self, picture: np.ndarray) -> np.ndarray:
        """The template as it lies in `picture` (H, W, 3)."""
        seen = self._small(picture)
        fits = [_shift_and_fit(seen, small) for small in self.small]
        best = int(np.argmax([fit for _, fit in fits]))
        turned = _turned(self.template, self.turns[best])
        coarse = tuple(4 * step for step in fits[best][0])
        turned = ndimage.shift(turned, (*coarse, 0), order=1, mode="nearest")
        (rows, columns), _ = _shift_and_fit(picture.mean(-1), turned.mean(-1))
        return ndimage.shift(turned, (rows, columns, 0), order=1, mode="nearest")


def mean_difference(
    references: Float[Tensor, "n 3 H W"], images: Float[Tensor, "B 3 H W"]
) -> Float[Tensor, "B H W"]:
    """Largest channel's difference from the mean of the registered references."""
    known, pictures = (x.permute(0, 2, 3, 1).numpy() for x in (references, images))
    turns = turns_of(known)
    back = [Registration(each, turns).onto(known[0]) for each in known]
    template = Registration(np.mean(back, 0), turns)
    changes = (np.abs(picture - template.onto(picture)).max(-1) for picture in pictures)
    return torch.from_numpy(np.stack([ndimage.gaussian_filter(change, 2) for change in changes]))


def turns_of(known: np.ndarray) -> np.ndarray:
    """Angles to try: all round where the references disagree with their first when not turned."""
    few = np.arange(-9, 10, 3.0)
    every = np.arange(0, 360, 6.0)
    errors = []
    for turns in (few, every):
        template = Registration(known[0], turns)
        errors.append(np.mean([np.abs(each - template.onto(each)).mean() for each in known[1:7]]))
    return every if errors[1] < 0.9 * errors[0] else few
