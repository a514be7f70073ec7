"""Which pictures a folder holds, told from names alone.

Special: what looks like a picture and is left out is listed with its reason; links in a circle end,
pipes and devices are not opened, and there is a bound.
Use: `found, skipped = below("photos")`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
FOREIGN = (
    ".heic",
    ".heif",
    ".avif",
    ".gif",
    ".jp2",
    ".jxl",
    ".psd",
    ".raw",
    ".dng",
    ".cr2",
    ".nef",
)
MASKS = ("masks", "mask", "ground_truth", "gt")  # folders of masks, in any layout
OWN = ".heat.png"  # ends what predict draws, which is no picture of a part
MOST_FILES = 200_000  # below one folder; more are no collection of pictures
NO_FOLDERS = {("/", "proc"), ("/", "sys"), ("/", "dev")}
REMEDY = "save it again as PNG or JPEG"


class Below(NamedTuple):
    """What a folder holds: its pictures, and what looked like one and is left out, with reasons."""

    found: list[Path]
    skipped: list[str]


def below(folder: str | Path) -> Below:
    """All pictures below a folder, hidden ones apart, in the order of their names."""
    found, skipped = [], []
    for path in walk(folder):
        ending = path.suffix.lower()
        if ending not in (*ENDINGS, *FOREIGN):
            continue
        if path.name.endswith(OWN):
            skipped.append(f"{path}: a heat map that predict drew")
        elif not {part.lower() for part in path.relative_to(folder).parts[:-1]}.isdisjoint(MASKS):
            skipped.append(f"{path.parent}: masks, no pictures of parts")
        elif path.stem.endswith("_mask") and any(
            path.with_name(path.stem[:-5] + each).exists() for each in ENDINGS
        ):
            skipped.append(f"{path}: the mask of the picture beside it")
        elif ending in FOREIGN:
            skipped.append(f"{path}: {ending} is not read; {REMEDY}")
        elif not path.is_file():
            skipped.append(f"{path}: no file, or a link to nothing")
        else:
            found.append(path)
    return Below(sorted(found), list(dict.fromkeys(skipped)))


def refuse_system(folder: Path) -> None:
    if folder.resolve().parts[:2] in NO_FOLDERS:
        raise ValueError(f"{folder} belongs to the system, not to pictures; name another folder")


def walk(folder: str | Path) -> Iterator[Path]:
    """Everything below that is no folder, hidden ones apart. A folder that several links lead to is
    entered once, so that links in a circle end.
    """
    folder = Path(folder)
    refuse_system(folder)
    entered = set()
    number = 0
    for place, folders, names in os.walk(folder, followlinks=True):
        here = os.stat(place)
        if (here.st_dev, here.st_ino) in entered:
            folders.clear()
            continue
        entered.add((here.st_dev, here.st_ino))
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        number += len(names)
        if number > MOST_FILES:
            raise ValueError(
                f"{folder} holds more than {MOST_FILES:,} files; name the folder of the pictures"
            )
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))
