"""From records to batches on a device: order, share of each process, augmentation.

Special: order and augmentation follow from seed and epoch alone, so a run can stop and go on, and
two processes draw what one would. Used through `AnomalyDataset.batches`, which says how pictures
are varied.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import decoding
from .decoding import Planes

Change = Callable[[list[int], Tensor, Tensor], tuple[Tensor, Tensor]]  # rows, images, planes


@dataclass(frozen=True)
class Place:
    """Where in a training run a batch lies: augmentation follows from it, and so does resuming."""

    epoch: int = 0
    stage: int = 2  # stage 1 leaves colours alone
    start: int = 0  # batches of this epoch that are done
    rank: int = 0  # of `world` processes each takes its share, every world-th, of the same batches
    world: int = 1
    views: int | None = None  # after so many epochs augmentation, not order, repeats

    @property
    def view(self) -> int:
        return self.epoch % self.views if self.views else self.epoch


def batches(
    data: Any,
    batch_size: int,
    order_seed: int | None,
    change: Change | None,
    device: str | torch.device,
    place: Place,
) -> Iterator[dict]:
    """See AnomalyDataset.batches. order_seed: None leaves the pictures in their order. change:
    what happens to a batch's pictures and planes on their way.
    """
    shares = _shares(len(data), batch_size, order_seed, place)
    return (
        _batch(data, rows, planes, change, device)
        for rows, planes in zip(shares, decoding.ahead(data, shares), strict=True)
    )


def _shares(count: int, batch_size: int, seed: int | None, place: Place) -> list[list[int]]:
    """The rows of each batch that this process takes."""
    world = place.world
    if batch_size < 1 or batch_size % world or not 0 <= place.rank < world:
        raise ValueError(
            f"batch_size {batch_size} must divide among {world} processes; this is number "
            f"{place.rank}"
        )
    order = np.arange(count)
    if seed is not None:
        order = np.random.default_rng([seed, place.epoch]).permutation(count)
    steps = [order[i : i + batch_size].tolist() for i in range(0, count, batch_size)]
    if not steps:
        raise ValueError("there are no pictures to make a batch of")
    shares = [step[place.rank :: world] for step in steps[place.start :]]
    return [share for share in shares if share]


def _batch(
    data: Any, rows: list[int], decoded: list[Planes], change: Change | None, device
) -> dict:
    images, masks, insides = zip(*decoded, strict=True)
    sizes = {image.shape for image in images}
    oblong = images[0].shape[0] != images[0].shape[1]
    if len(sizes) > 1 or (change is not None and oblong):
        raise ValueError(
            "pictures of different or oblong shapes cannot make a batch: open_dataset(..., "
            "size=...)"
        )
    blank = np.zeros(images[0].shape[:2], np.uint8)
    planes: dict[str, Any] = {}
    if not data.image_level:
        planes["mask"] = [blank if mask is None else mask for mask in masks]
    if all(inside is not None for inside in insides):
        planes["inside"] = insides
    # the blank one at the end is for sets without any plane
    stacked = np.stack([np.stack(p) for p in (*planes.values(), [blank] * len(rows))], axis=1)
    flags = torch.from_numpy(stacked).to(device).float()
    image = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float() / 255
    if change is not None:
        image, flags = change(rows, image, flags)
    records = [data.records[row] for row in rows]
    batch: dict[str, Any] = {"image": image.contiguous()}
    batch |= {name: flags[:, i : i + 1] for i, name in enumerate(planes)}
    batch["label"] = torch.tensor([record.label for record in records], device=device)
    batch["class_name"] = [record.class_name for record in records]
    batch["index"] = rows
    return batch
