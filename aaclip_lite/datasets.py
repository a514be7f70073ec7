"""Pictures with defect masks: the factory's sets, AA-CLIP manifests, and the folders that public
data sets come in.

Special: opening looks at every file (name, label, header, end of file, copies) and lists all that
is missing or broken in one `DataError` before any work starts; `check()` decodes all. Nothing is
replaced by black pictures or empty masks.
`.detected` says what was found. Decoded, resized pictures stay in memory up to `cache_bytes`,
others are read again.

    data = open_dataset("factory/train", size=128)         # or a folder, or a .jsonl manifest
    (root=: where files lie) data[0].image, data[0].mask                            # uint8 (H, W,
    3) and (H, W) in {0, 1} data.filter(classes=["candle"]).few_shot(4, seed=0)    # 2 normal and 2
    abnormal pictures of each class for batch in data.batches(16, shuffle=True, seed=0, epoch=3,
    augment="course", stage=2, device="cuda"): ...
"""

import csv
import hashlib
import json
import os
import re
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from . import augment as augmentation

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
NORMAL, MASKS = ("good", "ok", "normal"), ("masks", "mask", "ground_truth", "gt")
# layouts' words for train, val, test
SPLITS = {
    "validation": "val",
    "valid": "val",
    "test_public": "test",
}
# published folder: AA-CLIP's class
MEDICAL = {
    "Brain_AD": "Brain",
    "Liver_AD": "Liver",
    "Retina_RESC_AD": "Retina",
}
MEDICAL |= {"CVC-ClinicDB": "Colon_clinicDB", "CVC-ColonDB": "Colon_colonDB"}
VISA = {
    "candle",
    "capsules",
    "cashew",
    "chewinggum",
    "fryum",
    "macaroni1",
    "macaroni2",
    "pcb1",
    "pipe_fryum",
}
MPDD = {"bracket_black", "bracket_brown", "bracket_white", "connector", "metal_plate", "tubes"}
FACTORY = ("train", "val", "test", "test_hard")
# problems that leave every picture and mask usable
TOLERABLE = (
    "class",
    "content",
    "duplicate",
    "path",
    "size",
)
# what PIL raises
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    struct.error,
    Image.DecompressionBombError,
)
DECODERS = min(4, os.cpu_count() or 1)

# A layout: what gives it away, the pictures that belong to it, where their masks may lie (less the
# ending and _mask).
_NAME, _KIND = (rf"(?P<{part}>(?!({'|'.join(MASKS)})/)[^/]+)" for part in ("name", "kind"))
_FILE = r"(?P<stem>[^/]+)\.\w+"
_MVTEC = (
    rf"{_NAME}/(?P<split>train|validation|test|test_public)/{_KIND}/{_FILE}",
    ["{name}/ground_truth/{kind}/{stem}"],
)
FOLDERS = {
    "mvtec2": (
        r"/test_public/[^/]+/",
        _MVTEC[0],
        ["{name}/test_public/ground_truth/{kind}/{stem}"],
    ),
    "btad": (r"/test/(ok|ko)/", *_MVTEC),
    "medical": (
        r"/[Uu]ngood/img/|/images/",
        rf"{_NAME}/((?P<split>train|val|valid|test)/{_KIND}(/img)?|images)/{_FILE}",
        ["{name}/{split}/{kind}/label/{stem}", "{name}/masks/{stem}"],
    ),
    "mvtec": (r"/(train|test)/[^/]+/", *_MVTEC),
    "folder": (
        r"/(?i:good|ok|normal)/",
        rf"{_NAME}/{_KIND}/{_FILE}",
        [f"{{name}}/{folder}/{end}" for folder in MASKS for end in ("{kind}/{stem}", "{stem}")],
    ),
}
FOLDERS |= {"mpdd": FOLDERS["mvtec"], "visa": FOLDERS["mvtec"]}
LAYOUTS = (*FOLDERS, "visa_raw", "manifest", "factory")


