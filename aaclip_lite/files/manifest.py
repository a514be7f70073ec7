"""One line of a data set, and AA-CLIP's manifests: JSON lines that name pictures, masks and classes.

Special: every line is checked (types, lengths, labels); all that is wrong is listed with its line.
Use: `records, problems = read_manifest(Path("set/manifest.jsonl"))`, `few_shot(records, 4, seed=0)`.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .checked import JsonError, decoded, either, fields, maybe, one_of, parse, text

# problems that leave every picture and mask usable
TOLERABLE = ("class", "content", "duplicate", "path", "size")

# what makes a line one of ours, and what its values may be
_NAMED = fields(("image_path", "class_name"), True)
# labels are judged later, and other keys are kept
_LINE = fields(
    ("image_path", "class_name"),
    True,
    image_path=text(1024),
    class_name=text(200),
    mask_path=maybe(either(text(1024), one_of(""))),
    inside_path=maybe(either(text(1024), one_of(""))),
    defect=maybe(either(text(200), one_of(""))),
    split=either(text(200), one_of("")),
)


class DataError(ValueError):
    """All that is wrong with a data set: `.problems` is the full list, each "kind: file: what"."""

    def __init__(self, problems: Iterable[str], where: object = ""):
        self.problems = list(problems)
        super().__init__(self.problems, where)

    def __str__(self):
        more = ["..., all of them in .problems"] if len(self.problems) > 100 else []
        lines = [f"{self.args[1]}: {len(self.problems)} problem(s)", *self.problems[:100], *more]
        kinds = {problem.partition(":")[0] for problem in self.problems}
        some = tuple(kind for kind in TOLERABLE if kind in kinds)
        told = f" Of these, {', '.join(some)} can be tolerated: open_dataset(..., allow={some})"
        return "\n  ".join(lines) + "\nMend them." + (told if some else "")


@dataclass(frozen=True)
class Record:
    """One line of a data set: file names relative to its root, label 0 normal, 1 abnormal, None
    unknown.
    """

    image: str
    label: int | None
    class_name: str
    mask: str | None = None
    defect: str = ""  # the kind of defect, "" for a normal picture
    split: str = ""
    inside: str | None = None  # a mask of the object, for figures inside the object
    extra: Mapping = field(default_factory=dict, compare=False)  # whatever else the manifest says

    def files(self, image_level: bool = False) -> dict[str, str]:
        """{"image", "mask" or "inside": its file} of those that it names; image_level: no mask."""
        named = {"image": self.image, "mask": self.mask, "inside": self.inside}
        if image_level:
            del named["mask"]
        return {role: name for role, name in named.items() if name is not None}


def read_manifest(file: Path) -> tuple[list[Record], list[str]]:
    """AA-CLIP's form: one JSON object a line, image_path, label, class_name, mask_path; further
    keys are kept.
    """
    records = []
    problems = []
    try:
        lines = decoded(file.read_bytes(), f"manifest: {file.name}").splitlines()
    except JsonError as error:
        raise DataError([str(error)], file) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"manifest: {file.name}: line {number}"
        try:
            records.append(_record(_LINE(parse(line, _NAMED, where), "")))
        except JsonError:
            problems.append(f"{where} is no JSON object with image_path and class_name")
        except ValueError as error:
            problems.append(f"{where}: {error}")
    if not records and not problems:
        problems.append(f"manifest: {file.name}: holds no line")
    return records, problems


def _record(entry: dict) -> Record:
    """One manifest line, already checked."""
    keys = ("image_path", "class_name", "mask_path", "inside_path")
    image, class_name, mask, inside = (entry.pop(key, None) or "" for key in keys)
    label = entry.pop("label", None)
    # published manifests have 0.0 and 1.0
    label = int(label) if label in (0, 1) and not isinstance(label, bool) else None
    folders = [part for part in Path(image).parts[-2::-1] if part not in ("img", "images")]
    defect = entry.pop("defect", None) or (*folders, "defect")[0]
    split = entry.pop("split", "")
    defect = defect if label else ""
    return Record(image, label, class_name, mask or None, defect, split, inside or None, entry)


def few_shot(records: Sequence[Record], k: int, seed: int) -> list[Record]:
    """k/2 normal and k/2 abnormal records a class; a class draws for itself, and a smaller trial takes
    a part of a larger one's.
    """
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
