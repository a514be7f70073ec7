"""Weights, pictures and masks by formula, so that anyone can make the same reduced CLIP and the
same numbers.

Special: integers only until the last division, so every machine fills a tensor with the same
values.
Use: `fill("visual.proj", (64, 48))`, `clip_state(shapes)`, `batch()`; `summary(tensor)` is what is
stored and compared.
"""

import zlib

import numpy as np
import torch

CONFIG = {
    "embed_dim": 48,
    "vision_cfg": {"image_size": 84, "layers": 8, "width": 64, "head_width": 16, "patch_size": 14},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 48, "heads": 4, "layers": 6},
}
IMAGE_SIZE = 126  # the 6 x 6 position grid becomes 9 x 9
DEPTHS = {"levels": (2, 4, 6, 8), "image_blocks": 2, "text_blocks": 2, "dense_blocks": 5}
CLASSES = ("bottle", "metal_nut", "bottle", "pill")
STEPS = 4


def noise(name: str, count: int) -> np.ndarray:
    """`count` numbers in [-1, 1) that depend on the name alone: a multiplicative hash of the index."""
    x = (
        np.arange(count, dtype=np.uint64) * np.uint64(2654435761)
        + np.uint64(zlib.crc32(name.encode()))
    ) & _MASK
    for _ in range(2):
        x = ((x ^ (x >> np.uint64(16))) * np.uint64(0x45D9F3B)) & _MASK
    x = x ^ (x >> np.uint64(16))
    return x.astype(np.float64) / 2**31 - 1


_MASK = np.uint64(2**32 - 1)


def fill(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Values of a size that keeps a transformer alive: unit gain for matrices, near 1 for norms,
    small for biases.
    """
    shape = tuple(shape)
    u = torch.from_numpy(noise(name, int(np.prod(shape)) or 1)).reshape(shape)
    if name.endswith("bias"):
        u = 0.1 * u
    elif ".ln_" in f".{name}":
        u = 1 + 0.2 * u
    elif name.endswith(("proj", "projection")) and len(shape) == 2:
        u = u * (3 / shape[0]) ** 0.5
    elif "embedding" in name:
        u = 0.8 * u
    elif len(shape) > 1:
        u = u * (3 / np.prod(shape[1:])) ** 0.5
    return u.float()


def clip_state(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    return {name: fill(name, shape) for name, shape in shapes.items()}


def adapter_state(module: torch.nn.Module, part: str) -> dict[str, torch.Tensor]:
    return {name: fill(f"{part}.{name}", p.shape) for name, p in module.state_dict().items()}


def batch(step: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(pictures (4, 3, S, S) as if normalised, masks (4, 1, S, S), labels (4,)); pictures 0 and 3
    are normal.
    """
    size = IMAGE_SIZE
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    pictures, masks = [], []
    for index in range(4):
        grain = torch.from_numpy(noise(f"picture {step} {index}", 3 * size * size)).reshape(
            3, size, size
        )
        waves = torch.stack(
            [torch.sin(rows / (5 + index + c) + columns / (9 + step + c)) for c in range(3)]
        )
        mask = (
            (rows - 40 - 9 * index) ** 2 + (columns - 70 + 11 * step) ** 2 < (10 + 4 * index) ** 2
        ).float()
        mask = mask * (index in (1, 2))
        pictures.append((waves + 0.5 * grain).float() + 1.5 * mask)
        masks.append(mask[None])
    return torch.stack(pictures), torch.stack(masks), torch.tensor([0, 1, 1, 0])


def summary(tensor: torch.Tensor, projections: int = 6) -> list[float]:
    """Root mean square, then projections on fixed directions, scaled so that an error of r changes
    them by about r.
    """
    values = tensor.detach().double().flatten()
    directions = (
        torch.from_numpy(noise("directions", projections * len(values))).reshape(projections, -1)
        * 3**0.5
    )
    projected = directions @ values / len(values) ** 0.5
    return [float(f"{x:.9g}") for x in [values.square().mean().sqrt().item(), *projected.tolist()]]