class DataError(ValueError):
    """All that is wrong with a data set: `.problems` is the full list, each "kind: file: what"."""

    def __init__(self, problems: Iterable[str], where: object = ""):
        self.problems = list(problems)
        super().__init__(self.problems, where)

    def __str__(self):
        more = ["..., all of them in .problems"] if len(self.problems) > 100 else []
        lines = [f"{self.args[1]}: {len(self.problems)} problem(s)", *self.problems[:100], *more]
        return (
            "\n  ".join(lines)
            + f"\nMend them. These can be tolerated: open_dataset(..., allow={TOLERABLE})"
        )


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


@dataclass(frozen=True, eq=False)
class Sample:
    """One decoded picture: image uint8 (H, W, 3); mask and inside uint8 (H, W) in {0, 1}, None
    where not declared.
    """

    image: np.ndarray
    mask: np.ndarray | None
    label: int
    class_name: str
    path: str
    defect: str
    inside: np.ndarray | None


def _files(root: Path) -> list[str]:
    """All pictures below the root, hidden ones apart, as paths relative to it, in a fixed order."""
    tree = os.walk(root, followlinks=True)
    found = (
        Path(place, name).relative_to(root).as_posix() for place, _, names in tree for name in names
    )
    return sorted(
        file
        for file in found
        if file.lower().endswith(PICTURES) and not re.search(r"(^|/)[.]", file)
    )


def _detect(root: Path, files: list[str]) -> str:
    """The layout's name, from the files below the root."""
    found = [
        name
        for name, (mark, *_) in FOLDERS.items()
        if any(re.search(rf"{mark}[^/]+$", f"/{f}") for f in files)
    ]
    if not found:
        held = ", ".join(sorted(p.name for p in root.iterdir())[:8]) or "nothing"
        remedy = "name the layout, or put pictures into good/ and one folder a kind of defect, masks into masks/"
        raise DataError(
            [f"layout: {root.name}: cannot be told from its files; it holds {held}; {remedy}"], root
        )
    # three data sets share MVTec's layout
    names = {file.split("/")[0] for file in files} | {root.name}
    return (
        found[0]
        if found[0] != "mvtec"
        else "visa"
        if names & VISA
        else "mpdd"
        if names & MPDD
        else "mvtec"
    )


def _read_folders(
    root: Path, layout: str, files: list[str], class_name: str
) -> tuple[list[Record], set, list[str]]:
    """(records, classes that ought to be there, problems) of a folder tree."""
    _, pattern, places = FOLDERS[layout]
    # The root may also be a single class: its name (for plain folders `class_name`) is then the
    # missing first part.
    fits = {
        prefix: [re.fullmatch(pattern, prefix + file) for file in files]
        for prefix in ("", f"{class_name if layout == 'folder' else root.name}/")
    }
    prefix = max(fits, key=lambda prefix: sum(map(bool, fits[prefix])))
    by_name = defaultdict(list)
    for file in files:
        by_name[os.path.splitext(prefix + file)[0].removesuffix("_mask")].append(file)
    records, problems = [], []
    for file, fit in zip(files, fits[prefix], strict=True):
        if fit:
            name, split, kind, stem = (
                fit.groupdict().get(part) for part in ("name", "split", "kind", "stem")
            )
            known = (
                layout not in ("btad", "medical")
                or kind is None
                or kind.lower() in (*NORMAL, "ko", "ungood")
            )
            label = int(kind is None or kind.lower() not in NORMAL) if known else None
            masks = [
                m
                for place in places
                for m in by_name[place.format(name=name, split=split, kind=kind, stem=stem)]
            ]
            if label and len(masks) > 1:
                problems.append(f"mask: {file}: several masks: {', '.join(masks)}")
            split = SPLITS.get(split, split) or ("test" if layout == "medical" else "")
            mask, defect = (masks[0] if masks else None, kind or "defect") if label else (None, "")
            records.append(Record(file, label, MEDICAL.get(name, name), mask, defect, split))
    folders = (
        ()
        if prefix
        else (p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))
    )
    return records, {MEDICAL.get(name, name) for name in folders}, problems


