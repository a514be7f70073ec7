"""The model in training: open_clip's CLIP, its forward pass written out for speed on a CPU."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...load import blank_clip
from .options import MODEL, levels_of


def _norm(x, layer):
    return F.layer_norm(x, (x.shape[-1],), layer.weight.to(x.dtype), layer.bias.to(x.dtype))


def _linear(x, weight, bias):
    return F.linear(x, weight.to(x.dtype), bias.to(x.dtype))


def _block(x: Tensor, block, mask: Tensor | None = None) -> Tensor:
    """One open_clip block in the precision of x. Written out because on a CPU torch's fused
    attention is slow backwards and autocast copies far more than it computes: 87 pictures per CPU
    second against 31.
    """
    b, n, width = x.shape
    qkv = _linear(_norm(x, block.ln_1), block.attn.in_proj_weight, block.attn.in_proj_bias)
    q, k, v = qkv.view(b, n, 3, block.attn.num_heads, -1).permute(2, 0, 3, 1, 4)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    attention = (scores if mask is None else scores + mask).softmax(-1)
    mixed = (attention @ v).transpose(1, 2).reshape(b, n, width)
    x = x + _linear(mixed, block.attn.out_proj.weight, block.attn.out_proj.bias)
    hidden = F.gelu(_linear(_norm(x, block.ln_2), block.mlp.c_fc.weight, block.mlp.c_fc.bias))
    return x + _linear(hidden, block.mlp.c_proj.weight, block.mlp.c_proj.bias)


class Learner(nn.Module):
    """open_clip's CLIP with a short word table, patch dropout by choice, and the heads of the side
    losses.
    """

    def __init__(self, ids: list[int], dtype: torch.dtype = torch.float32, config: dict = MODEL):
        super().__init__()
        self.dtype = dtype
        self.config = config
        vision = config["vision_cfg"]
        self.levels = levels_of(vision["layers"])
        self.clip = blank_clip(config)[0]
        self.register_buffer("ids", torch.tensor(ids))
        rows = torch.full((config["text_cfg"]["vocab_size"],), -1, dtype=torch.long)
        rows[self.ids] = torch.arange(len(ids))
        self.register_buffer("row_of", rows, persistent=False)
        self.clip.token_embedding = nn.Embedding(len(ids), config["text_cfg"]["width"])
        nn.init.normal_(self.clip.token_embedding.weight, std=0.02)
        self.region_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.redraw = nn.Linear(vision["width"], 3 * vision["patch_size"] ** 2)

    def words(self, tokens: Tensor) -> Tensor:
        """tokens (B, L) -> unit sentence features (B, d)."""
        clip = self.clip
        length = int(tokens.argmax(1).max()) + 1
        rows = self.row_of[tokens[:, :length]]
        if (rows < 0).any():
            raise ValueError(
                f"token {tokens[:, :length][rows < 0][0].item()} is not in the embedded vocabulary"
            )
        x = (clip.token_embedding(rows) + clip.positional_embedding[:length]).to(self.dtype)
        mask = clip.attn_mask[:length, :length].to(self.dtype)
        for block in clip.transformer.resblocks:
            x = _block(x, block, mask)
        x = _norm(x[torch.arange(len(x)), tokens.argmax(1)], clip.ln_final)
        return F.normalize((x @ clip.text_projection.to(x.dtype)).float(), dim=-1)

    def patches(self, images: Tensor, kept: Tensor):
        """images (B, 3, 128, 128) -> class feature (B, d), level features 4 x (B, K, d), last
        tokens (B, K, D).
        """
        v = self.clip.visual
        x = F.conv2d(images.to(self.dtype), v.conv1.weight.to(self.dtype), stride=v.conv1.stride)
        x = x.flatten(2).transpose(1, 2) + v.positional_embedding[1:].to(self.dtype)
        x = torch.gather(x, 1, kept[..., None].expand(-1, -1, x.shape[-1]))
        first = (v.class_embedding + v.positional_embedding[0]).to(self.dtype).expand(len(x), 1, -1)
        x = _norm(torch.cat([first, x], 1), v.ln_pre)
        levels = []
        for i, block in enumerate(v.transformer.resblocks, 1):
            x = _block(x, block)
            if i in self.levels:
                levels.append(_norm(x, v.ln_post) @ v.proj.to(x.dtype))
        return levels[-1][:, 0], [level[:, 1:] for level in levels], x[:, 1:]
