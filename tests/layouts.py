"""Miniature data sets in the layouts that the real ones have: names, folders, endings and mask
values as published; and weights in OpenAI's form.

Each data set's writer takes a folder and returns {class name: (normal, abnormal) pictures of the
test set}.
"""

import json
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.io import savemat

SIZE = (40, 30)  # width, height


def picture(path: Path, size: tuple[int, int] = SIZE, mode: str = "RGB") -> Path:
    """A picture that no other path has: noise that follows from the last parts of its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(zlib.crc32("/".join(path.parts[-5:]).encode()))
    pixels = generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def mask(path: Path, size: tuple[int, int] = SIZE, value: int = 255) -> Path:
    """A mask with a block of `value`: VisA numbers its defects 1, 2, ..., others write 255."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((size[1], size[0]), np.uint8)
    pixels[5:15, 10:25] = value
    Image.fromarray(pixels).save(path)
    return path


def write_mvtec(root: Path, classes=("bottle", "cable"), kinds=("crack", "poke")) -> dict:
    (root / "license.txt").parent.mkdir(parents=True, exist_ok=True)
    (root / "license.txt").write_text("terms")
    for name in classes:
        for number in range(3):
            picture(root / name / "train" / "good" / f"{number:03}.png")
            picture(root / name / "test" / "good" / f"{number:03}.png")
        for kind in kinds:
            for number in range(2):
                picture(root / name / "test" / kind / f"{number:03}.png")
                mask(root / name / "ground_truth" / kind / f"{number:03}_mask.png")
    return dict.fromkeys(classes, (3, 2 * len(kinds)))


def write_mpdd(root: Path) -> dict:
    return write_mvtec(root, ("bracket_black", "tubes"), ("anomalous", "parts_mismatch"))


def write_visa(root: Path) -> dict:
    """As converted for MVTec readers: JPG pictures, masks of the same name without _mask."""
    for name in ("candle", "pcb1"):
        for number in range(3):
            picture(root / name / "train" / "good" / f"{number:04}.JPG")
            picture(root / name / "test" / "good" / f"{number + 50:04}.JPG")
        for number in range(2):
            picture(root / name / "test" / "bad" / f"{number:03}.JPG")
            mask(root / name / "ground_truth" / "bad" / f"{number:03}.png", value=number + 1)
    return dict.fromkeys(("candle", "pcb1"), (3, 2))


def write_visa_raw(root: Path) -> dict:
    rows = ["object,split,label,image,mask"]
    for name in ("candle", "pcb1"):
        data = f"{name}/Data"
        for number in range(5):
            file = f"{data}/Images/Normal/{number:04}.JPG"
            picture(root / file)
            rows.append(f"{name},{'train' if number < 3 else 'test'},normal,{file},")
        for number in range(2):
            file, shape = (
                f"{data}/Images/Anomaly/{number:03}.JPG",
                f"{data}/Masks/Anomaly/{number:03}.png",
            )
            picture(root / file)
            mask(root / shape, value=number + 1)
            rows.append(f"{name},test,anomaly,{file},{shape}")
    (root / "split_csv").mkdir()
    (root / "split_csv" / "1cls.csv").write_text("\n".join(rows) + "\n")
    return dict.fromkeys(("candle", "pcb1"), (2, 2))


def write_mvtec2(root: Path) -> dict:
    for name in ("can", "vial"):
        place = root / name
        for number in range(2):
            picture(place / "train" / "good" / f"{number:03}_regular.png")
            picture(place / "validation" / "good" / f"{number:03}_regular.png")
            picture(place / "test_private" / f"{number:03}_regular.png")
            picture(place / "test_private_mixed" / f"{number:03}_mixed.png")
            for light in ("regular", "overexposed"):
                picture(place / "test_public" / "good" / f"{number:03}_{light}.png", mode="L")
                picture(place / "test_public" / "bad" / f"{number:03}_{light}.png", mode="L")
                mask(
                    place / "test_public" / "ground_truth" / "bad" / f"{number:03}_{light}_mask.png"
                )
    return dict.fromkeys(("can", "vial"), (4, 4))


def write_btad(root: Path) -> dict:
    """Three classes with three mixtures of endings, as published."""
    for name, ending, shape in (("01", "bmp", "png"), ("02", "png", "png"), ("03", "bmp", "bmp")):
        for number in range(2):
            picture(root / name / "train" / "ok" / f"{number + 100:04}.{ending}")
            picture(root / name / "test" / "ok" / f"{number:04}.{ending}")
            picture(root / name / "test" / "ko" / f"{number:04}.{ending}")
            mask(root / name / "ground_truth" / "ko" / f"{number:04}.{shape}")
    return dict.fromkeys(("01", "02", "03"), (2, 2))


