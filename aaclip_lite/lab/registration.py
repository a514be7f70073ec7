"""The difference from the mean of the references, each laid onto the picture first.

Special: a part may lie moved and turned in its picture, so the references are registered: turned and
shifted until they agree best, first at a quarter of the size.
Use: `mean_difference(references, images, turns_of(references))`; `lab.rules` judges it.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

Images = Float[Tensor, "B 3 H W"]
Maps = Float[Tensor, "B H W"]


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


def mean_difference(references: Images, images: Images, turns: np.ndarray) -> Maps:
    """Largest channel's difference from the mean of the registered references."""
    known, given = (x.permute(0, 2, 3, 1).numpy() for x in (references, images))
    back = [Registration(each, turns).onto(known[0]) for each in known]
    template = Registration(np.mean(back, 0), turns)
    maps = []
    for picture in given:
        change = np.abs(picture - template.onto(picture)).max(-1)
        maps.append(ndimage.gaussian_filter(change, 2))
    return torch.from_numpy(np.stack(maps))


def turns_of(references: Images) -> np.ndarray:
    """Angles to try: all round where the references disagree with their first when not turned."""
    known = references.permute(0, 2, 3, 1).numpy()
    few = np.arange(-9, 10, 3.0)
    every = np.arange(0, 360, 6.0)
    errors = []
    for turns in (few, every):
        template = Registration(known[0], turns)
        errors.append(np.mean([np.abs(each - template.onto(each)).mean() for each in known[1:7]]))
    return every if errors[1] < 0.9 * errors[0] else few
