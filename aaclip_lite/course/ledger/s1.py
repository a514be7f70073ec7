"""S1, the architecture reference: rows about shapes, counts, words and the way data flow."""

import torch

from ...adapters import Adapter, image_adapters, mix, text_adapters
from ...augment import VARIANTS
from ...clip import MEAN_STD
from ...prompts import STATES, TEMPLATES, sentences
from ...recipe import Recipe
from .claim import MEASURES, measures

DOCUMENTED = Recipe.documented()
RELEASED = Recipe.released()


def size(module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def text_size(recipe: Recipe) -> int:
    return size(text_adapters(recipe, 768, 768, 3))


def image_size(recipe: Recipe) -> int:
    return size(image_adapters(recipe, 1024, 768, 6, 4))


def config(tower: str) -> dict:
    import open_clip

    return open_clip.get_model_config("ViT-L-14-336")[tower]


def clip_size() -> int:
    """Weights of ViT-L/14-336, counted without giving them memory."""
    import open_clip

    with torch.device("meta"):
        return size(open_clip.CLIP(**open_clip.get_model_config("ViT-L-14-336")))


@measures("S1:42")
def text_modules() -> float:
    return len(text_adapters(RELEASED, 768, 768, 3))


@measures("S1:74")
def without_rescaling() -> float:
    x, a = torch.randn(2, 500, 768, generator=torch.Generator().manual_seed(0))
    a = 10 * a
    plain = 0.1 * a + 0.9 * x
    return float((plain - mix(x, a, 0.1)).norm() / x.norm())


@measures("S1:100")
def image_modules() -> float:
    parts = image_adapters(RELEASED, 1024, 768, 6, 4)
    return len(parts["layer_adapters"]) + len(parts["seg_proj"]) + 1


@measures("S1:157")
def level_6_has_an_adapter() -> float:
    depths = RELEASED.resolve(24, 12)
    return float(depths.levels[0] in depths.image_blocks)


@measures("S1:227")
def length_of_a_mean() -> float:
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(768, generator=generator)
    own = torch.randn(42, 768, generator=generator)
    vectors = 0.7**0.5 * shared + 0.3**0.5 * own
    return float(torch.nn.functional.normalize(vectors, dim=-1).mean(0).norm())


@measures("S1:386")
def all_weights() -> float:
    return text_size(RELEASED) + image_size(RELEASED)


@measures("S1:411")
def token_change() -> float:
    x, a = torch.randn(2, 2000, 768, generator=torch.Generator().manual_seed(0))
    return float((mix(x, a, 0.1) - x).norm() / x.norm())


@measures("S1:837")
def length_kept() -> float:
    x, a = torch.randn(2, 500, 768, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lengths = mix(x, 3 * a, 1.0).norm(dim=-1) / x.norm(dim=-1)
    return float((lengths - 1).abs().max())


MEASURES |= {  # what one line measures
    "S1:30": lambda: config("text_cfg")["layers"] * config("text_cfg")["width"],
    "S1:31": lambda: config("vision_cfg")["layers"] * config("vision_cfg")["width"],
    "S1:56": lambda: size(Adapter(768, RELEASED)),
    "S1:58": lambda: RELEASED.adapter_slope,
    "S1:90": lambda: len(STATES["released"][0]),
    "S1:91": lambda: len(STATES["released"][1]),
    "S1:92": lambda: len(TEMPLATES["released"]),
    "S1:93": lambda: 6 * 7 + 10 * 7,
    "S1:93b": lambda: sum(map(len, sentences("bottle", "released", "released", "real"))),
    "S1:110": lambda: float(RELEASED.proj_relu),
    "S1:119": lambda: size(Adapter(1024, RELEASED)),
    "S1:138": lambda: (518 // 14) ** 2,
    "S1:163": lambda: len(range(0, 24 + 1)),
    "S1:226": lambda: 6 * 7,
    "S1:383": clip_size,
    "S1:384": lambda: text_size(DOCUMENTED),
    "S1:385": lambda: image_size(DOCUMENTED),
    "S1:386b": lambda: 100 * all_weights() / clip_size(),
    "S1:546": lambda: MEAN_STD[RELEASED.normalisation][0][0],
    "S1:553": lambda: VARIANTS["released"].colour,
    "S1:564": lambda: (
        (config("vision_cfg")["image_size"] // config("vision_cfg")["patch_size"]) ** 2 + 1
    ),
    "S1:978": lambda: 100 * clip_size() / (clip_size() + all_weights()),
    "S1:542": lambda: VARIANTS["released"].rotation,
    "S1:977": lambda: text_modules() + image_modules(),
}
