"""The one tiny CLIP of the tests, the one tiny data set, and models of both: a step takes
milliseconds.

Use: `clip = tiny.clip()`, `model = tiny.model(clip)`, `data = tiny.draw(tmp_path / "data")`.
"""

import json

import numpy as np
import torch
from PIL import Image

from aaclip_lite.datasets import open_dataset
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP
from aaclip_lite.recipe import Recipe

WORDS = 49408  # CLIP's tokens


def config(embed_dim: int = 16, vision: dict | None = None, text: dict | None = None) -> dict:
    """An open_clip config; vision and text: what shall differ."""
    image = {"image_size": 16, "layers": 2, "width": 16, "head_width": 8, "patch_size": 4}
    words = {"context_length": 24, "vocab_size": WORDS, "width": 16, "heads": 2, "layers": 2}
    return {
        "embed_dim": embed_dim,
        "vision_cfg": image | (vision or {}),
        "text_cfg": words | (text or {}),
    }


# what the tests count on, whatever the course's measured values are
RECIPE = Recipe.course().replace(
    text_batch=4,
    text_steps=6,
    text_lr=3e-3,
    image_batch=4,
    image_steps=6,
    image_lr=2e-3,
    milestones=(),
    lr_factor=0.5,
    adapter_init="identity",
    proj_init="clip",
    augmentation="course",
    logit_scale=100.0,
)


def clip(seed: int = 0, **changes):
    torch.manual_seed(seed)
    return load_clip(config(**changes), weights=None)


def model(frozen, recipe: Recipe = RECIPE, seed: int = 0, **changes) -> AdaptedCLIP:
    torch.manual_seed(seed)
    return AdaptedCLIP(frozen, recipe.replace(**changes))


def draw(folder, classes=("bolt", "cup"), pairs: int = 3):
    """Grey noise; every second picture has a bright square, its defect."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    lines = []
    for name in (f"{c}{i}" for c in classes for i in range(2 * pairs)):
        pixels = generator.integers(80, 120, (16, 16, 3), np.uint8)
        mask = np.zeros((16, 16), np.uint8)
        line = {"image_path": f"{name}.png", "label": int(name[-1]) % 2, "class_name": name[:-1]}
        if line["label"]:
            y, x = generator.integers(0, 10, 2)
            pixels[y : y + 6, x : x + 6] = 250
            mask[y : y + 6, x : x + 6] = 250
            Image.fromarray(mask).save(folder / f"{name}_mask.png")
            line["mask_path"] = f"{name}_mask.png"
        Image.fromarray(pixels).save(folder / f"{name}.png")
        lines.append(line)
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return open_dataset(folder)


def weights(of: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in of.named_parameters()}


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
