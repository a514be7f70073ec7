"""Where a phrase lies in a picture: patches compared with the words that the embedded CLIP learned
for small harmless things.

Use: `phrase_map(clip, image, "a red dot")`
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from ..clip import FrozenCLIP


def phrase_map(
    clip: FrozenCLIP, image: UInt8[np.ndarray, "H W 3"], phrase: str
) -> Float[np.ndarray, "H W"]:
    """Cosine of the last level's patches with a phrase, enlarged to the picture."""
    return enlarged(patch_heat(clip, image, phrase, clip.vision_blocks), image.shape[:2])


@torch.no_grad()
def patch_heat(
    clip: FrozenCLIP, image: UInt8[np.ndarray, "H W 3"], phrase: str, level: int
) -> Float[Tensor, "h w"]:
    """The same of a level's patches, on their grid."""
    device = clip.text_projection.device
    pixels = torch.from_numpy(np.ascontiguousarray(image)).movedim(-1, 0)[None].to(device)
    tokens = clip.image_tokens(clip.preprocess(pixels), (level,))[0][0, 1:]
    words = F.normalize(clip.encode_text([phrase]), dim=-1)[0]
    return (F.normalize(clip.visual_head(tokens), dim=-1) @ words).view(clip.grid, clip.grid)


def enlarged(grid: Float[Tensor, "h w"], size: tuple[int, int]) -> Float[np.ndarray, "H W"]:
    large = F.interpolate(grid[None, None], size, mode="bilinear", align_corners=False)
    return large[0, 0].cpu().numpy()
