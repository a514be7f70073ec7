"""Which files of a folder are the factory's own, and whether all of them are there.

Other files are never removed: own files are known by their places and names.
"""

import contextlib
import json
import os
import re
import shutil
from pathlib import Path

from .products import PRODUCTS

WORK = ".drawing-"  # begins the names of the folders that classes are drawn in

_OWN_PICTURE = re.compile(
    r"(train|test)/[a-z_]+/\d{3,}\.png|ground_truth/[a-z_]+/\d{3,}_mask\.png"
    r"|inside/[a-z_]+/\d{3,}\.png|manifest\.jsonl"
)

_OWN_FILES = ("world.json", "manifest.jsonl", ".drawing.json", ".manifest.tmp")

PICTURE_KEYS = ("image_path", "mask_path", "inside_path")


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


def remove_set(folder: Path) -> None:
    """Remove a set that another world has drawn; files that are not the factory's stay."""
    for name in _OWN_FILES:
        (folder / name).unlink(missing_ok=True)
    for name in PRODUCTS:
        remove_own(folder / name)


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


def settle(work: Path, target: Path) -> None:
    """Put a drawn class in its place; what else lies there stays."""
    remove_own(target)
    if not target.exists():
        os.replace(work, target)
        return
    # the manifest comes last: it says that the class is whole
    drawn = sorted(path for path in work.rglob("*.png"))
    for path in [*drawn, work / "manifest.jsonl"]:
        place = target / path.relative_to(work)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, place)
    shutil.rmtree(work)
