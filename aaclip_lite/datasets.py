"""Pictures with defect masks: the factory's sets, AA-CLIP manifests, and the folders that public
data sets come in.

Special: opening looks at every file (name, label, header, end of file, copies) and lists all that
is missing or broken in one `DataError` before any work starts; `problems()` decodes all. Nothing is
replaced by black pictures or empty masks. Decoded, resized pictures stay in memory up to
`cache_bytes`, others are read again.

    data = open_dataset("factory/train", size=128)      # or a folder, or a .jsonl manifest
    known = open_dataset("factory/test", split="train") # 20 references a product, never judged
    data[0].image, data[0].mask                         # uint8 (H, W, 3) and (H, W) in {0, 1}
    data.filter(classes=["candle"]).few_shot(4)         # 2 normal and 2 abnormal pictures a class
    for batch in data.batches(16, shuffle=True, seed=0, augment="course", epoch=3, stage=2): ...
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from . import augment as augmentation
from .files import audit, batching, decoding, layouts
from .files.decoding import Cache
from .files.door import door
from .files.late import late
from .files.layouts import LAYOUTS
from .files.manifest import TOLERABLE, DataError, Record, few_shot

__all__ = ["AnomalyDataset", "DataError", "Record", "Sample", "open_dataset", "overlap"]

LARGEST_SIDE = 4096  # beyond it a typing error is likelier than a picture


@dataclass(frozen=True, eq=False)
class Sample:
    """One decoded picture; masks are in {0, 1}, None where not declared."""

    image: UInt8[np.ndarray, "H W 3"]
    mask: UInt8[np.ndarray, "H W"] | None
    label: int | None  # 0 sound, 1 anomalous
    class_name: str
    path: str
    defect: str  # what kind, as the set names it
    inside: UInt8[np.ndarray, "H W"] | None  # where the object is, if the set says so


class AnomalyDataset:
    """Records below one root; `data[i]` decodes the i-th. Made by `open_dataset`."""

    def __init__(self, root: Path, records: list[Record], **settings) -> None:
        self.root = root
        self.records = records
        self.settings = settings  # as given, for the views of this set
        self.layout: str = settings["layout"]
        self.detected: str = settings["detected"]  # what it was taken for, and why
        self.size: int | None = settings["size"]
        self.image_level: bool = settings["image_level"]
        self.allow: tuple[str, ...] = settings["allow"]
        self.groups: Mapping[str, str] = settings["groups"]  # {class: objects, textures ...}
        self.cache: Cache = settings["cache"]

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        normal = sum(record.label == 0 for record in self.records)
        return (
            f"{self.detected}: {len(self)} pictures ({normal} normal), {len(self.classes)} classes"
        )

    @property
    def classes(self) -> list[str]:
        return sorted({record.class_name for record in self.records})  # the same in each process

    def __getitem__(self, index: int) -> Sample:
        record = self.records[index]
        known = decoding.known(self, record)
        image: Any
        # copies: whoever draws into a sample must not change what the cache holds
        image, mask, inside = (None if plane is None else plane.copy() for plane in known)
        if self.image_level:
            mask = None  # not zeros: that would say "no defect anywhere"
        elif mask is None:
            mask = np.zeros(image.shape[:2], np.uint8)  # a sound picture of a set with masks
        return Sample(
            image, mask, record.label, record.class_name, record.image, record.defect, inside
        )

    # ---- parts of it -----------------------------------------------------------------------------

    def view(self, records: Iterable[Record]) -> "AnomalyDataset":
        """The same data set with only these of its records; the cache is shared."""
        return AnomalyDataset(self.root, list(records), **self.settings)

    def filter(
        self, classes: str | Iterable[str] | None = None, labels: int | Iterable[int] = (0, 1)
    ) -> "AnomalyDataset":
        """Only these classes (a name or several) and labels."""
        if isinstance(classes, str):
            classes = [classes]
        wanted = set(self.classes if classes is None else classes)
        if unknown := sorted(wanted - set(self.classes)):
            raise ValueError(
                f"no class {', '.join(unknown)} in {self.detected}; there are: "
                f"{', '.join(self.classes)}"
            )
        labels = (labels,) if isinstance(labels, int) else tuple(labels)
        return self.view(r for r in self.records if r.class_name in wanted and r.label in labels)

    def few_shot(self, k: int, seed: int = 0) -> "AnomalyDataset":
        """k/2 normal and k/2 abnormal pictures a class; a smaller k takes a part of a larger one's."""
        return self.view(few_shot(self.records, k, seed))

    def references(self, count: int) -> "AnomalyDataset":
        """The first `count` sound pictures a class of the set's split "train", which are never
        judged; only of the classes that this view has.
        """
        chosen = []
        for name in self.classes:
            have = [r for r in self.settings.get("references", ()) if r.class_name == name]
            if len(have) < count:
                raise ValueError(
                    f"{count} references of {name} are asked for, the split 'train' of "
                    f"{self.detected} has {len(have)} sound pictures of it"
                )
            chosen += have[:count]  # of 4 and of 16 references the first four are the same
        return self.view(chosen)

    # ---- is it sound? ----------------------------------------------------------------------------

    def problems(self, decode: bool = True, strict: bool = False) -> list[str]:
        """All that is wrong; `decode` also decodes every file, `strict` raises instead."""
        problems = audit.problems(self.root, self.records, self.image_level)
        if decode:  # slow: every pixel is read
            problems += decoding.problems(self)
            audit.tell_odd_masks(self.root, [] if self.image_level else self.records)
        problems = [p for p in dict.fromkeys(problems) if p.split(":")[0] not in self.allow]
        if problems and strict:
            raise DataError(problems, self.root)
        return problems

    def fingerprint(self) -> str:
        """Follows from the files' names, labels, sizes and order."""
        return audit.fingerprint(self.root, self.records)

    # ---- batches ---------------------------------------------------------------------------------

    def batches(
        self,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        augment: object = None,
        device: str | torch.device = "cpu",
        **place,
    ) -> Iterator[dict]:
        """Batches {"image" (B, 3, H, W) in [0, 1], "mask" (B, 1, H, W), "label" (B,), "class_name",
        "index"}, and "inside" if all have it; no "mask" if the set is image_level. Images are not
        normalised: the model does that.

        augment: a recipe or the name of its variant. Order and augmentation follow from seed and
        epoch. place: see batching.Place.
        """
        where = batching.Place(**place)  # epoch, stage, and which process's share
        change = augmentation.change(augment, seed, where.view, where.stage)
        order_seed = seed if shuffle else None  # None: as the records stand
        return batching.batches(self, batch_size, order_seed, change, device, where)


