"""Is a data set fit to train on: balance, masks, sizes, copies, leaks?

Special: each share stands beside its null (even labels, inverted masks) and its error. Every mask
is read; of the pictures a sample is decoded.
Use: `print(doctor.dataset(aa.open_dataset("factory/train")))`.
"""

import math
from collections import defaultdict
from itertools import combinations, product

from ..datasets import DataError, overlap
from ..files import pictures
from ..files.audit import UNREADABLE
from .finding import Finding, conclude, mean_and_error
from .parts import almost, from_to, looked_at


def dataset(data, other=None, look: int = 200) -> Finding:
    """Balance, masks, sizes and copies, with about `look` pictures decoded, as many of each side in
    the search for near-copies; `other`: a set that should share none.
    """
    if not len(data):
        raise ValueError("the data set is empty: there is nothing to examine")
    found = defaultdict(list)
    # a stricter twin: what opening the set tolerated is named here all the same
    strict = type(data)(
        data.root, data.records, **data.settings | {"allow": (), "cache": type(data.cache)(0)}
    )
    for problem in strict.check(decode=False):
        found["copies" if problem.startswith("duplicate") else "broken files"].append(problem)
    found["leak"] = _leaks(data, other, look)
    found["broken files"] += _masks(data, found["odd masks"])
    rows = [_class(name, strict, look, found) for name in data.classes]
    found["broken files"] = [*dict.fromkeys(found["broken files"])]
    normal, abnormal = (sum(row[label] for row in rows) for label in ("normal", "abnormal"))
    if not (normal and abnormal):
        found["one label"] = [f"all {len(data)} pictures are {'normal' if normal else 'abnormal'}"]
    elif min(normal, abnormal) < 0.1 * len(data):
        found["unbalanced"] = [f"{normal} normal and {abnormal} abnormal pictures"]
    lone = [row["class"] for row in rows if normal and abnormal and row["balance"] in (0, 1)]
    alone = f"one label only, hence no image AUROC: {', '.join(lone)}" if lone else ""
    subject = f"data set of {len(data)} pictures"
    return conclude("dataset", subject, found, rows, [data.detected, alone])


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
            except UNREADABLE:
                continue  # named among the broken files
    return empty


def _class(name: str, data, look: int, found: dict[str, list[str]]) -> dict:
    """A class's line of the table; what is wrong goes into `found`."""
    mine = [
        [i for i, r in enumerate(data.records) if (r.class_name, r.label) == (name, label)]
        for label in (0, 1)
    ]
    looked = []
    for index in (i for group in mine for i in group[:: max(1, len(data) // look)]):
        try:
            looked.append(data[index])
        except DataError as error:
            found["broken files"] += error.problems
    # how much of each defective picture its mask covers
    masks = {s.path: float(s.mask.mean()) for s in looked if s.label and s.mask is not None}
    odd = {s.path: "all pixels are equal" for s in looked if s.image.min() == s.image.max()}
    odd |= {path: "the mask is all one" for path, share in masks.items() if share == 1}
    found["broken files"] += [f"content: {path}: {what}" for path, what in odd.items()]
    share, error = mean_and_error(list(masks.values()))
    if masks and sorted(masks.values())[len(masks) // 2] > 0.5:
        found["swapped masks"].append(f"{name}: masks cover {share:.0%} of defective pictures")
    normal, abnormal = map(len, mine)
    row = {"class": name, "normal": normal, "abnormal": abnormal}
    row |= {"balance": abnormal / (normal + abnormal), "even": 0.5}
    row |= {"±": 0.5 / math.sqrt(normal + abnormal), "looked at": len(looked)}
    row |= {"mask share": share, "mask ±": error, "inverted": None if share is None else 1 - share}
    return row | {"sizes": from_to({s.image.shape[1::-1] for s in looked})}