def _read_visa_raw(root: Path) -> tuple[list[Record], set, list[str]]:
    """VisA as published: split_csv/1cls.csv names pictures and masks below <class>/Data."""
    table, records, absent = root / "split_csv" / "1cls.csv", [], set()
    if not table.is_file():
        return (
            [],
            set(),
            ["manifest: split_csv/1cls.csv: missing (it says which pictures are the test set)"],
        )
    with open(table, newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        if lacking := {"object", "split", "label", "image", "mask"} - set(rows.fieldnames or ()):
            return (
                [],
                set(),
                [f"manifest: split_csv/1cls.csv: no column {', '.join(sorted(lacking))}"],
            )
        for row in rows:
            if not (row["object"] and row["image"]):
                absent.add(
                    f"manifest: split_csv/1cls.csv: line {rows.line_num} names no object or no "
                    "image"
                )
                continue
            if not (root / row["object"]).is_dir():
                absent.add(
                    f"class: {row['object']}: in split_csv/1cls.csv, but there is no such folder"
                )
                continue
            label = {"normal": 0, "anomaly": 1}.get(row["label"])
            mask, defect = (row["mask"] or None, "Anomaly") if label else (None, "")
            records.append(Record(row["image"], label, row["object"], mask, defect, row["split"]))
    return records, {record.class_name for record in records}, sorted(absent)


def _read_manifest(file: Path) -> tuple[list[Record], set, list[str]]:
    """AA-CLIP's form: one JSON object a line, image_path, label, class_name, mask_path; further
    keys are kept.
    """
    records, problems = [], []
    for number, line in enumerate(
        file.read_text(encoding="utf-8", errors="replace").splitlines(), 1
    ):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            entry = None
        keys = ("image_path", "class_name", "mask_path", "inside_path")
        texts = [entry.pop(key, None) or "" for key in keys] if isinstance(entry, dict) else [None]
        if not all(isinstance(text, str) for text in texts) or not all(texts[:2]):
            problems.append(
                f"manifest: {file.name}: line {number} is no JSON object with image_path and "
                "class_name"
            )
            continue
        (image, class_name, mask, inside), label = texts, entry.pop("label", None)
        label = int(label) if label in (0, 1) else None
        folders = [part for part in Path(image).parts[-2::-1] if part not in ("img", "images")]
        defect, split = entry.pop("defect", None) or (*folders, "defect")[0], entry.pop("split", "")
        defect = defect if label else ""
        records.append(
            Record(image, label, class_name, mask or None, defect, split, inside or None, entry)
        )
    return records, {record.class_name for record in records}, problems


def _header(path: Path) -> tuple[int, int]:
    """(width, height); raises if the file is no picture or breaks off. Intact PNG and JPEG files
    are not decoded.
    """
    with Image.open(path) as picture, open(path, "rb") as stream:
        stream.seek(-min(1024, path.stat().st_size), os.SEEK_END)
        ending = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}.get(picture.format)
        if ending is None or ending not in stream.read():
            picture.load()
        return picture.size


def _reason(error: Exception) -> str:
    known = {FileNotFoundError: "missing", UnidentifiedImageError: "not a readable picture"}
    return known.get(type(error), f"broken ({error})")


def _quick_problems(root: Path, records: Iterable[Record], image_level: bool) -> Iterator[str]:
    """What names, headers and ends of files tell."""
    for record in records:
        if record.label is None:
            yield f"label: {record.image}: unknown label (0 is normal, 1 abnormal)"
        if record.label == 1 and record.mask is None and not image_level:
            yield f"mask: {record.image}: abnormal, but without a mask (or declare image_level=True)"
        sizes = {}
        for role in ("image", "inside") if image_level else ("image", "mask", "inside"):
            name = getattr(record, role)
            if name is not None and (
                os.path.isabs(name) or Path(os.path.normpath(name)).parts[0] == ".."
            ):
                yield f"path: {name}: lies outside {root}"
            elif name is not None:
                try:
                    sizes[role] = _header(root / name)
                except UNREADABLE as error:
                    yield f"{role}: {name}: {_reason(error)}"
        for role, size in sizes.items():
            if size != sizes.get("image", size):
                yield f"size: {getattr(record, role)}: {size}, but its picture is {sizes['image']} (width, height)"


