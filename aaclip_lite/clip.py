"""A frozen CLIP and the one walk through its blocks that everything here uses.

Special: the walk reads open_clip's weights and runs fused attention itself, so adapters can stand
between blocks, levels can be read and the dense pass can attend value to value, with nothing hooked
and nothing left behind. Ordinary outputs equal open_clip's own to 1e-5. Made by `load.load_clip`.
Use: `clip.encode_image(clip.preprocess(pictures))`, `clip.image_tokens(images, (2, 4))`,
`clip.encode_text(sentences)`.
"""

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .files.activation import activation_cost
from .files.beginnings import shared_beginnings
from .files.weights import backbone_digest, fitted
from .recipe import Recipe

MEAN_STD = {
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
}
# what a checkpoint must agree with, beside the weights themselves
SHAPE = (
    *("activation", "vision_blocks", "vision_width", "text_blocks_count", "text_width"),
    *("embed_dim", "patch"),
)
Input = Float[Tensor, "B 3 S S"]  # normalised pictures, S the side that the CLIP reads
Tokens = Float[Tensor, "*any D"]  # a row a token: (B, 1 + N, D), or (N, D) where sentences share
TokenIds = Int[Tensor, "B L"]
AfterBlock = Callable[[int, Tokens], Tokens]  # (block index from 0, tokens) -> tokens
# (row of each token (B, L), place of each row's first token (N)): see shared_beginnings
Shared = tuple[Int[Tensor, "B L"], Int[Tensor, " N"]] | None


