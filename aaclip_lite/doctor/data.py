"""Is a data set fit to train on: balance, masks, sizes, copies, leaks?

Special: each share stands beside its null (even labels, inverted masks) and its error.
Use: `print(doctor.dataset(aa.open_dataset("factory/train")))`.
"""

import math
from collections import defaultdict
from itertools import combinations

from ..datasets import DataError, overlap
from .finding import Finding, conclude, mean_and_error


def dataset(data, other=None, look: int = 200) -> Finding:
    """Balance, masks, sizes and copies, with about `look` pictures decoded; `other`: a set that
    should share none.
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
    found["leak"] = _leaks(data, other)
    rows, samples = [], []
    for name in data.classes:
        row, looked = _class(name, data, strict, look, found)
        rows.append(row)
        labels = sorted({s.label for s in looked})
        samples += [next(s for s in looked if s.label == label) for label in labels]
    normal, abnormal = (sum(row[label] for row in rows) for label in ("normal", "abnormal"))
    if not (normal and abnormal):
        found["one label"] = [f"all {len(data)} pictures are {'normal' if normal else 'abnormal'}"]
    elif min(normal, abnormal) < 0.1 * len(data):
        found["unbalanced"] = [f"{normal} normal and {abnormal} abnormal pictures"]
    lone = [row["class"] for row in rows if normal and abnormal and row["balance"] in (0, 1)]
    alone = f"one label only, hence no image AUROC: {', '.join(lone)}" if lone else ""
    subject = f"data set of {len(data)} pictures"
    return conclude("dataset", subject, found, rows, [data.detected, alone], samples[:12])


def _leaks(data, other) -> list[str]:
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
    return leaks


def _class(name: str, data, strict, look: int, found: dict[str, list[str]]) -> tuple[dict, list]:
    """(a class's line of the table, the samples looked at); what is wrong goes into `found`."""
    mine = [
        [i for i, r in enumerate(data.records) if (r.class_name, r.label) == (name, label)]
        for label in (0, 1)
    ]
    looked = []
    for index in (i for group in mine for i in group[:: max(1, len(data) // look)]):
        try:
            looked.append(strict[index])
        except DataError as error:
            found["broken files"] += error.problems
    row, masks = _class_row(name, *map(len, mine), looked)
    odd = {s.path: "all pixels are equal" for s in looked if s.image.min() == s.image.max()}
    odd |= {path: "the mask is all one" for path, share in masks.items() if share == 1}
    found["broken files"] += [f"content: {path}: {what}" for path, what in odd.items()]
    if masks and sorted(masks.values())[len(masks) // 2] > 0.5:
        found["swapped masks"].append(
            f"{name}: masks cover {row['mask share']:.0%} of defective pictures"
        )
    return row, looked


def _class_row(
    name: str, normal: int, abnormal: int, looked: list
) -> tuple[dict, dict[str, float]]:
    """One class's line of the table, and how much of each defective picture its mask covers."""
    masks = {s.path: float(s.mask.mean()) for s in looked if s.label and s.mask is not None}
    share, error = mean_and_error(list(masks.values()))
    sizes = sorted({s.image.shape[1::-1] for s in looked})
    row = {
        "class": name,
        "normal": normal,
        "abnormal": abnormal,
        "balance": abnormal / (normal + abnormal),
        "even": 0.5,
        "±": 0.5 / math.sqrt(normal + abnormal),
        "looked at": len(looked),
        "mask share": share,
        "mask ±": error,
        "inverted": None if share is None else 1 - share,
        "sizes": " to ".join(f"{w}x{h}" for w, h in sizes[:: max(1, len(sizes) - 1)]),
    }
    return row, masks
