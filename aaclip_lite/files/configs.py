"""What a CLIP's config and weights may hold, and the empty model that a plain config asks for, under
open_clip's names.

Special: sizes are ones that a machine can build, numbers are finite, and no part of open_clip's is
let in that the walk through the blocks does not follow. open_clip itself brings torchvision, timm
and torch's compiler along, which takes longer to import than a picture takes to judge: the parts
here only hold weights, FrozenCLIP walks them itself, and the tokenizer is open_clip's own file,
read alone. A config with anything unusual is left to open_clip.
Use: `refuse_unbounded(config, "clip.json")`, `foreign_parts(config)`, `refuse_endless(state, "clip.pt")`,
`if is_plain(config): model = towers(config)`, `tokenize(["a photo"], 77)`.
"""

import sys
from collections import OrderedDict
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checked import anything, either, fields, integer, listing, maybe
from .weights import WeightsError

_SIZES = {  # several times those of the largest CLIP there is
    "embed_dim": maybe(integer(1, 8192)),
    "width": maybe(integer(1, 16_384)),
    "layers": maybe(either(listing(anything), integer(1, 256))),
    "heads": maybe(integer(1, 256)),
    "patch_size": maybe(integer(1, 512)),
    "context_length": maybe(integer(1, 4096)),
    "vocab_size": maybe(integer(1, 2_000_000)),
}
_TOWER = fields(others=True, **_SIZES)
_CONFIG = fields(others=True, vision_cfg=_TOWER, text_cfg=_TOWER, **_SIZES)

_PLAIN = fields(  # open_clip has numbers of its own for what is left out
    ("embed_dim", "vision_cfg", "text_cfg"),
    embed_dim=integer(),
    quick_gelu=anything,
    vision_cfg=fields(
        ("image_size", "patch_size", "width", "layers"),
        **dict.fromkeys(("image_size", "patch_size", "width", "layers"), integer()),
        **dict.fromkeys(("head_width", "mlp_ratio"), anything),
    ),
    text_cfg=fields(
        ("context_length", "vocab_size", "width", "heads", "layers"),
        **dict.fromkeys(("context_length", "vocab_size", "width", "heads", "layers"), integer()),
        mlp_ratio=anything,
    ),
)

FOREIGN = (
    "custom_text",
    "multimodal_cfg",
    "timm_model_name",
    "hf_model_name",
    "attentional_pool",
    "embed_cls",
    "proj_bias",
    "act_kwargs",
)


def foreign_parts(config: dict) -> list[str]:
    """Each part that is not of a plain CLIP, as words for a message."""
    vision = config["vision_cfg"]
    parts = (config, vision, config["text_cfg"])
    foreign = [f"{key} = {part[key]!r}" for part in parts for key in FOREIGN if part.get(key)]
    if isinstance(vision.get("layers"), list):
        foreign.append("a ResNet for pictures")
    return foreign


def refuse_odd_size(config: dict, label: str) -> None:
    """Whole patches must fill the picture."""
    size = config["vision_cfg"].get("image_size", 224)
    patch = config["vision_cfg"].get("patch_size", 16)
    if not isinstance(size, int) or not isinstance(patch, int) or size < patch or size % patch:
        raise WeightsError(
            f"{label}: image_size = {size!r} is not a multiple of the patch size {patch!r}; give one"
        )


def foreign_blocks(model) -> list[str]:
    """What open_clip built otherwise than a plain CLIP, whatever the config said."""
    blocks = [*model.visual.transformer.resblocks, *model.transformer.resblocks]
    built = {
        "vision pool_type": (model.visual.pool_type, "tok"),
        "text pool_type": (model.text_pool_type, "argmax"),
        "blocks": ({type(block).__name__ for block in blocks}, {"ResidualAttentionBlock"}),
        "causal mask": (model.attn_mask is not None, True),
    }
    return [f"{what} = {value!r}" for what, (value, plain) in built.items() if value != plain]


