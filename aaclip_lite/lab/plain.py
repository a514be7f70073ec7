"""AA-CLIP's operations the way one first writes them, on the same weights: what `bench` compares
the package with.

Special: every expense here is one that the public code pays too. Attention weights are
materialised, query and key are computed where only values are used, stage 1 runs two image towers
from the first block on, sentences are padded to the full context, frozen weights get gradients,
every level's map is made although one is used, maps are blurred and enlarged level by level, and
pixels are sorted once for each figure. The numbers are equal; `bench` checks that.
Use: `plain.stage1(model, images, names, mask)`; written for `Recipe.released()`.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from torch import Tensor

from .. import losses, scoring
from ..clip import ACTIVATIONS
from ..model import AdaptedCLIP, stack_anchors
from ..prompts import sentences


def block(
    model: AdaptedCLIP, layer, x: Tensor, axis: str | None = None, mask: Tensor | None = None
) -> Tensor:
    """One residual block; axis: value-value attention along it."""
    attn, hidden = layer.attn, layer.ln_1(x)
    if axis == "batch":
        hidden = hidden.transpose(0, 1)
    query, key, value = F.linear(hidden, attn.in_proj_weight, attn.in_proj_bias).chunk(3, dim=-1)
    if axis:
        query = key = value
    query, key, value = (
        t.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2) for t in (query, key, value)
    )
    weights = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    weights = (weights if mask is None else weights + mask).softmax(dim=-1)
    mixed = (weights @ value).transpose(1, 2).flatten(2)
    x = x + attn.out_proj(mixed.transpose(0, 1) if axis == "batch" else mixed)
    return x + layer.mlp.c_proj(ACTIVATIONS[model.clip.activation](layer.mlp.c_fc(layer.ln_2(x))))


def image_tokens(
    model: AdaptedCLIP, images: Tensor, adapted: bool, dense: bool = False
) -> list[Tensor]:
    """What every block puts out."""
    clip, found = model.clip, []
    x, first = clip._embed_image(images), clip.vision_blocks - model.depths.dense_blocks
    after = model.after_block("image")
    for index, layer in enumerate(clip.visual.transformer.resblocks):
        x = block(model, layer, x, model.recipe.dense_axis if dense and index >= first else None)
        x = after(index, x) if adapted else x
        found.append(x)
    return found


def anchors(model: AdaptedCLIP, names: Sequence[str]) -> dict[str, Tensor]:
    """{name: (d, 2)}, a group of sentences at a time, each padded to the full context."""
    clip, recipe, found = model.clip, model.recipe, {}
    mask = torch.full(
        (clip.context, clip.context), float("-inf"), device=clip.text_projection.device
    ).triu(1)
    after = model.after_block("text")
    for name in names:
        columns = []
        for group in sentences(name, recipe.states, recipe.templates, recipe.names):
            ids = clip.tokenizer(group, clip.context).to(mask.device)
            x = clip.token_embedding(ids) + clip.positional_embedding
            for index, layer in enumerate(clip.transformer.resblocks):
                x = after(index, block(model, layer, x, mask=mask))
            x = clip.ln_final(x)[torch.arange(len(ids)), ids.argmax(-1)]
            columns.append(
                F.normalize(F.normalize(model.text_adapter[-1](x), dim=-1).mean(0), dim=-1)
            )
        found[name] = torch.stack(columns, dim=1)
    return found


def dense_features(model: AdaptedCLIP, images: Tensor) -> list[Tensor]:
    head = model.clip.visual_head
    with torch.no_grad():
        tokens = image_tokens(model, images, adapted=False, dense=True)
        last = image_tokens(model, images, adapted=False)[-1]
        picture = F.normalize(head(last[:, :1]), dim=-1)
        return [
            F.normalize(head(tokens[level - 1][:, 1:]), dim=-1) + picture
            for level in model.depths.levels
        ]


def features(model: AdaptedCLIP, images: Tensor) -> tuple[list[Tensor], Tensor]:
    tokens, parts = image_tokens(model, images, adapted=True), model.image_adapter
    levels = [
        F.normalize(project(model.clip.ln_post(tokens[level - 1])[:, 1:]), dim=-1)
        for level, project in zip(model.depths.levels, parts["seg_proj"], strict=True)
    ]
    return levels, F.normalize(parts["det_proj"](model.clip.ln_post(tokens[-1])), dim=-1)[
        :, 1:
    ].mean(1)


def stage1(model: AdaptedCLIP, images: Tensor, names: Sequence[str], mask: Tensor) -> Tensor:
    """Loss of a text step."""
    own = stack_anchors(anchors(model, sorted(set(names))), names)
    maps = [
        scoring.probability_map(level, own, mask.shape[-2:])
        for level in dense_features(model, images)
    ]
    return losses.segmentation(maps[-1], mask) + model.recipe.orthogonal_weight * losses.orthogonal(
        own
    )


def stage2(model: AdaptedCLIP, images: Tensor, own: Tensor, mask: Tensor, label: Tensor) -> Tensor:
    """Loss of an image step."""
    levels, detection = features(model, images)
    total = losses.detection(detection, own, label)
    for level in levels:
        total = total + losses.segmentation(
            scoring.probability_map(level, own, mask.shape[-2:]), mask
        )
    return total


def maps(model: AdaptedCLIP, images: Tensor, own: Tensor, size: int) -> Tensor:
    """Test maps (B, H, W)."""
    found, (kernel, sigma) = 0, scoring.BLUR["industrial"]
    with torch.no_grad():
        for level in features(model, images)[0]:
            logits = scoring.similarity_logits(level, own)
            heat = gaussian_blur2d(
                (logits[:, 1:] + 1 - logits[:, :1]) / 2, (kernel, kernel), (sigma, sigma)
            )
            found = (
                found + F.interpolate(heat, (size, size), mode="bilinear", align_corners=True)[:, 0]
            )
    return found


def auroc(scores: np.ndarray, labels: np.ndarray) -> float:
    true, false = _counts(scores, labels)
    return float(
        np.diff(false, prepend=0) @ (np.append(0, true[:-1]) + true) / 2 / (true[-1] * false[-1])
    )


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    true, false = _counts(scores, labels)
    return float(np.diff(true, prepend=0) @ (true / (true + false)) / true[-1])


def _counts(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Defective and normal pixels at or above each distinct score."""
    order = np.argsort(scores, kind="stable")[::-1]
    scores, labels = scores[order], labels[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    true = np.cumsum(labels, dtype=np.float64)[last]
    return true, 1 + last - true
