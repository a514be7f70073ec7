"""Where a phrase lies in a picture: patches compared with the words that the embedded CLIP learned
for small harmless things.

Use: `phrase_map(clip, image, "a red dot")`
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8

from ..clip import FrozenCLIP


@torch.no_grad()
def phrase_map(
    clip: FrozenCLIP, image: UInt8[np.ndarray, "H W 3"], phrase: str
) -> Float[np.ndarray, "H W"]:
    """Cosine of the last level's patches with a phrase, enlarged to the picture."""
    device = clip.text_projection.device
    pixels = torch.from_numpy(np.ascontiguousarray(image)).movedim(-1, 0)[None].to(device)
    tokens = clip.image_tokens(clip.preprocess(pixels), (clip.vision_blocks,))[0][:, 1:]
    patches = F.normalize(clip.visual_head(tokens), dim=-1)
    words = F.normalize(clip.encode_text([phrase]), dim=-1)
    grid = (patches @ words.T).transpose(1, 2).unflatten(2, (clip.grid, clip.grid))
    large = F.interpolate(grid, image.shape[:2], mode="bilinear", align_corners=False)
    return large[0, 0].cpu().numpy()
