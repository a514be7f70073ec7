"""Pictures of one product in a folder, without labels: can all be read, is none there twice?

Special: equal bytes are looked for among all; of about `look` pictures all pixels are decoded.
Use: `print(doctor.parts("good"))`, before `remember` and `calibrate` learn from them.
"""

import os
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

from ..files import audit, pictures
from ..files.folders import below
from ..files.manifest import Record
from .finding import Finding, conclude

# Of the usual distance between two pictures of a class: below, they are one part. Boards and tiles
# saved again, or at half their size, lay at 0.02 at most, different ones at 0.16 at least.
NEAR = 0.1
TAKEN = (
    "no labels are known: taken as sound parts of one product (a data set has good/ and one folder "
    "a kind of defect)"
)
Seen = tuple[str, np.ndarray]  # a picture's name, and 256 grey values to compare it by


def parts(folder: str | os.PathLike, look: int = 200) -> Finding:
    """What is wrong with a folder of pictures that are all taken as sound."""
    folder = Path(folder)
    files, skipped, closed = below(folder)
    names = [file.relative_to(folder).as_posix() for file in files]
    problems = audit.problems(folder, [Record(name, 0, "object") for name in names], True)
    copies = [each for each in problems if each.startswith("duplicate")]
    unreadable = [*closed, *(each for each in problems if each not in copies)]
    seen, sizes = looked_at(folder, names, look, unreadable)
    unreadable += skipped if not names else []
    # equal ones are told as copies
    pairs = [(one, two) for one, two in combinations(seen, 2) if not np.array_equal(one[1], two[1])]
    found = {"unreadable": [*dict.fromkeys(unreadable)], "copies": copies + almost(pairs)}
    row = {"pictures": len(names), "looked at": len(seen), "sizes": sizes}
    left_out = [f"left out: {each}" for each in skipped if names]
    return conclude("parts", folder, found, [row], [TAKEN, *left_out])


def looked_at(root: Path, names: list[str], look: int, wrong: list[str]) -> tuple[list[Seen], str]:
    """(about `look` of the pictures, their sizes); what is wrong with them goes into `wrong`."""
    seen, sizes = [], set()
    for name in names[:: max(1, len(names) // look)]:
        try:
            picture = pictures.read(root / name)
        except audit.UNREADABLE as error:
            wrong.append(f"image: {name}: {audit.reason(error)}")
            continue
        if picture.min() == picture.max():
            wrong.append(f"content: {name}: all pixels are equal")
        sizes.add(picture.shape[1::-1])
        grey = Image.fromarray(picture).convert("L").resize((16, 16), Image.Resampling.BOX)
        seen.append((name, np.asarray(grey, float).ravel()))
    return seen, from_to(sizes)


def from_to(sizes: set[tuple[int, ...]]) -> str:
    """The smallest and the largest, or the only one."""
    ends = sorted(sizes)
    return " to ".join(f"{width}x{height}" for width, height in ends[:: max(1, len(ends) - 1)])


def almost(pairs: Iterable[tuple[Seen, Seen]]) -> list[str]:
    """Pairs that lie much nearer than these usually do: saved again, cut or made smaller."""
    apart = {(a, b): float(np.abs(one - two).sum()) for (a, one), (b, two) in pairs}
    # against how far pictures of this kind lie apart: a line's parts all look similar
    near = NEAR * np.median([*apart.values()]) if apart else 0
    return [f"{a} is almost {b}: the same part twice?" for (a, b), d in apart.items() if d < near]
