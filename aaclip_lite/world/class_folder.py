"""All pictures of one product in a data set: drawn, found whole, and removed again.

The manifest of a class is written last: a class without it counts as not drawn. Other files are
never removed: the factory's own are known by their places and names.
"""

import contextlib
import json
import os
import re
from pathlib import Path

from PIL import Image

from .defects import kinds_for
from .draw import NotShown, Picture, draw
from .plans import PLANS

_OWN_PICTURE = re.compile(
    r"(train|test)/[a-z_]+/\d{3,}\.png|ground_truth/[a-z_]+/\d{3,}_mask\.png"
    r"|inside/[a-z_]+/\d{3,}\.png"
)

PICTURE_KEYS = ("image_path", "mask_path", "inside_path")


def draw_class(
    split: str, name: str, folder: Path, size: int, counts: tuple[int, int, int]
) -> None:
    """Draw one class of the set in `folder` anew; other files of its own folder stay."""
    references, normal, defective = counts
    plan = PLANS[split]
    where = {"split": plan.key, "station": plan.station}
    kinds = kinds_for(name, plan.structural)
    remove_own(folder / name)
    (folder / name).mkdir(exist_ok=True)
    lines = []
    index = 0
    numbers = dict.fromkeys(kinds, 0)
    for part, count in (("train", references), ("test", normal)):
        for number in range(count):
            lines.append(_put(draw(name, index, size, **where), folder, part, number))
            index += 1
    for i in range(defective):
        severity = (i // len(kinds)) % 3
        for attempt in range(40):
            kind = kinds[(i + attempt) % len(kinds)]
            index += 1
            try:
                picture = draw(name, index, size, kind, severity, **where)
            except NotShown:
                continue
            lines.append(_put(picture, folder, "test", numbers[kind], severity))
            numbers[kind] += 1
            break
        else:
            raise RuntimeError(f"could not draw defect {i} of {split}/{name}")
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / name / "manifest.jsonl").write_text(text)


def _put(picture: Picture, folder: Path, part: str, number: int, severity: int = 0) -> dict:
    """Write a picture's files; its line of the manifest."""
    name = picture.product
    kind = picture.defect or "good"
    paths = (
        f"{name}/{part}/{kind}/{number:03d}.png",
        f"{name}/ground_truth/{kind}/{number:03d}_mask.png" if picture.defect else "",
        f"{name}/inside/{part}_{kind}/{number:03d}.png",
    )
    pixels = (picture.image, picture.mask * 255, picture.inside * 255)
    for path, values in zip(paths, pixels, strict=True):
        if path:
            target = folder / path
            # one level at a time: where the class's own folder was removed, this fails
            target.parent.parent.mkdir(exist_ok=True)
            target.parent.mkdir(exist_ok=True)
            Image.fromarray(values).save(target, compress_level=1)
    return {
        "image_path": paths[0],
        "label": int(kind != "good"),
        "class_name": name,
        "mask_path": paths[1],
        "inside_path": paths[2],
        "defect": kind,
        "severity": severity,
        "split": part,
    }


def is_whole(folder: Path, counts: tuple[int, int, int]) -> bool:
    """Whether every file that a class's manifest names is there, and as many pictures as are meant."""
    try:
        lines = (folder / "manifest.jsonl").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        paths = [entry[key] for entry in entries for key in PICTURE_KEYS if entry[key]]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    there = {
        Path(place, name).relative_to(folder.parent).as_posix()
        for place, _, names in os.walk(folder)
        for name in names
    }
    return len(entries) == sum(counts) and there.issuperset(paths)


def remove_own(folder: Path) -> None:
    """Remove the files of one class that the factory draws, and folders that are empty then."""
    if not folder.is_dir() or folder.is_symlink():
        return
    # the manifest goes first: a class without it counts as not drawn
    (folder / "manifest.jsonl").unlink(missing_ok=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):  # something else lies in it
                path.rmdir()
        elif _OWN_PICTURE.fullmatch(path.relative_to(folder).as_posix()):
            path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()
