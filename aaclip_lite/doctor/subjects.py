"""What a path holds that the doctor can examine: checkpoints, a log, or a data set.

Use: `subjects("runs/a")` -> [("checkpoint", runs/a/text.safetensors), ..., ("log", runs/a)]; the
public code's folder (text_adapter.pth, image_adapter.pth, train.log) is known as well.
"""

import os
from pathlib import Path

from .logs import NAMES

CHECKPOINTS = (".safetensors", ".pth", ".pt", ".resume")
LOGS = (".log", ".txt", ".jsonl")
# the public code also keeps each epoch as image_adapter_N.pth: those are asked for by name
PUBLIC = ("text_adapter.pth", "image_adapter.pth")


def subjects(path: str | os.PathLike) -> list[tuple[str, Path]]:
    """(kind, path) pairs; a path that is none of the doctor's files counts as a data set."""
    path = Path(path)
    if path.suffix in CHECKPOINTS:
        return [("checkpoint", path)]
    if path.is_file() and path.suffix in LOGS:
        listed = path.name == "manifest.jsonl" or _lists_pictures(path)
        return [("dataset" if listed else "log", path)]
    if not path.is_dir():
        return [("dataset", path)]
    files = [*sorted(path.glob("*.safetensors")), *sorted(path.glob("*.resume"))]
    files += [path / name for name in PUBLIC if (path / name).is_file()]
    found = [("checkpoint", file) for file in files]
    if any((path / name).is_file() for name in NAMES):
        found.append(("log", path))
    return found or [("dataset", path)]


def _lists_pictures(path: Path) -> bool:
    """Whether a .jsonl under any name is a manifest."""
    with open(path, encoding="utf-8", errors="replace") as lines:
        return path.suffix == ".jsonl" and '"image_path"' in lines.readline(65536)
