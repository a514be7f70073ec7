"""AdaptedCLIP: a frozen backbone with adapters between its blocks, text anchors, and features to
compare with them.

Special: the backbone is walked, not copied or hooked; stage 1 trains `text_adapter`, stage 2
`image_adapter`, and nothing else can train. A variant of the method is a subclass that changes one
of the seams: `after_block`, `mixed`, `fuse`, `pool`, `batch_anchors`, `loss_parts`.
Use: `model = AdaptedCLIP(load_clip("lite"))`, `model.text_anchors(["bottle"])`,
`model(model.preprocess(pictures))`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from . import losses
from .adapters import image_adapters, mix, text_adapters
from .clip import AfterBlock, FrozenCLIP, Input, TokenIds, Tokens
from .files.door import expect
from .prompts import sentences
from .recipe import Recipe

STAGES = ("text", "image")
CHUNK = 512  # sentences in one pass of the text tower


class Features(NamedTuple):
    levels: tuple[Float[Tensor, "B N d"], ...]  # unit vectors, one tensor a level
    detection: Float[Tensor, "B d"]  # a mean of unit vectors, shorter where patches disagree
    patches: Float[Tensor, "B N d"] | None = None  # det_proj's, of which detection is the mean


class AdaptedCLIP(nn.Module):
    variant: dict | None = None  # what a subclass needs to be built again: its name and options

    def __init__(self, clip: FrozenCLIP, recipe: Recipe | None = None) -> None:
        super().__init__()
        expect("AdaptedCLIP: clip", clip, FrozenCLIP)
        expect("AdaptedCLIP: recipe", recipe, (Recipe, None))
        recipe = recipe or Recipe.course()
        depths = recipe.resolve(clip.vision_blocks, clip.text_blocks_count)
        self.recipe = recipe
        self.depths = depths  # the recipe's shares as block numbers of this backbone
        self.clip = clip.with_activation(recipe.activation)  # shared, not copied
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
        self.to(clip.text_projection.device)  # adapters stand where the backbone does

    def trainable(self, stage: str) -> dict[str, nn.Parameter]:
        """The weights that a stage ("text" or "image") may change, by name."""
        if stage not in STAGES:
            raise ValueError(f"stage = {stage!r} is not one of {', '.join(STAGES)}")
        part = f"{stage}_adapter"
        return {f"{part}.{name}": p for name, p in getattr(self, part).named_parameters()}

    def preprocess(self, images: Shaped[Tensor, "B 3 H W"]) -> Input:
        """uint8, or float in [0, 1] -> the normalised square input of the recipe."""
        return self.clip.preprocess(images, self.recipe.normalisation)

    # ---- words -----------------------------------------------------------------------------------

    def encode_text(self, texts: Sequence[str] | TokenIds) -> Float[Tensor, "B d"]:
        """Sentences or token ids through adapters and trained head, not normalised."""
        tokens = texts if isinstance(texts, Tensor) else self.clip.tokenize(texts)
        states = self.clip.text_states(tokens, self.after_block("text"))  # (B, D), B sentences
        head = self.text_adapter[-1]  # behind the block adapters, in CLIP's own projection's stead
        return head(states)

    def text_anchors(
        self, names: Iterable[str] | Mapping[str, str], adapted: bool | None = None
    ) -> dict[str, Float[Tensor, "d 2"]]:
        """Column 0 normal, 1 abnormal, for class names or {name: words of one's own}.

        adapted=False takes CLIP's own text tower; None does so only where the recipe trains none.
        """
        adapted = self.recipe.trains_text if adapted is None else adapted
        encode = self.encode_text if adapted else self.clip.encode_text  # the head is trained too
        groups = self._sentences(names)
        if not groups:
            return {}
        # all sentences of all classes at once; beginnings that they share are then read once
        tokens = self.clip.tokenize([sentence for group in groups.values() for sentence in group])
        encoded = [F.normalize(encode(chunk), dim=-1) for chunk in tokens.split(CHUNK)]  # (n, d)
        parts = torch.cat(encoded).split([len(group) for group in groups.values()])
        means = [F.normalize(part.mean(0), dim=-1) for part in parts]  # (d,), one a group
        by_group = dict(zip(groups, means, strict=True))
        anchors = {}
        for name in dict.fromkeys(name for name, _ in groups):  # each name once, in order
            columns = [by_group[name, "normal"], by_group[name, "abnormal"]]
            anchors[name] = torch.stack(columns, dim=1)
        return anchors

    def _sentences(self, names: Iterable[str] | Mapping[str, str]) -> dict[tuple, list[str]]:
        """{(name, "normal" or "abnormal"): sentences}, in the order of the names."""
        if isinstance(names, Mapping):
            words = dict(names)
            lookup = "plain"  # whoever gives words means those
        else:
            words = {name: name for name in ([names] if isinstance(names, str) else names)}
            lookup = self.recipe.names
        groups = {}
        for name, spoken in words.items():
            normal, abnormal = sentences(spoken, self.recipe.states, self.recipe.templates, lookup)
            groups[name, "normal"] = normal
            groups[name, "abnormal"] = abnormal
        return groups

    # ---- pictures --------------------------------------------------------------------------------

    def forward(self, images: Input, names: Sequence[str] | None = None) -> Features:
        """Normalised pictures -> features in the joint space. names: their classes, which the
        method does not look at and a variant may.
        """
        # (B, T, D) a level, T = 1 + N tokens: the class token and the patches
        tokens = self.clip.image_tokens(images, self.depths.levels, self.after_block("image"))
        tokens = [self.clip.ln_post(level) for level in tokens]  # brings levels to one scale
        heads: Any = self.image_adapter["seg_proj"]  # one a level
        levels = [
            F.normalize(projection(level[:, 1:]), dim=-1)  # patches only, no class token
            for projection, level in zip(heads, tokens, strict=True)
        ]
        # the deepest level knows best what the whole shows; a projection of its own may judge it
        detection = F.normalize(self.image_adapter["det_proj"](tokens[-1]), dim=-1)  # (B, T, d)
        return Features(self.fuse(tuple(levels)), self.pool(detection), detection[:, 1:])

    def dense_features(self, images: Input) -> tuple[Float[Tensor, "B N d"], ...]:
        """Stage 1's features, from the frozen backbone alone, one tensor a level."""
        return self.clip.dense_features(images, self.recipe)

    # ---- seams: what a variant may change --------------------------------------------------------

    def after_block(self, tower: str) -> AfterBlock:
        """What the walk calls after each block: the adapter that stands there, mixed in."""
        text = tower == "text"
        adapters: Any = self.text_adapter if text else self.image_adapter["layer_adapters"]
        blocks = self.depths.text_blocks if text else self.depths.image_blocks
        places = {number - 1: place for place, number in enumerate(blocks)}  # blocks count from 1

        def adapt(index: int, x: Tokens) -> Tokens:
            if index not in places:  # most blocks of the published recipe have no adapter
                return x
            place = places[index]
            return self.mixed(x, adapters[place](x), tower, place)

        return adapt

    def mixed(self, x: Tokens, adapted: Tokens, tower: str, place: int) -> Tokens:
        """How the adapter at a place joins its token: a share, at the token's length."""
        return mix(x, adapted, self.recipe.text_mix if tower == "text" else self.recipe.image_mix)

    def fuse(
        self, levels: tuple[Float[Tensor, "B N d"], ...]
    ) -> tuple[Float[Tensor, "B N d"], ...]:
        """How levels are weighed against each other before their maps are summed: not at all."""
        return levels

    def pool(self, detection: Float[Tensor, "B T d"]) -> Float[Tensor, "B d"]:
        """The last level's tokens, class token first, to one vector: the mean of its patches."""
        return detection[:, 1:].mean(1)  # the class token is left out, as published

    def batch_anchors(self, names: Sequence[str], batch: dict) -> dict[str, Float[Tensor, "d 2"]]:
        """Stage 1's anchors for the classes of a batch, with their gradient."""
        return self.text_anchors(sorted(set(names)))  # each class once a batch

    def loss_parts(
        self, stage: str, features: Any, anchors: Float[Tensor, "B d 2"], batch: dict
    ) -> dict[str, losses.Loss]:
        """The weighted parts of a stage's loss. features: in stage 1 the dense levels alone."""
        if stage == "text":
            return losses.stage1_parts(features, anchors, batch["mask"], self.recipe)
        return losses.stage2_parts(features, anchors, batch["mask"], batch["label"], self.recipe)

    # ---- weights ---------------------------------------------------------------------------------

    def load_released(self, text_state: Mapping | None, image_state: Mapping | None) -> None:
        """The public checkpoints' state dicts; None leaves that side as it is."""
        for part, state in (("text_adapter", text_state), ("image_adapter", image_state)):
            if state is not None:
                self.load_part(part, state, f"released {part}")

    def load_part(self, part: str, state: Mapping[str, Shaped[Tensor, "..."]], label: str) -> None:
        """Weights into `text_adapter` or `image_adapter`, all of them or none."""
        state = dict(state.get(part, state))  # public files hold it under the part's name
        theirs = {name: tuple(tensor.shape) for name, tensor in state.items()}
        mine = {name: tuple(p.shape) for name, p in getattr(self, part).state_dict().items()}
        wrong = [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
        if wrong:
            name = wrong[0]
            raise ValueError(
                f"{label} does not fit recipe {self.recipe.name!r} on this backbone: {name} is "
                f"{theirs.get(name, 'missing')} in the file and {mine.get(name, 'missing')} in the "
                f"model ({len(wrong)} such weights). What decides: the backbone's widths and the "
                "recipe's adapter, adapter_bias, proj_relu, text_head, levels, image_blocks and "
                "text_blocks. Give the file that was trained with this recipe."
            )
        getattr(self, part).load_state_dict(state)  # only now: all of them, or none above


def stack_anchors(
    anchors: Mapping[str, Float[Tensor, "d 2"]], class_names: Sequence[str]
) -> Float[Tensor, "B d 2"]:
    """Each picture's own anchors, from those of its class."""
    unknown = sorted(set(class_names) - anchors.keys())  # a wrong class would train in silence
    if unknown:
        raise KeyError(f"no text anchors for {', '.join(unknown)}; there are: {', '.join(anchors)}")
    return torch.stack([anchors[name] for name in class_names])  # in the batch's order
