"""AA-CLIP whose towers look at each other: a subclass of the method that changes its seams.

Special: stage 1 lets the words see the batch's pictures, stage 2 lets each picture see the
sentences of its class. Anchors for judging are made without pictures, as the public code makes
them: the words then miss what they were trained with.
Use: `CrossAttentionCLIP(clip, recipe, version="v3")`, then `load_base(model, "runs/a")` or nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...clip import FrozenCLIP
from ...model import AdaptedCLIP, Features
from ...recipe import Recipe
from .attention import CrossAttention, add_context, prepare_context, refuse_version


class CrossAttentionCLIP(AdaptedCLIP):
    def __init__(
        self, clip: FrozenCLIP, recipe: Recipe | None = None, version: str = "v3", heads: int = 8
    ) -> None:
        super().__init__(clip, recipe)
        refuse_version(version)
        self.version = version
        self.variant = {"name": "cross_attention", "version": version, "heads": heads}
        self.base: str | None = None  # whose adapters it began with
        words = clip.text_width
        self.text_attention = CrossAttention(words, clip.embed_dim, heads, inner=words)
        self.image_attention = CrossAttention(clip.vision_width, words, heads, inner=words)
        self.use_context = True  # False: pictures see no words, as if this were the base
        self.feedback = False  # True: words look at pictures as the trained image side sees them
        self._pictures: Float[Tensor, "1 N d"] | None = None  # what words look at
        self._words: Float[Tensor, "B M D"] | None = None  # what pictures look at
        self.to(clip.text_projection.device)

    def trainable(self, stage: str) -> dict[str, nn.Parameter]:
        attention = getattr(self, f"{stage}_attention", None)
        own = {} if attention is None else dict(attention.named_parameters())
        return super().trainable(stage) | {f"{stage}_attention.{n}": p for n, p in own.items()}

    def after_block(self, tower: str) -> Callable[[int, Tensor], Tensor]:
        """Behind the first block, and before its adapter, a tower looks at the other one."""
        adapt = super().after_block(tower)
        context = self._pictures if tower == "text" else self._words
        if context is None:
            return adapt
        attention = getattr(self, f"{tower}_attention")

        def look(index: int, x: Tensor) -> Tensor:
            if index == 0:
                # words come as rows that sentences share, without an axis of sentences
                rows = x.unsqueeze(0) if x.ndim == 2 else x
                x = add_context(x, attention(rows, context).view_as(x), self.version)
            return adapt(index, x)

        return look

    # ---- stage 1: words look at pictures ---------------------------------------------------------

    def batch_anchors(self, names: Sequence[str], batch: dict) -> dict[str, Float[Tensor, "d 2"]]:
        with self.seeing(self.preprocess(batch["image"])):
            return self.text_anchors(sorted(set(names)))

    @contextmanager
    def seeing(self, images: Float[Tensor, "B 3 S S"]) -> Iterator[None]:
        """Words encoded in here look at the mean of these pictures' patches at the first level."""
        with torch.no_grad():
            shallow = (
                self.trained_patches(images) if self.feedback else self.dense_features(images)[0]
            )
        self._pictures = shallow.mean(0, keepdim=True)
        try:
            yield
        finally:
            self._pictures = None

    def trained_patches(self, images: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B N d"]:
        """Patches of the first level through the image adapters, plus CLIP's class feature."""
        token = F.normalize(self.clip.encode_image(images), dim=-1)
        return super().forward(images).levels[0] + token[:, None]

    # ---- stage 2: pictures look at words ---------------------------------------------------------

    def forward(
        self, images: Float[Tensor, "B 3 S S"], names: Sequence[str] | Tensor | None = None
    ) -> Features:
        """names: each picture's class, or its `sentence_states`; None or use_context = False:
        pictures see no words.
        """
        if isinstance(names, Tensor):
            self._words = names if self.use_context else None
        elif names is not None and self.use_context:
            states = {name: self.sentence_states(name) for name in dict.fromkeys(names)}
            self._words = torch.stack([states[name] for name in names])
        try:
            return super().forward(images)
        finally:
            self._words = None

    @torch.no_grad()
    def sentence_states(self, name: str) -> Float[Tensor, "M D"]:
        """All tokens of all sentences of a class behind the first block and its adapter, those
        behind a sentence's end included.
        """
        sentences = [each for group in self._sentences([name]).values() for each in group]
        adapt = super().after_block("text")
        places, rows = self.clip.text_walk(self.clip.tokenize(sentences), adapt, blocks=1)
        return prepare_context(F.embedding(places.flatten(), rows), self.version)
