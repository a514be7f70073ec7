"""A checksum of named tensors: whether a file's numbers are those that were written.

Use: `checksum(model.state_dict())` -> 16 hexadecimal digits; `backbone_digest(clip.state_dict())`.
"""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """Of names, types, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def backbone_digest(tensors: Mapping[str, Tensor]) -> str:
    """Twelve digits of a CLIP's weights but the position grid, which is resized to a picture's."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        if name != "visual.positional_embedding":
            digest.update(f"{name} {tuple(tensors[name].shape)}".encode())
            digest.update(tensors[name].detach().float().cpu().contiguous().numpy())
    return digest.hexdigest()[:12]