class FrozenCLIP(nn.Module):
    """An open_clip CLIP whose weights never train; parameter names are open_clip's own."""

    # open_clip's own parts, taken over by name
    visual: Any
    transformer: Any
    token_embedding: Any
    positional_embedding: Any
    ln_final: Any
    text_projection: Any

    def __init__(
        self, model: nn.Module, tokenize: Callable[..., TokenIds], activation: str = "gelu"
    ) -> None:
        super().__init__()
        for name, child in model.named_children():
            self.add_module(name, child)
        for name, parameter in model.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        self.activation = activation
        self.tokenizer = tokenize  # a function, no module: it has no weights to move or to save
        # True: the backward pass runs blocks again instead of keeping them, to save memory
        self.checkpointing = False
        self.context = len(self.positional_embedding)
        self.vision_width, self.embed_dim = self.visual.proj.shape
        self.text_width = self.text_projection.shape[0]
        self.vision_blocks = len(self.visual.transformer.resblocks)
        self.text_blocks_count = len(self.transformer.resblocks)
        self.patch = self.visual.conv1.kernel_size[0]
        self.image_size = self.visual.image_size[0]
        self.grid = self.image_size // self.patch  # patches a side; N = grid squared
        # the fingerprint, once computed; with_activation's twins see the same dict
        self._shared: dict[str, str] = {}
        self.requires_grad_(False)  # frozen, whatever a caller does to the whole model
        self.train(False)

    def train(self, mode: bool = True) -> "FrozenCLIP":
        return super().train(False)  # frozen: dropout of any kind stays off

    def load_state_dict(
        self, state_dict: dict, strict: bool = True, label: str = "state dict", **options
    ) -> NamedTuple:
        """Weights under open_clip's names; a position grid of another size is resized."""
        state = fitted(state_dict, self.state_dict(), self.grid, strict, label)
        self._shared.clear()  # other weights, another fingerprint
        return super().load_state_dict(state, strict=strict, **options)

    def with_activation(self, activation: str | None) -> "FrozenCLIP":
        """The same weights, not copied, run with another activation."""
        if activation in (None, self.activation):
            return self
        other = copy.copy(self)  # the same tensors
        other.activation = activation
        return other

    def activation_cost(self, other: str) -> tuple[float, float]:
        """How much another activation would change the features of one picture and one sentence."""
        return activation_cost(self, self.with_activation(other))

    def fingerprint(self) -> str:
        """Twelve hex digits of the weights but the position grid: the same for all image sizes."""
        if "fingerprint" not in self._shared:
            self._shared["fingerprint"] = backbone_digest(self.state_dict())
        return self._shared["fingerprint"]

    def describe(self) -> dict[str, str | int]:
        """What a checkpoint must agree with."""
        return {"fingerprint": self.fingerprint(), **{name: getattr(self, name) for name in SHAPE}}

    # ---- pictures --------------------------------------------------------------------------------

    def preprocess(self, images: Shaped[Tensor, "B 3 H W"], normalisation: str = "clip") -> Input:
        """(B, 3, H, W), uint8 or float in [0, 1] -> (B, 3, S, S), resized and normalised."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"pictures must have shape (B, 3, H, W), not {tuple(images.shape)}")
        x = images.float() / 255 if images.dtype == torch.uint8 else images.float()  # to [0, 1]
        if x.numel() and (x.min() < 0 or x.max() > 1):
            reach = f"from {x.min():.3g} to {x.max():.3g}"
            raise ValueError(f"float pictures must lie in [0, 1], these reach {reach}")
        if normalisation not in MEAN_STD:
            raise ValueError(
                f"normalisation = {normalisation!r} is not one of {', '.join(MEAN_STD)}"
            )
        if x.shape[-2:] != (self.image_size, self.image_size):
            x = F.interpolate(
                x, self.image_size, mode="bicubic", antialias=True
            )  # as CLIP was trained
            x = x.clamp(0, 1)  # bicubic overshoots beside sharp edges
        mean, std = (x.new_tensor(values).view(1, 3, 1, 1) for values in MEAN_STD[normalisation])
        return (x - mean) / std

    def ln_post(self, x: Tokens) -> Tokens:
        return self.visual.ln_post(x)

    def visual_head(self, x: Tokens) -> Float[Tensor, "*any d"]:
        """(..., D) tokens -> (..., d) in the joint space."""
        return self.visual.ln_post(x) @ self.visual.proj

    def encode_image(self, images: Input) -> Float[Tensor, "B d"]:
        """CLIP's feature of whole pictures, not normalised: the class token's alone."""
        return self.visual_head(self.image_tokens(images, (self.vision_blocks,))[0][:, 0])

    forward = encode_image

    def image_tokens(
        self, images: Input, levels: Sequence[int], after_block: AfterBlock | None = None
    ) -> list[Float[Tensor, "B T D"]]:
        """Tokens, T = 1 + N, behind the given blocks, counted from 1, changed by `after_block`."""
        x = self._embed_image(images)
        tokens = []
        # blocks behind the last level that is read are not computed
        for index, block in enumerate(self.visual.transformer.resblocks[: max(levels)]):
            x = self._block(block, x)
            x = x if after_block is None else after_block(index, x)
            if index + 1 in levels:
                tokens.append(x)
        return tokens

    def dense_tokens(
        self, images: Input, levels: Sequence[int], dense_blocks: int, dense_axis: str | None
    ) -> tuple[list[Float[Tensor, "B T D"]], Float[Tensor, "B 1 D"]]:
        """(dense tokens at the levels, the ordinary class token); shared blocks run once."""
        ordinary = self._embed_image(images)
        tokens = []
        dense = ordinary  # the two passes part at `split`
        split = self.vision_blocks - (dense_blocks if dense_axis else 0)
        for index, block in enumerate(self.visual.transformer.resblocks):
            # where nobody reads the last block's ordinary patches, only its class token is computed
            first = 1 if split <= index == self.vision_blocks - 1 else None
            ordinary = self._run_block(block, ordinary, None, None, first)
            if index < split:
                dense = ordinary  # still one pass: nothing is computed twice
            elif index < max(levels):
                dense = self._block(block, dense, dense_axis)  # value to value
            if index + 1 in levels:
                tokens.append(dense)
        return tokens, ordinary[:, :1]

    @torch.no_grad()
    def dense_features(self, images: Input, recipe: Recipe) -> tuple[Float[Tensor, "B N d"], ...]:
        """Stage 1's frozen features, one a level: unit patch plus unit class features."""
        clip = self.with_activation(recipe.activation)
        depths = recipe.resolve(self.vision_blocks, self.text_blocks_count)
        dense, token = clip.dense_tokens(
            images, depths.levels, depths.dense_blocks, recipe.dense_axis
        )
        # value to value a patch keeps to itself; the class feature says what the whole shows
        class_feature = F.normalize(clip.visual_head(token), dim=-1)  # (B, 1, d)
        return tuple(
            F.normalize(clip.visual_head(tokens[:, 1:]), dim=-1) + class_feature for tokens in dense
        )

    # ---- sentences -------------------------------------------------------------------------------

    def tokenize(self, sentences: Sequence[str]) -> TokenIds:
        """Sentences -> token ids (B, context); one that is too long is cut, and said so."""
        sentences = list(sentences)  # read twice below; a generator would be empty then
        longer = self.tokenizer(sentences, self.context + 1)  # one place more shows what is cut
        for sentence, last in zip(sentences, longer[:, -1].tolist(), strict=True):
            if last:
                warnings.warn(
                    f"cut to the {self.context} tokens that this CLIP reads: {sentence!r}",
                    stacklevel=2,
                )
        return self.tokenizer(sentences, self.context) if longer[:, -1].any() else longer[:, :-1]

    def encode_text(self, sentences: Sequence[str] | TokenIds) -> Float[Tensor, "B d"]:
        """Sentences or their token ids -> features in the joint space, not normalised."""
        if isinstance(sentences, str):
            raise TypeError("encode_text takes a list of sentences; put the one sentence in a list")
        tokens = sentences if isinstance(sentences, Tensor) else self.tokenize(sentences)
        return self.text_states(tokens) @ self.text_projection

    def text_states(self, tokens: TokenIds, after_block: AfterBlock | None = None) -> Tokens:
        """(B, D): the normalised state at each sentence's end-of-text token, the highest id.
        Attention looks back only, so nothing is computed behind it.
        """
        tokens = tokens[:, : int(tokens.argmax(dim=-1).max()) + 1]
        places, x = self.text_walk(tokens, after_block)
        return self.ln_final(F.embedding(places[:, -1], x))

    def text_walk(
        self, tokens: TokenIds, after_block: AfterBlock | None = None, blocks: int | None = None
    ) -> tuple[Int[Tensor, "B L"], Float[Tensor, "N D"]]:
        """(which row each token stands in, rows behind so many blocks).

        A beginning that sentences share is one row and runs once; the result is equal. Rows are
        taken with F.embedding: indexing adds up gradients in an order that changes between runs.
        """
        device = self.text_projection.device
        places, first = (index.to(device) for index in shared_beginnings(tokens))
        ids = tokens.to(device).flatten()[first]  # (N,): each shared token once
        x = self.token_embedding(ids) + self.positional_embedding[first % tokens.shape[1]]
        for index, block in enumerate(self.transformer.resblocks[:blocks]):
            x = self._block(block, x, sentences=(places, first))
            x = x if after_block is None else after_block(index, x)
        return places, x

    # ---- one block -------------------------------------------------------------------------------

    def _embed_image(self, images: Input) -> Float[Tensor, "B T D"]:
        if images.shape[1:] != (3, self.image_size, self.image_size):
            raise ValueError(
                f"pictures have shape {tuple(images.shape)}, this CLIP takes (B, 3, "
                f"{self.image_size}, {self.image_size}); use preprocess(), or load_clip(..., image_size=...)"
            )
        visual = self.visual
        # a convolution that steps by its own width cuts the picture into patches: (B, N, D)
        x = visual.conv1(images.to(visual.conv1.weight.dtype)).flatten(2).transpose(1, 2)
        class_token = visual.class_embedding.expand(len(x), 1, -1).to(x.dtype)
        x = torch.cat([class_token, x], dim=1)  # in front, so that patches are x[:, 1:]
        return visual.ln_pre(x + visual.positional_embedding)

    def _block(
        self, block: nn.Module, x: Tokens, dense_axis: str | None = None, sentences: Shared = None
    ) -> Tokens:
        # a frozen beginning has no gradient, so there is nothing to save by running it again
        if self.checkpointing and torch.is_grad_enabled() and x.requires_grad:
            return checkpoint(self._run_block, block, x, dense_axis, sentences, use_reentrant=False)
        return self._run_block(block, x, dense_axis, sentences)

    def _run_block(
        self,
        block: nn.Module,
        x: Tokens,
        dense_axis: str | None,
        sentences: Shared,
        first: int | None = None,
    ) -> Tokens:
        """One residual block, of the first tokens or of all: attention, then the two-layer net.
        Attention is ordinary, value to value along an axis, or causal in sentences that share rows.
        """
        attn = block.attn
        hidden = block.ln_1(x)  # (B, N, D); in sentences that share rows (N, D)
        # the public code's mistaken axes: batch mates attend to each other, patch by patch
        if dense_axis == "batch":
            hidden = hidden.transpose(0, 1)
        # the weights of query, key, value lie below each other; the last third is value
        parts = 1 if dense_axis else 3
        rows = slice(-parts * x.shape[-1], None)
        stacked = F.linear(hidden, attn.in_proj_weight[rows], attn.in_proj_bias[rows])
        stacked = stacked if sentences is None else F.embedding(sentences[0], stacked)
        # (parts, B, heads, N, D/heads)
        stacked = stacked.unflatten(-1, (parts, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = stacked.expand(3, -1, -1, -1, -1)  # dense: all three are the value
        query = query[..., :first, :]  # None: every token asks
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=sentences is not None)
        mixed = mixed.transpose(1, 2).flatten(2)  # heads side by side again: (B, N, D)
        mixed = mixed.transpose(0, 1) if dense_axis == "batch" else mixed
        mixed = mixed if sentences is None else mixed.flatten(0, 1)[sentences[1]]
        x = x[..., :first, :] + block.ls_1(attn.out_proj(mixed))  # ls: identity in most CLIPs
        hidden = ACTIVATIONS[self.activation](block.mlp.c_fc(block.ln_2(x)))  # (B, N, 4 D)
        return x + block.ls_2(block.mlp.c_proj(hidden))
