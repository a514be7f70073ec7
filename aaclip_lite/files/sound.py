"""Sound parts, before a line is drawn from them: copies count once, parts unlike the others are
named.

Special: a line takes its parts for independent ones, all of them sound. A copy adds no knowledge,
and a single defective part among twenty lifts a line by rank above most defects.
Use: `pairs = distinct(named(pictures))`, `unlike(deviations, names, "bolt")`.
"""

import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from torch import Tensor

from .forms import Picture, read_each
from .promise import doubt

Named = tuple[str, Tensor]
UNLIKE = 10.0  # TODO


def named(images: Picture | Sequence[Picture]) -> Iterator[Named]:
    """Each picture, read, and its path, or its place among those that were given."""
    for number, (path, picture) in enumerate(read_each(images)):
        yield path or f"pictures[{number}]", picture


def mark(picture: Tensor) -> int:
    """By which a picture is known again."""
    return zlib.crc32(picture.mul(255).round().byte().contiguous().cpu().numpy().tobytes())


def distinct(given: Iterable[Named]) -> Iterator[Named]:
    """Each picture once; how many were copies is said at the end."""
    first: dict[int, str] = {}
    copies = []
    for name, picture in given:
        seen = mark(picture)
        if seen in first:
            copies.append(f"{name} is {first[seen]}")
            continue
        first[seen] = name
        yield name, picture
    if copies:
        count = len(first) + len(copies)
        warnings.warn(
            f"{len(copies)} of {count} sound parts are copies of others ({copies[0]}) and are left "
            f"out: {len(first)} different ones count",
            stacklevel=2,
        )


def unlike(deviations: Tensor, names: Sequence[str], product: str) -> list[str]:
    """The file names of parts far above the others, the farthest first; a note names them."""
    farthest = deviations.argsort(descending=True).tolist()
    chosen = [i for i in farthest if deviations[i] > UNLIKE]
    if chosen:
        warnings.warn(doubt([names[i] for i in chosen], f"sound parts of {product}"), stacklevel=2)
    return [Path(names[i]).name for i in chosen]
