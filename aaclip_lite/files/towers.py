"""The parts of a plain CLIP, empty, under open_clip's names: for weights that are at hand.

Special: open_clip brings torchvision, timm and torch's compiler along, which takes longer to import
than a picture takes to judge. The parts only hold weights, FrozenCLIP walks them itself; the
tokenizer is open_clip's own file, read alone. A config with anything unusual is not for this file.
Use: `if is_plain(config): model = towers(config)`, `tokenize(["a photo"], 77)`.
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

from .checked import anything, fields, integer

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
