"""Chapter 15's pictures and teachers: sound parts, and parts with a re-synthesised region.

Special: a repair leaves no defect to be seen, only the trace of how its pixels were made, and only
where it lies. Three ways: down- and upsampling, copying and blending, inpainting.
Use: `draw_repairs(400, seed=0)`, `train_teacher(pictures)`, `verdict(readings)`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from scipy import ndimage
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from ..variants import distillation
from ..world import factory

PRODUCTS = ("coin", "button", "egg", "lemon")
SIDE = 64
GRAIN = 12  # grey levels of the camera's noise: what a repair fails to imitate
WAYS = ("resampled", "blended", "inpainted")
GRID = 16  # the teacher's map has GRID x GRID cells


class Repairs(NamedTuple):
    images: Float[Tensor, "N 3 S S"]  # in [0, 1]
    labels: Float[Tensor, " N"]  # 1: repaired
    masks: Float[Tensor, "N S S"]  # how much of a pixel the repair made
    ways: list[str]  # "" for a sound part


def resampled(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half the size, then back: what lies between two of the smaller pixels is lost."""
    small = image.reshape(SIDE // 2, 2, SIDE // 2, 2, 3).mean((1, 3))
    return ndimage.zoom(small, (2, 2, 1), order=1, mode="nearest", grid_mode=True)


def blended(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two copies from nearby, half and half; a shift by half a pixel mixes neighbours."""
    shifts = rng.uniform(3, 9, (2, 2)) * rng.choice((-1, 1), (2, 2))
    copies = [ndimage.shift(image, (*each, 0), order=1, mode="reflect") for each in shifts]
    return np.mean(copies, axis=0)


def inpainted(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The hole closes from its edge inwards: each pixel becomes the mean of its neighbours."""
    hole = mask > 0
    filled = np.where(hole[..., None], image[~hole].mean(0), image)
    for size in (15, 9, 5, 5, 3, 3, 3, 3):
        smooth = ndimage.uniform_filter(filled, (size, size, 1), mode="nearest")
        filled = np.where(hole[..., None], smooth, image)
    return filled


def repair(image: UInt8[np.ndarray, "S S 3"], way: str, rng: np.random.Generator):
    """(picture, mask) with one region made anew, its edge soft."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    centre = rng.uniform(18, SIDE - 18, 2)
    stretch = rng.uniform(0.7, 1.4)
    distance = np.hypot((rows - centre[0]) * stretch, (columns - centre[1]) / stretch)
    mask = np.clip((rng.uniform(10, 15) - distance) / 2, 0, 1)
    plain = image.astype(float)
    make = {"resampled": resampled, "blended": blended, "inpainted": inpainted}[way]
    mixed = plain + mask[..., None] * (make(plain, mask, rng) - plain)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8), mask


def draw_repairs(count: int, seed: int = 0, products: Sequence[str] = PRODUCTS) -> Repairs:
    """Half sound, half repaired; pictures of two seeds have nothing in common."""
    rng = np.random.default_rng([15, seed])
    images, masks, ways = [], [], []
    for number in range(count):
        name = products[number // 2 % len(products)]
        image = factory.draw(name, number, SIDE, things=0, split=f"repairs{seed}").image
        noisy = image + rng.normal(0, GRAIN, image.shape)
        image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        way = WAYS[number // 2 % 3] if number % 2 else ""
        mask = np.zeros((SIDE, SIDE))
        if way:
            image, mask = repair(image, way, rng)
        images.append(torch.from_numpy(image))
        masks.append(torch.from_numpy(mask).float())
        ways.append(way)
    pixels = torch.stack(images).movedim(-1, 1).float() / 255
    labels = torch.tensor([float(bool(way)) for way in ways])
    return Repairs(pixels, labels, torch.stack(masks), ways)


def convolutions(*shapes: tuple[int, int, int, int]) -> list[nn.Module]:
    """Layers of (inputs, outputs, kernel, stride), each with its norm."""
    layers: list[nn.Module] = []
    for inputs, outputs, kernel, stride in shapes:
        layers += [nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=False)]
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
    return layers


class Teacher(nn.Module):
    """Local, on pixel relations, as the report's teacher is; small, and taught with masks."""

    def __init__(self) -> None:
        super().__init__()
        layers = convolutions((3, 16, 3, 2), (16, 16, 3, 2))
        self.body = nn.Sequential(*layers, nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU())
        self.head = nn.Conv2d(16, 1, 1)

    def forward(self, images: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B 1 h w"]:
        x = 20 * distillation.npr(images)  # the grain is a few grey levels of 255
        return self.head(self.body(x))


def cells_loss(maps: Tensor, cells: Tensor, image_logit: Tensor, labels: Tensor):
    """How much of each cell was made anew; in the place of a teacher's map stands the mask."""
    loss = F.binary_cross_entropy_with_logits(maps, cells)
    return loss, loss, F.binary_cross_entropy_with_logits(image_logit, labels)


def task_only(maps: Tensor, teacher: Tensor, image_logit: Tensor, labels: Tensor):
    """Labels alone: S3's alpha_distill = 0."""
    task = F.binary_cross_entropy_with_logits(image_logit, labels)
    return task, torch.zeros(()), task


def train_teacher(pictures: Repairs, epochs: int = 12, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    teacher = Teacher()
    cells = F.adaptive_avg_pool2d(pictures.masks[:, None], (GRID, GRID))
    examples = (pictures.images, cells, pictures.labels)
    distillation.train(teacher, *examples, [(None, epochs, 1e-2)], cells_loss, seed)
    return teacher.eval()


def settle(model: nn.Module, images: Float[Tensor, "N 3 S S"]) -> nn.Module:
    """Give every batch norm the statistics of these pictures. With momentum 0.001 a norm would
    need thousands of steps for that, and until then `eval()` shows another network.
    """
    update_bn(images.split(64), model)  # the mean over all batches
    return model.eval()


@torch.no_grad()
def maps_of(model: nn.Module, images: Float[Tensor, "N 3 S S"]) -> Float[Tensor, "N 1 h w"]:
    return torch.cat([model.eval()(part) for part in images.split(64)])


def chance_error(labels: Tensor) -> float:
    """How far from 0.5 the AUC of scores that know nothing strays: one standard deviation."""
    bad = int(labels.sum())
    good = len(labels) - bad
    return math.sqrt((good + bad + 1) / (12 * good * bad))
