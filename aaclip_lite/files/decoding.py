"""From a data set's records to their decoded, resized planes, each kept as long as memory allows.

Special: threads only decode; what they give is kept by the one that asked, so that the memory used
stays below the cache's budget. `data`: whatever has root, records, size, image_level, allow, cache.
Use: `known(data, record)`, `for planes in ahead(data, [[0, 1], [2]])`, `problems(data)`.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from . import pictures
from .audit import UNREADABLE, reason
from .manifest import DataError, Record

DECODERS = min(4, os.cpu_count() or 1)
Planes = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]  # image, mask, inside


class Cache(dict):
    """Decoded pictures by record, shared by all views of a data set, up to a number of bytes."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = 0

    def keep(self, record: Record, planes: Planes) -> Planes:
        size = sum(plane.nbytes for plane in planes if plane is not None)
        if record not in self and self.used + size <= self.budget:
            self[record] = planes
            self.used += size
        return planes


def known(data, record: Record) -> Planes:
    return data.cache.get(record) or data.cache.keep(record, decode(data, record))


def ahead(data, steps: Sequence[Sequence[int]]) -> Iterator[list[Planes]]:
    """The planes of each step's rows; threads read the next step's files while this one's are in
    use.
    """
    with ThreadPoolExecutor(DECODERS) as pool:

        def begin(rows: Sequence[int]) -> list[tuple[Record, Planes | Future]]:
            records = [data.records[row] for row in rows]
            return [(r, data.cache.get(r) or pool.submit(decode, data, r)) for r in records]

        coming = begin(steps[0]) if steps else []
        for following in [*steps[1:], []] if steps else []:
            now = coming
            coming = begin(following)
            planes = [(r, p.result() if isinstance(p, Future) else p) for r, p in now]
            yield [data.cache.keep(record, each) for record, each in planes]


def problems(data) -> list[str]:
    """What decoding every file shows; a few at a time, so that memory stays bounded."""
    wrong = []
    new = [record for record in data.records if record not in data.cache]
    with ThreadPoolExecutor(DECODERS) as pool:
        for start in range(0, len(new), 64):
            jobs = [(r, pool.submit(decode, data, r)) for r in new[start : start + 64]]
            for record, job in jobs:
                error = job.exception()
                if isinstance(error, DataError):
                    wrong += error.problems
                else:
                    data.cache.keep(record, job.result())
    return wrong


def decode(data, record: Record) -> Planes:
    """(image, mask, inside); the mask of a normal picture is left None, to save memory."""
    planes = {}
    wrong = []
    for role, name in record.files(data.image_level).items():
        try:
            planes[role], filled = pictures.read_sized(data.root / name, data.size, role != "image")
        except UNREADABLE as error:
            wrong.append(f"{role}: {name}: {reason(error)}")
            continue
        if role == "mask" and filled != bool(record.label) and "content" not in data.allow:
            how = "not" if filled else "all"
            wrong.append(f"content: {name}: {how} zero, but label {record.label}")
    if wrong:
        raise DataError(wrong, data.root)
    return planes["image"], planes.get("mask") if record.label else None, planes.get("inside")