def refuse_unbounded(config: object, label: str) -> None:
    """Numbers that no CLIP has; building one of them would take all memory."""
    try:
        _CONFIG(config, "config")
    except ValueError as error:
        raise WeightsError(f"{label}: {error}") from error


def refuse_endless(state: dict[str, Tensor], label: object) -> None:
    for name, values in state.items():
        if values.is_floating_point() and "mask" not in name and not values.isfinite().all():
            raise WeightsError(f"{label}: {name} holds numbers that are not finite; fetch it again")


# ---- an empty model ------------------------------------------------------------------------------


def is_plain(config: dict) -> bool:
    """Whether `towers` knows every word of the config, and all the numbers are there."""
    try:
        return bool(_PLAIN(config, ""))
    except ValueError:
        return False


class LayerNorm(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps).to(x.dtype)


def _block(width: int, heads: int, ratio: float) -> nn.Module:
    inner = int(width * ratio)
    block = nn.Module()
    block.ln_1 = LayerNorm(width)
    block.attn = nn.MultiheadAttention(width, heads, batch_first=True)
    block.ls_1 = nn.Identity()
    block.ln_2 = LayerNorm(width)
    layers = OrderedDict(
        c_fc=nn.Linear(width, inner), gelu=nn.GELU(), c_proj=nn.Linear(inner, width)
    )
    block.mlp = nn.Sequential(layers)
    block.ls_2 = nn.Identity()
    return block


def _transformer(width: int, heads: int, layers: int, ratio: float) -> nn.Module:
    transformer = nn.Module()
    transformer.resblocks = nn.ModuleList(_block(width, heads, ratio) for _ in range(layers))
    return transformer


def towers(config: dict) -> nn.Module:
    """Weights are whatever the memory holds, or nothing on the device "meta"."""
    text = config["text_cfg"]
    clip = nn.Module()
    clip.positional_embedding = _empty(text["context_length"], text["width"])
    clip.text_projection = _empty(text["width"], config["embed_dim"])
    clip.logit_scale = _empty()
    clip.visual = _vision(config["embed_dim"], **config["vision_cfg"])
    clip.transformer = _transformer(
        text["width"], text["heads"], text["layers"], text.get("mlp_ratio", 4.0)
    )
    # a random start on the device "meta" would import torch's compiler
    words = torch.empty(text["vocab_size"], text["width"])
    clip.token_embedding = nn.Embedding.from_pretrained(words, freeze=False)
    clip.ln_final = LayerNorm(text["width"])
    return clip


def _vision(
    out: int,
    image_size: int,
    patch_size: int,
    width: int,
    layers: int,
    head_width: int = 64,
    mlp_ratio: float = 4.0,
) -> nn.Module:
    visual = nn.Module()
    visual.image_size = (image_size, image_size)
    visual.class_embedding = _empty(width)
    visual.positional_embedding = _empty((image_size // patch_size) ** 2 + 1, width)
    visual.proj = _empty(width, out)
    visual.conv1 = nn.Conv2d(3, width, patch_size, patch_size, bias=False)
    visual.ln_pre = LayerNorm(width)
    visual.transformer = _transformer(width, width // head_width, layers, mlp_ratio)
    visual.ln_post = LayerNorm(width)
    return visual


def _empty(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape))


# ---- words ---------------------------------------------------------------------------------------


def tokenize(sentences: list[str], context: int = 77) -> Tensor:
    """open_clip.tokenize."""
    return _tokenizer().tokenize(sentences, context)


@cache
def _tokenizer() -> ModuleType:
    """open_clip's tokenizer.py without its package; with it, should the file ever need it."""
    spec = None if "open_clip" in sys.modules else find_spec("open_clip")
    if spec is not None:
        file = Path(spec.origin).with_name("tokenizer.py")
        spec = spec_from_file_location("aaclip_lite_tokenizer", file)
        module = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
            return module
        except ImportError:
            pass
    return import_module("open_clip.tokenizer")