def overlap(first: AnomalyDataset, second: AnomalyDataset) -> list[tuple[str, str]]:
    """Pictures that two data sets share, byte for byte, as training and test must not."""
    # by their bytes: a renamed copy is a copy
    ours = {first.root / record.image for record in first.records}
    theirs = {second.root / record.image for record in second.records}
    return audit.shared(ours, theirs)


@dataclass(frozen=True)
class Opening:
    """How open_dataset goes about it."""

    root: str | Path | None = None  # where a manifest's files lie; None: beside it
    class_name: str = "object"  # what a plain folder of one product shows
    image_level: bool = False  # there are no masks, none are read
    cache_bytes: int = 2 << 30
    allow: Iterable[str] = ()  # problems to live with, of TOLERABLE


@door(path=(str, Path), layout=(str, None), size=(int, None), split=(str, None))
def open_dataset(
    path: str | Path,
    layout: str | None = None,
    size: int | None = None,
    split: str | None = None,
    **opening,
) -> AnomalyDataset:
    """A data set, after a look at every file.

    path: "factory/train" (val, test, val_wild, test_wild, test_hard), a folder, or a .jsonl
    manifest. layout: one of LAYOUTS; None tells it from the files. size: pictures become size x
    size. split: "train", "val", "test" or "all"; the default is the test set, which is what AA-CLIP
    trains on and tests on, and for manifests and plain folders all. opening: see Opening.
    "factory/test" with split "train": the 20 sound parts a product that are never judged.
    """
    how = Opening(**opening)
    _refuse_unknown(layout, size, how.allow)
    root = how.root
    told = "as named" if layout else "told from its files"
    groups: Mapping[str, str] = {}
    if layout == "factory" or (layout is None and str(path).startswith("factory/")):
        path, groups = late("factory")(str(path).removeprefix("factory/"), root)
        layout = "factory"
        root = None
        told = "as named"
    path = Path(path)
    # all splits are read, so that copies between them show
    files = layouts.read(path, layout, root, how.class_name)
    split = split or files.default_split  # the test set, but for manifests and plain folders
    chosen = [record for record in files.records if split in ("all", record.split)]
    others = [record for record in files.records if split not in ("all", record.split)]
    data = AnomalyDataset(
        files.root,
        chosen,
        layout=files.layout,
        detected=f"{files.layout} ({told}), split {split}",
        size=size,
        allow=tuple(how.allow),
        image_level=how.image_level,
        groups=groups,
        references=[r for r in others if r.split == "train" and r.label == 0],  # never judged
        cache=Cache(how.cache_bytes),
    )
    problems = [*files.problems, *files.empty_classes(chosen, split)]
    problems = [p for p in problems if p.split(":")[0] not in data.allow]
    problems += data.problems(decode=False)  # no pixel is read: opening stays quick
    problems += _shared(data, others)
    if problems:  # all of them: a list can be mended in one go
        raise DataError(problems, path)
    return data


def _shared(data: AnomalyDataset, others: list[Record]) -> list[str]:
    """Pictures that also stand in other splits."""
    if "duplicate" in data.allow:
        return []
    pairs = overlap(data, data.view(others))
    return [f"duplicate: {a}, {b}: equal bytes in two splits" for a, b in pairs]


def _refuse_unknown(layout: str | None, size: int | None, allow: Iterable[str]) -> None:
    if size is not None and not 1 <= size <= LARGEST_SIDE:  # before any file is read
        raise ValueError(f"size = {size}: give a side from 1 to {LARGEST_SIDE} pixels")
    if layout not in (None, *LAYOUTS):
        raise ValueError(f"layout={layout!r}: choose one of {', '.join(LAYOUTS)}")
    if refused := sorted(set(allow) - set(TOLERABLE)):
        raise ValueError(f"allow={refused}: only {', '.join(TOLERABLE)} can be tolerated")
