"""S1, the architecture reference: its rows about shapes, counts and words, then those about losses,
constants and training.
"""

import math

import torch
import torch.nn.functional as F

from ... import losses
from ...adapters import Adapter, image_adapters, mix, text_adapters
from ...augment import VARIANTS
from ...clip import MEAN_STD
from ...prompts import STATES, TEMPLATES, sentences
from ...recipe import Recipe
from .claim import noise

DOCUMENTED = Recipe.documented()
RELEASED = Recipe.released()
LAYERS = RELEASED.resolve(24, 12)
COMMAND = 15 * 32 // 2 * 20  # steps of the command that the document gives
# of four small pictures, two of them defective
LOGITS = noise(4, 2, 12, 12, dtype=None)
MASK = torch.zeros(4, 1, 12, 12)
MASK[:2, :, 3:6, 3:6] = 1
ANCHORS = noise(3, 8, 2)  # of three classes
OPPOSITES = torch.tensor([[1.0, -1.0], [0.0, 0.0]])[None]  # anchors
SHARP = 1 / (1 + math.exp(-100 * 0.05))  # what a cosine 0.05 larger makes of one half


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


def without_rescaling() -> float:
    x, a = noise(2, 500, 768, dtype=None)
    a = 10 * a
    plain = 0.1 * a + 0.9 * x
    return float((plain - mix(x, a, 0.1)).norm() / x.norm())


def image_modules() -> float:
    parts = image_adapters(RELEASED, 1024, 768, 6, 4)
    return len(parts["layer_adapters"]) + len(parts["seg_proj"]) + 1


def length_of_a_mean() -> float:
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(768, generator=generator)
    single = torch.randn(42, 768, generator=generator)
    vectors = 0.7**0.5 * shared + 0.3**0.5 * single
    return float(F.normalize(vectors, dim=-1).mean(0).norm())


def all_weights() -> int:
    return text_size(RELEASED) + image_size(RELEASED)


def token_change() -> float:
    x, a = noise(2, 2000, 768, dtype=None)
    return float((mix(x, a, 0.1) - x).norm() / x.norm())


def length_kept() -> float:
    x, a = noise(2, 500, 768)
    lengths = mix(x, 3 * a, 1.0).norm(dim=-1) / x.norm(dim=-1)
    return float((lengths - 1).abs().max())


def levels_with_gradient() -> float:
    levels = [LOGITS.clone().requires_grad_() for _ in range(4)]
    for level in levels:
        loss = losses.segmentation(level.softmax(1), MASK)
    loss.backward()
    return sum(level.grad is not None for level in levels)


def sum_over_four() -> float:
    levels = [scale * LOGITS for scale in (0.25, 0.5, 1.0, 2.0)]
    each = [float(losses.segmentation(level.softmax(1), MASK)) for level in levels]
    return sum(each) / (4 * each[-1])


def three_terms() -> float:
    p = LOGITS.softmax(1)
    parts = losses.focal(p, MASK) + losses.dice(p[:, 0], 1 - MASK) + losses.dice(p[:, 1], MASK)
    return float(losses.segmentation(p, MASK) - parts)


def focal_on_the_defect() -> float:
    z = torch.zeros(1, 2, 100, 100, requires_grad=True)
    mask = torch.zeros(1, 1, 100, 100)
    mask[..., :10, :10] = 1
    losses.focal(z.softmax(1), mask).backward()
    strength = z.grad[0, 1].abs()
    return float(strength[mask[0, 0] > 0].sum() / strength.sum())


def dice_by_hand() -> float:
    p, mask = torch.zeros(2, 1, 1, 8)
    p[..., :4] = 1
    mask[..., 1:5] = 1
    return float(losses.dice(p, mask))


def batch_noise() -> float:
    pictures = noise(32000, dtype=None)
    return float(pictures.view(-1, 2).mean(1).std() / pictures.view(-1, 16).mean(1).std())


def accumulation() -> float:
    whole, halves = (LOGITS.double().requires_grad_() for _ in range(2))
    losses.segmentation(whole.softmax(1), MASK.double()).backward()
    for part in (slice(0, 2), slice(2, 4)):
        (losses.segmentation(halves[part].softmax(1), MASK[part].double()) / 2).backward()
    return float((whole.grad - halves.grad).abs().max() / whole.grad.abs().max())


MEASURES = {  # key of a quick row: gives its value again
    "S1:74": without_rescaling,
    "S1:100": image_modules,
    "S1:227": length_of_a_mean,
    "S1:411": token_change,
    "S1:837": length_kept,
    "S1:251": levels_with_gradient,
    "S1:354": sum_over_four,
    "S1:454": three_terms,
    "S1:461": focal_on_the_defect,
    "S1:467": dice_by_hand,
    "S1:779": batch_noise,
    "S1:992": accumulation,
    "S1:30": lambda: config("text_cfg")["layers"] * config("text_cfg")["width"],
    "S1:31": lambda: config("vision_cfg")["layers"] * config("vision_cfg")["width"],
    "S1:42": lambda: len(text_adapters(RELEASED, 768, 768, 3)),
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
    "S1:157": lambda: float(LAYERS.levels[0] in LAYERS.image_blocks),
    "S1:163": lambda: len(range(0, 24 + 1)),
    "S1:226": lambda: 6 * 7,
    "S1:383": clip_size,
    "S1:384": lambda: text_size(DOCUMENTED),
    "S1:385": lambda: image_size(DOCUMENTED),
    "S1:386": all_weights,
    "S1:386b": lambda: 100 * all_weights() / clip_size(),
    "S1:546": lambda: MEAN_STD[RELEASED.normalisation][0][0],
    "S1:553": lambda: VARIANTS["released"].colour,
    "S1:564": lambda: (
        (config("vision_cfg")["image_size"] // config("vision_cfg")["patch_size"]) ** 2 + 1
    ),
    "S1:978": lambda: 100 * clip_size() / (clip_size() + all_weights()),
    "S1:542": lambda: VARIANTS["released"].rotation,
    "S1:977": lambda: len(text_adapters(RELEASED, 768, 768, 3)) + image_modules(),
    "S1:202": lambda: RELEASED.text_lr,
    "S1:256": lambda: F.interpolate(torch.zeros(1, 1, 37, 37), 518, mode="bilinear").numel(),
    "S1:295": lambda: RELEASED.image_lr / RELEASED.text_lr,
    "S1:485": lambda: float(losses.orthogonal(OPPOSITES)),
    "S1:489": lambda: 2 / math.dist((1, 0), (0, 1)),  # opposite or orthogonal, unit vectors
    "S1:496": lambda: float(losses.detection(torch.eye(1, 2), OPPOSITES, torch.tensor([0]))),
    "S1:604": lambda: math.isqrt(1369),
    "S1:820": lambda: float(losses.orthogonal(2 * ANCHORS) / losses.orthogonal(ANCHORS)),
    "S1:943": lambda: RELEASED.text_epochs + RELEASED.image_epochs,
    "S1:944": lambda: RELEASED.betas[0],
    "S1:945": lambda: sum(milestone <= COMMAND for milestone in RELEASED.milestones),
    "S1:950": lambda: len(LAYERS.image_blocks),
    "S1:952": lambda: 518 % 14,
    "S1:627": lambda: SHARP,
    "S1:951": lambda: sum(LAYERS.levels),
    "S1:362": lambda: COMMAND,
}
