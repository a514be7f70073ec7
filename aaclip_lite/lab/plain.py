"""AA-CLIP's operations the way one first writes them, on the same weights: what `bench` compares
the package with.

Special: every expense here is one that the public code pays too. Attention weights are
materialised, query and key are computed where only values are used, stage 1 runs two image towers
from the first block on, sentences are padded to the full context, frozen weights get gradients,
every level's map is made although one is used, maps are blurred and enlarged level by level, and
pixels are sorted once for each figure. The numbers are equal; `bench` checks that.
Use: `Plain(model).stage1(images, names, mask)`; written for `Recipe.released()`. `Public(model,
folder)` puts the towers of a reader's own copy of the public code in their place, as `python -m
aaclip_lite lab bench --full --public PATH` does: nothing of it is kept here, and its towers get the
weights of the package's model, so both sides must give equal numbers.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from torch import Tensor, nn

from .. import losses, scoring
from ..clip import ACTIVATIONS
from ..model import AdaptedCLIP, stack_anchors
from ..prompts import sentences


class Plain:
    def __init__(self, model: AdaptedCLIP):
        self.model = model
        self.root = model  # whose gradients are cleared after a step

    # ---- the towers ------------------------------------------------------------------------------

    def block(self, layer, x: Tensor, axis: str | None = None, mask: Tensor | None = None):
        """One residual block; axis: value-value attention along it."""
        attn = layer.attn
        hidden = layer.ln_1(x)
        if axis == "batch":
            hidden = hidden.transpose(0, 1)
        query, key, value = F.linear(hidden, attn.in_proj_weight, attn.in_proj_bias).chunk(3, -1)
        if axis:
            query = key = value
        query, key, value = (
            t.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2) for t in (query, key, value)
        )
        weights = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        weights = (weights if mask is None else weights + mask).softmax(dim=-1)
        mixed = (weights @ value).transpose(1, 2).flatten(2)
        x = x + attn.out_proj(mixed.transpose(0, 1) if axis == "batch" else mixed)
        activation = ACTIVATIONS[self.model.clip.activation]
        return x + layer.mlp.c_proj(activation(layer.mlp.c_fc(layer.ln_2(x))))

    def image_tokens(self, images: Tensor, adapted: bool, dense: bool = False) -> list[Tensor]:
        """What every block puts out."""
        model = self.model
        x = model.clip._embed_image(images)
        first = model.clip.vision_blocks - model.depths.dense_blocks
        after = model.after_block("image")
        found = []
        for index, layer in enumerate(model.clip.visual.transformer.resblocks):
            x = self.block(layer, x, model.recipe.dense_axis if dense and index >= first else None)
            x = after(index, x) if adapted else x
            found.append(x)
        return found

    def text(self, ids: Tensor) -> Tensor:
        """Token ids (B, context) -> sentence features (B, d), not normalised."""
        model = self.model
        clip = model.clip
        mask = torch.full((clip.context, clip.context), float("-inf"), device=ids.device).triu(1)
        after = model.after_block("text")
        x = clip.token_embedding(ids) + clip.positional_embedding
        for index, layer in enumerate(clip.transformer.resblocks):
            x = after(index, self.block(layer, x, mask=mask))
        x = clip.ln_final(x)[torch.arange(len(ids)), ids.argmax(-1)]
        return model.text_adapter[-1](x)

    def anchors(self, names: Sequence[str]) -> dict[str, Tensor]:
        """{name: (d, 2)}, a group of sentences at a time, each padded to the full context."""
        clip = self.model.clip
        recipe = self.model.recipe
        found = {}
        for name in names:
            columns = []
            for group in sentences(name, recipe.states, recipe.templates, recipe.names):
                ids = clip.tokenizer(group, clip.context).to(clip.text_projection.device)
                mean = F.normalize(self.text(ids), dim=-1).mean(0)
                columns.append(F.normalize(mean, dim=-1))
            found[name] = torch.stack(columns, dim=1)
        return found

    @torch.no_grad()
    def dense_features(self, images: Tensor) -> list[Tensor]:
        head = self.model.clip.visual_head
        tokens = self.image_tokens(images, adapted=False, dense=True)
        last = self.image_tokens(images, adapted=False)[-1]
        picture = F.normalize(head(last[:, :1]), dim=-1)
        levels = [tokens[level - 1][:, 1:] for level in self.model.depths.levels]
        return [F.normalize(head(level), dim=-1) + picture for level in levels]

    def features(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Levels (B, N, d) and detection (B, d)."""
        parts = self.model.image_adapter
        after = self.model.clip.ln_post
        tokens = self.image_tokens(images, adapted=True)
        levels = [
            F.normalize(project(after(tokens[level - 1])[:, 1:]), dim=-1)
            for level, project in zip(self.model.depths.levels, parts["seg_proj"], strict=True)
        ]
        detection = F.normalize(parts["det_proj"](after(tokens[-1])), dim=-1)
        return levels, detection[:, 1:].mean(1)

    # ---- what is made of their features ----------------------------------------------------------

    def stage1(self, images: Tensor, names: Sequence[str], mask: Tensor) -> Tensor:
        """Loss of a text step."""
        own = stack_anchors(self.anchors(sorted(set(names))), names)
        size = mask.shape[-2:]
        maps = [scoring.probability_map(x, own, size) for x in self.dense_features(images)]
        apart = self.model.recipe.orthogonal_weight * losses.orthogonal(own)
        return losses.segmentation(maps[-1], mask) + apart

    def stage2(self, images: Tensor, own: Tensor, mask: Tensor, label: Tensor) -> Tensor:
        """Loss of an image step."""
        levels, detection = self.features(images)
        total = losses.detection(detection, own, label)
        for level in levels:
            p = scoring.probability_map(level, own, mask.shape[-2:])
            total = total + losses.segmentation(p, mask)
        return total

    @torch.no_grad()
    def maps(self, images: Tensor, own: Tensor, size: int) -> Tensor:
        """Test maps (B, H, W)."""
        kernel, sigma = scoring.BLUR["industrial"]
        found = 0
        for level in self.features(images)[0]:
            logits = scoring.similarity_logits(level, own)
            heat = (logits[:, 1:] + 1 - logits[:, :1]) / 2
            heat = gaussian_blur2d(heat, (kernel, kernel), (sigma, sigma))
            found = found + F.interpolate(heat, (size, size), mode="bilinear", align_corners=True)
        return found[:, 0]


