"""Sound parts, before a line is drawn from them: copies count once, parts unlike the others are
named.

Special: a line takes its parts for independent ones, all of them sound. A copy adds no knowledge,
and a single defective part among twenty lifts a line by rank above most defects.
Use: `pairs = distinct(named(pictures))`, `unlike(deviations, names, "bolt")`.
"""

import sys
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from .forms import Picture, read_each
from .promise import doubt

Named = tuple[str, Tensor]
# Deviations above the median (decision.deviations) from which a part is named. Measured on 35
# stations of the validation products, drawn without prints: of 350 sets of 5 to 20 sound references
# or calibrating parts none had one above 5.9. With a defective part in place of one, 83 % of 70 sets
# of 20 had it above 6, and 67 % of 70 sets of 5. A sound part that alone bears a print is named too.
UNLIKE = 6.0


def named(images: Picture | Sequence[Picture]) -> Iterator[Named]:
    """Each picture, read, and its path, or its place among those that were given."""
    for number, (path, picture) in enumerate(read_each(images)):
        yield path or f"pictures[{number}]", picture


def mark(picture: Tensor) -> int:
    """By which a picture is known again."""
    return zlib.crc32(picture.mul(255).round().byte().contiguous().cpu().numpy().tobytes())


def distinct(pictures: Iterable[Named]) -> Iterator[Named]:
    """Each picture once; how many were copies is said at the end."""
    first: dict[int, str] = {}
    copies = []
    for name, picture in pictures:
        seen = mark(picture)
        if seen in first:
            copies.append(f"{name} is {first[seen]}")
            continue
        first[seen] = name
        yield name, picture
    if copies:
        count = len(first) + len(copies)
        note(
            f"{len(copies)} of {count} sound parts are copies of others ({copies[0]}): they are left "
            f"out, which leaves {len(first)}"
        )


def note(text: str) -> None:
    """A warning at the caller's own line, however deep below it was met."""
    frame = sys._getframe(1)
    level = 2
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(("aaclip_lite", "torch")):
        frame = frame.f_back
        level += 1
    warnings.warn(text, stacklevel=level)


@contextmanager
def quiet() -> Iterator[None]:
    """For parts that a data set or the factory gives: nobody can leave one of them out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def unlike(deviations: Tensor, names: Sequence[str], product: str) -> list[str]:
    """The file names of parts far above the others, the farthest first; a note names them."""
    farthest = deviations.argsort(descending=True).tolist()
    chosen = [i for i in farthest if deviations[i] > UNLIKE]
    if chosen:
        note(doubt([names[i] for i in chosen], f"sound parts of {product}"))
    return [Path(names[i]).name for i in chosen]
