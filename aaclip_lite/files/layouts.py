"""The folders that public data sets come in, and AA-CLIP's manifests: from names of files to records.

Special: a layout is told from its files alone; whatever is missing or ambiguous becomes a line of
the problem list, never a guess. No picture is opened here.
Use: `read(Path("path/to/mvtec"), None, None, "object").records`
"""

import csv
import os
import re
import warnings
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from .folders import DRAWN, ENDINGS, FOREIGN, MASKS, REMEDY, walk
from .manifest import DataError, Record, read_manifest

NORMAL = ("good", "ok", "normal")
# layouts' words for train, val, test
SPLITS = {"validation": "val", "valid": "val", "test_public": "test"}
# published folder: AA-CLIP's class
MEDICAL = {"Brain_AD": "Brain", "Liver_AD": "Liver", "Retina_RESC_AD": "Retina"}
MEDICAL |= {"CVC-ClinicDB": "Colon_clinicDB", "CVC-ColonDB": "Colon_colonDB"}
VISA = {"candle", "capsules", "cashew", "chewinggum", "fryum", "pipe_fryum", "pcb1"}
VISA |= {"macaroni1", "macaroni2"}
MPDD = {"bracket_black", "bracket_brown", "bracket_white", "connector", "metal_plate", "tubes"}
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


class Files(NamedTuple):
    """What lies below a root: all that opening a data set needs to know before a look inside."""

    root: Path
    layout: str
    records: list[Record]
    classes: set[str]  # that ought to be there
    problems: list[str]
    default_split: str

    def empty_classes(self, chosen: list[Record], split: str) -> list[str]:
        """The problem of each class of which a split has no pictures."""
        empty = sorted(self.classes - {record.class_name for record in chosen})
        if not chosen and not empty:
            empty = ["any"]
        where = f"(split {split!r}, layout {self.layout!r})"
        return [f"class: {name}: no pictures {where}" for name in empty]


def read(path: Path, layout: str | None, root: str | Path | None, class_name: str) -> Files:
    """path: a folder or a manifest; layout: None tells it from the files; root: where a manifest's
    files lie; class_name: what a plain folder of one product shows.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such folder or manifest (factory/train needs no download)"
        )
    if not path.is_dir() and not path.is_file():
        raise ValueError(f"{path}: a pipe or a device is no data set; name a folder or a manifest")
    manifest = path / "manifest.jsonl" if path.is_dir() else path
    if layout in ("manifest", "factory") or (layout is None and manifest.is_file()):
        if not manifest.is_file():
            raise FileNotFoundError(f"{manifest}: no such manifest")
        default = "test" if layout == "factory" else "all"
        place = Path(root or manifest.parent)
        return _listed(place, layout or "manifest", *read_manifest(manifest), default)
    if root is not None:
        raise ValueError(
            f"root={root}: only a manifest's files can lie elsewhere, a folder is its own root"
        )
    files = pictures_below(path)
    published = (path / "split_csv").is_dir() or any("/Data/Images/" in f for f in files)
    if layout == "visa_raw" or (layout in (None, "visa") and published):
        return _listed(path, "visa_raw", *read_visa_raw(path), "test")
    layout = layout or detect(path, files)
    default = "all" if layout == "folder" else "test"
    return Files(path, layout, *read_folders(path, layout, files, class_name), default)


def _listed(
    root: Path, layout: str, records: list[Record], problems: list[str], default: str
) -> Files:
    """What a list names: its classes are those of its lines."""
    classes = {record.class_name for record in records}
    return Files(root, layout, records, classes, problems, default)


def pictures_below(root: Path) -> list[str]:
    """All pictures below the root, hidden ones and what predict drew apart, as paths relative to it,
    in a fixed order.
    """
    below = [path.relative_to(root).as_posix() for path in walk(root)]
    foreign = [file for file in below if file.lower().endswith(FOREIGN)]
    if foreign:
        warnings.warn(
            f"{root}: {len(foreign)} files are of a kind that is not read, the first: "
            f"{foreign[0]}; {REMEDY}",
            stacklevel=4,
        )
    drawn = sum(file.endswith(DRAWN) for file in below)
    if drawn:
        warnings.warn(f"{root}: {drawn} heat maps that predict drew are left out", stacklevel=4)
    return sorted(f for f in below if f.lower().endswith(ENDINGS) and not f.endswith(DRAWN))


def detect(root: Path, files: list[str]) -> str:
    """The layout's name, from the files below the root."""
    fitting = (
        name
        for name, (mark, *_) in FOLDERS.items()
        if any(re.search(rf"{mark}[^/]+$", f"/{file}") for file in files)
    )
    first = next(fitting, None)
    if first is None:
        held = ", ".join(sorted(p.name for p in root.iterdir())[:8]) or "nothing"
        told = (
            f"layout: {root.name}: cannot be told from its files; it holds {held}; name the layout, "
            "or put pictures into good/ and one folder a kind of defect, masks into masks/"
        )
        raise DataError([told], root)
    if first != "mvtec":
        return first
    # three data sets share MVTec's layout
    names = {file.split("/")[0] for file in files} | {root.name}
    if names & VISA:
        return "visa"
    return "mpdd" if names & MPDD else "mvtec"