def write_medical(root: Path) -> dict:
    """Brain, Liver and Retina sort into good and Ungood, colon sets hold polyps only."""
    for folder in ("Brain_AD", "Liver_AD", "Retina_RESC_AD"):
        for number in range(2):
            picture(root / folder / "train" / "good" / f"{number}_10.png")
            for split, offset in (("valid", 20), ("test", 30)):
                picture(root / folder / split / "good" / "img" / f"{number}_{offset}.png", mode="L")
                picture(
                    root / folder / split / "Ungood" / "img" / f"{number}_{offset}.png", mode="L"
                )
                mask(root / folder / split / "Ungood" / "label" / f"{number}_{offset}.png")
                mask(root / folder / split / "good" / "label" / f"{number}_{offset}.png", value=0)
    for folder in ("CVC-ClinicDB", "CVC-300", "Kvasir"):
        for number in range(2):
            picture(root / folder / "images" / f"{number}.png")
            mask(root / folder / "masks" / f"{number}.png")
    sorted_ones = dict.fromkeys(("Brain", "Liver", "Retina"), (2, 2))
    return sorted_ones | dict.fromkeys(("Colon_clinicDB", "CVC-300", "Kvasir"), (0, 2))


def write_folder(root: Path, masks: bool = True) -> dict:
    """One's own parts: a folder of good ones, a folder for every kind of defect, masks/ beside
    them.
    """
    for number in range(3):
        picture(root / "good" / f"part{number}.jpg")
    for kind in ("dent", "scratch"):
        for number in range(2):
            picture(root / kind / f"part{number}.png")
            if masks:
                mask(root / "masks" / kind / f"part{number}.png")
    return {"object": (3, 4)}


def write_manifest(root: Path, file: str = "manifest.jsonl") -> dict:
    """AA-CLIP's jsonl: float labels, no mask_path on normal lines; two lines carry this project's
    further keys.
    """
    lines = []
    for name in ("grid", "screw"):
        for number in range(3):
            normal, abnormal = (
                f"{name}/test/good/{number:03}.png",
                f"{name}/test/glue/{number:03}.png",
            )
            shape = f"{name}/ground_truth/glue/{number:03}_mask.png"
            picture(root / normal), picture(root / abnormal), mask(root / shape)
            lines.append(
                {"image_path": abnormal, "label": 1.0, "class_name": name, "mask_path": shape}
            )
            lines.append({"image_path": normal, "label": 0.0, "class_name": name})
    mask(root / "grid" / "inside" / "000.png")
    lines[0] |= {"defect": "glue strip", "severity": 2, "inside_path": "grid/inside/000.png"}
    # as published: no line end after the last
    (root / file).write_text("\n".join(map(json.dumps, lines)))
    return dict.fromkeys(("grid", "screw"), (3, 3))


def write_photographs(root: Path) -> None:
    """DeepPCB, CrackForest and magnetic tiles, as they come: two pairs of boards a split, two roads
    with a crack on the left, tiles with a hole.
    """
    noise = np.random.default_rng(0)

    def save(path: Path, pixels: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)

    picture = lambda *shape: noise.integers(0, 255, shape, np.uint8)  # noqa: E731
    for split, numbers in (("trainval", "01"), ("test", "23")):
        for n in numbers:
            save(root / f"PCB/g/g/{n}_test.jpg", picture(64, 64))
            save(root / f"PCB/g/g/{n}_temp.jpg", picture(64, 64))
            (root / f"PCB/g/{n}.txt").write_text("8 16 23 31 1\n")
        lines = "".join(f"g/g/{n}.jpg g/{n}.txt\n" for n in numbers)
        (root / f"PCB/{split}.txt").write_text(lines)
        for kind in ("MT_Free", "MT_Hole"):
            for n in numbers:
                mask = np.zeros((64, 64), np.uint8)
                mask[:32] = 255 * (kind == "MT_Hole")
                save(root / f"tiles/{kind}/Imgs/exp1_num_{n}.jpg", picture(64, 64))
                save(root / f"tiles/{kind}/Imgs/exp1_num_{n}.png", mask)
    for n in "12":
        save(root / f"roads/image/{n}.jpg", picture(320, 480, 3))
        segments = np.ones((320, 480), np.uint8)
        segments[10:20, 10:150] = 2
        (root / "roads/groundTruth").mkdir(exist_ok=True)
        savemat(root / f"roads/groundTruth/{n}.mat", {"groundTruth": {"Segmentation": segments}})


WRITERS = {
    "mvtec": write_mvtec,
    "mvtec2": write_mvtec2,
    "visa": write_visa,
    "visa_raw": write_visa_raw,
    "btad": write_btad,
    "mpdd": write_mpdd,
    "medical": write_medical,
    "folder": write_folder,
    "manifest": write_manifest,
}


class OpenAIArchive(torch.nn.Module):
    """The layout of OpenAI's files: modules and parameters under their names, and three whole
    numbers.
    """

    def __init__(self, model: torch.nn.Module):
        super().__init__()
        for name in ("visual", "transformer", "token_embedding", "ln_final"):
            self.add_module(name, getattr(model, name))
        for name in ("positional_embedding", "text_projection", "logit_scale"):
            self.register_parameter(name, getattr(model, name))
        numbers = (
            model.visual.image_size[0],
            len(model.positional_embedding),
            len(model.token_embedding.weight),
        )
        for name, number in zip(
            ("input_resolution", "context_length", "vocab_size"), numbers, strict=True
        ):
            self.register_buffer(name, torch.tensor(number))

    def forward(self, images):
        return self.visual(images)


def write_archive(path: Path, model: torch.nn.Module) -> Path:
    """An open_clip model as a TorchScript archive."""
    size = model.visual.image_size[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated; OpenAI's files are older than that
        torch.jit.trace(
            OpenAIArchive(model), torch.zeros(1, 3, size, size), check_trace=False
        ).save(path)
    return path
