"""Which records a few-shot trial takes.

Special: a class draws for itself, and a smaller trial takes a part of a larger one's.
Use: `few_shot(records, 4, seed=0)`
"""

import zlib
from collections.abc import Sequence

import numpy as np

from .manifest import Record


def few_shot(records: Sequence[Record], k: int, seed: int) -> list[Record]:
    """k/2 normal and k/2 abnormal records a class."""
    if k < 2 or k % 2:
        raise ValueError(
            f"few_shot takes an even k of at least 2 (half normal, half abnormal), not {k}"
        )
    chosen = set()
    short = []
    for name in sorted({record.class_name for record in records}):
        generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
        for label, kind in enumerate(("normal", "abnormal")):
            key = (name, label)
            have = [i for i, r in enumerate(records) if (r.class_name, r.label) == key]
            chosen |= set(generator.permutation(have)[: k // 2])
            if len(have) < k // 2:
                short.append(f"{name} has {len(have)} {kind}")
    if short:
        raise ValueError(
            f"{k}-shot needs {k // 2} normal and {k // 2} abnormal a class: {', '.join(short)}"
        )
    return [record for i, record in enumerate(records) if i in chosen]
