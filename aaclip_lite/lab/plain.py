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

    def run_block(self, block, x: Tensor, dense_axis: str | None = None, mask=None) -> Tensor:
        """One residual block; dense_axis: value-value attention along it."""
        attn = block.attn
        hidden = block.ln_1(x)
        if dense_axis == "batch":
            hidden = hidden.transpose(0, 1)
        query, key, value = F.linear(hidden, attn.in_proj_weight, attn.in_proj_bias).chunk(3, -1)
        if dense_axis:
            query = key = value
        query, key, value = (
            t.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2) for t in (query, key, value)
        )
        weights = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        weights = (weights if mask is None else weights + mask).softmax(dim=-1)
        mixed = (weights @ value).transpose(1, 2).flatten(2)
        x = x + attn.out_proj(mixed.transpose(0, 1) if dense_axis == "batch" else mixed)
        activation = ACTIVATIONS[self.model.clip.activation]
        return x + block.mlp.c_proj(activation(block.mlp.c_fc(block.ln_2(x))))

    def image_tokens(self, images: Tensor, adapted: bool, dense: bool = False) -> list[Tensor]:
        """What every block puts out."""
        model = self.model
        visual = model.clip.visual
        patches = visual.conv1(images).flatten(2).transpose(1, 2)
        class_token = visual.class_embedding.expand(len(images), 1, -1)
        x = visual.ln_pre(torch.cat([class_token, patches], 1) + visual.positional_embedding)
        dense_axis = model.recipe.dense_axis if dense else None
        split = model.clip.vision_blocks - model.depths.dense_blocks
        after_block = model.after_block("image")
        tokens = []
        for index, block in enumerate(visual.transformer.resblocks):
            x = self.run_block(block, x, dense_axis if index >= split else None)
            x = after_block(index, x) if adapted else x
            tokens.append(x)
        return tokens

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Token ids (B, context) -> sentence features (B, d), not normalised."""
        model = self.model
        clip = model.clip
        mask = torch.full((clip.context, clip.context), float("-inf"), device=tokens.device).triu(1)
        after_block = model.after_block("text")
        x = clip.token_embedding(tokens) + clip.positional_embedding
        for index, block in enumerate(clip.transformer.resblocks):
            x = after_block(index, self.run_block(block, x, mask=mask))
        states = clip.ln_final(x)[torch.arange(len(tokens)), tokens.argmax(-1)]
        return model.text_adapter[-1](states)

    def text_anchors(self, names: Sequence[str]) -> dict[str, Tensor]:
        """{name: (d, 2)}, a group of sentences at a time, each padded to the full context."""
        clip = self.model.clip
        recipe = self.model.recipe
        anchors = {}
        for name in names:
            columns = []
            for group in sentences(name, recipe.states, recipe.templates, recipe.names):
                tokens = clip.tokenizer(group, clip.context).to(clip.text_projection.device)
                mean = F.normalize(self.encode_text(tokens), dim=-1).mean(0)
                columns.append(F.normalize(mean, dim=-1))
            anchors[name] = torch.stack(columns, dim=1)
        return anchors

    @torch.no_grad()
    def dense_features(self, images: Tensor) -> list[Tensor]:
        head = self.model.clip.visual_head
        dense = self.image_tokens(images, adapted=False, dense=True)
        ordinary = self.image_tokens(images, adapted=False)[-1]
        class_feature = F.normalize(head(ordinary[:, :1]), dim=-1)
        levels = [dense[level - 1][:, 1:] for level in self.model.depths.levels]
        return [F.normalize(head(level), dim=-1) + class_feature for level in levels]

    def features(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Levels (B, N, d) and detection (B, d)."""
        heads = self.model.image_adapter
        ln_post = self.model.clip.ln_post
        tokens = self.image_tokens(images, adapted=True)
        levels = [
            F.normalize(projection(ln_post(tokens[level - 1])[:, 1:]), dim=-1)
            for level, projection in zip(self.model.depths.levels, heads["seg_proj"], strict=True)
        ]
        detection = F.normalize(heads["det_proj"](ln_post(tokens[-1])), dim=-1)
        return levels, detection[:, 1:].mean(1)

    # ---- what is made of their features ----------------------------------------------------------

    def stage1(self, images: Tensor, names: Sequence[str], mask: Tensor) -> Tensor:
        """Loss of a text step."""
        anchors = stack_anchors(self.text_anchors(sorted(set(names))), names)
        size = mask.shape[-2:]
        levels = self.dense_features(images)
        maps = [scoring.probability_map(level, anchors, size) for level in levels]
        separation = self.model.recipe.orthogonal_weight * losses.orthogonal(anchors)
        return losses.segmentation(maps[-1], mask) + separation

    def stage2(self, images: Tensor, anchors: Tensor, mask: Tensor, label: Tensor) -> Tensor:
        """Loss of an image step."""
        levels, detection = self.features(images)
        total = losses.detection(detection, anchors, label)
        for level in levels:
            p = scoring.probability_map(level, anchors, mask.shape[-2:])
            total = total + losses.segmentation(p, mask)
        return total

    @torch.no_grad()
    def anomaly_map(self, images: Tensor, anchors: Tensor, size: int) -> Tensor:
        """Test maps (B, H, W)."""
        kernel, sigma = scoring.BLUR["industrial"]
        summed = 0
        for level in self.features(images)[0]:
            logits = scoring.similarity_logits(level, anchors)
            grid = (logits[:, 1:] + 1 - logits[:, :1]) / 2
            grid = gaussian_blur2d(grid, (kernel, kernel), (sigma, sigma))
            summed = summed + F.interpolate(grid, (size, size), mode="bilinear", align_corners=True)
        return summed[:, 0]


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

    def encode_text(self, tokens: Tensor) -> Tensor:
        return self.adapted.encode_text(tokens)

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
        class_feature = F.normalize(self.adapted.clipmodel.encode_image(images, [])[0], dim=-1)
        levels = [visual.ln_post(level[:, 1:]) @ visual.proj for level in tokens]
        return [F.normalize(level, dim=-1) + class_feature[:, None] for level in levels]


def _share(mine: nn.Module, theirs: nn.Module) -> None:
    """Make both hold the very same parameters, so that gradients arrive where they are read."""
    for name, parameter in mine.named_parameters():
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
