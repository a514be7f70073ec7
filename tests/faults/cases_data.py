"""Data sets: manifests, masks, folders that are not what they should be."""

import json
import os
import shutil

import numpy as np
from PIL import Image

from aaclip_lite.datasets import open_dataset
from tests.faults import places
from tests.faults.judge import Case, command


def lines_of(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def manifest(text: str | bytes):
    """The set's pictures with another manifest."""

    def run(place, folder):
        kept = shutil.copytree(place.data, folder / "kept")
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        (kept / "manifest.jsonl").write_bytes(data)
        place.mark()
        open_dataset(kept, size=32).problems(strict=True)

    return run


def line_with(**changes):
    """The second line of the manifest (an abnormal picture) with other values."""

    def run(place, folder):
        kept = shutil.copytree(place.data, folder / "kept")
        lines = lines_of(kept)
        lines[1] |= changes
        (kept / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
        place.mark()
        open_dataset(kept, size=32).problems(strict=True)

    return run


def mask_with(values, ending: str = ".png"):
    """The mask of the second line with other values: values(mask) -> mask."""

    def run(place, folder):
        kept = shutil.copytree(place.data, folder / "kept")
        lines = lines_of(kept)
        path = kept / lines[1]["mask_path"]
        mask = np.asarray(Image.open(path))
        path.unlink()
        lines[1]["mask_path"] = path.with_suffix(ending).name
        Image.fromarray(values(mask)).save(path.with_suffix(ending))
        (kept / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
        place.mark()
        open_dataset(kept, size=32).problems(strict=True)

    return run


def soft(mask):
    """Blurred edges."""
    rows = np.arange(mask.shape[0], dtype=np.uint8)[:, None]
    return np.where(mask > 0, 100 + 2 * rows, 0).astype(np.uint8)


def tree(*files: str, layout: str | None = None):
    """A folder with these pictures."""

    def run(place, folder):
        for i, name in enumerate(files):
            places.picture(folder / "set" / name, i)
        (folder / "set").mkdir(exist_ok=True)
        place.mark()
        open_dataset(folder / "set", layout=layout).problems(strict=True)

    return run


def big_walk(place, folder):
    open_dataset("/proc")


def linked_loop(place, folder):
    places.picture(folder / "set" / "good" / "a.png")
    (folder / "set" / "good" / "again").symlink_to(folder / "set")
    assert len(open_dataset(folder / "set")) == 1


def pipe(place, folder):
    places.picture(folder / "set" / "good" / "a.png")
    os.mkfifo(folder / "set" / "good" / "b.png")
    open_dataset(folder / "set")


def train_without_defects(place, folder):
    for i in range(30):
        places.picture(folder / "set" / "good" / f"{i}.png", i)
    place.mark()
    command("train", "--data", folder / "set", "--out", folder / "run", *place.options)


def train_too_few_good(place, folder):
    places.write_set(folder / "set", pairs=1)
    place.mark()
    words = ["--data", folder / "set", "--out", folder / "run", *place.options, *places.SHORT]
    command("train", *words)


def locked(place, folder):
    from filelock import FileLock

    (folder / "run").mkdir()
    with FileLock(folder / "run" / ".lock"):
        words = ["--data", place.data, "--out", folder / "run", *place.options, *places.SHORT]
        command("train", *words)


LINE = {"image_path": "cup0.png", "label": 0, "class_name": "cup"}
GOOD_LINE = json.dumps(LINE)
TEXTS = {
    "empty": "",
    "blank": "\n\n",
    "no_json": "cup0.png,0,cup",
    "cut": GOOD_LINE[:-5],
    "list": "[1, 2]",
    "number": "3",
    "nan": GOOD_LINE.replace("0,", "NaN,"),
    "binary": bytes(range(256)),
    "utf16": GOOD_LINE.encode("utf-16"),
    "latin": '{"image_path": "grün.png", "label": 0, "class_name": "cup"}'.encode("latin-1"),
    "deep": "[" * 100_000,
    "huge": json.dumps({**LINE, "class_name": "x" * 131_072}),
    "twice": f"{GOOD_LINE}\n{GOOD_LINE}",
    "surrogate": json.dumps({**LINE, "image_path": "\ud800.png"}),
}
LINES = {
    "no_such_picture": {"image_path": "gone.png"},
    "outside": {"image_path": "../gone.png"},
    "absolute": {"image_path": "/etc/passwd"},
    "folder": {"image_path": "."},
    "empty": {"image_path": ""},
    "number": {"image_path": 3},
    "null": {"image_path": None},
    "zero_byte": {"image_path": "cup\0.png"},
    "long": {"image_path": "x" * 5000 + ".png"},
    "label_2": {"label": 2},
    "label_text": {"label": "bad"},
    "label_true": {"label": True},
    "label_list": {"label": [1]},
    "label_null": {"label": None},
    "label_float": {"label": 0.5},
    "no_class": {"class_name": ""},
    "class_number": {"class_name": 3},
    "class_list": {"class_name": ["cup"]},
    "class_blank": {"class_name": "  "},
    "mask_gone": {"mask_path": "gone.png"},
    "mask_none": {"mask_path": None},
    "mask_number": {"mask_path": 3},
    "mask_outside": {"mask_path": "../../x.png"},
    "mask_is_picture": {"mask_path": "cup0.png"},
    "normal_with_mask": {"label": 0},
    "defect_number": {"defect": 3},
    "split_list": {"split": ["test"]},
}


def cases() -> list[Case]:
    found = []
    for name, text in TEXTS.items():
        subject = r"manifest\.jsonl|cup0\.png|grün|gr|ud800"
        found.append(Case("manifests", name, manifest(text), subject))
    for name, changes in LINES.items():
        subject = rf"line 2|cup1|{next(iter(changes.values()))!s:.20}".replace("\0", ".")
        subject = subject.replace("[", r"\[")
        found.append(Case("manifests", f"line_{name}", line_with(**changes), subject))
    masks = {
        "empty": (np.zeros_like, ".png"),
        "full": (np.ones_like, ".png"),
        "inverted": (lambda mask: 255 - mask, ".png"),
        "small": (lambda mask: mask[::2, ::2], ".png"),
        "jpeg": (lambda mask: mask, ".jpg"),
        "soft": (soft, ".png"),
    }
    for name, (values, ending) in masks.items():
        case = Case("masks", name, mask_with(values, ending), rf"cup1_mask\{ending}")
        found.append(case)
    found.append(Case("masks", "sound", mask_with(lambda mask: mask), accepted=True))
    found += [
        Case("sets", "empty", tree(), "set"),
        Case("sets", "no_layout", tree("a.png", "b.png"), "set"),
        Case("sets", "layout", tree("good/a.png", layout="coco"), "coco"),
        Case("sets", "same", tree("good/a.png", layout="mvtec"), "set|mvtec"),
        Case("sets", "no_mask", tree("good/a.png", "bad/b.png"), r"b\.png"),
        Case("sets", "proc", big_walk, "/proc"),
        Case("sets", "linked_loop", linked_loop, accepted=True),
        Case("sets", "pipe", pipe, r"b\.png"),
        Case("training", "without_defects", train_without_defects, "set|30 pictures"),
        Case("training", "too_few_good", train_too_few_good, "normal"),
        Case("training", "locked", locked, "run"),
    ]
    return found
