"""A tiny CLIP on disk, a calibrated detector on it, pictures and data sets: what faults are tried
on.
"""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP
from aaclip_lite.recipe import Recipe

SIDE = 32
CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": SIDE, "layers": 4, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
SHORT = ["--recipe.text-steps", "2", "--recipe.image-steps", "2", "--recipe.image-batch", "4"]


def pixels(number: int, size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    generator = np.random.default_rng(number)
    return generator.integers(60, 190, (size[1], size[0], 3), np.uint8)


def picture(path: Path, number: int = 0, size: tuple[int, int] = (SIDE, SIDE)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(number, size)).save(path)
    return path


def write_clip(place: Path) -> Path:
    torch.manual_seed(0)
    (place / "clip.json").write_text(json.dumps(CONFIG))
    torch.save(load_clip(CONFIG, weights=None).state_dict(), place / "clip.pt")
    return place


def write_detector(place: Path, calibrated: bool = True) -> Path:
    """A detector's folder below `place`, which holds the clip."""
    source = {"source": str(place / "clip.json"), "weights": str(place / "clip.pt")}
    torch.manual_seed(1)
    model = AdaptedCLIP(load_clip(**source), Recipe.course().replace(adapter_init="xavier"))
    detector = AnomalyDetector(model, backbone=source)
    if calibrated:
        detector.calibrate([pixels(100 + i) for i in range(20)], "bolt")
    return detector.save(place / ("detector" if calibrated else "raw"))


def write_older(place: Path) -> Path:
    """A detector of other adapters and another calibration, which a new one replaces."""
    detector = AnomalyDetector.load(place / "detector")
    for weight in detector.model.image_adapter.parameters():
        weight.data.mul_(1.5)
    detector.calibrate([pixels(200 + i) for i in range(25)], "bolt")
    return detector.save(place / "older")


def write_set(folder: Path, pairs: int = 10, classes=("cup", "nut")) -> Path:
    """A manifest with as many normal as abnormal pictures of each class."""
    lines = []
    for at, name in enumerate(classes):
        for i in range(2 * pairs):
            line = {"image_path": f"{name}{i}.png", "label": i % 2, "class_name": name}
            picture(folder / line["image_path"], 1000 * at + i)
            if line["label"]:
                mask = np.zeros((SIDE, SIDE), np.uint8)
                mask[8:20, 8:20] = 255
                Image.fromarray(mask).save(folder / f"{name}{i}_mask.png")
                line["mask_path"] = f"{name}{i}_mask.png"
            lines.append(line)
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def clip_options(place: Path) -> list[str]:
    files = ["--clip", str(place / "clip.json"), "--weights", str(place / "clip.pt")]
    return [*files, "--device", "cpu"]
