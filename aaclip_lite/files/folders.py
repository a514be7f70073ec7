"""Which pictures a folder holds, told from names alone.

Special: what looks like a picture and is left out is listed with its reason; a folder that cannot be
read is never passed over; links in a circle end, pipes and devices are not opened, and there is a
bound.
Use: `pictures, skipped, closed = below("photos")`.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
CAMERA = (".raw", ".dng", ".cr2", ".nef")
FOREIGN = (".heic", ".heif", ".avif", ".gif", ".jp2", ".jxl", ".psd", *CAMERA)  # not read
MASKS = ("masks", "mask", "ground_truth", "gt")  # folders of masks, in any layout
DRAWN = ".heat.png"  # ends what predict draws, which is no picture of a part
MOST_FILES = 200_000  # below one folder; more are no collection of pictures
NO_FOLDERS = {("/", "proc"), ("/", "sys"), ("/", "dev")}
REMEDY = "save it again as PNG or JPEG"
COPY = "copy it again from the camera"  # of what broke off: saving it would keep the break


class Below(NamedTuple):
    """What a folder holds: its pictures; what looked like one and is left out, with reasons; and the
    folders in it that cannot be read, so that nobody knows what they hold.
    """

    pictures: list[Path]
    skipped: list[str]
    closed: list[str]


def below(folder: str | Path) -> Below:
    """All pictures below a folder, hidden ones apart, in the order of their names."""
    pictures, skipped, closed = [], [], []
    for path in walk(folder, lambda error: closed.append(_closed(error))):
        ending = path.suffix.lower()
        if ending not in (*ENDINGS, *FOREIGN):
            continue
        if path.name.endswith(DRAWN):
            skipped.append(f"{path}: a heat map that predict drew")
        elif not {part.lower() for part in path.relative_to(folder).parts[:-1]}.isdisjoint(MASKS):
            skipped.append(f"{path.parent}: masks, no pictures of parts")
        elif path.stem.endswith("_mask") and any(
            path.with_name(path.stem[:-5] + each).exists() for each in ENDINGS
        ):
            skipped.append(f"{path}: the mask of the picture beside it")
        elif ending in FOREIGN:
            skipped.append(f"{path}: {ending} is not read; {REMEDY}")
        elif not _may_be_file(path):
            skipped.append(f"{path}: no file, or a link to nothing")
        else:
            pictures.append(path)
    return Below(sorted(pictures), list(dict.fromkeys(skipped)), closed)


def _may_be_file(path: Path) -> bool:
    """What may not be looked at counts as one: reading it will say why it cannot be read."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def refuse_system(folder: Path) -> None:
    if folder.resolve().parts[:2] in NO_FOLDERS:
        raise ValueError(f"{folder} belongs to the system, not to pictures; name another folder")


def _closed(error: OSError) -> str:
    return (
        f"{error.filename}: a folder that cannot be read ({error.strerror}); make it readable or "
        "move it away"
    )


def _refuse_closed(error: OSError) -> None:
    raise type(error)(_closed(error)) from error


def walk(
    folder: str | Path, unreadable: Callable[[OSError], object] = _refuse_closed
) -> Iterator[Path]:
    """Everything below that is no folder, hidden ones apart. A folder that several links lead to is
    entered once, so that links in a circle end. unreadable: what to do about a folder that is.
    """
    folder = Path(folder)
    refuse_system(folder)
    entered = set()
    number = 0
    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
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