def read_folders(
    root: Path, layout: str, files: list[str], class_name: str
) -> tuple[list[Record], set[str], list[str]]:
    """(records, classes that ought to be there, problems) of a folder tree."""
    _, pattern, places = FOLDERS[layout]
    # The root may also be a single class: its name (for plain folders `class_name`) is then the
    # missing first part.
    root_class = class_name if layout == "folder" else root.name
    fits = {
        prefix: [re.fullmatch(pattern, prefix + file) for file in files]
        for prefix in ("", f"{root_class}/")
    }
    prefix = max(fits, key=lambda prefix: sum(map(bool, fits[prefix])))
    by_name = defaultdict(list)
    for file in files:
        by_name[os.path.splitext(prefix + file)[0].removesuffix("_mask")].append(file)
    records = []
    problems = []
    for file, fit in zip(files, fits[prefix], strict=True):
        if not fit:
            continue
        part = {key: fit.groupdict().get(key) for key in ("name", "split", "kind", "stem")}
        label = _label(layout, part["kind"])
        masks = [mask for place in places for mask in by_name[place.format(**part)]]
        if label and len(masks) > 1:
            problems.append(f"mask: {file}: several masks: {', '.join(masks)}")
        split = SPLITS.get(part["split"], part["split"])
        split = split or ("test" if layout == "medical" else "")
        mask = masks[0] if masks and label else None
        defect = (part["kind"] or "defect") if label else ""
        name = MEDICAL.get(part["name"], part["name"])
        records.append(Record(file, label, name, mask, defect, split))
    classes = set()
    if not prefix:
        for folder in root.iterdir():
            drawn = any(folder.glob(f"*{DRAWN}")) and not any(folder.glob("*/"))
            if folder.is_dir() and not folder.name.startswith((".", "__")) and not drawn:
                classes.add(MEDICAL.get(folder.name, folder.name))
    return records, classes, problems


def _label(layout: str, kind: str | None) -> int | None:
    """0 normal, 1 abnormal; None where the folder's name is not one that the layout knows."""
    if kind is None:
        return 1
    if layout in ("btad", "medical") and kind.lower() not in (*NORMAL, "ko", "ungood"):
        return None
    return int(kind.lower() not in NORMAL)


def read_visa_raw(root: Path) -> tuple[list[Record], list[str]]:
    """VisA as published: split_csv/1cls.csv names pictures and masks below <class>/Data."""
    where = "split_csv/1cls.csv"
    if not (root / where).is_file():
        return [], [f"manifest: {where}: missing (it says which pictures are the test set)"]
    records = []
    problems = set()
    with open(root / where, newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        lacking = {"object", "split", "label", "image", "mask"} - set(rows.fieldnames or ())
        if lacking:
            return [], [f"manifest: {where}: no column {', '.join(sorted(lacking))}"]
        for row in rows:
            name = row["object"]
            if not (name and row["image"]):
                problems.add(f"manifest: {where}: line {rows.line_num} names no object or no image")
            elif not (root / name).is_dir():
                problems.add(f"class: {name}: in {where}, but there is no such folder")
            else:
                label = {"normal": 0, "anomaly": 1}.get(row["label"])
                mask = (row["mask"] or None) if label else None
                defect = "Anomaly" if label else ""
                records.append(Record(row["image"], label, name, mask, defect, row["split"]))
    return records, sorted(problems)