def _copies(paths: Iterable[Path]) -> list[list[Path]]:
    """Groups of files with the same bytes. Only files of one size are read, and whole only if
    samples of them agree.
    """

    def sample(path: Path) -> bytes:
        with open(path, "rb") as stream:
            start = stream.read(4096)
            stream.seek(path.stat().st_size // 2)
            return start + stream.read(4096)

    groups = [[path for path in paths if path.is_file()]]
    for key in (
        lambda path: path.stat().st_size,
        sample,
        lambda path: hashlib.sha256(path.read_bytes()).digest(),
    ):
        parts = defaultdict(list)
        for number, group in enumerate(groups):
            for path in group:
                parts[number, key(path)].append(path)
        groups = [part for part in parts.values() if len(part) > 1]
    return groups


def _read(path: Path, size: int | None, as_mask: bool) -> tuple[np.ndarray, bool]:
    """The decoded, resized picture (H, W, 3), or mask (H, W) of 0 and 1; and whether anything was
    non-zero.
    """
    with Image.open(path) as picture:
        if picture.mode == "F":
            raise ValueError("floating-point values")
        if picture.mode.startswith("I"):  # 16 bits: PIL would cut them at 255 instead of scaling
            values = np.asarray(picture)
            values = (values != 0) * 255 if as_mask else values.clip(0, 65535) // 257
            picture = Image.fromarray(values.astype(np.uint8))
        picture, filled = picture.convert("RGB"), True
        if as_mask:
            flags = np.asarray(picture).any(axis=2)
            picture, filled = Image.fromarray(flags.astype(np.uint8)), bool(flags.any())
        if size is not None and picture.size != (size, size):
            picture = picture.resize(
                (size, size), Image.Resampling.NEAREST if as_mask else Image.Resampling.BICUBIC
            )
        return np.array(picture), filled


class _Cache(dict):
    """Decoded pictures by record, shared by all views of a data set, filled up to a number of
    bytes.
    """

    def __init__(self, budget: int):
        self.budget, self.used = budget, 0

    def keep(self, record: Record, parts: tuple) -> tuple:
        size = sum(part.nbytes for part in parts if part is not None)
        if record not in self and self.used + size <= self.budget:
            self[record], self.used = parts, self.used + size
        return parts


class AnomalyDataset:
    """A list of records below one root; `data[i]` decodes the i-th. Made by `open_dataset`; views
    share the cache.
    """

    def __init__(self, root: Path, records: list[Record], **settings):
        self.root, self.records, self.settings = root, records, settings
        self.layout, self.detected, self.size = (
            settings["layout"],
            settings["detected"],
            settings["size"],
        )
        self.image_level, self.allow, self.cache = (
            settings["image_level"],
            settings["allow"],
            settings["cache"],
        )

    def __len__(self):
        return len(self.records)

    def __repr__(self):
        normal = sum(record.label == 0 for record in self.records)
        return (
            f"{self.detected}: {len(self)} pictures ({normal} normal), {len(self.classes)} classes"
        )

    @property
    def classes(self) -> list[str]:
        return sorted({record.class_name for record in self.records})

    def _decode(self, record: Record) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """(image, mask, inside); the mask of a normal picture is left None, to save memory."""
        parts, problems = {}, []
        for role in ("image", "inside") if self.image_level else ("image", "mask", "inside"):
            if (name := getattr(record, role)) is None:
                continue
            try:
                parts[role], filled = _read(self.root / name, self.size, role != "image")
                if role == "mask" and filled != bool(record.label) and "content" not in self.allow:
                    problems.append(
                        f"content: {name}: {'not' if filled else 'all'} zero, but label "
                        f"{record.label}"
                    )
            except UNREADABLE as error:
                problems.append(f"{role}: {name}: {_reason(error)}")
        if problems:
            raise DataError(problems, self.root)
        return parts["image"], parts.get("mask") if record.label else None, parts.get("inside")

    def __getitem__(self, index: int) -> Sample:
        record = self.records[index]
        image, mask, inside = self.cache.get(record) or self.cache.keep(
            record, self._decode(record)
        )
        mask = (
            None
            if self.image_level
            else np.zeros(image.shape[:2], np.uint8)
            if mask is None
            else mask.copy()
        )
        inside = None if inside is None else inside.copy()
        return Sample(
            image.copy(), mask, record.label, record.class_name, record.image, record.defect, inside
        )

    def view(self, records: Iterable[Record]) -> "AnomalyDataset":
        """The same data set with only these of its records."""
        return AnomalyDataset(self.root, list(records), **self.settings)

    def filter(
        self, classes: Iterable[str] | None = None, labels: Iterable[int] = (0, 1)
    ) -> "AnomalyDataset":
        """Only these classes (a name or several) and labels."""
        wanted = (
            {classes}
            if isinstance(classes, str)
            else set(self.classes if classes is None else classes)
        )
        if unknown := sorted(wanted - set(self.classes)):
            raise ValueError(
                f"no class {', '.join(unknown)} in {self.detected}; there are: "
                f"{', '.join(self.classes)}"
            )
        labels = (labels,) if isinstance(labels, int) else tuple(labels)
        return self.view(r for r in self.records if r.class_name in wanted and r.label in labels)

    def few_shot(self, k: int, seed: int = 0) -> "AnomalyDataset":
        """k/2 normal and k/2 abnormal pictures of every class; a smaller k with the same seed is a
        part of a larger.
        """
        if k < 2 or k % 2:
            raise ValueError(
                f"few_shot takes an even k of at least 2 (half normal, half abnormal), not {k}"
            )
        chosen, short = set(), []
        for name in self.classes:
            # a class draws for itself
            generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
            for label, kind in enumerate(("normal", "abnormal")):
                have = [
                    i
                    for i, r in enumerate(self.records)
                    if (r.class_name, r.label) == (name, label)
                ]
                chosen |= set(generator.permutation(have)[: k // 2])
                short += [f"{name} has {len(have)} {kind}"] if len(have) < k // 2 else []
        if short:
            raise ValueError(
                f"{k}-shot needs {k // 2} normal and {k // 2} abnormal a class: {', '.join(short)}"
            )
        return self.view(r for i, r in enumerate(self.records) if i in chosen)

    def check(self, decode: bool = True, strict: bool = False) -> list[str]:
        """All that is wrong, with `decode` by decoding every file (which fills the cache); `strict`
        raises it.
        """
        problems = list(_quick_problems(self.root, self.records, self.image_level))
        for group in _copies(self.root / record.image for record in self.records):
            problems.append(
                f"duplicate: {', '.join(os.path.relpath(f, self.root) for f in group)}: equal bytes"
            )
        with ThreadPoolExecutor(DECODERS) as pool:
            new = [record for record in self.records if decode and record not in self.cache]
            for chunk in (new[start : start + 64] for start in range(0, len(new), 64)):
                for record, job in [
                    (record, pool.submit(self._decode, record)) for record in chunk
                ]:
                    if isinstance(error := job.exception(), DataError):
                        problems += error.problems
                    else:
                        self.cache.keep(record, job.result())
        problems = [p for p in dict.fromkeys(problems) if p.split(":")[0] not in self.allow]
        if problems and strict:
            raise DataError(problems, self.root)
        return problems

    def fingerprint(self) -> str:
        """Changes when a file is added, removed, renamed, relabelled, moved in order or changes its
        size.
        """
        digest = hashlib.sha256()
        for r in self.records:
            sizes = [
                (self.root / name).stat().st_size for name in (r.image, r.mask) if name is not None
            ]
            digest.update(repr((r.image, r.label, r.class_name, r.mask, sizes)).encode())
        return digest.hexdigest()[:16]

    def batches(
        self,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        augment=None,
        device="cpu",
        *,
        epoch: int = 0,
        stage: int = 2,
        drop_last: bool = False,
        start: int = 0,
        rank: int = 0,
        world: int = 1,
        views: int | None = None,
    ) -> Iterator[dict]:
        """Batches {"image" (B, 3, H, W) in [0, 1], "mask" (B, 1, H, W), "label" (B,), "class_name",
        "index"}, and "inside" if all have it; no "mask" if the set is image_level. Images are not
        normalised: the model does that.

        augment: a recipe or the name of its variant; stage 1 leaves colours alone. Order and
        augmentation follow from seed and epoch: to resume, pass the number of batches already done
        as `start`. Of `world` processes each takes its share, every world-th, of the same batches.
        views: after so many epochs augmentation, not order, repeats.
        """
        name = getattr(augment, "augmentation", augment) or "none"
        if name != "none" and name not in augmentation.VARIANTS:
            raise ValueError(f"augment={name!r}: choose none, {', '.join(augmentation.VARIANTS)}")
        if batch_size < 1 or batch_size % world or not 0 <= rank < world:
            raise ValueError(
                f"batch_size {batch_size} must divide among {world} processes; this is number "
                f"{rank}"
            )
        order = (
            np.random.default_rng([seed, epoch]).permutation(len(self))
            if shuffle
            else np.arange(len(self))
        )
        steps = [order[i : i + batch_size].tolist() for i in range(0, len(self), batch_size)]
        steps = [step for step in steps if len(step) == batch_size or not drop_last]
        if not steps:
            raise ValueError(
                f"{len(self)} pictures make no {'full ' * drop_last}batch of {batch_size}"
            )
        shares = [step[rank::world] for step in steps[start:] if step[rank::world]]
        key = seed, epoch % views if views else epoch
        return (
            self._batch(rows, parts, augmentation.VARIANTS.get(name), key, stage, device)
            for rows, parts in zip(shares, self._stream(shares), strict=True)
        )

    def _stream(self, steps: list[list[int]]) -> Iterator[list[tuple]]:
        """The decoded parts of each step; threads read the next step's files while this one's are
        in use.
        """
        with ThreadPoolExecutor(DECODERS) as pool:

            def begin(rows: list[int]) -> list[tuple[Record, tuple | Future]]:
                records = [self.records[row] for row in rows]
                return [
                    (record, self.cache.get(record) or pool.submit(self._decode, record))
                    for record in records
                ]

            ahead = begin(steps[0]) if steps else []
            for following in [*steps[1:], []] if steps else []:
                now, ahead = ahead, begin(following)
                yield [
                    self.cache.keep(r, got.result() if isinstance(got, Future) else got)
                    for r, got in now
                ]

    def _batch(
        self, rows: list[int], parts: list[tuple], variant, key: tuple[int, int], stage: int, device
    ) -> dict:
        images, masks, insides = zip(*parts, strict=True)
        if len({image.shape for image in images}) > 1 or (
            variant and images[0].shape[0] != images[0].shape[1]
        ):
            raise ValueError(
                "pictures of different or oblong shapes cannot make a batch: open_dataset(..., "
                "size=...)"
            )
        blank = np.zeros(images[0].shape[:2], np.uint8)
        planes = (
            {}
            if self.image_level
            else {"mask": [blank if mask is None else mask for mask in masks]}
        )
        planes |= {} if any(inside is None for inside in insides) else {"inside": insides}
        image = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float() / 255
        stacked = np.stack(
            [np.stack(plane) for plane in (*planes.values(), [blank] * len(rows))], axis=1
        )
        stacked = torch.from_numpy(stacked).to(device).float()
        if variant:
            drawn = augmentation.draw(variant, [(*key, row) for row in rows])
            image, stacked = augmentation.apply(
                variant, drawn, image, stacked, with_colour=stage == 2
            )
        records = [self.records[row] for row in rows]
        batch = {"image": image.contiguous()} | {
            name: stacked[:, i : i + 1] for i, name in enumerate(planes)
        }
        batch |= {"label": torch.tensor([r.label for r in records], device=device)}
        return batch | {"class_name": [r.class_name for r in records], "index": rows}


def overlap(first: AnomalyDataset, second: AnomalyDataset) -> list[tuple[str, str]]:
    """Pictures that two data sets share, byte for byte: a training and a test set should share
    none.
    """
    ours, theirs = (
        {data.root / record.image for record in data.records} for data in (first, second)
    )
    groups = [(ours & set(group), theirs & set(group)) for group in _copies([*ours, *theirs])]
    return sorted((str(a), str(b)) for mine, others in groups for a in mine for b in others - mine)


def open_dataset(
    path: str | Path,
    layout: str | None = None,
    size: int | None = None,
    *,
    root: str | Path | None = None,
    split: str | None = None,
    class_name: str = "object",
    image_level: bool = False,
    cache_bytes: int = 2 << 30,
    allow: Iterable[str] = (),
) -> AnomalyDataset:
    """A data set, after a look at every file.

    path: "factory/train" (val, test, test_hard), a folder, or a .jsonl manifest, whose files lie
    below `root` (default: beside it). layout: one of LAYOUTS; None tells it from the files. size:
    pictures become size x size. split: "train", "val", "test" or "all"; the default is the test
    set, which is what AA-CLIP trains on and tests on, and for manifests and plain folders all.
    image_level: there are no masks, none are read. allow: problems to live with (TOLERABLE).
    """
    if layout not in (None, *LAYOUTS):
        raise ValueError(f"layout={layout!r}: choose one of {', '.join(LAYOUTS)}")
    if refused := sorted(set(allow) - set(TOLERABLE)):
        raise ValueError(f"allow={refused}: only {', '.join(TOLERABLE)} can be tolerated")
    if layout == "factory" or (layout is None and str(path).startswith("factory/")):
        # drawing takes a while to import, and other sets do not need it
        from .world.factory import (
            ensure,
        )

        if (name := str(path).removeprefix("factory/")) not in FACTORY:
            raise ValueError(f"factory/{name}: choose one of factory/{', factory/'.join(FACTORY)}")
        path, root, layout = ensure(name, root), None, "factory"
    path, told = Path(path), "as named" if layout else "told from its files"
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such folder or manifest (factory/train needs no download)"
        )
    manifest = path / "manifest.jsonl" if path.is_dir() else path
    if layout in ("manifest", "factory") or (layout is None and manifest.is_file()):
        split = split or ("test" if layout == "factory" else "all")
        layout, root = layout or "manifest", Path(root or manifest.parent)
        if not manifest.is_file():
            raise FileNotFoundError(f"{manifest}: no such manifest")
        records, classes, problems = _read_manifest(manifest)
    else:
        if root is not None:
            raise ValueError(
                f"root={root}: only a manifest's files can lie elsewhere, a folder is its own root"
            )
        root, files = path, _files(path)
        if layout in (None, "visa") and (
            (root / "split_csv").is_dir() or any("/Data/Images/" in f for f in files)
        ):
            layout = "visa_raw"
        layout = layout or _detect(root, files)
        split = split or ("all" if layout == "folder" else "test")
        read = (
            _read_visa_raw(root)
            if layout == "visa_raw"
            else _read_folders(root, layout, files, class_name)
        )
        records, classes, problems = read
    chosen = [record for record in records if split in ("all", record.split)]
    empty = sorted(classes - {record.class_name for record in chosen}) or (
        [] if chosen else ["any"]
    )
    problems += [
        f"class: {name}: no pictures (split {split!r}, layout {layout!r})" for name in empty
    ]
    settings = {
        "layout": layout,
        "detected": f"{layout} ({told}), split {split}",
        "size": size,
        "allow": tuple(allow),
    }
    data = AnomalyDataset(
        root, chosen, **settings, image_level=image_level, cache=_Cache(cache_bytes)
    )
    others = [record for record in records if split not in ("all", record.split)]
    problems = [p for p in problems if p.split(":")[0] not in data.allow] + data.check(decode=False)
    if "duplicate" not in data.allow:
        pairs = overlap(data, data.view(others))
        problems += [f"duplicate: {a}, {b}: equal bytes in two splits" for a, b in pairs]
    if problems:
        raise DataError(problems, path)
    return data
