"""Are pictures fit to learn from: a data set's balance, masks, sizes, copies, leaks; a bare folder of
sound parts.

Special: each share stands beside its null (even labels, inverted masks) and its error. Equal bytes
are looked for among all, every mask is read; of about `look` pictures all pixels are decoded.
Use: `print(doctor.dataset(aa.open_dataset("factory/train")))`; `print(doctor.parts("good"))`, before
`remember` and `calibrate` learn from them.
"""

import math
import os
from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations, product
from pathlib import Path

import numpy as np
from PIL import Image

from ..datasets import DataError, overlap
from ..files import audit, pictures
from ..files.folders import below
from ..files.manifest import Record
from .finding import Finding, Reasons, conclude, mean_and_error

# Of the usual distance between two pictures of a class: below, they are one part. Boards and tiles
# saved again, or at half their size, lay at 0.02 at most, different ones at 0.16 at least.
NEAR = 0.1
TAKEN = (
    "no labels are known: taken as sound parts of one product (a data set has good/ and one folder "
    "a kind of defect)"
)
Seen = tuple[str, np.ndarray]  # a picture's name, and 256 grey values to compare it by


def dataset(data, other=None, look: int = 200) -> Finding:
    """Balance, masks, sizes and copies, with about `look` pictures decoded, as many of each side in
    the search for near-copies; `other`: a set that should share none.
    """
    if not len(data):
        raise ValueError("the data set is empty: there is nothing to examine")
    reasons = defaultdict(list)
    # a stricter twin: what opening the set tolerated is named here all the same
    strict = type(data)(
        data.root, data.records, **data.settings | {"allow": (), "cache": type(data.cache)(0)}
    )
    for problem in strict.problems(decode=False):
        reasons["copies" if problem.startswith("duplicate") else "broken files"].append(problem)
    reasons["leak"] = _leaks(data, other, look)
    reasons["broken files"] += _masks(data, reasons["odd masks"])
    rows, samples = [], []
    for name in data.classes:
        row, looked = _class(name, strict, look, reasons)
        rows.append(row)
        by_label = {sample.label: sample for sample in reversed(looked)}  # the first of each
        samples += [by_label[label] for label in sorted(by_label)]
    reasons["broken files"] = [*dict.fromkeys(reasons["broken files"])]
    normal, abnormal = (sum(row[label] for row in rows) for label in ("normal", "abnormal"))
    if not (normal and abnormal):
        label = "normal" if normal else "abnormal"
        reasons["one label"] = [f"all {len(data)} pictures are {label}"]
    elif min(normal, abnormal) < 0.1 * len(data):
        reasons["unbalanced"] = [f"{normal} normal and {abnormal} abnormal pictures"]
    lone = [row["class"] for row in rows if normal and abnormal and row["balance"] in (0, 1)]
    alone = f"one label only, hence no image AUROC: {', '.join(lone)}" if lone else ""
    subject = f"data set of {len(data)} pictures"
    return conclude("dataset", subject, reasons, rows, [data.detected, alone], samples[:12])


def _leaks(data, other, look: int) -> list[str]:
    """Pictures that two splits, or this set and the other, have in common."""
    names = sorted({record.split for record in data.records})
    splits = [data.view(r for r in data.records if r.split == name) for name in names]
    pairs = [*combinations(splits, 2)]
    if other is not None:
        pairs.append((data, other))
    leaks = []
    for pair in pairs:
        ours, theirs = ({str(one.root / r.image) for r in one.records} for one in pair)
        leaks += [f"{a} is also {b}" for a, b in overlap(*pair)] + sorted(ours & theirs)
        leaks += [] if leaks else _near(*pair, look)
    return leaks


def _near(first, second, look: int) -> list[str]:
    """Pictures of one class that two sets show almost alike."""
    near = []
    for name in sorted({*first.classes} & {*second.classes}):
        sides = []
        for one in (first, second):
            pictured = [record.image for record in one.filter(name).records]
            # what cannot be read is named among the broken files
            sides.append(looked_at(one.root, pictured, look, wrong=[])[0])
        near += almost(product(*sides))
    return near


def _masks(data, odd: list[str]) -> list[str]:
    """Empty ones among all masks; what is odd about the others goes into `odd`."""
    empty = []
    for record in data.records:
        if record.label and record.mask is not None and not data.image_level:
            path = data.root / record.mask
            try:
                share = pictures.read_mask(path).mean()
                if not share:
                    empty.append(f"content: {record.mask}: all zero, but label 1")
                elif share < 0.5:  # more is told as swapped
                    odd += pictures.odd_mask(path, record.mask)
            except audit.UNREADABLE:
                continue  # named among the broken files
    return empty


def _class(name: str, data, look: int, reasons: Reasons) -> tuple[dict, list]:
    """(a class's line of the table, the samples looked at); what is wrong goes into `reasons`."""
    mine = [
        [i for i, r in enumerate(data.records) if (r.class_name, r.label) == (name, label)]
        for label in (0, 1)
    ]
    looked = []
    for index in (i for group in mine for i in group[:: max(1, len(data) // look)]):
        try:
            looked.append(data[index])
        except DataError as error:
            reasons["broken files"] += error.problems
    # how much of each defective picture its mask covers
    masks = {s.path: float(s.mask.mean()) for s in looked if s.label and s.mask is not None}
    odd = {s.path: "all pixels are equal" for s in looked if s.image.min() == s.image.max()}
    odd |= {path: "the mask is all one" for path, share in masks.items() if share == 1}
    reasons["broken files"] += [f"content: {path}: {what}" for path, what in odd.items()]
    share, error = mean_and_error(list(masks.values()))
    if masks and sorted(masks.values())[len(masks) // 2] > 0.5:
        reasons["swapped masks"].append(f"{name}: masks cover {share:.0%} of defective pictures")
    normal, abnormal = map(len, mine)
    row = {"class": name, "normal": normal, "abnormal": abnormal}
    row |= {"balance": abnormal / (normal + abnormal), "even": 0.5}
    row |= {"±": 0.5 / math.sqrt(normal + abnormal), "looked at": len(looked)}
    row |= {"mask share": share, "mask ±": error, "inverted": None if share is None else 1 - share}
    return row | {"sizes": from_to({s.image.shape[1::-1] for s in looked})}, looked


# ---- a folder of sound parts ---------------------------------------------------------------------


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
    reasons = {"unreadable": [*dict.fromkeys(unreadable)], "copies": copies + almost(pairs)}
    row = {"pictures": len(names), "looked at": len(seen), "sizes": sizes}
    left_out = [f"left out: {each}" for each in skipped if names]
    return conclude("parts", folder, reasons, [row], [TAKEN, *left_out])


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