# ---- the public code's towers --------------------------------------------------------------------


class Public(Plain):
    """`Plain`, with text tower, image tower and adapters of the code in `folder`, whose widths are
    fixed in it: ViT-L/14-336 only.
    """

    def __init__(self, model: AdaptedCLIP, folder: str | Path):
        super().__init__(model)
        adapter, self.clip = _modules(Path(folder))
        depths = model.depths
        self.adapted = adapter.AdaptedCLIP(
            self._tower(),
            model.recipe.text_mix,
            model.recipe.image_mix,
            len(depths.text_blocks),
            len(depths.image_blocks),
            list(depths.levels),
            model.recipe.proj_relu,
        )
        # the package keeps the public names, and the same tensors serve both: one step trains both
        for name in ("text_adapter", "image_adapter"):
            _share(getattr(model, name), getattr(self.adapted, name))
        self.root = self.adapted
        self.surgery: nn.Module | None = None

    def _tower(self) -> nn.Module:
        clip = self.model.clip
        quick = clip.activation == "quick_gelu"
        tower = self.clip.create_model(
            "ViT-L-14-336",
            clip.image_size,
            force_image_size=clip.image_size,
            force_quick_gelu=quick,
        )
        missing, unknown = tower.load_state_dict(clip.state_dict(), strict=False, assign=True)
        if unknown or [name for name in missing if not name.endswith("attn_mask")]:
            raise ValueError(f"the public model's weights differ: {missing}, {unknown}")
        return tower.eval()

    def text(self, ids: Tensor) -> Tensor:
        return self.adapted.encode_text(ids)

    def features(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        return self.adapted(images)

    @torch.no_grad()
    def dense_features(self, images: Tensor) -> list[Tensor]:
        """Two towers, as its training has them: one of value-value attention, one as it is."""
        levels = list(self.model.depths.levels)
        if self.surgery is None:
            self.surgery = self._tower()
            # it counts from the end and leaves the last number out
            self.surgery.visual.DAPM_replace(DPAM_layer=self.model.depths.dense_blocks + 1)
        visual = self.surgery.visual
        tokens = self.surgery.encode_image(images, levels)[1]
        picture = F.normalize(self.adapted.clipmodel.encode_image(images, [])[0], dim=-1)
        heads = [visual.ln_post(each[:, 1:]) @ visual.proj for each in tokens]
        return [F.normalize(head, dim=-1) + picture[:, None] for head in heads]


def _share(own: nn.Module, theirs: nn.Module) -> None:
    """Make both hold the very same parameters, so that gradients arrive where they are read."""
    for name, parameter in own.named_parameters():
        place, _, last = name.rpartition(".")
        setattr(theirs.get_submodule(place), last, parameter)


def _modules(folder: Path) -> tuple[ModuleType, ModuleType]:
    """Its `model.adapter` and `model.clip`, imported by path."""
    for file in ("model/adapter.py", "model/clip.py"):
        if not (folder / file).is_file():
            raise FileNotFoundError(
                f"--public {folder}: no {file} there; name a checkout of Mwxinnn/AA-CLIP"
            )
    # a debugger that its modules import and its towers never call
    sys.modules.setdefault("ipdb", ModuleType("ipdb"))
    sys.path.insert(0, str(folder.resolve()))
    try:
        return import_module("model.adapter"), import_module("model.clip")
    finally:
        sys.path.remove(str(folder.resolve()))


# ---- the metrics ---------------------------------------------------------------------------------


def auroc(scores: np.ndarray, labels: np.ndarray) -> float:
    true, false = _counts(scores, labels)
    steps = np.diff(false, prepend=0)
    return float(steps @ (np.append(0, true[:-1]) + true) / 2 / (true[-1] * false[-1]))


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    true, false = _counts(scores, labels)
    return float(np.diff(true, prepend=0) @ (true / (true + false)) / true[-1])


def _counts(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Defective and normal pixels at or above each distinct score."""
    order = np.argsort(scores, kind="stable")[::-1]
    scores = scores[order]
    labels = labels[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    true = np.cumsum(labels, dtype=np.float64)[last]
    return true, 1 + last - true
