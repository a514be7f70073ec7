"""What a path holds that the doctor can examine: checkpoints, what a detector knows, a log, a data
set, or pictures without labels.

Use: `subjects("runs/a")` -> [("checkpoint", runs/a/text.safetensors), ..., ("log", runs/a)]; the
public code's folder (text_adapter.pth, image_adapter.pth, train.log) is known as well.
"""

import os
from pathlib import Path

from ..files.folders import ENDINGS, FOREIGN, walk
from ..files.notes import NAME, REFERENCES
from .logs import NAMES

CHECKPOINTS = (".safetensors", ".pth", ".pt", ".resume")
LOGS = (".log", ".txt", ".jsonl")
# the public code also keeps each epoch as image_adapter_N.pth: those are asked for by name
PUBLIC = ("text_adapter.pth", "image_adapter.pth")


def subjects(path: str | os.PathLike) -> list[tuple[str, Path]]:
    """(kind, path) pairs; a path that is none of the doctor's files counts as a data set."""
    path = Path(path)
    if path.name in (NAME, REFERENCES) and path.is_file():
        return [("detector", path.parent)]
    if path.suffix in CHECKPOINTS:
        return [("checkpoint", path)]
    if path.is_file() and path.suffix in LOGS:
        listed = path.name == "manifest.jsonl" or _lists_pictures(path)
        return [("dataset" if listed else "log", path)]
    if not path.is_dir():
        return [("dataset", path)]
    files = [*sorted(path.glob("*.safetensors")), *sorted(path.glob("*.resume"))]
    files += [path / name for name in PUBLIC if (path / name).is_file()]
    entries = [("checkpoint", file) for file in files if file.name != REFERENCES]
    if any((path / name).is_file() for name in (NAME, REFERENCES)):
        entries.append(("detector", path))
    if any((path / name).is_file() for name in NAMES):
        entries.append(("log", path))
    return entries or [("pictures" if _is_flat(path) else "dataset", path)]


def _is_flat(folder: Path) -> bool:
    """Whether pictures lie in this folder, and in none below it: no layout gives them labels."""
    held = [file for file in walk(folder) if file.suffix.lower() in (*ENDINGS, *FOREIGN)]
    listed = (folder / "manifest.jsonl").is_file()
    return bool(held) and not listed and all(file.parent == folder for file in held)


def _lists_pictures(path: Path) -> bool:
    """Whether a .jsonl under any name is a manifest."""
    with open(path, encoding="utf-8", errors="replace") as lines:
        return path.suffix == ".jsonl" and '"image_path"' in lines.readline(65536)
