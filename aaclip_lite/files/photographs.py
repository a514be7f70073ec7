"""Public sets of real photographs, read as they come: DeepPCB, CrackForest, magnetic tiles.

Special: pictures stay where they are; boxes and segmentations become masks in a folder of yours,
for lines of a manifest that `open_dataset` reads. Where a set names no split, the first half of
each kind in the order of file names is "train", the second half "test".
Use: `boards = find("photographs")["boards"]`, `write_manifest(boards, boards.root)`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import loadmat

from . import keep
from .audit import copies
from .folders import refuse_system


@dataclass(frozen=True)
class Part:
    """One picture: its file, its kind of defect ("" for a sound one), its mask's source, split."""

    image: Path
    defect: str
    truth: Path | None
    split: str
    cut: tuple[int, int, int, int] | None = None  # left, top, right, bottom; None: all of it


@dataclass(frozen=True)
class Photographs:
    name: str  # "boards", "cracks", "tiles"
    spoken: str  # the class name that the detector gets
    root: Path
    parts: tuple[Part, ...]


def find(root: str | Path) -> dict[str, Photographs]:
    """The sets at or below `root` (three folders deep); an error names what is looked for."""
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"--root {root}: no such folder; name the one with the sets")
    refuse_system(root)
    sets = {}
    for folder in sorted([root, *(p for n in (1, 2, 3) for p in root.glob("*/" * n))]):
        for name, (spoken, mark, read) in SETS.items():
            if name not in sets and (folder / mark).exists():
                sets[name] = Photographs(name, spoken, folder, tuple(read(folder)))
    if not sets:
        marks = ", ".join(f"{name}: {mark}" for name, (_, mark, _) in SETS.items())
        raise FileNotFoundError(
            f"--root {root}: none of the sets is there; put one there ({marks})"
        )
    return sets


def _boards(folder: Path) -> Iterator[Part]:
    """DeepPCB: pairs NAME_test.jpg and NAME_temp.jpg, boxes in NAME.txt, listed by its two files."""
    for split, listed in (("train", "trainval.txt"), ("test", "test.txt")):
        for line in sorted((folder / listed).read_text().split("\n")):
            if line.strip():
                image, boxes = line.split()
                stem = (folder / image).with_suffix("")
                yield Part(Path(f"{stem}_test.jpg"), "damage", folder / boxes, split)
                yield Part(Path(f"{stem}_temp.jpg"), "", None, split)


def _cracks(folder: Path) -> Iterator[Part]:
    """CrackForest: image/NNN.jpg of 480 x 320 with groundTruth/NNN.mat. It has no sound picture
    (those without a .mat show cracks too), so each is cut into six squares: a square without a
    crack is sound, one with fewer than CUT pixels of it is left out.
    """
    images = sorted((folder / "groundTruth").glob("*.mat"))
    for truth, split in _halves(images):
        image = folder / "image" / f"{truth.stem}.jpg"
        mask = _segments(truth)
        for top in range(0, mask.shape[0] - SQUARE + 1, SQUARE):
            for left in range(0, mask.shape[1] - SQUARE + 1, SQUARE):
                cut = (left, top, left + SQUARE, top + SQUARE)
                cracked = int(mask[top : top + SQUARE, left : left + SQUARE].sum())
                if not 0 < cracked < CUT:
                    yield Part(image, "crack" * bool(cracked), truth, split, cut)


@lru_cache(maxsize=1)  # six pieces in turn ask for the same
def _segments(truth: Path) -> np.ndarray:
    return loadmat(truth)["groundTruth"][0, 0]["Segmentation"] > 1


def _tiles(folder: Path) -> Iterator[Part]:
    """Magnetic tiles: MT_KIND/Imgs/NAME.jpg with a mask NAME.png; MT_Free are sound."""
    for kind in sorted(folder.glob("MT_*")):
        defect = "" if kind.name == "MT_Free" else kind.name[3:].lower()
        # the number last: one tile's pictures under several lights then stay in one half
        images = sorted(
            (kind / "Imgs").glob("*.jpg"), key=lambda file: int(file.stem.split("_")[-1])
        )
        for image, split in _halves(images):
            yield Part(image, defect, image.with_suffix(".png") if defect else None, split)


def _halves(images: list[Path]) -> Iterator[tuple[Path, str]]:
    for number, image in enumerate(images):
        yield image, "train" if number < len(images) / 2 else "test"


SQUARE = 160  # pixels of a piece of a road
CUT = 50  # pixels of crack that make it defective
SETS = {  # name: (what the detector is told it is, a file or folder that only this set has, reader)
    "boards": ("circuit board", "test.txt", _boards),
    "cracks": ("road surface", "groundTruth", _cracks),
    "tiles": ("magnetic tile", "MT_Free", _tiles),
}


def mask_of(part: Part) -> np.ndarray:
    """uint8 (H, W), 255 where the defect is."""
    if part.truth.suffix == ".txt":
        with Image.open(part.image) as picture:
            mask = np.zeros((picture.height, picture.width), np.uint8)
        for line in part.truth.read_text().split("\n"):
            if line.strip():
                left, top, right, bottom, _ = map(int, line.split())
                mask[top : bottom + 1, left : right + 1] = 255
        return mask
    if part.truth.suffix == ".mat":
        left, top, right, bottom = part.cut
        return np.uint8(_segments(part.truth)[top:bottom, left:right]) * 255
    with Image.open(part.truth) as picture:
        return np.uint8(np.asarray(picture.convert("L")) > 127) * 255


def manifest_line(part: Part, photographs: Photographs, folder: Path) -> dict:
    """What a manifest in `folder` says of a picture; its mask, or the piece of it that is judged, is
    written there.
    """
    place = part.image.relative_to(photographs.root).with_suffix("")
    name = "_".join(map(str, (*place.parts, *(part.cut or ())))) + ".png"
    image = part.image
    if part.cut is not None:
        with Image.open(part.image) as picture:
            image = _saved(folder / "pieces" / name, np.asarray(picture.crop(part.cut)))
    said = {"image_path": _named(image, folder), "label": int(bool(part.defect))}
    said |= {"class_name": photographs.spoken, "defect": part.defect, "split": part.split}
    if part.defect:
        said["mask_path"] = _named(_saved(folder / "masks" / name, mask_of(part)), folder)
    return said


def write_manifest(photographs: Photographs, folder: Path) -> Path:
    """A set for `open_dataset(folder, split="test")`; of pictures with equal bytes the first only."""
    whole = [part.image for part in photographs.parts if part.cut is None]
    again = {path for group in copies(whole) for path in sorted(group)[1:]}
    parts = [part for part in photographs.parts if part.image not in again]
    lines = [manifest_line(part, photographs, folder) for part in parts]
    return keep.write_jsonl(folder / "manifest.jsonl", lines)


def _named(path: Path, folder: Path) -> str:
    """Relative where it lies in the folder, so that the folder may be moved."""
    inside = path.is_relative_to(folder)
    return path.relative_to(folder).as_posix() if inside else os.path.abspath(path)


def _saved(path: Path, pixels: np.ndarray) -> Path:
    picture = Image.fromarray(pixels)
    return keep.atomic(path, lambda name: picture.save(name, "PNG"))
