"""Pictures of one product in a folder, without labels: can all be read, is none there twice?

Special: equal bytes are looked for among all; of about `look` pictures all pixels are decoded.
Use: `print(doctor.parts("good"))`, before `remember` and `calibrate` learn from them.
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.distance import pdist, squareform

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


def parts(folder: str | os.PathLike, look: int = 200) -> Finding:
    """What is wrong with a folder of pictures that are all taken as sound."""
    folder = Path(folder)
    files, skipped, closed = below(folder)
    names = [file.relative_to(folder).as_posix() for file in files]
    problems = audit.problems(folder, [Record(name, 0, "object") for name in names], True)
    copies = [each for each in problems if each.startswith("duplicate")]
    unreadable = [*closed, *(each for each in problems if each not in copies)]
    seen, sizes = _looked_at(folder, names[:: max(1, len(names) // look)], unreadable)
    unreadable += skipped if not names else []
    found = {"unreadable": [*dict.fromkeys(unreadable)], "copies": copies + _alike(seen)}
    ends = sizes[:: max(1, len(sizes) - 1)]
    row = {"pictures": len(names), "looked at": len(seen)}
    row |= {"sizes": " to ".join(f"{width}x{height}" for width, height in ends)}
    left_out = [f"left out: {each}" for each in skipped if names]
    return conclude("parts", folder, found, [row], [TAKEN, *left_out])


def _looked_at(
    folder: Path, names: list[str], unreadable: list[str]
) -> tuple[dict[str, np.ndarray], list[tuple[int, ...]]]:
    """(what pictures look like, by name; their sizes); what is wrong goes into `unreadable`."""
    seen, sizes = {}, set()
    for name in names:
        try:
            picture = pictures.read(folder / name)
        except audit.UNREADABLE as error:
            unreadable.append(f"image: {name}: {audit.reason(error)}")
            continue
        if picture.min() == picture.max():
            unreadable.append(f"content: {name}: all pixels are equal")
        sizes.add(picture.shape[1::-1])
        seen[name] = small(picture)
    return seen, sorted(sizes)


def small(picture: np.ndarray) -> np.ndarray:
    """A picture as 256 grey values, to compare it by."""
    grey = Image.fromarray(picture).convert("L")
    return np.asarray(grey.resize((16, 16), Image.Resampling.BOX), float).ravel()


def _alike(seen: dict[str, np.ndarray]) -> list[str]:
    """Pairs that lie much nearer than pictures of this folder usually do; equal ones are told."""
    if len(seen) < 3:
        return []
    names = list(seen)
    apart = squareform(pdist(np.stack(list(seen.values())), "cityblock"))
    near = (apart > 0) & (apart < NEAR * np.median(apart[np.triu_indices(len(names), 1)]))
    pairs = np.argwhere(np.triu(near))
    return [f"{names[i]} is almost {names[j]}: the same part twice?" for i, j in pairs]
