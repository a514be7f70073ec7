"""AdaptedCLIP: a frozen backbone with adapters between its blocks, text anchors, and features to
compare with them.

Special: the backbone is walked, not copied or hooked; stage 1 trains `text_adapter`, stage 2
`image_adapter`, and nothing else can train.
Use: `model = AdaptedCLIP(load_clip("lite"))`, `model.text_anchors(["bottle"])`,
`model(model.preprocess(pictures))`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .adapters import image_adapters, mix, text_adapters
from .load import FrozenCLIP
from .prompts import sentences
from .recipe import Recipe

STAGES = ("text", "image", "joint")
CHUNK = 512  # sentences in one pass of the text tower


class Features(NamedTuple):
    levels: tuple[Tensor, ...]  # one (B, N, d) a level, unit vectors
    detection: Tensor  # (B, d), a mean of unit vectors


class AdaptedCLIP(nn.Module):
    def __init__(self, clip: FrozenCLIP, recipe: Recipe | None = None) -> None:
        super().__init__()
        self.recipe = recipe = recipe or Recipe.course()
        self.clip = clip.with_activation(recipe.activation)
        self.depths = depths = recipe.resolve(clip.vision_blocks, clip.text_blocks_count)
        self.text_adapter = text_adapters(
            recipe, clip.text_width, clip.embed_dim, len(depths.text_blocks), clip.text_projection
        )
        self.image_adapter = image_adapters(
            recipe,
            clip.vision_width,
            clip.embed_dim,
            len(depths.image_blocks),
            len(depths.levels),
            clip.visual.proj,
        )
        self.to(clip.text_projection.device)

    def trainable(self, stage: str) -> dict[str, nn.Parameter]:
        """The weights that a stage ("text", "image" or "joint") may change, by name."""
        if stage not in STAGES:
            raise ValueError(f"stage = {stage!r} is not one of {', '.join(STAGES)}")
        parts = ("text_adapter", "image_adapter") if stage == "joint" else (f"{stage}_adapter",)
        return {
            f"{part}.{name}": p
            for part in parts
            for name, p in getattr(self, part).named_parameters()
        }

    def preprocess(self, images: Tensor) -> Tensor:
        """(B, 3, H, W), uint8 or float in [0, 1] -> the normalised square input that the recipe
        asks for.
        """
        return self.clip.preprocess(images, self.recipe.normalisation)

    # ---- words -----------------------------------------------------------------------------------

    def encode_text(self, texts: Sequence[str] | Tensor) -> Tensor:
        """Sentences or token ids (B, context) -> (B, d) through adapters and trained head, not
        normalised.
        """
        tokens = texts if isinstance(texts, Tensor) else self.clip.tokenize(texts)
        state = self.clip.text_states(tokens, self._after_block("text"))
        return self.text_adapter[-1](state)

    def text_anchors(
        self, names: Iterable[str] | Mapping[str, str], adapted: bool | None = None
    ) -> dict[str, Tensor]:
        """{name: (d, 2)}, column 0 normal, 1 abnormal, for class names or {name: words of one's
        own}.

        adapted=False takes CLIP's own text tower; None does so only where the recipe has no text
        training.
        """
        adapted = self.recipe.trains_text if adapted is None else adapted
        own_words = isinstance(names, Mapping)
        names = (
            {names: names}
            if isinstance(names, str)
            else names
            if own_words
            else {name: name for name in names}
        )
        groups: list[list[str]] = []
        for words in names.values():
            lookup = "plain" if own_words else self.recipe.names
            groups += sentences(words, self.recipe.states, self.recipe.templates, lookup)
        if not groups:
            return {}
        tokens = self.clip.tokenize([sentence for group in groups for sentence in group])
        encode = self.encode_text if adapted else self.clip.encode_text
        features = torch.cat([F.normalize(encode(chunk), dim=-1) for chunk in tokens.split(CHUNK)])
        means = [
            F.normalize(part.mean(0), dim=-1)
            for part in features.split([len(group) for group in groups])
        ]
        return {name: torch.stack(means[2 * i : 2 * i + 2], dim=1) for i, name in enumerate(names)}

    # ---- pictures --------------------------------------------------------------------------------

    def forward(self, images: Tensor) -> Features:
        """(B, 3, S, S) normalised pictures -> features in the joint space."""
        tokens = self.clip.image_tokens(images, self.depths.levels, self._after_block("image"))
        tokens = [self.clip.ln_post(t) for t in tokens]
        levels = [
            F.normalize(p(t[:, 1:]), dim=-1)
            for p, t in zip(self.image_adapter["seg_proj"], tokens, strict=True)
        ]
        if self.recipe.level_weights == "learned":
            levels = [
                level * log.exp()
                for level, log in zip(levels, self.image_adapter.level_logs, strict=True)
            ]
        return Features(tuple(levels), self._detection(tokens[-1]))

    def dense_features(self, images: Tensor) -> tuple[Tensor, ...]:
        """Stage 1's features from the frozen backbone alone, one (B, N, d) a level."""
        return self.clip.dense_features(images, self.recipe)

    def _detection(self, tokens: Tensor) -> Tensor:
        """(B, 1 + N, D) tokens of the last level -> (B, d)."""
        projected = F.normalize(self.image_adapter["det_proj"](tokens), dim=-1)
        if self.recipe.detection_pool == "cls":
            return projected[:, 0]
        patches = projected[:, 1:]
        if self.recipe.detection_pool == "attention":
            return (
                (patches @ self.image_adapter.det_query).softmax(dim=1).unsqueeze(-1) * patches
            ).sum(1)
        return patches.mean(1)

    def _after_block(self, tower: str):
        """What the walk calls behind every block: the adapter that stands there, if any, mixed in."""
        blocks = self.depths.image_blocks if tower == "image" else self.depths.text_blocks
        adapters = self.image_adapter["layer_adapters"] if tower == "image" else self.text_adapter
        by_index = {number - 1: adapters[i] for i, number in enumerate(blocks)}
        weight = self.recipe.image_mix if tower == "image" else self.recipe.text_mix

        def after_block(index: int, x: Tensor) -> Tensor:
            if index not in by_index:
                return x
            return mix(x, by_index[index](x), weight, self.recipe.norm_preserving)

        return after_block

    # ---- weights ---------------------------------------------------------------------------------

    def load_released(self, text_state: Mapping | None, image_state: Mapping | None) -> None:
        """The public checkpoints' state dicts; None leaves that side as it is."""
        for part, state in (("text_adapter", text_state), ("image_adapter", image_state)):
            if state is not None:
                self.load_part(part, state, f"released {part}")

    def load_part(self, part: str, state: Mapping[str, Tensor], label: str) -> None:
        """Weights into `text_adapter` or `image_adapter`; refused as a whole, with the first wrong
        one named.
        """
        own, state = getattr(self, part).state_dict(), dict(state.get(part, state))
        wrong = [
            n
            for n in {**own, **state}
            if n not in own or n not in state or own[n].shape != state[n].shape
        ]
        if wrong:
            theirs, mine = (
                "missing" if wrong[0] not in d else tuple(d[wrong[0]].shape) for d in (state, own)
            )
            raise ValueError(
                f"{label} does not fit recipe {self.recipe.name!r} on this backbone: {wrong[0]} is "
                f"{theirs} in the "
                f"file and {mine} in the model ({len(wrong)} such weights). What decides: the "
                "backbone's widths and "
                "the recipe's adapter, adapter_bias, proj_relu, text_head, levels, image_blocks, "
                "text_blocks, "
                "detection_pool and level_weights."
            )
        getattr(self, part).load_state_dict(state)


def stack_anchors(anchors: Mapping[str, Tensor], class_names: Sequence[str]) -> Tensor:
    """{name: (d, 2)} and the batch's class names -> (B, d, 2)."""
    unknown = sorted(set(class_names) - anchors.keys())
    if unknown:
        raise KeyError(f"no text anchors for {', '.join(unknown)}; there are: {', '.join(anchors)}")
    return torch.stack([anchors[name] for name in class_names])
