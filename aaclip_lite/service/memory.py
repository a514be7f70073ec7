"""How much memory a stage 2 step takes, by a formula: whether a batch fits a card is known before
the card is rented.

With T = pictures * (patches + 1) tokens of width D, G blocks from the first adapter on (only those
keep anything for the backward pass), A adapters, L levels, m bytes a number (4, in half precision
2), h = 4 for GELU, 8 for QuickGELU:

  weights    4 bytes each
  training   12 bytes for each trained weight: gradient, and Adam's two averages
  one block  T D (8 + m (4 + h)) bytes: the residual stream twice, then query, key, value, their
             mixture, hidden layer
  kept       G blocks, or with checkpointing only the input of each, 4 T D; 16 T D an adapter;
             4 T (D + d) a level and for detection; in half precision 24 D D a block more for
             copies of its matrices (not with checkpointing)
  maps       37 bytes a pixel of each level's map: logits, probabilities, target and products of
             the three losses
  at work    the block whose turn it is in the backward pass: the gradients of its hidden layer,
             2 T D m h; with checkpointing also the block itself, computed again

Maps are gone before the first block's turn, so a step takes training + kept + the larger of maps
and at work.
Use: `stage2(model, pictures=2, half=True).total`, or `python -m aaclip_lite lab bench --what memory`,
which measures too.
"""

from typing import NamedTuple

from ..model import AdaptedCLIP

PIXEL = 37
T4 = 14 * 2**30  # bytes of a 16 GB card that torch can use
EFFECTIVE = (2, 16)  # pictures in an optimiser step: the public code's, the course's


class Memory(NamedTuple):
    """Bytes."""

    weights: int
    training: int
    kept: int
    maps: int
    at_work: int

    @property
    def step(self) -> int:
        """What a step adds to a model that is loaded."""
        return self.training + self.kept + max(self.maps, self.at_work)

    @property
    def total(self) -> int:
        return self.weights + self.step


def stage2(
    model: AdaptedCLIP, pictures: int, half: bool = False, checkpointing: bool = False
) -> Memory:
    """A step of stage 2 on so many pictures at once, by the formula above."""
    clip = model.clip
    levels = model.depths.levels
    adapters = model.depths.image_blocks
    number = 2 if half else 4
    hidden = 4 if clip.activation == "gelu" else 8
    tokens = pictures * (clip.grid**2 + 1)
    plane = tokens * clip.vision_width
    blocks = max(levels) - min(adapters, default=max(levels))
    block = plane * (8 + number * (4 + hidden))
    copies = half * 24 * clip.vision_width**2
    kept = blocks * (4 * plane if checkpointing else block + copies)
    kept += 16 * plane * len(adapters)
    kept += 4 * (plane + tokens * clip.embed_dim) * (len(levels) + 1)
    return Memory(
        weights=4 * sum(p.numel() for p in model.parameters()),
        training=12 * sum(p.numel() for p in model.trainable("image").values()),
        kept=kept,
        maps=PIXEL * pictures * clip.image_size**2 * len(levels),
        at_work=2 * plane * number * hidden + checkpointing * block,
    )


def profile(model: AdaptedCLIP, effective: int, card: int = T4, half: bool = True) -> dict:
    """The largest batch that fits a card, without checkpointing if that is possible, and how many
    such batches make an optimiser step of `effective` pictures.
    """
    for checkpointing in (False, True):
        for pictures in (n for n in range(effective, 0, -1) if effective % n == 0):
            need = stage2(model, pictures, half, checkpointing).total
            if need <= card:
                return {
                    "effective": effective,
                    "image_batch": pictures,
                    "accumulate": effective // pictures,
                    "checkpointing": checkpointing,
                    "bytes": need,
                }
    raise ValueError(
        f"one picture with checkpointing needs {need / 2**30:.1f} GiB, the card has "
        f"{card / 2**30:.1f}"
    )
